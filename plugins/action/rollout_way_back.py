# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.filter.batches import batches
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import rollout_end, rollouts
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollout_end import Stands, WayBack

Data = t.Mapping[str, t.Any]


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Decide which hosts of a rollout go back, when it has come to no further one."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the hosts in their order and their batches."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        given = {"type": "dict", "default": {}}
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "rollout": {"type": "dict", "required": True},
                "on_failure": {"type": "str", "choices": ["stop", "revert"], "default": "stop"},
                "batches": {"type": "raw", "default": "100%"},
                "failure_budget": {"type": "int", "default": 0},
                "ended": given,
                "noted": given,
                "runs": given,
            }
        )
        rollout = arguments["rollout"]
        earlier = {host: Stands(**told) for host, told in rollout["earlier"].items()}
        ended = rollouts.how_ended(arguments["ended"], arguments["runs"])
        stand = {host: _stands(ended.get(host) or {}, arguments["noted"].get(host) or {}) for host in rollout["hosts"]}
        back = (
            WayBack(tuple(rollout["back"]))
            if rollout["reverts"]
            else rollout_end.way_back({**earlier, **stand}, arguments["on_failure"], arguments["failure_budget"])
        )
        result.update(
            changed=False,
            hosts=list(back.hosts),
            batches=[list(batch) for batch in rollouts.in_batches(back.hosts, batches(arguments["batches"]))],
            stays=dict(back.stays),
            text=rollout_end.way_back_text(back),
        )
        return result


def _stands(judged: Data, noted: Data) -> Stands:
    """Return where a host stands, from what its last tasks have registered."""
    last = judged if "rollout" in judged else noted
    record = last.get("rollout") or {}
    return Stands(
        judged.get("outcome", ""),
        record.get("before", ""),
        last.get("generation", ""),
        tuple(record.get("one_way", ())),
    )
