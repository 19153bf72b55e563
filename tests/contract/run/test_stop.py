# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How real services with workers of their own are stopped: who has the signal, and what becomes of the rest."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from tests.support.processes import eventually
from tests.support.stacks import StackUnderTest, stack

# A parent whose worker does a task, which is done when the file `go` is there. The worker dies of TERM, as by default.
POOL = """
import os, signal, sys, time
place, how = sys.argv[1:]
parent, worker = os.getpid(), os.fork()
if worker == 0:
    open(f"{place}/worker-{parent}", "w").write(str(os.getpid()))
    while not os.path.exists(f"{place}/go"):
        time.sleep(0.02)
    open(f"{place}/done-{parent}", "w").close()
    os._exit(0)
def told(*_unused):
    open(f"{place}/told-{parent}", "w").close()
    if how == "waits":
        os.waitpid(worker, 0)
    if how != "stays":
        os._exit(0)
signal.signal(signal.SIGTERM, told)
while True:
    signal.pause()
"""


class Pool(t.NamedTuple):
    """A stack with a pool, and where its files are."""

    made: StackUnderTest
    place: Path

    def has(self, name: str) -> bool:
        return (self.place / name).exists()

    def worker(self, parent: int) -> int:
        """Return the pid of the worker of a parent, which has begun with its task."""
        path = self.place / f"worker-{parent}"
        assert eventually(lambda: path.exists() and path.read_text(encoding="ascii") != "")
        return int(path.read_text(encoding="ascii"))


@contextlib.contextmanager
def pool(tmp_path: Path, how: str, **stop: t.Any) -> t.Iterator[Pool]:
    """Run a pool and a plain service; the task of the first worker has begun."""
    script = tmp_path / "pool.py"
    script.write_text(POOL, encoding="ascii")
    command = [sys.executable, str(script), str(tmp_path), how]
    with stack({"pool": {"command": command, "stop": stop}, "plain": {}}) as made:
        assert made.perform()["ok"]
        yield Pool(made, tmp_path)


def lives(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("order", [["full"], ["quick"], ["pool"]])
def test_a_task_survives_a_restart_when_the_parent_alone_is_told_to_stop(tmp_path: Path, order: list[str]) -> None:
    with pool(tmp_path, "waits", scope="process", timeout=120) as one:
        before = one.made.pids()["pool"]
        worker = one.worker(before)
        run = subprocess.Popen([one.made.command, "restart", *order], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert eventually(lambda: one.has(f"told-{before}"))
        assert lives(worker)
        (tmp_path / "go").touch()
        output, _errors = run.communicate()
        assert run.returncode == 0, output
        assert one.has(f"done-{before}")
        assert one.made.pids()["pool"] != before


def test_without_that_the_worker_has_the_signal_too(tmp_path: Path) -> None:
    with pool(tmp_path, "waits", timeout=120) as one:
        before = one.made.pids()["pool"]
        one.worker(before)
        assert one.made.perform("full")["ok"]
        assert one.has(f"told-{before}")
        assert not one.has(f"done-{before}")


def test_what_outlives_its_parent_is_ended_by_the_same_run(tmp_path: Path) -> None:
    with pool(tmp_path, "leaves", scope="process", timeout=120) as one:
        before = one.made.pids()
        worker = one.worker(before["pool"])
        assert one.made.perform("full", installed=True, services=("pool",))["ok"]
        assert not lives(worker)
        after = one.made.pids()
        assert after["pool"] != before["pool"]
        assert after["plain"] == before["plain"]


def test_a_parent_that_does_not_end_is_killed_with_its_workers(tmp_path: Path) -> None:
    with pool(tmp_path, "stays", scope="process", timeout=3) as one:
        before = one.made.pids()["pool"]
        worker = one.worker(before)
        assert one.made.perform("full")["ok"]
        assert one.has(f"told-{before}")
        assert not lives(before)
        assert not lives(worker)


# Notes each signal, with who has it, and ends at the one that is named; its worker notes them as well, and stays.
HEARS = """
import os, signal, sys, time
place, last = sys.argv[1:]
who = "parent"
def heard(number, _frame):
    name = signal.Signals(number).name[3:]
    open(f"{place}/{who}-{name}", "w").close()
    if who == "parent" and name == last:
        os._exit(0)
for name in ("TERM", "INT", "QUIT", "USR1"):
    signal.signal(getattr(signal, f"SIG{name}"), heard)
if os.fork() == 0:
    who = "worker"
open(f"{place}/{who}-ready", "w").close()
while True:
    time.sleep(0.05)
"""
STEPS = [{"signal": "INT", "wait": 2}, {"signal": "USR1", "wait": 2}, {"signal": "QUIT", "wait": 100}]


@contextlib.contextmanager
def hearing(tmp_path: Path, last: str, **stop: t.Any) -> t.Iterator[StackUnderTest]:
    script = tmp_path / "hears.py"
    script.write_text(HEARS, encoding="ascii")
    command = [sys.executable, str(script), str(tmp_path), last]
    with stack({"hears": {"command": command, "stop": {"signals": STEPS, **stop}}}) as made:
        assert made.perform()["ok"]
        assert eventually(lambda: {"parent-ready", "worker-ready"} <= heard(tmp_path))
        yield made


def heard(place: Path) -> t.Set[str]:
    return {path.name for path in place.iterdir() if path.suffix == ""}


@pytest.mark.parametrize("order", [["restart", "full"], ["stop"]])
def test_several_signals_follow_each_other_until_the_service_ends(tmp_path: Path, order: list[str]) -> None:
    with hearing(tmp_path, "QUIT") as made:
        done = subprocess.run([made.command, *order], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        told = {f"{who}-{name}" for who in ("parent", "worker") for name in ("INT", "USR1", "QUIT")}
        assert {name for name in heard(tmp_path) if not name.endswith("-ready")} - {"worker-TERM"} == told


def test_a_service_that_ends_at_the_first_signal_gets_no_other(tmp_path: Path) -> None:
    with hearing(tmp_path, "INT", scope="process") as made:
        assert made.perform("full")["ok"]
        assert not {"parent-USR1", "parent-QUIT", "worker-INT"} & heard(tmp_path)


def test_with_the_scope_of_a_process_later_signals_go_to_it_alone_as_well(tmp_path: Path) -> None:
    with hearing(tmp_path, "QUIT", scope="process") as made:
        assert made.perform("full")["ok"]
        assert {"parent-INT", "parent-USR1", "parent-QUIT"} <= heard(tmp_path)
        assert not {"worker-INT", "worker-USR1", "worker-QUIT"} & heard(tmp_path)


def test_after_the_last_signal_comes_the_end(tmp_path: Path) -> None:
    steps = [{"signal": "INT", "wait": 2}, {"signal": "QUIT", "wait": 2}]
    with hearing(tmp_path, "never", signals=steps) as made:
        before = made.pids()["hears"]
        assert made.perform("full")["ok"]
        assert {"parent-INT", "parent-QUIT"} <= heard(tmp_path)
        assert not lives(before)


def test_a_plan_says_how_long_what_runs_may_take_to_stop_and_its_limit_counts_that(tmp_path: Path) -> None:
    with pool(tmp_path, "waits", timeout=5000) as one:
        one.made.raw["services"]["pool"]["stop"] = {"timeout": 1}
        planned = restart.describe_plan(one.made.request())
        assert planned["notes"] == ["stopping may take long, by stop.timeout: pool up to 1 h 23 min"]
        assert planned["limit"] > 5000
        one.made.raw["services"]["pool"]["stop"] = {"timeout": 5000}
        assert restart.describe_plan(one.made.request("emergency"))["notes"] == []


def test_another_scope_restarts_the_service_and_no_other(tmp_path: Path) -> None:
    with pool(tmp_path, "waits") as one:
        before = one.made.pids()
        one.made.raw["services"]["pool"]["stop"] = {"scope": "process"}
        report = one.made.perform()
        assert report["ok"]
        (tmp_path / "go").touch()
        after = one.made.pids()
        assert after["pool"] != before["pool"]
        assert after["plain"] == before["plain"]
        assert one.made.perform()["changed"] is False
