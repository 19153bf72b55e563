# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that applies a manifest: what it asks the host for, and how often."""

from __future__ import annotations

import typing as t
from unittest.mock import MagicMock

import pytest

from ansible_collections.rollcall.supervisor.plugins.action import stack_apply
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.version import VERSION
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import hosts
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.hosts import Found
from tests.support.rendering import TEMPLATES

OK = {"changed": False, "report": {"ok": True}, "diff": []}
NOT_OK = {"changed": True, "report": {"ok": False}, "failed": True, "msg": "shop: FAILED, 0 of 1 services up"}


def refused(**evidence: t.Any) -> t.Dict[str, t.Any]:
    error = {"message": "no", "kind": "refused", "evidence": evidence, "remedies": []}
    return {"changed": False, "failed": True, "msg": "no", "error": error}


def given(**ports: int) -> t.Dict[str, t.Any]:
    moved = [{"service": name, "from": 8001, "to": port, "reason": "taken"} for name, port in ports.items()]
    return {"changed": bool(ports), "ports": {"web": 8001, **ports}, "moved": moved, "diff": {"after": ports}}


class Asked:
    """The action on a host that has these answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: t.Dict[str, t.Any], found: str = VERSION) -> None:
        self.verbs: t.List[str] = []
        self.questions: t.List[t.Dict[str, t.Any]] = []
        self._answers = list(answers)
        self._task = MagicMock(check_mode=False, async_val=0)
        self.action = stack_apply.ActionModule(
            self._task, MagicMock(), MagicMock(), MagicMock(), MagicMock(), MagicMock()
        )
        monkeypatch.setattr(self.action, "_ask", self._answer)
        monkeypatch.setattr(hosts, "look", lambda _action, _root: Found(version=found))

    def _answer(self, _root: str, question: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        self.verbs.append(question["verb"])
        self.questions.append(question["arguments"])
        return dict(self._answers.pop(0))

    def run(self, *, check_mode: bool = False, fallback: bool = False, **more: t.Any) -> t.Dict[str, t.Any]:
        self._task.check_mode = check_mode
        web = {"command": ["/bin/web"], "port": 8001, **({"fallback_ports": [8002]} if fallback else {})}
        self._task.args = {
            "manifest": {
                "name": "shop",
                "root": "/opt/shop",
                "services": {"web": {**web, "secrets": {"KEY": "s3cret"}}},
            },
            "template": str(TEMPLATES / "supervisord.conf.j2"),
            **more,
        }
        return dict(self.action.run())


def test_a_stack_whose_ports_are_fixed_is_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Asked(monkeypatch, OK)

    result = host.run(mode="quick", on_failure="rollback", release="r1")

    assert (result["ok"], result["changed"], result["moved"]) == (True, False, [])
    assert result["manifest"]["release"] == "r1"
    assert host.verbs == ["restart"]
    (asked,) = host.questions
    assert (asked["mode"], asked["on_failure"], asked["policy"]) == ("quick", "rollback", "owned")
    assert asked["secrets"] == {"web": {"KEY": "s3cret"}}
    assert "[program:web]" in asked["config"]
    assert "s3cret" not in str({**asked, "secrets": None})


def test_ports_that_were_given_are_in_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Asked(monkeypatch, given(web=8002), OK)

    result = host.run(fallback=True)

    assert host.verbs == ["assign", "restart"]
    assert host.questions[1]["manifest"]["services"][0]["port"] == 8002
    assert "PORT='8002'" in host.questions[1]["config"]
    assert result["changed"], "the lease is new, even where the run changed nothing"
    assert result["moved"][0]["to"] == 8002
    assert result["diff"] == [{"after": {"web": 8002}}]


def test_a_port_that_was_taken_meanwhile_is_given_anew_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = refused(holders=[{"port": 8001}])
    host = Asked(monkeypatch, given(), taken, given(web=8002), OK)
    assert host.run(fallback=True)["ok"]
    assert host.verbs == ["assign", "restart", "assign", "restart"]

    host = Asked(monkeypatch, given(), taken, given(web=8002), taken)
    assert host.run(fallback=True)["failed"]


@pytest.mark.parametrize(
    ("fallback", "answer"), [(False, refused(holders=[{"port": 8001}])), (True, refused(lock="/opt/shop/state/lock"))]
)
def test_nothing_is_asked_twice_where_another_port_is_no_help(
    monkeypatch: pytest.MonkeyPatch, fallback: bool, answer: t.Dict[str, t.Any]
) -> None:
    host = Asked(monkeypatch, *([given()] if fallback else []), answer)
    result = host.run(fallback=fallback)
    assert (result["failed"], result["ok"]) == (True, False)


def test_without_a_port_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Asked(monkeypatch, refused(tried=[8001, 8002]))
    assert host.run(fallback=True)["error"]["kind"] == "refused"
    assert host.verbs == ["assign"]


@pytest.mark.parametrize("answer", [NOT_OK, refused(lock="x")])
def test_what_is_not_ok_is_a_failed_task_unless_the_playbook_wants_to_ask(
    monkeypatch: pytest.MonkeyPatch, answer: t.Dict[str, t.Any]
) -> None:
    assert Asked(monkeypatch, answer).run()["failed"] is True

    asked = Asked(monkeypatch, answer).run(fail=False)
    assert "failed" not in asked
    assert (asked["ok"], asked["msg"]) == (False, answer["msg"])


def test_a_manifest_that_is_not_in_order_fails_in_any_case_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Asked(monkeypatch)
    result = host.run(manifest={"name": "shop", "root": "opt/shop"}, fail=False)
    assert result["failed"]
    assert len(result["problems"]) > 1
    assert host.verbs == []


@pytest.mark.parametrize(("found", "words"), [("", "This host has no engine yet"), ("0.1.0", "from 0.1.0 to")])
def test_check_mode_does_not_ask_an_engine_that_would_be_replaced(
    monkeypatch: pytest.MonkeyPatch, found: str, words: str
) -> None:
    host = Asked(monkeypatch, found=found)
    result = host.run(check_mode=True)
    assert words in result["unplanned"]
    assert (result["ok"], result["changed"], host.verbs) == (True, True, [])

    assert "unplanned" not in Asked(monkeypatch, OK).run(check_mode=True)
