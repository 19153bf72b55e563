# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Has a host write down a step of a rollout."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rollcall.supervisor.plugins.module_utils.state.rollout import ENDED, LEAD
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine import NOT_INSTALLED
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.playbook_record import error
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.said import told

if t.TYPE_CHECKING:
    from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine import EngineAction

Data = t.Mapping[str, t.Any]


def write_step(
    action: EngineAction,
    root: str,
    order: Data,
    step: str,
    *,
    drained: t.Optional[str] = None,
    one_way: t.Sequence[str] = (),
) -> t.Dict[str, t.Any]:
    """Return what the module ``rollout_step`` does: the record, or that there is none because there is no engine yet.

    Args:
        action: whose host writes it down.
        root: directory of the stack.
        order: of the rollout, as the module ``rollout_plan`` returns it.
        step: that comes next, or by which the host has ended.
        drained: by what the host is drained from now on; None leaves it as it is.
        one_way: the one-way steps that are known to have run in the rollout.
    """
    question = {
        **{name: order[name] for name in ("id", "by", "controller", "over", "origin")},
        "step": step,
        "drained": drained,
        "one_way": list(one_way),
        "leads": step == LEAD or action._host_name == order["first"],
    }
    try:
        answer = action.ask(root, "rollout_step", question)
    except AnsibleConnectionFailure as exc:
        lost = error(
            f"The host was lost before its step '{step}' could be written down: {told(str(exc))}",
            "unreachable",
            evidence={"step": step},
        )
        answer = {"changed": False, "failed": True, "ok": False, "msg": lost["message"], "error": lost}
    if "error" in answer and answer["error"]["evidence"].get("exit_code") == NOT_INSTALLED:
        # The first install is what brings the engine.
        answer = {"changed": False, "ok": True}
    return {**answer, "outcome": step if answer["ok"] and step in ENDED else "", "at": time.time()}
