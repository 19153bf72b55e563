# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callback, driven as ansible-core drives it, with results as its task queue hands them over."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible import context
from ansible.executor.stats import AggregateStats

from ansible_collections.rollcall.supervisor.plugins.callback import roll_call
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.cures import INSTALL, take_off
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import played
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.fleet import as_document
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Seen
from tests.support.documents import validated
from tests.support.namespaces import as_nobody
from tests.support.processes import eventually
from tests.support.reports import failed, restart_report, status_report

AS_IT_WAS = {"state": "as_it_was", "running": None, "services": None, "since": None, "next": None}
UNKNOWN = {**AS_IT_WAS, "state": "unknown", "next": "rollcall status"}
CRASHED = [failed("running", "trade_executor", "FATAL: no such file", "tail x")]


class Display:
    """Keeps what would be printed."""

    def __init__(self) -> None:
        self.printed: t.List[str] = []
        self.warnings: t.List[str] = []

    def banner(self, text: str) -> None:
        self.printed.append(f"= {text} =")

    def display(self, text: str) -> None:
        self.printed.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)


class Run:
    """A playbook run, seen from the callback."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(roll_call, "ANSIBLE_COLOR", False)
        self.callback = roll_call.CallbackModule()
        self.display = Display()
        self.callback._display = self.display
        # As ansible-core sets it from the environment.
        self.callback._plugin_options = {"outcome": None, "progress": 0.0}
        self.stats = AggregateStats()

    def play(self, *hosts: str, fatal: bool = True) -> None:
        """Begin a batch of a play over all of these hosts."""
        variables = SimpleNamespace(get_vars=lambda **_kwargs: {"ansible_play_hosts_all": list(hosts)})
        play = SimpleNamespace(get_variable_manager=lambda: variables, any_errors_fatal=fatal, vars={})
        self.callback.v2_playbook_on_play_start(play)

    def _result(
        self,
        host: str,
        action: str,
        data: t.Mapping[str, t.Any],
        *,
        run_once: bool = False,
        name: str = "",
        marks: t.Collection[str] = (),
    ) -> SimpleNamespace:
        name = name or f"Run {action.rpartition('.')[2]}"
        task = SimpleNamespace(
            action=action.rpartition(".")[2],
            resolved_action=action,
            run_once=run_once,
            name=name,
            get_name=lambda: name,
            get_vars=lambda: dict.fromkeys(marks, True),
            _uuid=f"{name} on {host}",
        )
        self.callback.v2_playbook_on_task_start(task, False)
        of_host = SimpleNamespace(get_name=lambda: host, get_vars=lambda: {"ansible_connection": "local"})
        self.callback.v2_runner_on_start(of_host, task)
        return SimpleNamespace(host=of_host, task=task, result=dict(data))

    def ok(
        self,
        host: str,
        action: str = "rollcall.supervisor.stack_restart",
        *,
        name: str = "",
        marks: t.Collection[str] = (),
        **data: t.Any,
    ) -> None:
        self.callback.v2_runner_on_ok(self._result(host, action, data, name=name, marks=marks))
        self.stats.increment("ok", host)

    def failed(
        self,
        host: str,
        action: str = "rollcall.supervisor.stack_restart",
        *,
        counts: bool = True,
        marks: t.Collection[str] = (),
        run_once: bool = False,
        **data: t.Any,
    ) -> None:
        result = self._result(host, action, {"failed": True, **data}, marks=marks, run_once=run_once)
        self.callback.v2_runner_on_failed(result, not counts)
        self.stats.increment("failures" if counts else "ignored", host)

    def unreachable(self, host: str, action: str = "ansible.builtin.stat", **data: t.Any) -> None:
        self.callback.v2_runner_on_unreachable(self._result(host, action, data))
        self.stats.increment("dark", host)

    def skipped(self, host: str, action: str = "rollcall.supervisor.stack_restart") -> None:
        self.callback.v2_runner_on_skipped(self._result(host, action, {"skipped": True}))
        self.stats.increment("skipped", host)

    def guard(self, host: str, *, holds: bool, msg: str = "Lost: somebody. No further host is touched.") -> None:
        """Ask once for all hosts whether the play may go on, as the playbooks do at the start of each batch."""
        result = self._result(host, "ansible.builtin.assert", {"msg": msg, "failed": not holds}, run_once=True)
        if holds:
            self.callback.v2_runner_on_ok(result)
        else:
            self.callback.v2_runner_on_failed(result)
        self.stats.increment("ok" if holds else "failures", host)

    def end(self) -> str:
        self.callback.v2_playbook_on_stats(self.stats)
        return "\n".join(self.display.printed)

    def outcome(self, path: Path) -> t.Dict[str, t.Any]:
        """End, and return what was written."""
        self.callback._plugin_options = {"outcome": str(path), "progress": 0.0}
        self.end()
        return t.cast(t.Dict[str, t.Any], json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(monkeypatch)


def test_one_host_gets_its_roll_call_under_its_inventory_name(run: Run) -> None:
    run.ok("app-7", report=restart_report())

    text = run.end()

    assert text.startswith("= ROLL CALL =\n")
    assert text.count("on app-7: OK, 10 of 10 services up") == 1
    assert "web1" not in text


def test_several_hosts_end_in_one_line_each_the_failed_ones_last(run: Run) -> None:
    run.failed("a", report=restart_report(CRASHED), msg="…")
    run.ok("b", report=restart_report())
    run.ok("c", report=restart_report())

    lines = run.end().splitlines()

    assert [line.split(",")[0] for line in lines[-3:]] == [
        "trading on b: OK",
        "trading on c: OK",
        "trading on a: FAILED",
    ]
    assert sum(line.startswith("trading on a: FAILED, 1 of 10 services: trade_executor") for line in lines) == 2


@pytest.mark.parametrize("module", ["stack_restart", "stack_verify", "stack_info"])
def test_each_module_that_reports_is_heard(run: Run, module: str) -> None:
    run.ok("a", f"rollcall.supervisor.{module}", report=status_report())

    assert "trading on a: OK" in run.end()


def test_the_last_report_of_a_stack_counts(run: Run) -> None:
    run.failed("a", report=restart_report(CRASHED))
    run.stats.decrement("failures", "a")
    run.ok("a", report=restart_report())

    text = run.end()

    assert "trading on a: OK" in text
    assert "FAILED" not in text


def test_every_stack_of_a_host_and_every_item_of_a_loop_is_told(run: Run) -> None:
    other = {**status_report(), "stack": "website"}
    run.ok("a", results=[{"report": status_report()}, {"report": other}, {"skipped": True}])

    text = run.end()

    assert "trading on a: OK" in text
    assert "website on a: OK" in text


def test_an_error_without_a_report_is_told_with_its_remedies(run: Run) -> None:
    error = RollcallError("Port 8001 is taken by pid 9.", kind="refused", remedies=["kill 9"])
    run.failed("a", error=error.as_dict(), msg="…")

    assert run.end().splitlines()[1:] == [
        "a: REFUSED, Port 8001 is taken by pid 9.",
        "  the stack is as it was",
        "  next: kill 9",
    ]


def test_a_bad_manifest_is_told_problem_by_problem(run: Run) -> None:
    problem = {"place": "stack.services.a", "message": "no command", "cure": "give it one", "severity": "error"}
    run.failed("a", "rollcall.supervisor.manifest_info", problems=[problem], msg="…")

    text = run.end()

    assert "error    stack.services.a: no command\n         cure: give it one\nmanifest of a: FAILED, 1 error" in text


def test_another_task_that_failed_is_named_with_its_message(run: Run) -> None:
    run.ok("a", "rollcall.supervisor.manifest_info")
    run.failed("a", "ansible.builtin.command", msg="non-zero return code", stderr="1\n2\n3\n4\n5\nno such package\n")
    run.failed("b", "ansible.builtin.command", module_stderr="Python not found\n")

    lines = run.end().splitlines()

    first = lines.index("a: FAILED, task 'Run command': non-zero return code")
    assert lines[first + 1 : first + 7] == ["  output:", "    2", "    3", "    4", "    5", "    no such package"]
    assert "b: FAILED, task 'Run command': the module did not run: Python not found" in lines


def test_a_playbook_may_let_the_task_pass_and_fail_in_its_own_words(run: Run) -> None:
    error = RollcallError("Port 8001 is taken by pid 9.", kind="refused")
    run.ok("a", report=restart_report(CRASHED))
    run.ok("b", error=error.as_dict())
    for host in ("a", "b"):
        run.failed(host, "ansible.builtin.fail", msg="The verdict failed.")

    text = run.end()

    assert "trading on a: FAILED, 1 of 10 services: trade_executor" in text
    assert "b: REFUSED, Port 8001 is taken by pid 9." in text
    assert "The verdict failed." not in text


@pytest.mark.parametrize("counts", [True, False])
def test_a_failure_that_was_rescued_or_ignored_is_none(run: Run, counts: bool) -> None:
    run.failed("a", "ansible.builtin.command", counts=counts, msg="no")
    run.stats.failures.pop("a", None)
    run.ok("a", report=restart_report())

    assert "FAILED" not in run.end()


def test_a_host_that_could_not_be_reached_is_named(run: Run) -> None:
    run.ok("a", report=restart_report())
    run.unreachable("b", msg="Failed to connect to the host via ssh: timed out\n")

    text = run.end()

    assert text.count("b: UNREACHABLE, Failed to connect to the host via ssh: timed out") == 2
    assert text.splitlines()[-1].startswith("b: UNREACHABLE")


def test_a_host_of_several_that_could_not_be_reached_has_a_command_to_come_to_it(run: Run) -> None:
    run.play("a", "b")
    run.ok("a", report=restart_report())
    run.unreachable("b", "rollcall.supervisor.stack_restart", msg="no route to host")

    assert "not reached: b\n  next  the same command with --limit b" in run.end()


def test_a_playbook_of_somebody_else_gets_not_a_word(run: Run) -> None:
    run.ok("a", "ansible.builtin.command", report="mine")
    run.failed("b", "ansible.builtin.command", msg="no")
    run.unreachable("c", msg="gone")

    assert run.end() == ""


def test_a_playbook_that_came_to_no_task_says_that_there_is_no_verdict(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_timer: t.Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Timer.start", start)
    run.play("a", "b")
    name = "rollcall.supervisor.stack_info"
    task = SimpleNamespace(action=name, resolved_action=name, name="Look", run_once=False)
    run.callback.v2_playbook_on_task_start(task, False)

    run.callback.v2_playbook_on_stats(run.stats)

    assert run.display.printed == ["= ROLL CALL =", "no verdict: no task was run on a, b"]


def test_a_run_that_reported_nothing_prints_no_heading(run: Run) -> None:
    run.ok("a", "rollcall.supervisor.manifest_info")
    run.ok("a", "rollcall.supervisor.stack_restart", skipped=True)

    assert run.end() == ""


def test_a_report_of_another_version_is_said_to_be_one_and_spares_the_others(run: Run) -> None:
    run.ok("a", report={"stack": "trading", "ok": True, "services": None})
    run.ok("b", report=restart_report())

    text = run.end()

    assert "trading on a: OK, its report cannot be printed" in text
    assert "trading on b: OK, 10 of 10 services up" in text
    assert len(run.display.warnings) == 1
    assert "report of a" in run.display.warnings[0]


def diagnosed(*, ok: bool) -> t.Dict[str, t.Any]:
    """What the doctor returns where nothing, or one thing, is wrong."""
    finding = {"name": "orphan", "severity": "error", "subject": "pid 9", "evidence": "x", "cure": "kill 9"}
    more = {"data": {}, "fixable": False, "fixed": None}
    return {
        "stack": "trading",
        "host": "web1",
        "ok": ok,
        "findings": [] if ok else [{**finding, **more}],
        "supervisors": [],
        "seconds": 0.1,
        "limit": 9.0,
        "check": False,
    }


def test_of_the_doctor_the_verdict_is_told_and_no_roll_call_is_lost_for_it(run: Run, tmp_path: Path) -> None:
    run.play("a", "b", fatal=False)
    for host, ok in (("a", False), ("b", True)):
        run.ok(host, "rollcall.supervisor.stack_doctor", report=diagnosed(ok=ok))
    run.ok("b", "rollcall.supervisor.stack_info", report=status_report())

    hosts = run.outcome(tmp_path / "outcome")["hosts"]
    text = "\n".join(run.display.printed)

    assert text.count("trading on a: FAILED, 1 error (0.1 s, at most 9 s)") == 1
    assert text.count("trading on b: nothing is wrong (0.1 s, at most 9 s)") == 1
    assert "trading on b: OK, 10 of 10 services up" in text
    assert {name: (host["exit_code"], len(host["reports"])) for name, host in hosts.items()} == {
        "a": (1, 1),
        "b": (0, 2),
    }


# --- hosts that a run which has ended early did not come to -------------------------------------------------------


def test_hosts_of_batches_that_never_began_are_named_with_how_to_come_to_them(run: Run) -> None:
    run.play("a", "b", "c", "d")
    run.guard("a", holds=True)
    run.ok("a", report=restart_report())
    run.play("a", "b", "c", "d")
    run.guard("b", holds=True)
    run.ok("b", report=restart_report(CRASHED))
    run.failed("b", "ansible.builtin.fail", msg="The verdict failed.")

    assert run.end().splitlines()[-3:] == [
        "",
        "not touched: c, d",
        "  next  the same command with --limit b,c,d",
    ]


def test_the_host_that_only_heard_that_another_was_lost_was_not_touched(run: Run) -> None:
    run.play("a", "b", "c")
    run.guard("a", holds=True)
    run.unreachable("a", "rollcall.supervisor.stack_restart", msg="no route")
    run.play("a", "b", "c")
    run.guard("b", holds=False, msg="Lost: a. No further host is touched.")

    text = run.end()

    assert "b: FAILED" not in text
    assert text.splitlines()[-2:] == [
        "not touched: b, c (Lost: a. No further host is touched.)",
        "  next  the same command with --limit a,b,c",
    ]


def test_an_assertion_on_a_host_that_was_at_work_is_a_failure_of_that_host(run: Run) -> None:
    run.play("a")
    run.ok("a", report=restart_report())
    run.guard("a", holds=False, msg="The balancer does not know it.")

    assert "a: FAILED, task 'Run assert': The balancer does not know it." in run.end()


def test_a_task_in_a_loop_fails_for_what_its_first_failed_item_says(run: Run) -> None:
    items = [{"item": 1, "msg": "All assertions passed"}, {"item": 2, "failed": True, "msg": "2 is no path."}]
    run.play("a")
    run.ok("a", "rollcall.supervisor.stack_info", report=restart_report())
    run.failed("a", "ansible.builtin.assert", msg="One or more items failed", results=items)
    assert "a: FAILED, task 'Run assert': 2 is no path." in run.end()


def test_hosts_that_were_left_in_the_middle_are_told_from_those_that_were_not_touched(run: Run) -> None:
    run.play("a", "b", "c")
    run.ok("a", "rollcall.supervisor.manifest_info")
    run.ok("b", "rollcall.supervisor.manifest_info")
    run.failed("a", "ansible.builtin.command", msg="no space left")

    assert run.end().splitlines()[-3:] == [
        "not touched: c",
        "cut short: b (the stack is as it was)",
        "  next  the same command with --limit a,b,c",
    ]


@pytest.mark.parametrize("fatal", [True, False])
def test_nothing_is_left_to_do_when_every_host_had_its_verdict(run: Run, fatal: bool) -> None:
    run.play("a", "b", fatal=fatal)
    run.failed("a", report=restart_report(CRASHED))
    run.ok("b", report=restart_report())

    assert "--limit" not in run.end()


def test_a_host_that_had_no_verdict_to_get_is_not_cut_short(run: Run) -> None:
    run.play("a", "b", fatal=False)
    run.ok("b", "rollcall.supervisor.port_info")
    run.failed("a", "rollcall.supervisor.port_info", msg="no")

    assert "cut short" not in run.end()


# --- the outcome as data ------------------------------------------------------------------------------------------


def test_the_outcome_of_a_host_that_is_well_is_its_report(run: Run, tmp_path: Path) -> None:
    run.play("a")
    run.ok("a", report=restart_report())

    expected = {"ok": True, "exit_code": 0, "reports": [restart_report()], "error": None}
    assert run.outcome(tmp_path / "outcome") == {"ok": True, "exit_code": 0, "hosts": {"a": expected}}


def test_without_a_file_for_it_no_outcome_is_made(run: Run, tmp_path: Path) -> None:
    run.ok("a", report=restart_report())
    run.end()

    assert list(tmp_path.iterdir()) == []
    assert run.display.warnings == []


def test_an_outcome_that_cannot_be_written_is_said_and_spares_the_roll_call(run: Run, tmp_path: Path) -> None:
    run.callback._plugin_options = {"outcome": str(tmp_path), "progress": 0.0}
    run.ok("a", report=restart_report())

    assert "trading on a: OK" in run.end()
    assert len(run.display.warnings) == 1
    assert "outcome cannot be written" in run.display.warnings[0]


@pytest.mark.parametrize(("kind", "code"), [("failed", 1), ("wrong_use", 2), ("refused", 3)])
def test_the_exit_code_of_a_host_is_that_of_its_error(run: Run, tmp_path: Path, kind: str, code: int) -> None:
    error = RollcallError("Port 8001 is taken by pid 9.", kind=kind, remedies=["kill 9"]).as_dict()
    run.play("a")
    run.ok("a", error=error, msg="…")
    run.failed("a", "ansible.builtin.fail", msg="The verdict failed.")

    left = UNKNOWN if kind == "failed" else AS_IT_WAS
    expected = {"ok": False, "exit_code": code, "reports": [], "error": {**error, "standing": left}}
    assert run.outcome(tmp_path / "outcome") == {"ok": False, "exit_code": code, "hosts": {"a": expected}}


def test_a_verdict_that_failed_is_1_and_a_host_out_of_reach_is_4(run: Run, tmp_path: Path) -> None:
    run.play("a", "b", fatal=False)
    run.ok("a", report=restart_report(CRASHED))
    run.unreachable("b", msg="no route")

    hosts = run.outcome(tmp_path / "outcome")["hosts"]

    assert (hosts["a"]["exit_code"], hosts["a"]["error"], len(hosts["a"]["reports"])) == (1, None, 1)
    unreachable = {"message": "no route", "kind": "unreachable", "evidence": {}, "remedies": [], "standing": UNKNOWN}
    assert hosts["b"] == {"ok": False, "exit_code": 4, "reports": [], "error": unreachable}


@pytest.mark.parametrize("action", ["stack_restart", "stack_info", "manifest_info"])
def test_of_a_host_out_of_reach_it_is_not_known_whether_its_stack_is_up(run: Run, tmp_path: Path, action: str) -> None:
    run.play("a")
    run.unreachable("a", f"rollcall.supervisor.{action}", msg="no route")

    assert run.outcome(tmp_path / "outcome")["hosts"]["a"]["error"]["standing"] == UNKNOWN
    text = "\n".join(run.display.printed)
    assert text.count("whether the stack is up is not known: type: rollcall status") == 1


def test_what_fails_before_a_run_says_that_the_stack_is_as_it_was(run: Run, tmp_path: Path) -> None:
    run.play("a", "b")
    problem = {"place": "stack.name", "message": "is missing", "cure": "add it", "severity": "error"}
    run.failed("a", "rollcall.supervisor.bootstrap_info", problems=[problem], msg="…")
    run.ok("b", "rollcall.supervisor.bootstrap_info")
    run.failed("b", "ansible.builtin.package", msg="no mirror answers")

    hosts = run.outcome(tmp_path / "outcome")["hosts"]

    assert [hosts[name]["error"]["standing"] for name in ("a", "b")] == [AS_IT_WAS, AS_IT_WAS]
    assert "\n".join(run.display.printed).count("\n  the stack is as it was") == 2


def test_what_fails_after_a_good_run_says_that_the_stack_is_up(run: Run, tmp_path: Path) -> None:
    run.play("a")
    run.ok("a", "rollcall.supervisor.stack_apply", report=restart_report())
    run.failed("a", "ansible.builtin.template", msg="no space left")

    left = run.outcome(tmp_path / "outcome")["hosts"]["a"]["error"]["standing"]

    assert (left["state"], left["running"] == left["services"], left["next"]) == ("up", True, None)
    assert f"the stack is up: {left['running']} of {left['services']} services run" in "\n".join(run.display.printed)


def test_a_bad_run_has_said_itself_how_the_stack_is(run: Run, tmp_path: Path) -> None:
    run.play("a")
    run.ok("a", "rollcall.supervisor.stack_apply", report=restart_report(CRASHED))
    run.failed("a", "ansible.builtin.template", msg="no space left")
    assert run.outcome(tmp_path / "outcome")["hosts"]["a"]["error"] is None


def test_a_run_that_nobody_has_heard_the_end_of_leaves_unknown_whether_the_stack_is_up(
    run: Run, tmp_path: Path
) -> None:
    run.play("a", "b")
    run.ok("b", report=restart_report())
    run._result("a", "rollcall.supervisor.stack_restart", {})
    run.callback._record.touched["a"] = None

    assert run.outcome(tmp_path / "outcome")["hosts"]["a"]["error"]["standing"] == UNKNOWN


def test_a_removal_that_fails_after_it_has_stopped_the_stack_says_that_it_is_down(run: Run, tmp_path: Path) -> None:
    run.play("a")
    run.ok("a", "ansible.builtin.command", marks=[roll_call.STOPS], changed=True)
    run.ok("a", "rollcall.supervisor.stack_remove", changed=False)
    run.failed("a", "rollcall.supervisor.stack_remove", msg="busy")

    left = run.outcome(tmp_path / "outcome")["hosts"]["a"]["error"]["standing"]

    assert (left["state"], left["running"], left["next"]) == ("down", 0, "rollcall start")
    assert re.search(r"\n  the stack is DOWN since \S+.*: type: rollcall start", "\n".join(run.display.printed))


def test_a_stop_that_fails_has_said_itself_how_the_stack_is(run: Run, tmp_path: Path) -> None:
    run.play("a")
    run.ok("a", "rollcall.supervisor.manifest_info")
    run.failed("a", "ansible.builtin.command", marks=[roll_call.STOPS], msg="non-zero return code", stderr="FAILED")
    assert "standing" not in run.outcome(tmp_path / "outcome")["hosts"]["a"]["error"]


def test_where_the_hosts_command_has_ended_something_it_has_to_be_asked(run: Run, tmp_path: Path) -> None:
    run.play("a")
    run.ok("a", "rollcall.supervisor.manifest_info")
    run.ok("a", "ansible.builtin.command", marks=[roll_call.TOUCHES], changed=True)
    run.failed("a", "ansible.builtin.fail", msg="it ended with exit code 1")
    assert run.outcome(tmp_path / "outcome")["hosts"]["a"]["error"]["standing"] == UNKNOWN


def test_in_check_mode_nothing_is_said_of_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "CLIARGS", {"check": True})
    run.play("a")
    run.failed("a", "rollcall.supervisor.bootstrap_info", msg="no")
    assert "standing" not in run.outcome(tmp_path / "outcome")["hosts"]["a"]["error"]


@pytest.mark.parametrize("taken_back", [False, True])
def test_a_first_install_that_was_taken_back_is_not_to_be_brought_up(run: Run, taken_back: bool) -> None:
    left = {"state": "down", "running": 0, "services": 2, "since": None, "next": "rollcall restart"}
    error = {**RollcallError("It failed.").as_dict(), "standing": left}
    run.play("a")
    run.failed("a", "rollcall.supervisor.stack_apply", error=error, msg="…")
    run.ok("a", "rollcall.supervisor.stack_remove", changed=taken_back)

    text = run.end()

    assert "a: FAILED, It failed." in text
    assert ("the stack is DOWN: type: rollcall restart" in text) == (not taken_back)


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        (("failed", "refused"), 3),
        (("refused", "unreachable"), 4),
        (("unreachable", "wrong_use"), 2),
        (("failed", "refused", "unreachable", "wrong_use"), 2),
    ],
)
def test_of_several_hosts_the_worst_counts(run: Run, tmp_path: Path, kinds: t.Sequence[str], code: int) -> None:
    run.play("well", *kinds, fatal=False)
    run.ok("well", report=restart_report())
    for kind in kinds:
        if kind == "unreachable":
            run.unreachable(kind, msg="no route")
        else:
            run.failed(kind, error=RollcallError("No.", kind=kind).as_dict())

    assert run.outcome(tmp_path / "outcome")["exit_code"] == code


def test_a_task_of_ours_that_never_reached_the_engine_was_asked_wrongly(run: Run, tmp_path: Path) -> None:
    run.play("a")
    run.ok("a", msg="value of mode must be one of: auto, full, got: slowly")
    run.failed("a", "ansible.builtin.fail", msg="The verdict failed.")

    document = run.outcome(tmp_path / "outcome")

    assert document["exit_code"] == 2
    assert "slowly" in document["hosts"]["a"]["error"]["message"]
    assert "a: FAILED, task 'Run stack_restart': value of mode must be one of" in "\n".join(run.display.printed)


def test_a_manifest_with_problems_is_wrong_use_and_has_them_as_evidence(run: Run, tmp_path: Path) -> None:
    problem = {"place": "stack.services.a", "message": "no command", "cure": "give it one", "severity": "error"}
    run.play("a")
    run.failed("a", "rollcall.supervisor.manifest_info", problems=[problem], msg="1 error")

    error = run.outcome(tmp_path / "outcome")["hosts"]["a"]["error"]

    assert (error["kind"], error["evidence"]) == ("wrong_use", {"problems": [problem]})


def test_another_task_that_failed_after_a_good_verdict_makes_the_outcome_bad(run: Run, tmp_path: Path) -> None:
    run.play("a")
    run.ok("a", report=restart_report())
    run.failed("a", "ansible.builtin.command", msg="no", stderr="it is full")

    host = run.outcome(tmp_path / "outcome")["hosts"]["a"]

    assert (host["exit_code"], len(host["reports"])) == (1, 1)
    assert host["error"]["message"] == "task 'Run command': no"
    assert host["error"]["evidence"] == {"output": ["it is full"]}


def test_a_refusal_that_a_second_try_made_good_is_not_told_of_what_fails_later(run: Run, tmp_path: Path) -> None:
    run.play("a")
    run.ok("a", error=RollcallError("Port 8001 is taken.", kind="refused").as_dict())
    run.ok("a", report=restart_report())
    run.failed("a", "ansible.builtin.command", msg="no")

    host = run.outcome(tmp_path / "outcome")["hosts"]["a"]

    assert (host["exit_code"], host["error"]["message"]) == (1, "task 'Run command': no")


def test_a_host_without_a_verdict_is_never_ok(run: Run, tmp_path: Path) -> None:
    run.play("a", "b", "c")
    run.ok("a", report=restart_report())
    run.skipped("b")

    document = run.outcome(tmp_path / "outcome")

    assert {name: host["exit_code"] for name, host in document["hosts"].items()} == {"a": 0, "b": 1, "c": 1}
    assert "no verdict" in document["hosts"]["b"]["error"]["message"]


def test_hosts_that_were_not_touched_are_in_the_outcome_with_how_to_come_to_them(run: Run, tmp_path: Path) -> None:
    run.play("a", "b")
    run.unreachable("a", "rollcall.supervisor.stack_restart", msg="no route")

    host = run.outcome(tmp_path / "outcome")["hosts"]["b"]

    assert (host["exit_code"], host["error"]["remedies"]) == (1, ["the same command with --limit a,b"])
    assert host["error"]["message"].startswith("Not touched.")


def test_no_host_at_all_is_wrong_use(run: Run, tmp_path: Path) -> None:
    document = run.outcome(tmp_path / "outcome")

    assert (document["exit_code"], document["hosts"], document["error"]["kind"]) == (2, {}, "wrong_use")


@pytest.mark.parametrize("linked", [False, True])
def test_an_outcome_of_an_earlier_playbook_is_gone_from_the_beginning(run: Run, tmp_path: Path, linked: bool) -> None:
    path = tmp_path / "outcome"
    target = tmp_path / "elsewhere" if linked else path
    target.write_text('{"ok": true}', encoding="utf-8")
    if linked:
        path.symlink_to(target)
    run.callback._plugin_options = {"outcome": str(path)}
    run.callback.v2_playbook_on_start(None)
    assert run.display.warnings == []
    assert not target.exists() or target.read_text(encoding="utf-8") == ""
    assert path.is_symlink() == linked, "a link was made by somebody"


@pytest.mark.skipif(os.geteuid() != 0, reason="acts as another user")
def test_an_outcome_whose_directory_is_closed_says_nothing_any_more(run: Run) -> None:
    # Not tmp_path: only its user may go there.
    with tempfile.TemporaryDirectory(prefix="rc-") as name:
        path = Path(name, "outcome")
        path.write_text('{"ok": true}', encoding="utf-8")
        path.chmod(0o666)
        path.parent.chmod(0o755)
        run.callback._plugin_options = {"outcome": str(path)}
        as_nobody(lambda: run.callback.v2_playbook_on_start(None))
        assert path.read_text(encoding="utf-8") == ""


def test_what_a_caller_has_opened_for_the_outcome_keeps_what_is_in_it(run: Run, tmp_path: Path) -> None:
    with open(tmp_path / "log", "w", encoding="utf-8") as log:
        log.write("what was printed before\n")
        log.flush()
        # As /dev/stdout is when standard output goes to a file.
        path = f"/dev/fd/{log.fileno()}"
        run.callback._plugin_options = {"outcome": path}
        run.callback.v2_playbook_on_start(None)
        run.ok("a", report=restart_report())
        run.end()
    assert run.display.warnings == []
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert text.startswith("what was printed before\n{")


def test_an_outcome_takes_the_place_of_an_older_one(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "outcome"
    path.write_text("x" * 100_000, encoding="utf-8")
    run.play("a")
    run.ok("a", report=restart_report())

    assert run.outcome(path)["ok"]


def test_it_has_to_be_enabled_and_leaves_standard_output_to_another() -> None:
    assert roll_call.CallbackModule.CALLBACK_NEEDS_ENABLED is True
    assert roll_call.CallbackModule.CALLBACK_TYPE == "aggregate"
    assert roll_call.CallbackModule.CALLBACK_NAME == "rollcall.supervisor.roll_call"


# --- the steps of an install ------------------------------------------------------------------------------------------


def install(run: Run, host: str, *, changed: bool = True, **end: t.Any) -> None:
    """The tasks of an install on a host, as far as the run."""
    for name in ("1/12 Environment | Check the manifest", "3/12 Dependencies | Install the engine"):
        run.callback.v2_runner_on_ok(run._result(host, "ansible.builtin.copy", {"changed": changed}, name=name))
    task = "6-12/12 Run | Prove, plan, stop, start and verify"
    run.callback.v2_runner_on_ok(run._result(host, "rollcall.supervisor.stack_restart", end, name=task))


def test_an_install_on_one_host_shows_its_twelve_steps_before_the_roll_call(run: Run) -> None:
    run.play("a")
    install(run, "a", report=restart_report())

    lines = run.end().splitlines()

    assert [line.split()[1] for line in lines[1:13]] == [f"{number}/12" for number in range(1, 13)]
    assert lines[13] == ""
    assert re.match(r"changed +3/12  dependencies +\d+\.\d s$", lines[3])


def test_a_run_that_has_found_its_host_not_to_be_prepared_is_no_step_yet(run: Run) -> None:
    run.play("a")
    name = "6-12/12 Run | Prove, plan, stop, start and verify"
    run.callback.v2_runner_on_ok(
        run._result("a", "rollcall.supervisor.stack_apply", {"changed": False, "unprepared": True}, name=name)
    )
    data = {"failed": True, "msg": "no such Python"}
    name = "1/12 Environment | Require a Python that can run the engine"
    run.callback.v2_runner_on_failed(run._result("a", "ansible.builtin.assert", data, name=name))
    run.stats.increment("failures", "a")

    lines = run.end().splitlines()

    assert re.match(r"FAILED +1/12  environment .*Require a Python that can run the engine$", lines[1])
    assert lines[2] == "not reached   2/12  user and directories, and all up to 12/12  verdict"


def test_this_machine_is_called_as_its_own_command_calls_it(run: Run) -> None:
    here = os.uname().nodename
    run.play("localhost")
    run.ok("localhost", report=restart_report())
    assert f"trading on {here}: OK, " in run.end()

    run.failed("localhost", "ansible.builtin.command", msg="it broke")
    assert f"\n{here}: FAILED, " in run.end()


def test_a_second_run_that_changes_nothing_shows_no_steps(run: Run) -> None:
    run.play("a")
    install(run, "a", changed=False, report=restart_report(timings={}))

    assert " 1/12  " not in run.end()


def test_of_a_fleet_only_who_failed_shows_its_steps(run: Run) -> None:
    run.play("a", "b")
    install(run, "a", report=restart_report())
    install(run, "b", report=restart_report(CRASHED))

    text = run.end()

    assert text.count(" 1/12  ") == 1
    assert text.index("trading on a: OK") < text.index(" 1/12  ")
    assert re.search(r"FAILED +9/12  services RUNNING .*trade_executor", text)


def test_a_task_that_failed_is_named_at_its_step_and_nothing_after_it_was_come_to(run: Run) -> None:
    run.play("a")
    name = "3/12 Dependencies | Install supervisor and what the engine needs"
    run.ok("a", "rollcall.supervisor.manifest_info")
    data = {"failed": True, "msg": "non-zero return code"}
    run.callback.v2_runner_on_failed(run._result("a", "ansible.builtin.command", data, name=name))
    run.stats.increment("failures", "a")

    lines = run.end().splitlines()

    assert re.match(r"FAILED +3/12  dependencies .*Install supervisor and what the engine needs$", lines[3])
    assert lines[4] == "not reached   4/12  database, and all up to 12/12  verdict"
    assert lines[5] == ""


def test_the_outcome_has_the_steps_of_an_install(run: Run, tmp_path: Path) -> None:
    run.play("a")
    install(run, "a", report=restart_report())

    outcome = run.outcome(tmp_path / "outcome.json")

    assert [step["number"] for step in outcome["hosts"]["a"]["steps"]] == list(range(1, 13))


def test_nobody_is_sent_to_the_logs_and_commands_of_what_was_taken_back(run: Run) -> None:
    run.play("a")
    install(run, "a", report=restart_report(CRASHED))
    name = "Failed | Remove what was made"
    run.callback.v2_runner_on_ok(run._result("a", "rollcall.supervisor.stack_remove", {"changed": True}, name=name))
    run.stats.increment("failures", "a")

    text = run.end()

    assert "FAILED  trade_executor" in text
    assert "  next" not in text
    assert "/opt/trading" not in text


def test_what_has_become_of_a_first_install_is_told_before_what_failed(run: Run, tmp_path: Path) -> None:
    run.play("a", "b")
    install(run, "a", report=restart_report(CRASHED))
    said = "Stack trading was never verified on this host. What was made stays: /opt/trading."
    for host, marks, msg in (
        ("a", [played.ENDING, roll_call.STATEMENT], said),
        ("b", [played.ENDING], "Not finished here, because another host has failed."),
    ):
        result = run._result(host, "ansible.builtin.fail", {"failed": True, "msg": msg}, marks=marks)
        run.callback.v2_runner_on_failed(result)
        run.stats.increment("failures", host)

    outcome = run.outcome(tmp_path / "outcome.json")

    text = "\n".join(run.display.printed)
    assert text.index(f"note: {said}") < text.index("FAILED  trade_executor")
    assert "Not finished here" not in text
    assert "cut short: b" in text
    assert outcome["hosts"]["a"]["first_install"] == said
    assert outcome["hosts"]["b"]["error"]["message"] == "There is no verdict on this host."


def test_what_takes_a_first_install_off_leaves_the_other_hosts_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "CLIARGS", {"args": ("rollcall.supervisor.site",)})
    run.play("a", "b")
    install(run, "a", report=restart_report(CRASHED))
    install(run, "b", report=restart_report())
    said = f"What was made stays: /opt/trading. This takes it off: {take_off('trading')}"
    marks = [played.ENDING, roll_call.STATEMENT]
    run.callback.v2_runner_on_failed(
        run._result("a", "ansible.builtin.fail", {"failed": True, "msg": said}, marks=marks)
    )
    run.stats.increment("failures", "a")

    told = run.outcome(tmp_path / "outcome.json")["hosts"]["a"]["first_install"]

    assert told.endswith("ansible-playbook rollcall.supervisor.remove --limit a -e confirm=trading")


@pytest.mark.parametrize(
    ("playbook", "again"),
    [
        ("site", "ansible-playbook rollcall.supervisor.site --limit a"),
        ("rollout", "ansible-playbook rollcall.supervisor.rollout"),
    ],
)
def test_what_failed_in_a_rollout_is_brought_again_by_the_same_command(
    run: Run, monkeypatch: pytest.MonkeyPatch, playbook: str, again: str
) -> None:
    monkeypatch.setattr(context, "CLIARGS", {"args": (f"rollcall.supervisor.{playbook}",)})
    run.play("a", "b")
    refused = RollcallError("Port 8001 is taken.", kind="refused", remedies=[INSTALL]).as_dict()
    run.ok("b", "rollcall.supervisor.stack_apply", report=restart_report())
    run.failed("a", "rollcall.supervisor.stack_apply", error=refused, msg="…")
    run.callback._applies = True
    if playbook == "rollout":
        run.play("a", "b")
        run.callback._aside = True
        hosts = {"a": {"outcome": "failed"}, "b": {"outcome": ""}}
        run.failed("a", "rollcall.supervisor.rollout_result", hosts=hosts, text="STOPPED", exit_code=2)

    text = run.end()

    assert re.search(rf"next:? +{re.escape(again)}$", text, re.M), text
    # Of a rollout the end has every host once more, and no line of its own is needed.
    assert text.count("a: REFUSED") == (1 if playbook == "rollout" else 2)


def test_a_rollout_that_is_refused_is_told_of_all_hosts_and_not_as_one_hosts_failure(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(context, "CLIARGS", {"args": ("rollcall.supervisor.rollout",)})
    run.play("a", "b")
    run.ok("a", "rollcall.supervisor.rollout_info")
    refused = RollcallError("No host was touched.\n  b: another rollout is at work\n    next: wait", kind="refused")
    run.failed("a", "rollcall.supervisor.rollout_plan", run_once=True, error=refused.as_dict(), msg=refused.message)

    found = run.outcome(tmp_path / "outcome.json")

    assert run.display.printed[-1] == (
        "rollout: REFUSED, No host was touched.\n  b: another rollout is at work\n    next: wait"
    )
    assert found["exit_code"] == 3
    assert {name: (host["ok"], host["error"]["kind"]) for name, host in found["hosts"].items()} == {
        "a": (False, "refused"),
        "b": (False, "refused"),
    }


@pytest.mark.parametrize("begun", [False, True])
def test_what_ends_a_rollout_at_its_gate_says_that_no_host_was_touched_where_none_was(run: Run, begun: bool) -> None:
    run.play("a", "b")
    if begun:
        run.ok("a", "rollcall.supervisor.stack_apply", report=restart_report())
    run.failed("b", "rollcall.supervisor.rollout_gate", run_once=True, msg="failure_budget is no number")

    run.end()
    told = run.display.printed[-1].split("\n\n")

    assert told[-1].splitlines() == [
        "rollout: FAILED, task 'Run rollout_gate': failure_budget is no number",
        *([] if begun else ["  No host was touched."]),
    ]
    assert (len(told) > 1) == begun


def test_check_mode_that_could_plan_nothing_is_told_and_is_no_failure(run: Run, tmp_path: Path) -> None:
    run.play("web1")
    run.ok("web1", "rollcall.supervisor.stack_apply", changed=True, ok=True, unplanned="It has no engine yet.")

    (host,) = run.outcome(tmp_path / "outcome.json")["hosts"].values()

    assert (host["ok"], host["error"], host["unplanned"]) == (True, None, "It has no engine yet.")
    assert run.display.printed[-1] == "note: It has no engine yet."


def test_a_task_that_takes_longer_is_named_while_it_is_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll_call, "PATIENCE", 0.05)
    run.play("web1")
    run.ok("web1", "ansible.builtin.copy", name="Copy something of theirs")
    time.sleep(0.2)
    assert run.display.printed == []

    run.ok("web1", "ansible.builtin.command", name="3/12 Dependencies | Install what is needed")
    assert eventually(lambda: run.display.printed != [])
    run.end()
    assert run.display.printed[0] == "... still at 3/12 Dependencies | Install what is needed"
    assert "still at" not in "".join(run.display.printed[1:])


def test_a_task_that_takes_very_long_is_named_again_with_how_long_it_takes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll_call, "PATIENCE", 0.05)
    monkeypatch.setattr(roll_call, "AGAIN", 1.0)
    run.play("web1")
    run.ok("web1", "ansible.builtin.command", name="3/12 Dependencies | Install what is needed")
    assert eventually(lambda: len(run.display.printed) > 1)
    run.callback._end_patience()

    again = r"\.\.\. still at 3/12 Dependencies \| Install what is needed, for [0-9]+ s"
    assert re.fullmatch(again, run.display.printed[1]), run.display.printed


def test_of_a_run_whose_connection_was_lost_nobody_says_how_far_it_came(run: Run, tmp_path: Path) -> None:
    run.play("a")
    result = run._result("a", "ansible.builtin.stat", {}, name="1/12 Environment | See")
    run.callback.v2_runner_on_ok(result)
    lost = run._result("a", "rollcall.supervisor.stack_apply", {"msg": "no route"}, name="6-12/12 Run | Start")
    run.callback.v2_runner_on_unreachable(lost)
    run.stats.increment("dark", "a")

    told = run.outcome(tmp_path / "outcome.json")["hosts"]["a"]["steps"]

    assert [step["state"] for step in told if step["number"] >= 6] == ["unknown"] * 7
    assert "not reached" not in [step["state"] for step in told]
    assert "rollcall status" in told[5]["said"]


def test_of_a_fleet_the_table_is_in_the_outcome_and_each_host_ends_as_it_is(run: Run, tmp_path: Path) -> None:
    seen = {"a": Seen(reached=True, version="1", healthy=True), "b": Seen(reached=False, why="no route")}
    seen["c"] = Seen(reached=True, version="1", healthy=False, failing=("running web",))
    run.play("a", "b", "c")
    run.ok("a", "rollcall.supervisor.rollout_info")
    run.ok("a", "rollcall.supervisor.fleet_table", hosts={host: as_document(one) for host, one in seen.items()})
    run.failed("a", "ansible.builtin.fail", msg="1 of 3 hosts well")

    told = validated(run.outcome(tmp_path / "outcome.json"), "OutcomeDocument")

    assert {name: host["exit_code"] for name, host in told["hosts"].items()} == {"a": 0, "b": 4, "c": 1}
    assert told["hosts"]["b"]["error"]["kind"] == "unreachable"
    assert "FAILED: running web" in told["hosts"]["c"]["error"]["message"]
    assert told["exit_code"] == 4
    assert list(told["fleet"]) == ["a", "b", "c"]
    # The table has been shown.
    assert run.display.printed == []


def test_the_outcome_of_an_earlier_playbook_is_removed_when_the_next_begins(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    path.write_text('{"ok": true}\n', encoding="utf-8")
    run.callback._plugin_options = {"outcome": str(path)}
    run.callback.v2_playbook_on_start(None)
    assert not path.exists()
    run.callback.v2_playbook_on_start(None)
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    run.callback._plugin_options = {"outcome": str(link)}
    run.callback.v2_playbook_on_start(None)
    assert link.is_symlink(), "what is no file is written to, and not removed"
    assert run.display.warnings == []
