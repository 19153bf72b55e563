# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callback, driven as ansible-core drives it, with results as its task queue hands them over."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest
from ansible.executor.stats import AggregateStats

from ansible_collections.rollcall.supervisor.plugins.callback import roll_call
from ansible_collections.rollcall.supervisor.plugins.module_utils.errors import RollcallError
from tests.support.reports import failed, restart_report, status_report

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
        self.stats = AggregateStats()

    def _result(self, host: str, action: str, data: t.Mapping[str, t.Any]) -> SimpleNamespace:
        task = SimpleNamespace(
            action=action.rpartition(".")[2],
            resolved_action=action,
            get_name=lambda: f"Run {action.rpartition('.')[2]}",
        )
        self.callback.v2_playbook_on_task_start(task, False)
        return SimpleNamespace(host=SimpleNamespace(get_name=lambda: host), task=task, result=dict(data))

    def ok(self, host: str, action: str = "rollcall.supervisor.stack_restart", **data: t.Any) -> None:
        self.callback.v2_runner_on_ok(self._result(host, action, data))
        self.stats.increment("ok", host)

    def failed(
        self, host: str, action: str = "rollcall.supervisor.stack_restart", *, counts: bool = True, **data: t.Any
    ) -> None:
        self.callback.v2_runner_on_failed(self._result(host, action, {"failed": True, **data}), not counts)
        self.stats.increment("failures" if counts else "ignored", host)

    def unreachable(self, host: str, **data: t.Any) -> None:
        self.callback.v2_runner_on_unreachable(self._result(host, "ansible.builtin.stat", data))
        self.stats.increment("dark", host)

    def end(self) -> str:
        self.callback.v2_playbook_on_stats(self.stats)
        return "\n".join(self.display.printed)


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
    error = RollcallError("Port 8001 is held by pid 9.", kind="refused", remedies=["kill 9"])
    run.failed("a", error=error.as_dict(), msg="…")

    assert run.end().splitlines()[1:] == ["a: REFUSED, Port 8001 is held by pid 9.", "  next: kill 9"]


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
    assert "b: FAILED, task 'Run command': Python not found" in lines


def test_a_playbook_may_let_the_task_pass_and_fail_in_its_own_words(run: Run) -> None:
    error = RollcallError("Port 8001 is held by pid 9.", kind="refused")
    run.ok("a", report=restart_report(CRASHED))
    run.ok("b", error=error.as_dict())
    for host in ("a", "b"):
        run.failed(host, "ansible.builtin.fail", msg="The verdict did not hold.")

    text = run.end()

    assert "trading on a: FAILED, 1 of 10 services: trade_executor" in text
    assert "b: REFUSED, Port 8001 is held by pid 9." in text
    assert "The verdict did not hold." not in text


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


def test_a_playbook_of_somebody_else_gets_not_a_word(run: Run) -> None:
    run.ok("a", "ansible.builtin.command", report="mine")
    run.failed("b", "ansible.builtin.command", msg="no")
    run.unreachable("c", msg="gone")

    assert run.end() == ""


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


def test_it_has_to_be_enabled_and_leaves_standard_output_to_another() -> None:
    assert roll_call.CallbackModule.CALLBACK_NEEDS_ENABLED is True
    assert roll_call.CallbackModule.CALLBACK_TYPE == "aggregate"
    assert roll_call.CallbackModule.CALLBACK_NAME == "rollcall.supervisor.roll_call"
