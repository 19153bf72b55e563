# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.module_utils.state.rollout import DONE
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import rollout_gate, rollouts
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollout_gate import Facts, Other

Data = t.Mapping[str, t.Any]


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Say whether a rollout goes on with its next batch."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return whether it does, whether that is to be asked again, and why it pauses."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        results = {"type": "list", "elements": "dict", "default": []}
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "rollout": {"type": "dict", "required": True},
                "ended": {"type": "dict", "default": {}},
                "failure_budget": {"type": "int", "default": 0},
                "others": results,
                "servers": results,
                "since": {"type": "float"},
                "patience": {"type": "float", "default": 60},
                "progress": {"type": "float"},
                "rounds": {"type": "float", "default": 1},
                "runs": {"type": "dict", "default": {}},
            }
        )
        now, rollout = time.time(), arguments["rollout"]
        begun = now if arguments["since"] is None else arguments["since"]
        told_of = rollouts.how_ended(arguments["ended"], arguments["runs"])
        ended = {host: told for host, told in told_of.items() if told.get("outcome")}
        proved = {host: told["at"] for host, told in ended.items() if told["outcome"] == DONE}
        last, words = rollout_gate.last_proved(rollout["began"], proved)
        progress = rollout["progress"] if arguments["progress"] is None else arguments["progress"]
        progress *= arguments["rounds"]
        facts = Facts(
            {host: told["outcome"] for host, told in ended.items()},
            arguments["failure_budget"],
            bool(rollout["steps"]),
            _others(arguments["others"], arguments["servers"]),
            rollout["min_up"],
            now - begun,
            arguments["patience"],
            now - last,
            words,
            progress,
        )
        ran = [step for told in told_of.values() for step in (told.get("rollout") or {}).get("one_way", ())]
        result.update(
            changed=False,
            since=begun,
            one_way=list(dict.fromkeys((*rollout["one_way"], *ran))),
            until=last + progress if progress else 0.0,
            rounds=arguments["rounds"],
            **rollout_gate.gate(facts)._asdict(),
        )
        return result


def _others(looks: t.Sequence[Data], servers: t.Sequence[Data]) -> t.Dict[str, Other]:
    """Return how each other host is.

    Args:
        looks: the results of ``rollout_up_info`` in a loop over hosts.
        servers: the results of ``haproxy_server_info`` in a loop over pairs of a host and a balancer.
    """
    found = {str(one["item"]): Other(bool(one.get("up")), str(one.get("why", "it does not answer"))) for one in looks}
    for one in servers:
        host, balancer = (str(name) for name in one["item"])
        seen = one.get("servers", ())
        if found[host].up and not (seen and all(server["up"] for server in seen)):
            found[host] = Other(up=False, why=f"not up in {balancer}")
    return found
