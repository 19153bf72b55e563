# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which failures of tasks the callback `brief` leaves to the roll call, and whose a line is."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.plugins.callback.default import CallbackModule as Default

from ansible_collections.rollcall.supervisor.plugins.callback import brief
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.played import ENDING
from tests.support.repository import ROOT

FAILED_PAGE = ROOT / "roles" / "bootstrap" / "tasks" / "failed.yml"


def failed(action: str, *, ending: bool) -> t.Any:
    task = types.SimpleNamespace(
        action=f"ansible.builtin.{action}",
        resolved_action=f"ansible.builtin.{action}",
        name="Failed | Do something",
        _uuid=action,
        get_vars=lambda: {ENDING: True} if ending else {},
        get_path=lambda: f"{FAILED_PAGE}:21",
    )
    return types.SimpleNamespace(task=task, result={})


@pytest.mark.parametrize(
    ("action", "ending", "shown"),
    [("command", False, "line"), ("command", True, "whole"), ("fail", True, "")],
    ids=["on the way", "in the end of a failed play", "the end itself"],
)
def test_a_failure_that_the_roll_call_does_not_tell_is_shown(
    monkeypatch: pytest.MonkeyPatch, action: str, ending: bool, shown: str
) -> None:
    seen: t.List[str] = []
    monkeypatch.setattr(Default, "v2_runner_on_failed", lambda *_arguments: seen.append("whole"))
    monkeypatch.setattr(brief.CallbackModule, "_line", lambda *_arguments: seen.append("line"))
    monkeypatch.setattr(brief, "has_roll_call", lambda: True)
    callback = brief.CallbackModule()
    monkeypatch.setattr(callback, "_concerned", True)

    callback.v2_runner_on_failed(failed(action, ending=ending))

    assert "".join(seen) == shown


@pytest.mark.parametrize(("loop", "whose"), [(["lb"], "app"), (None, "app -> lb")])
def test_a_line_of_a_loop_over_other_hosts_names_no_template(
    monkeypatch: pytest.MonkeyPatch, loop: t.Optional[t.List[str]], whose: str
) -> None:
    said: t.List[str] = []
    callback = brief.CallbackModule()
    monkeypatch.setattr(callback, "_several", True)
    monkeypatch.setattr(callback._display, "display", lambda text, **_options: said.append(text))
    task = types.SimpleNamespace(loop=loop, delegate_to="{{ item }}" if loop else "lb")
    host = types.SimpleNamespace(get_name=lambda: "app")

    callback._line(types.SimpleNamespace(task=task, host=host, result={}), "changed: Drain", "green")

    assert said == [f"[{whose}] changed: Drain"]
