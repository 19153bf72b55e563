# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rollcall rerun``: a oneshot runs again, under the lock, with a verdict; what depends on it keeps its process."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from tests.support.commands import rollcall
from tests.support.processes import eventually, free_port
from tests.support.stacks import StackUnderTest, check_of, stack

# Counts its runs, and does what the file `orders` says: exit with that code, or wait for long.
COUNTS = """
import pathlib, sys, time
runs, orders = pathlib.Path("runs"), pathlib.Path("orders")
with runs.open("a") as stream:
    stream.write("run\\n")
order = orders.read_text() if orders.exists() else "0"
print("migrating, and then", order, flush=True)
if order == "wait":
    time.sleep(600)
sys.exit(int(order))
"""


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    services = {
        "migrate": {"kind": "oneshot", "directory": "."},
        "web": {"port": free_port(), "depends_on": {"migrate": "completed"}},
        "worker": {},
    }
    with stack(services) as made:
        program = Path(made.root, "counts.py")
        program.write_text(COUNTS, encoding="utf-8")
        made.raw["services"]["migrate"]["command"] = [made.program, str(program)]
        assert made.perform()["ok"]
        yield made


def place(made: StackUnderTest) -> Path:
    return Path(made.generation().stack.service("migrate").directory)


def runs(made: StackUnderTest) -> int:
    return len((place(made) / "runs").read_text(encoding="utf-8").splitlines())


def order(made: StackUnderTest, what: str) -> None:
    (place(made) / "orders").write_text(what, encoding="utf-8")


def test_it_runs_again_and_all_else_keeps_its_process(running: StackUnderTest) -> None:
    before = running.pids()
    planned = rollcall(running, "rerun", "migrate", "--check", "--json")
    assert (planned.code, runs(running)) == (0, 1)
    done = rollcall(running, "rerun", "migrate", "--json")
    assert (done.code, runs(running)) == (0, 2)
    for report in (planned.data, done.data):
        assert [(one["action"], one["subject"]) for one in report["actions"]] == [("start", "migrate")]
    assert check_of(done.data, "running", "migrate")["evidence"] == "ran to its end"
    assert running.pids() == before
    (latest, *_rest) = rollcall(running, "history", "--json").data["runs"]
    assert (latest["mode"], latest["result"]) == ("rerun", "ok")


def test_one_that_fails_is_told_with_its_exit_code_and_the_end_of_its_log(running: StackUnderTest) -> None:
    before = running.pids()
    order(running, "3")
    done = rollcall(running, "rerun", "migrate")
    assert done.code == 1
    assert "EXITED with status 3" in done.out
    assert "migrating, and then 3" in done.out
    assert "(rerun, " in done.out
    assert "the stack is up: " in done.out
    assert running.pids() == before
    assert rollcall(running, "status").code == 1
    order(running, "0")
    assert rollcall(running, "rerun", "migrate").code == 0
    assert rollcall(running, "status").code == 0


def test_one_that_is_still_at_work_is_not_broken_off(running: StackUnderTest) -> None:
    order(running, "wait")
    running.supervisor().call("supervisor.startProcess", "migrate", False)
    assert eventually(lambda: runs(running) == 2)
    pid = running.supervisor().programs()["migrate"].pid
    done = rollcall(running, "rerun", "migrate", "--json")
    assert done.code == 3
    assert f"migrate as pid {pid}" in done.message
    assert running.supervisor().programs()["migrate"].pid == pid


def test_a_service_that_keeps_running_is_restarted_instead(running: StackUnderTest) -> None:
    before = running.pids()
    done = rollcall(running, "rerun", "worker", "migrate", "--json")
    assert (done.code, done.remedies) == (2, ["rollcall restart worker"])
    assert (running.pids(), runs(running)) == (before, 1)
    assert rollcall(running, *done.remedies[0].split()[1:]).code == 0
    assert running.pids()["worker"] != before["worker"]


def test_without_a_name_the_oneshots_are_told(running: StackUnderTest) -> None:
    with pytest.raises(RollcallError, match="takes the name of a oneshot") as caught:
        running.perform("rerun", installed=True)
    (told,) = caught.value.remedies
    assert told == "rollcall rerun migrate"
    assert rollcall(running, *told.split()[1:]).code == 0
    assert runs(running) == 2


def test_a_name_that_is_none_is_told_with_the_nearest(running: StackUnderTest) -> None:
    done = rollcall(running, "rerun", "migrat")
    assert done.code == 2
    assert "did you mean migrate?" in done.err


def test_a_service_that_is_called_like_a_mode_is_restarted_alone_by_the_command_that_is_told() -> None:
    with stack({"quick": {}, "worker": {}}) as made:
        assert made.perform()["ok"]
        before = made.pids()
        (told,) = rollcall(made, "rerun", "quick", "--json").remedies
        assert rollcall(made, *told.split()[1:]).code == 0
        after = made.pids()
        assert (after["quick"] != before["quick"], after["worker"]) == (True, before["worker"])
