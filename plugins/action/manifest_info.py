# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.plugin_utils import manifests
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine_files import fingerprint
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.facts import refuse_ours


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Check the manifest on the controller; nothing reaches the host."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the normalised manifest, or fail with every problem at once."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        refuse_ours(task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                **manifests.OPTIONS,
                "ports": {"type": "dict", "default": {}},
                "release": {"type": "str"},
            }
        )
        stack = manifests.check_into(
            result, arguments, ports=arguments["ports"], release=arguments["release"], where=task_vars
        )
        if stack is not None:
            data = stack.to_dict()
            result.update(manifest=data, fingerprint=fingerprint(data))
        return result
