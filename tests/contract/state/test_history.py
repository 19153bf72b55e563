# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was run on a stack can be read afterwards: who, when, what, how it ended, and what it signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import history
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.runs import Journal, new_run_id
from tests.support.commands import rollcall
from tests.support.processes import eventually, free_port
from tests.support.stacks import StackUnderTest, stack


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack({"web": {"port": free_port()}, "worker": {}}) as made:
        assert made.perform()["ok"]
        yield made


def call(made: StackUnderTest, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([made.command, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_each_run_is_listed_the_latest_first_with_who_what_and_how_it_ended(running: StackUnderTest) -> None:
    first = running.perform("quick", installed=True)
    again = running.perform("auto", installed=True)
    rows = history.recorded_runs(running.paths)["runs"]
    assert [row["run"] for row in rows[:2]] == [again["run"], first["run"]]
    assert [(row["mode"], row["result"], row["changed"]) for row in rows] == [
        ("auto", "ok", False),
        ("quick", "ok", True),
        ("auto", "ok", True),
    ]
    assert all(row["who"] == "tester" and row["manifest"] == first["manifest_digest"] for row in rows)
    assert rows[1]["timings"].keys() == first["timings"].keys()


def test_the_generations_that_are_kept_are_listed_with_the_runs(running: StackUnderTest) -> None:
    running.raw["services"]["worker"]["env"] = {"EXIT": "3"}
    second = running.perform()["run"]
    said = rollcall(running, "history", "--json").data["generations"]
    assert [(one["id"] == second, one["verified"], one["in_place"]) for one in said] == [
        (True, False, True),
        (False, True, False),
    ]
    text = rollcall(running, "history").out
    assert all(one["id"] in text.split("generation")[1] for one in said)


def test_what_was_signalled_is_kept_with_pid_start_program_user_and_result(running: StackUnderTest) -> None:
    before = processes.descendants([running.daemons()[0].pid])
    running.kill_daemon()
    done = running.perform("full", installed=True)
    kept = history.recorded_run(running.paths, done["run"])["signals"]
    assert {(entry["pid"], entry["start"], entry["exe"], entry["user"], entry["result"]) for entry in kept} == {
        (process.pid, process.start, process.exe, process.user, "ended") for process in before.values()
    }


def test_a_run_that_failed_says_why_and_a_refused_one_too(running: StackUnderTest) -> None:
    running.raw["services"]["worker"]["env"] = {"EXIT": "3"}
    assert not running.perform()["ok"]
    assert history.recorded_runs(running.paths)["runs"][0]["failed"][0] == "running worker"
    running.raw["services"]["worker"]["command"] = ["/no/such/program"]
    with pytest.raises(RollcallError):
        running.perform()
    last = history.recorded_runs(running.paths)["runs"][0]
    assert last["result"] == "wrong_use"
    assert "/no/such/program does not exist" in str(last["message"])


def test_a_run_that_was_cut_off_says_at_which_step_and_one_that_goes_on_says_so(running: StackUnderTest) -> None:
    run = running.killed_at("start-daemon", "full")
    row = history.recorded_runs(running.paths)["runs"][0]
    assert (row["run"], row["result"], row["step"]) == (run, "cut off", "start-daemon")
    running.raw["services"]["web"]["env"] = {"LISTEN_AFTER": "600"}
    running.raw["services"]["web"]["health"] = {"http": "/health"}
    pid = os.fork()
    if pid == 0:
        try:
            running.perform()
        finally:
            os._exit(0)
    try:
        assert eventually(lambda: history.recorded_runs(running.paths)["runs"][0]["result"] == "running")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert history.recorded_runs(running.paths)["runs"][0]["result"] == "cut off"


def test_the_command_shows_the_list_and_one_run_by_the_beginning_of_its_id(running: StackUnderTest) -> None:
    done = running.perform("full", installed=True)
    listed = call(running, "history")
    assert listed.returncode == 0
    assert f"{done['run']}" in listed.stdout.splitlines()[1]
    one = call(running, "history", done["run"][:-1])
    assert "restart web: full restart" in one.stdout
    record = rollcall(running, "history", done["run"], "--json").data
    assert record["steps"][-1]["step"] == "done"
    assert rollcall(running, "history", "--json").data["runs"][0]["run"] == done["run"]
    missing = call(running, "history", "1999")
    assert missing.returncode == 2
    assert "no run whose id begins with '1999'" in missing.stderr


def test_ids_of_runs_are_in_order_within_a_second_and_after_the_clock_was_set_back(running: StackUnderTest) -> None:
    state = running.paths.state
    made = []
    for _number in range(3):
        made.append(new_run_id(state))
        Journal(state, made[-1]).finish("ok")

    class Earlier:
        def wall(self) -> float:
            return 0.0

    made.append(new_run_id(state, t.cast(t.Any, Earlier())))
    assert made == sorted(made)
    assert len(set(made)) == 4
