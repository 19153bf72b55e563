# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job of a timer: real processes, started as systemd starts them, and by hand."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from tests.support.commands import BOUND, Said, rollcall
from tests.support.processes import eventually
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack, two_services

SECRET = "hunter2 'and' more"
# Says what it has, starts a helper in its process group, and does what the file `orders` says: exit with that code, or
# wait for long; `deaf` waits and ignores TERM.
JOB = """
import os, pathlib, signal, subprocess, sys, time
order = pathlib.Path("orders").read_text()
print("job", order, os.environ["COLOUR"], os.environ["API_KEY"] == "hunter2 'and' more", os.environ["DEEP"], flush=True)
if order == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if order in ("wait", "deaf"):
    helper = subprocess.Popen(["sleep", "600"])
    pathlib.Path("at-work").write_text(f"{os.getpid()} {helper.pid}")
    time.sleep(600)
sys.exit(int(order))
"""


class Jobs:
    """A stack with two services and a timer, and what its job is to do."""

    def __init__(self, made: StackUnderTest) -> None:
        self.made = made
        (self.timer,) = made.generation().stack.timers
        self.place = Path(self.timer.directory)

    def order(self, what: str) -> None:
        (self.place / "at-work").unlink(missing_ok=True)
        (self.place / "orders").write_text(what, encoding="utf-8")

    @contextlib.contextmanager
    def at_work(self, what: str = "wait") -> t.Iterator[t.Tuple[subprocess.Popen[bytes], t.List[int]]]:
        """Start the job as systemd does; give who has started it, and the pids of the job and its helper."""
        self.order(what)
        starter = subprocess.Popen([self.made.command, "job", "cleanup"], stdout=subprocess.PIPE)
        told = self.place / "at-work"
        try:
            assert eventually(lambda: told.exists() and len(told.read_text(encoding="utf-8").split()) == 2)
            yield starter, [int(pid) for pid in told.read_text(encoding="utf-8").split()]
        finally:
            if starter.poll() is None:
                starter.terminate()
            starter.communicate(timeout=BOUND)

    def run(self, what: str) -> Said:
        self.order(what)
        return rollcall(self.made, "job", "cleanup")

    def rerun(self, what: str, *options: str) -> Said:
        self.order(what)
        return rollcall(self.made, "rerun", "cleanup", *options)

    def row(self) -> t.Dict[str, t.Any]:
        (row,) = self.made.status()["timers"]
        return dict(row)

    def latest(self) -> t.Dict[str, t.Any]:
        return dict(rollcall(self.made, "history", "cleanup", "--json").data["runs"][0])


def gone(*pids: int) -> bool:
    """Return whether processes have ended; a zombie has."""
    return all(found is None or found.ended for found in map(processes.describe, pids))


@pytest.fixture(scope="module")
def jobs() -> t.Iterator[Jobs]:
    with stack(two_services()) as made:
        program = Path(made.root, "job.py")
        program.write_text(JOB, encoding="utf-8")
        made.raw["services"]["cleanup"] = {
            "kind": "timer",
            "every": "1h",
            "command": [made.program, str(program)],
            "env": {"COLOUR": "blue", "DEEP": "{port:web}"},
            "secrets": {"API_KEY": SECRET},
            "timeout": "1h",
            "stop": {"timeout": 5},
            "log": {"max_bytes": 400, "backups": 1},
        }
        # No systemd is asked: a line of cron, or a test, calls the job.
        assert made.perform(boot="none")["ok"]
        yield Jobs(made)


def test_a_job_has_what_a_service_has_and_its_result_is_told(jobs: Jobs) -> None:
    before = jobs.row()
    assert (before["last"], before["failed"], before["late"], before["schedule"]) == (None, False, False, "every 1h")
    planned = jobs.rerun("0", "--check")
    assert (planned.code, jobs.row()["last"]) == (0, None)
    done = jobs.rerun("0")
    assert done.code == 0, done
    assert "cleanup of test: ok after " in done.out
    assert (
        rollcall(jobs.made, "exec", "cleanup", "--", "sh", "-c", 'echo "$COLOUR, $API_KEY"').out == f"blue, {SECRET}\n"
    )
    log = Path(jobs.made.paths.logs, "cleanup.log")
    port = jobs.made.raw["services"]["web"]["port"]
    assert log.read_text(encoding="utf-8") == f"job 0 blue True {port}\n"
    assert jobs.run("0").code == 0
    row = jobs.row()
    assert (row["last"]["result"], row["last"]["exit_code"], row["last"]["by"]) == ("ok", 0, "systemd")
    assert row["next"] == row["last"]["start"] + 3600
    told = rollcall(jobs.made, "status")
    assert told.code == 0
    assert "cleanup  every 1h  ok " in told.out
    assert [run["by"] == "systemd" for run in rollcall(jobs.made, "history", "cleanup", "--json").data["runs"]] == [
        True,
        False,
    ]
    assert "result" in rollcall(jobs.made, "history", "cleanup").out
    assert rollcall(jobs.made, "logs", "cleanup").out.count("job 0 blue") == 2
    by_name = rollcall(jobs.made, "stop", "cleanup", "--json")
    assert (by_name.code, by_name.remedies) == (2, ["rollcall history cleanup"])


def test_a_failed_job_fails_the_status_and_no_run_until_it_is_known_or_good(jobs: Jobs) -> None:
    done = jobs.run("3")
    assert done.code == 1
    told = rollcall(jobs.made, "status", "--json")
    check = check_of(told.data, "timer", "cleanup")
    assert (told.code, check["code"], check["next"]) == (1, "failed", "rollcall logs cleanup")
    assert "exit code 3" in check["evidence"]
    shown = rollcall(jobs.made, "status").out
    assert "FAILED, code 3," in shown
    assert ": FAILED, 1 job: cleanup\n" in shown
    assert "logs cleanup\n  then  put right what it shows, then run: " in shown
    assert shown.endswith(" rerun cleanup\n")
    assert rollcall(jobs.made, "restart", "web").code == 0
    assert rollcall(jobs.made, "start").code == 0
    assert rollcall(jobs.made, "acknowledge").code == 0
    assert rollcall(jobs.made, "status").code == 0
    assert jobs.run("4").code == 1
    assert rollcall(jobs.made, "status").code == 1
    assert jobs.rerun("0").code == 0
    assert rollcall(jobs.made, "status").code == 0


def test_a_job_at_work_is_alone_and_left_by_all_but_a_restart_of_everything(jobs: Jobs) -> None:
    with jobs.at_work() as (starter, pids):
        second = rollcall(jobs.made, "job", "cleanup")
        assert second.code == 0
        assert jobs.latest()["result"] == "skipped"
        assert rollcall(jobs.made, "rerun", "cleanup").code == 3
        assert jobs.row()["running"]
        assert rollcall(jobs.made, "start").code == 0
        assert not gone(*pids)
        starter.terminate()
        starter.communicate(timeout=BOUND)
    assert gone(*pids)
    assert jobs.row()["last"]["result"] == "ended"
    with jobs.at_work() as (starter, pids):
        planned = rollcall(jobs.made, "restart", "--check", "--json").data["actions"]
        assert ("end", "job cleanup") in [(one["action"], one["subject"]) for one in planned]
        assert rollcall(jobs.made, "restart").code == 0
        assert gone(*pids)
    last = jobs.row()["last"]
    assert (last["result"], last["exit_code"]) == ("ended", -signal.SIGTERM)
    assert last["why"].startswith("full restart by ")
    assert rollcall(jobs.made, "status").code == 0


def test_a_job_that_takes_too_long_is_ended_with_what_it_has_started(jobs: Jobs) -> None:
    jobs.made.raw["services"]["cleanup"]["timeout"] = "6s"
    planned = jobs.made.perform(boot="none")["actions"]
    assert ("change", "timer cleanup", "every 1h; timeout changed") in [tuple(one.values()) for one in planned]
    with jobs.at_work("deaf") as (starter, pids):
        assert starter.wait(BOUND) == 1
        assert gone(*pids)
    last = jobs.row()["last"]
    assert (last["result"], last["exit_code"], last["why"]) == ("timeout", -signal.SIGKILL, "it did not end within 6 s")
    # Its log was full, and was rotated before the run.
    assert (
        rollcall(jobs.made, "exec", "cleanup", "--", "sh", "-c", 'echo "$COLOUR, $API_KEY"').out == f"blue, {SECRET}\n"
    )
    log = Path(jobs.made.paths.logs, "cleanup.log")
    log.write_text("x" * 500, encoding="utf-8")
    assert jobs.run("0").code == 0
    assert log.read_text(encoding="utf-8").startswith("job 0 ")
    assert log.with_name("cleanup.log.1").stat().st_size == 500


def test_a_job_whose_starter_was_killed_is_told_and_ended_with_the_stack(jobs: Jobs) -> None:
    jobs.made.raw["services"]["cleanup"]["timeout"] = "1h"
    assert jobs.made.perform(boot="none")["ok"]
    with jobs.at_work() as (starter, pids):
        starter.kill()
        starter.communicate(timeout=BOUND)
        assert ("timer", "cleanup") in failed_checks(jobs.made.status())
        assert jobs.row()["last"]["result"] == "cut_off"
        assert jobs.run("wait").code == 0
        assert "an earlier one still runs: pid " in jobs.latest()["why"]
        assert rollcall(jobs.made, "stop").code == 0
        assert gone(*pids)
    for _ in range(2):
        assert jobs.run("0").code == 0
    skipped = jobs.latest()
    assert (skipped["result"], skipped["times"]) == ("skipped", 2)
    refused = jobs.rerun("0", "--json")
    assert (refused.code, refused.remedies) == (3, ["rollcall start"])
    assert failed_checks(jobs.made.status()) == [("supervisord", "test")]
    assert rollcall(jobs.made, "start").code == 0
    assert jobs.rerun("0").code == 0
    assert rollcall(jobs.made, "status").code == 0


def test_a_timer_that_is_taken_out_ends_its_job_and_a_manifest_without_a_runner_is_refused(jobs: Jobs) -> None:
    before = jobs.made.pids()
    with jobs.at_work() as (_starter, pids):
        own = jobs.made.raw["services"].pop("cleanup")
        report = jobs.made.perform(boot="none")
        assert report["ok"]
        assert {one["subject"]: one["action"] for one in report["actions"] if "cleanup" in one["subject"]} == {
            "job cleanup": "end",
            "timer cleanup": "remove",
        }
        assert gone(*pids)
    assert jobs.made.pids() == before
    assert rollcall(jobs.made, "job", "cleanup").code == 2
    jobs.made.raw["services"] = {**jobs.made.raw["services"], "cleanup": own}
    del jobs.made.raw["services"]["worker"]
    if not os.path.isdir("/run/systemd/system"):
        with pytest.raises(RollcallError, match="systemd does not run on this host") as caught:
            jobs.made.perform(boot="auto")
        assert jobs.made.pids() == before
        (remedy,) = caught.value.remedies
        program = own["command"]
        own["command"] = [f"{jobs.made.root}/none"]
        with pytest.raises(RollcallError, match="none does not exist"):
            jobs.made.perform(boot="none")
        own["command"] = program
        line = remedy[remedy.index(jobs.made.command) :].partition(",")[0].split()
        # One that is yet to come is late by nothing, however long ago the host has booted.
        (planned,) = restart.describe_plan(jobs.made.request("auto", boot="none"))["timers"]
        assert (planned["next"], planned["late"]) == (None, False)
        assert jobs.made.perform(boot="none")["ok"]
        jobs.order("0")
        assert subprocess.run(line, check=False, timeout=BOUND, capture_output=True).returncode == 0
        # Who runs the jobs otherwise need not say so again for a way back.
        first = rollcall(jobs.made, "history", "--json").data["generations"][-1]["id"]
        assert rollcall(jobs.made, "rollback", first, "--check").code == 0
