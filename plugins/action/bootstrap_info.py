# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.version import (
    VERSION,
    is_newer,
    upgrade,
)
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import hosts, manifests
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine_files import PYTHON, files_digest, fingerprint
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.facts import refuse_ours
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.lost import lost_is_failure

# Ansible loads this in the process that forks one for each host: there the files are read once, for all of them.
files_digest()


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Check the manifest, and see whether the host is prepared for it."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the normalised manifest and what the host has, or fail with every problem at once."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        refuse_ours(task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                **manifests.OPTIONS,
                "downgrade": {"type": "bool", "default": False},
                "python": {"type": "str", "default": PYTHON},
                "on_path": {"type": "bool", "default": False},
                "on_failure": {"type": "str", "choices": ["leave", "rollback"], "default": "leave"},
            }
        )
        stack = manifests.check_into(result, arguments, where=task_vars)
        if stack is None:
            return result
        data = stack.to_dict()
        with lost_is_failure(self, result):
            found = hosts.look(self, stack.root, hosts.proof(data, on_path=arguments["on_path"]))
        if result.get("failed"):
            return result
        if is_newer(found.version, VERSION) and not arguments["downgrade"]:
            raise AnsibleActionFail(
                f"The engine under {stack.root} is version {found.version}, and this collection is {VERSION}, an older "
                "one: nothing was changed. Upgrade the collection on the controller: "
                f"{upgrade(found.version)}. To put the older engine there, add -e bootstrap_downgrade=true."
            )
        wanted = fingerprint(data, arguments["python"])
        result.update(
            manifest=data,
            prepared=found.prepared == wanted and found.whole,
            broken=list(found.broken),
            fingerprint=wanted,
            version=found.version or None,
            found=list(found.names),
        )
        return result
