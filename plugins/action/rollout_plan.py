# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.filter.batches import batches
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.runs import stamped_id
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import (
    controller,
    rollout_end,
    rollout_gate,
    rollout_ports,
    rollout_steps,
    rollout_wishes,
    rollouts,
)
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Wishes

Result = t.Dict[str, t.Any]


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Decide a rollout from what the hosts have answered."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> Result:
        """Return who goes in which order, or fail with every reason why nobody is touched."""
        result: Result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "answers": {"type": "dict", "required": True},
                "batches": {"type": "raw", "default": "100%"},
                "unreachable": {"type": "str", "choices": ["stop", "skip"], "default": "stop"},
                "unhealthy_before": {"type": "str", "choices": ["stop", "repair"], "default": "stop"},
                "takeover": {"type": "str", "default": ""},
                "min_up": {"type": "raw", "default": 0},
                "drain": {"type": "str", "default": "none"},
                "numbers": {"type": "dict", "default": {}},
                "on_failure": {"type": "str", "choices": ["stop", "revert"], "default": "stop"},
            }
        )
        now = time.time()
        seen = {str(host): rollouts.seen_of(answer) for host, answer in arguments["answers"].items()}
        records = [one.rollout for one in seen.values() if one.rollout is not None]
        wishes = Wishes(
            arguments["unreachable"],
            arguments["unhealthy_before"],
            arguments["takeover"],
            frozenset(record["id"] for record in records if controller.is_dead(record["controller"])),
        )
        decided = rollouts.decide(seen, wishes, now)
        in_batches = rollouts.in_batches(decided.hosts, batches(arguments["batches"]))
        more = rollout_steps.step_reasons(decided, seen, in_batches)
        more += rollout_gate.up_reasons(decided, seen, in_batches, arguments["min_up"])
        more += rollout_wishes.number_reasons(arguments["numbers"])
        more += rollout_wishes.drain_reasons(decided, seen, os.path.isfile)
        more += rollout_ports.port_reasons(decided, seen, arguments["drain"])
        decided = dataclasses.replace(decided, reasons=(*decided.reasons, *more))
        group = rollout_gate.group_of(decided, seen)
        number = rollout_gate.needed(arguments["min_up"], len(seen)) or 0
        limits = {host: seen[host].limit + rollout_gate.AROUND for host in decided.hosts}
        before = {host: rollouts.before(decided.origin, seen[host]) for host in decided.hosts}
        back = [] if decided.reverts else rollout_end.way_back_notes(before, arguments["on_failure"])
        ports = rollout_ports.port_notes(decided, seen, arguments["drain"])
        notes = [*rollout_steps.step_notes(decided, seen), *ports, *back]
        name = stamped_id(int(now))
        order = {
            "id": name,
            "origin": decided.origin or name,
            "by": controller.who(),
            "controller": controller.this_controller(),
            "over": sorted(wishes.over),
            "first": decided.hosts[0] if decided.hosts else "",
        }
        result.update(
            changed=False,
            id=name,
            order=order,
            hosts=list(decided.hosts),
            batches=[list(batch) for batch in in_batches],
            left_out=dict(decided.left_out),
            set_aside=dict(decided.set_aside),
            idle=list(decided.idle),
            reverts=decided.reverts,
            back=list(decided.back),
            earlier={host: rollout_end.stands(seen[host])._asdict() for host in decided.earlier},
            before=before,
            generations={host: seen[host].generation for host in decided.hosts},
            began=now,
            group=group,
            min_up=number,
            limits=limits,
            drained=rollouts.left_drained(decided, seen),
            still_out=list(rollout_gate.still_out(decided, seen)) if number else [],
            ports={host: rollout_ports.both_ways(seen[host].moves) for host in decided.hosts},
            progress=2 * max(limits.values(), default=0.0),
            # One that was not asked has told none; then nobody is touched.
            roots={one: arguments["answers"][one].get("root", "") for one in dict.fromkeys((*decided.hosts, *group))},
            steps=[step for host in decided.hosts for step in seen[host].steps],
            one_way=list(rollouts.one_way_of(decided.origin, seen)),
            text=rollouts.plan_text(decided, in_batches, notes),
        )
        if decided.reasons:
            refused = rollouts.refused(decided)
            result.update(failed=True, msg=refused["message"], error=refused)
        elif decided.left_out and not decided.hosts:
            # No end of a rollout comes that would say so.
            missed = rollouts.all_left_out(decided)
            result.update(failed=True, msg=missed["message"], error=missed)
        return result
