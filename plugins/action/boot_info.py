# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.boot_look import Wanted, look
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.lost import lost_is_failure


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """See what starts a stack after a boot, and what is to be put there or taken away."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return what is there and what is wanted, or fail because it cannot be."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "manifest": {"type": "dict", "required": True},
                "wanted": {"type": "str", "choices": ["auto", "systemd", "user", "launchd", "none"], "default": "auto"},
                "after": {"type": "list", "elements": "str", "default": []},
                "templates": {"type": "path", "required": True},
            }
        )
        wanted = Wanted(arguments["wanted"], arguments["after"], arguments["templates"])
        where = (task_vars or {}).get("inventory_hostname", "this host")
        try:
            with lost_is_failure(self, result):
                found = look(self, arguments["manifest"], wanted, where)
        except RollcallError as exc:
            raise AnsibleActionFail(exc.text()) from exc
        if result.get("failed"):
            return result
        warnings = [*result.get("warnings", ()), *found.pop("warnings")]
        result.update(found, changed=False, **({"warnings": warnings} if warnings else {}))
        return result
