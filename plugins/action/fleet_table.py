# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.plugin_utils import fleet
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import seen_of


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Make one table of what the hosts have answered."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the table, for people and as data."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={"answers": {"type": "dict", "required": True}}
        )
        seen = {str(host): seen_of(answer) for host, answer in arguments["answers"].items()}
        result.update(
            changed=False,
            ok=all(fleet.is_well(one) for one in seen.values()),
            text=fleet.fleet_text(seen),
            hosts={host: fleet.as_document(one) for host, one in seen.items()},
        )
        return result
