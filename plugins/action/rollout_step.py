# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.state.rollout import STEPS
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine import ROOT, EngineAction
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollout_record import write_step


class ActionModule(EngineAction):
    """Have a host write down the step of a rollout that comes next."""

    OPTIONS: t.ClassVar[t.Mapping[str, t.Any]] = {
        **ROOT,
        "order": {"type": "dict", "required": True},
        "step": {"type": "str", "choices": list(STEPS), "required": True},
        "drained": {"type": "str"},
        "gate": {"type": "dict", "default": {}},
        "seconds": {"type": "float"},
        "fail": {"type": "bool", "default": True},
    }

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the record; a host without an engine has none yet, and one that is not reached is a failure."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec=self.OPTIONS)
        gate, seconds = arguments["gate"], arguments["seconds"]
        answer = write_step(
            self,
            arguments["root"],
            arguments["order"],
            arguments["step"],
            drained=arguments["drained"],
            one_way=gate.get("one_way", ()),
        )
        if not arguments["fail"]:
            answer.pop("failed", None)
        result.update(answer)
        if seconds is not None:
            deadline = time.time() + seconds * gate.get("rounds", 1)
            result["deadline"] = min(deadline, gate.get("until") or deadline)
        return result
