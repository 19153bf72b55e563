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
        run_once=False,
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
    monkeypatch.setattr(brief.CallbackModule, "_line", lambda *_arguments, **_options: seen.append("line"))
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


PLAYBOOK = f"{ROOT / 'playbooks' / 'rollout.yml'}:1"
THEIRS = "/srv/theirs/deploy.yml:1"


def played(callback: brief.CallbackModule, hosts: t.Sequence[str], path: str) -> None:
    """Have the callback hear of a play as Ansible tells it: of a list without hosts it makes all hosts."""
    manager = types.SimpleNamespace(get_vars=lambda **_options: {"ansible_play_hosts_all": hosts or ["app1", "app2"]})
    play = types.SimpleNamespace(get_variable_manager=lambda: manager, get_path=lambda: path, hosts=hosts)
    callback.v2_playbook_on_play_start(play)
    if not hosts:
        callback.v2_playbook_on_no_hosts_matched()


@pytest.mark.parametrize(
    ("before", "path", "shown"),
    [
        (["app1"], PLAYBOOK, []),
        (["app1"], THEIRS, ["play", "no hosts"]),
        # A wrong limit, for example.
        ([], PLAYBOOK, ["play", "no hosts"]),
    ],
    ids=["one of ours after another", "one of theirs", "the first"],
)
def test_a_play_for_nobody_is_shown_only_where_that_is_news(
    monkeypatch: pytest.MonkeyPatch, before: t.Sequence[str], path: str, shown: t.Sequence[str]
) -> None:
    seen: t.List[str] = []
    monkeypatch.setattr(Default, "v2_playbook_on_play_start", lambda *_arguments: seen.append("play"))
    monkeypatch.setattr(Default, "v2_playbook_on_no_hosts_matched", lambda *_arguments: seen.append("no hosts"))
    callback = brief.CallbackModule()
    if before:
        played(callback, before, PLAYBOOK)
    seen.clear()

    played(callback, [], path)

    assert seen == shown


@pytest.mark.parametrize(("once", "said"), [(True, "3 hosts in 3 batches"), (False, "[app1] 3 hosts in 3 batches")])
def test_what_is_said_once_for_all_hosts_names_none_of_them(
    monkeypatch: pytest.MonkeyPatch, once: bool, said: str
) -> None:
    lines: t.List[str] = []
    callback = brief.CallbackModule()
    monkeypatch.setattr(callback, "_several", True)
    monkeypatch.setattr(callback._display, "display", lambda text, **_options: lines.append(text))
    task = types.SimpleNamespace(
        action="ansible.builtin.debug",
        resolved_action="ansible.builtin.debug",
        name="Ask | Say who goes when",
        _uuid="1",
        loop=None,
        delegate_to=None,
        run_once=once,
        get_path=lambda: PLAYBOOK,
    )
    host = types.SimpleNamespace(get_name=lambda: "app1")

    callback.v2_runner_on_ok(types.SimpleNamespace(task=task, host=host, result={"msg": ["3 hosts in 3 batches"]}))

    assert lines == [said]
