# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.plugin_utils import rollouts


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Say how a host has ended, from what its tasks have registered."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the outcome, and whether the host has yet to be taken back."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "run": {"type": "dict", "default": {}},
                "soak": {"type": "dict", "default": {}},
                "touched": {"type": "bool", "default": True},
                "one_way": {"type": "list", "elements": "str", "default": []},
                "failed_task": {"type": "str", "default": ""},
                "failed_result": {"type": "dict", "default": {}},
            }
        )
        judged = rollouts.judge(
            arguments["run"],
            arguments["soak"],
            arguments["failed_task"],
            arguments["failed_result"],
            touched=arguments["touched"],
        )
        # Over what goes one way the host does not go back: what ran before may not live with it.
        go_back = judged.go_back and not arguments["one_way"]
        restored = (arguments["run"].get("report") or {}).get("result") == "rolled_back"
        result.update(changed=False, outcome=judged.outcome, go_back=go_back, restored=restored, why=judged.why)
        return result
