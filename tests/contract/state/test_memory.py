# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that failed is told, with its cause, until a later run is good or somebody acknowledges it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor.doctor import doctor
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.modes import MODES
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import memory
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.runs import KEEP_RUNS, Journal, new_run_id
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.places import log_file
from tests.support.commands import rollcall
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, failed_checks, stack

BROKEN = {"STATUS": "500"}


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack({"web": {"port": free_port(), "health": {"http": "/health", "timeout": 20}}}) as made:
        made.raw["defaults"]["ready_timeout"] = 6
        assert made.perform()["ok"]
        yield made


def broken(made: StackUnderTest, **more: t.Any) -> t.Any:
    """Apply a manifest whose service never answers as it should, and return the report."""
    made.raw["services"]["web"]["env"] = BROKEN
    report = made.perform(**more)
    assert not report["ok"]
    return report


def findings(made: StackUnderTest) -> t.List[str]:
    return [finding["name"] for finding in doctor(made.root)["findings"]]


# --- a failure is told ------------------------------------------------------------------------------------------------


def test_after_the_way_back_all_looks_say_that_the_last_deploy_was_given_up(running: StackUnderTest) -> None:
    run = broken(running, on_failure="rollback")["run"]
    for verb in ("status", "verify"):
        said = rollcall(running, verb, "--json")
        assert said.code == 0, said.out
        assert said.data["ok"]
        failure = said.data["last_failure"]
        assert (failure["run"], failure["result"]) == (run, "rolled_back")
        assert ("health", "web") in [(check["name"], check["subject"]) for check in failure["checks"]]
        assert any("500" in check["evidence"] for check in failure["checks"])
        text = rollcall(running, verb).out
        assert f"but run {run} ended ROLLED BACK" in text
        assert "500" in text
    assert "failed_run" in findings(running)
    history = rollcall(running, "history", run)
    assert "500" in history.out


def test_the_last_line_of_a_traceback_is_told_for_it_has_the_cause(running: StackUnderTest) -> None:
    running.raw["services"]["web"]["command"] = ["python3", "-c", "import json; json.loads('{')"]
    assert running.perform(on_failure="rollback")["result"] == "rolled_back"
    cause = "json.decoder.JSONDecodeError: Expecting property name"
    for verb in ("status", "doctor"):
        assert cause in rollcall(running, verb).out, verb


def test_a_failed_run_is_told_whatever_its_mode_until_one_is_good(running: StackUnderTest) -> None:
    run = broken(running)["run"]
    assert running.status()["last_failure"]["result"] == "degraded"
    # A run that frees ports says nothing of the services.
    assert running.perform("flush", installed=True)["last_failure"]["run"] == run
    assert running.status()["last_failure"]["run"] == run
    running.raw["services"]["web"]["env"] = {}
    assert running.perform()["last_failure"] is None
    assert running.status()["last_failure"] is None


def test_a_run_that_ended_with_an_error_is_told_with_its_message(running: StackUnderTest) -> None:
    run = new_run_id(running.paths.state)
    journal = Journal(running.paths.state, run)
    journal.step("prove", mode="full", who="tester", brought=False, automatic=False)
    journal.step("plan", actions=[])
    journal.finish("refused", message="port 8001 is taken")
    failure = running.status()["last_failure"]
    assert (failure["run"], failure["message"]) == (run, "port 8001 is taken")


def test_a_run_that_was_refused_before_it_touched_anything_hides_no_failure_and_is_none(
    running: StackUnderTest,
) -> None:
    assert running.perform(installed=True)["ok"]
    running.raw["services"]["web"]["command"] = ["/no/such/program"]
    with pytest.raises(RollcallError):
        running.perform()
    assert running.status()["last_failure"] is None
    del running.raw["services"]["web"]["command"]
    run = broken(running)["run"]
    running.raw["services"]["web"]["command"] = ["/no/such/program"]
    with pytest.raises(RollcallError):
        running.perform()
    assert running.status()["last_failure"]["run"] == run


@pytest.mark.parametrize("step", ["verify", "start", "stop-daemon"])
def test_a_worker_that_was_killed_is_told_with_its_step(running: StackUnderTest, step: str) -> None:
    run = running.killed_at(step, "full")
    failure = running.status()["last_failure"]
    assert (failure["run"], failure["result"], failure["step"]) == (run, "cut off", step)
    assert f"An earlier run, {run}, was cut off at its step '{step}'." in rollcall(running, "status").out
    running.perform("flush", installed=True)
    assert running.status()["last_failure"]["run"] == run
    assert running.perform("full")["ok"]
    assert running.status()["last_failure"] is None


def test_a_given_up_generation_is_not_made_good_by_a_start_that_changes_nothing(running: StackUnderTest) -> None:
    run = broken(running, on_failure="rollback")["run"]
    assert running.perform(installed=True)["last_failure"]["run"] == run
    # The inventory was put back: what runs is what is wanted.
    running.raw["services"]["web"].pop("env")
    report = running.perform()
    assert (report["ok"], report["changed"], report["last_failure"]) == (True, False, None)


def test_the_record_of_the_failure_is_kept_however_many_runs_come_after_it(running: StackUnderTest) -> None:
    run = broken(running, on_failure="rollback")["run"]
    state = running.paths.state
    for _number in range(KEEP_RUNS + 2):
        journal = Journal(state, new_run_id(state))
        journal.step("prove", mode="flush", who="tester", brought=False, automatic=False)
        journal.finish("ok", changed=False, starts=False)
    running.perform("flush", installed=True)
    assert running.status()["last_failure"]["run"] == run
    assert "old_runs" not in findings(running)


# --- it is acknowledged -----------------------------------------------------------------------------------------------


def test_what_is_acknowledged_is_said_once_more_and_then_no_more(running: StackUnderTest) -> None:
    run = broken(running, on_failure="rollback")["run"]
    said = rollcall(running, "acknowledge", "--check", "--json")
    assert (said.code, said.data["changed"], said.data["failure"]["run"]) == (0, True, run)
    assert running.status()["last_failure"]["run"] == run
    done = rollcall(running, "acknowledge")
    assert done.code == 0
    assert f"run {run} ended ROLLED BACK" in done.out
    assert running.status()["last_failure"] is None
    assert "failed_run" not in findings(running)
    again = rollcall(running, "acknowledge")
    assert "nothing to acknowledge" in again.out
    assert not rollcall(running, "acknowledge", "--json").data["changed"]
    # The next failure is a new one.
    running.raw["services"]["web"]["env"] = {"STATUS": "501"}
    assert running.perform()["run"] == running.status()["last_failure"]["run"]


def test_a_critical_line_fails_verify_until_it_is_acknowledged(running: StackUnderTest) -> None:
    log = Path(log_file(running.generation().stack, "web"))
    for words in (
        "CRITICAL: disk full",
        "Traceback (most recent call last):\n  File x\nValueError: 1",
        "CRITICAL again",
    ):
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"{words}\n")
        assert failed_checks(rollcall(running, "verify", "--json").data) == [("logs", "web")]
        done = rollcall(running, "acknowledge", "--json")
        assert done.data["logs"]["web"][0] == words.splitlines()[0]
        assert rollcall(running, "verify").code == 0
    assert not rollcall(running, "acknowledge", "--json").data["changed"]


def test_nothing_is_acknowledged_while_a_run_is_at_work(running: StackUnderTest) -> None:
    run = broken(running, on_failure="rollback")["run"]
    with locked(running.paths.state, "tester", "full", run="20990101-000000-abcd"):
        said = rollcall(running, "acknowledge", "--json")
    assert said.code == 3
    assert running.status()["last_failure"]["run"] == run


def test_an_acknowledgement_that_cannot_be_read_hides_nothing(running: StackUnderTest) -> None:
    broken(running, on_failure="rollback")
    Path(running.paths.state, "acknowledged.json").write_text("[", encoding="utf-8")
    with pytest.raises(RollcallError, match="acknowledged"):
        running.status()


def test_an_acknowledgement_covers_what_was_before_it_in_this_boot(tmp_path: Path) -> None:
    done = memory.keep_acknowledgement(str(tmp_path), "tester")
    assert memory.acknowledgement(str(tmp_path)) == done
    assert done.covers(3600.0)
    assert not done._replace(moment=done.moment - 60).covers(30.0)
    assert not done._replace(boot="another").covers(3600.0)


def test_every_mode_says_whether_its_success_speaks_of_the_services() -> None:
    assert {mode.name for mode in MODES if not mode.starts} == {"flush", "reload", "stop"}
