# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that keeps ending is never called OK, whoever looks, at whatever moment, after however many restarts."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Clock
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor import doctor
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.acknowledge import acknowledge
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.roll_call import roll_call
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.service_table import service_table
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import read_meta
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import Client
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import verify
from tests.support.cases import ordinary
from tests.support.commands import rollcall
from tests.support.documents import validated
from tests.support.processes import eventually, kill
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

# A minute is thirty times the stable_for: 12 seconds here, within which a busy machine looks at what has ended.
QUICK = {"stable_for": 0.4, "start": {"seconds": 1}}


def dying(after: float, how: str = "raise SystemExit(1)", **more: t.Any) -> t.Dict[str, t.Any]:
    command = ["python3", "-c", f"import os, time; time.sleep({after}); {how}"]
    return {"command": command, **QUICK, **more}


def plain(text: str, _kind: str) -> str:
    return text


def deaths(made: StackUnderTest, name: str = "one") -> int:
    log = Path(made.paths.logs, "supervisord.log").read_text(encoding="utf-8")
    return log.count(f"exited: {name} ")


def after_deaths(made: StackUnderTest, number: int) -> None:
    """Wait until the service has ended so often, and lives again."""
    client = made.supervisor()
    assert eventually(lambda: deaths(made) >= number and client.programs()["one"].state == "RUNNING")


def row(report: t.Mapping[str, t.Any], name: str = "one") -> t.Any:
    return next(service for service in report["services"] if service["name"] == name)


def verified(made: StackUnderTest) -> t.Any:
    return validated(verify.verify(made.paths), "Report")


SLOW = dying(1.5)
LOOPS = {
    "at once": dying(0.5, start={"seconds": 0}, stable_for=1, restart="always"),
    "after a while": SLOW,
    "with code 0": dying(1.5, "raise SystemExit(0)", restart="always"),
    "by a signal": dying(1.5, "os.kill(os.getpid(), 11)"),
}


@pytest.mark.parametrize("kind", ordinary(LOOPS, "at once", "after a while"))
def test_nobody_calls_a_loop_ok(kind: str) -> None:
    with stack({"one": LOOPS[kind], "two": QUICK}) as made:
        made.perform()
        after_deaths(made, 2)
        for look in (made.status, lambda: verified(made), made.perform, lambda: made.perform("full", installed=True)):
            report = look()
            assert not report["ok"], report
            assert {subject for _name, subject in failed_checks(report)} == {"one"}
        # The restart has not washed anything away.
        assert row(report)["exits"] >= 2
        assert row(report)["last_exit"]["at"] > 0
        assert row(report, "two")["exits"] == 0
        assert "not_lasting" in [finding["name"] for finding in doctor.doctor(made.root)["findings"]]


def test_no_moment_of_a_loop_is_ok() -> None:
    with stack({"one": SLOW}) as made:
        made.perform()
        after_deaths(made, 1)
        already = deaths(made)
        while deaths(made) < already + 2:
            assert not made.status()["ok"]


def test_a_first_exit_is_no_ok_and_a_long_life_after_it_is() -> None:
    # Long enough that a life on a busy machine asks for no more.
    with stack({"one": {**QUICK, "stable_for": 0.3}}) as made:
        assert made.perform()["ok"]
        kill(made.pids()["one"])
        after_deaths(made, 1)
        report = made.status()
        assert failed_checks(report) == [("lives", "one")]
        check = check_of(report, "lives", "one")
        assert (check["code"], check["data"]["signal"]) == ("recovering", "SIGKILL")
        assert check["data"]["asks"] >= 9
        # The verdict of a run waits for that, and so does verify. Who waits for the run is told.
        started = rollcall(made, "start", "--json")
        report = started.data
        assert report["ok"], failed_checks(report)
        assert re.search(r"^rollcall start: waits [0-9]+ s for one to live on: earlier lives have ", started.err, re.M)
        assert [note for note in report["notes"] if note.startswith("waited ")], report["notes"]
        assert report["changed"] is False
        assert row(report)["exits"] == 1
        assert made.status()["ok"]
        assert [finding["name"] for finding in doctor.doctor(made.root)["findings"]].count("has_ended") == 1


def test_a_loop_that_was_mended_begins_anew() -> None:
    with stack({"one": SLOW}) as made:
        made.perform()
        after_deaths(made, 2)
        assert not made.status()["ok"]
        made.raw["services"]["one"] = QUICK
        report = made.perform()
        assert report["ok"], failed_checks(report)
        assert row(report)["exits"] == 0


def test_a_first_verdict_says_how_little_it_rests_on() -> None:
    with stack({"one": QUICK, "two": QUICK}) as made:
        report = made.perform()
        assert report["ok"]
        (note,) = report["notes"]
        assert re.search(r"^2 services have not lived for long, (one|two) is only [0-9.]+ s old; ", note), note
        assert "-e soak=30 or --soak 30" in note
        assert made.perform()["notes"] == [], "what has changed nothing says it no second time"
        assert made.perform(soak=13)["notes"] == []
        # It is known how long the same revision has lived before.
        assert made.perform("full", installed=True)["notes"] == []
        made.raw["services"]["two"] = {**QUICK, "env": {"VERSION": "2"}}
        assert made.perform(soak=1.5)["notes"] == [], "whoever says how long it is to be watched knows that"


@pytest.mark.parametrize("how", ["rollcall", "supervisorctl"])
def test_an_ordered_restart_is_no_exit(how: str) -> None:
    with stack({"one": QUICK}) as made:
        assert made.perform()["ok"]
        if how == "rollcall":
            assert made.perform("full")["ok"]
        else:
            client = made.supervisor()
            client.stop(["one"])
            assert eventually(lambda: client.programs()["one"].state == "STOPPED")
            client.start(["one"])
            assert eventually(lambda: client.programs()["one"].state == "RUNNING")
        report = made.status()
        assert report["ok"], failed_checks(report)
        assert row(report)["exits"] == 0


def deleted(log: Path) -> None:
    log.unlink()


def emptied(log: Path) -> None:
    os.truncate(log, 0)


def unreadable(log: Path) -> None:
    log.unlink()
    os.mkfifo(log)


@pytest.mark.parametrize("happens", ordinary([deleted, emptied, unreadable], emptied))
def test_without_the_log_the_kernel_tells(happens: t.Callable[[Path], None]) -> None:
    with stack({"one": QUICK, "two": QUICK}) as made:
        assert made.perform()["ok"]
        pid = made.pids()["one"]
        kill(pid)
        after_deaths(made, 1)
        happens(Path(made.paths.logs, "supervisord.log"))
        report = made.status()
        # A log that is no file is wrong by itself.
        others = [("files", "test")] if happens is unreadable else []
        assert failed_checks(report) == [*others, ("lives", "one")]
        assert (row(report)["exits"], row(report, "two")["exits"]) == (1, 0)


def test_a_loop_takes_verified_away_and_no_rollback_goes_there() -> None:
    with stack({"one": SLOW, "two": QUICK}) as made:
        first = made.perform()["generation"]
        assert first["verified"]
        after_deaths(made, 2)
        assert made.status()["generation"] == {"id": first["id"], "verified": False}
        # A status writes nothing: the next run does, before it puts another generation in place.
        assert read_meta(made.paths, made.root)["verified"]
        made.raw["services"]["two"] = {**QUICK, "env": {"EXIT": "1"}}
        report = made.perform(on_failure="rollback")
        assert report["result"] == "degraded", report["result"]
        assert report["rolled_back"] is None


def test_a_loop_of_a_service_that_is_left_alone_is_no_reason_to_go_back() -> None:
    with stack({"one": QUICK, "two": QUICK}) as made:
        assert made.perform()["ok"]
        made.raw["services"]["one"] = {**SLOW}
        made.perform()
        made.raw["services"]["two"] = {**QUICK, "env": {"COLOUR": "blue"}}
        after_deaths(made, 2)
        report = made.perform(on_failure="rollback")
        assert report["result"] == "degraded"
        assert {subject for _name, subject in failed_checks(report)} == {"one"}
        assert report["rolled_back"] is None


def test_an_exit_before_a_run_is_no_reason_to_go_back_and_what_is_printed_ends_it() -> None:
    # A minute is thirty times that: longer than a run waits, with the life before.
    with stack({"one": {**QUICK, "stable_for": 2}, "two": QUICK}) as made:
        assert made.perform()["ok"]
        kill(made.pids()["one"])
        after_deaths(made, 1)
        made.raw["services"]["two"] = {**QUICK, "env": {"COLOUR": "blue"}}
        # As if the life before had been one of minutes: nobody waits for twice as much.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(verify, "PATIENCE", 0.0)
            report = made.perform(on_failure="rollback")
        assert failed_checks(report) == [("lives", "one")]
        assert (report["result"], report["rolled_back"]) == ("degraded", None)
        assert "COLOUR=blue" in Path(f"/proc/{made.pids()['two']}/environ").read_text(encoding="utf-8")
        text = roll_call(report)
        assert "then  put right what it shows, then run: " in text
        assert rollcall(made, *text.rstrip().rpartition("/bin/rollcall ")[2].split()).code == 0
        assert made.status()["ok"]


def test_a_soak_waits_for_what_dies_later_than_it_is_stable() -> None:
    with stack({"one": SLOW}) as made:
        report = made.perform(soak=10)
        assert not report["ok"]
        assert {subject for _name, subject in failed_checks(report)} == {"one"}
    with stack({"one": QUICK}) as made:
        report = made.perform(soak=2)
        assert report["ok"]
        assert row(report)["uptime"] >= 2


def test_a_service_that_is_killed_by_the_hour_of_its_operator_is_seen_with_its_signal() -> None:
    with stack({"one": QUICK}) as made:
        assert made.perform()["ok"]
        kill(made.pids()["one"], signal.SIGSEGV)
        after_deaths(made, 1)
        last = row(made.status())["last_exit"]
        assert (last["signal"], last["code"]) == ("SIGSEGV", None)


def test_what_is_acknowledged_is_not_held_against_the_service() -> None:
    with stack({"one": QUICK}) as made:
        assert made.perform()["ok"]
        for number in (1, 2):
            kill(made.pids()["one"])
            after_deaths(made, number)
        assert check_of(made.status(), "lives", "one")["code"] == "loop"
        acknowledge(made.paths, "tester")
        report = made.status()
        assert report["ok"], [check for check in report["checks"] if not check["ok"]]
        kill(made.pids()["one"])
        after_deaths(made, 3)
        assert check_of(made.status(), "lives", "one")["code"] == "recovering"


@pytest.mark.parametrize("state", ["STARTING", "BACKOFF", "FATAL", "EXITED"])
def test_a_service_that_does_not_run_is_told_with_its_exits(state: str) -> None:
    """ "STARTING" alone is no cause: it is what a service that keeps ending reads at that moment."""
    if state == "EXITED":
        ending = dying(1.5, restart="never")
    else:
        ending = dying(0.6, start={"seconds": 20, "retries": 1 if state == "FATAL" else 30})
    with stack({"one": ending}) as made:
        made.perform()
        client = made.supervisor()
        wanted = 1 if state == "EXITED" else 2
        assert eventually(lambda: deaths(made) >= wanted and client.programs()["one"].state == state)

        report = made.status()

        evidence = check_of(report, "running", "one")["evidence"]
        assert row(report)["exits"] >= wanted
        assert row(report)["last_exit"]["code"] == 1
        how_often = "ended once, with exit code 1 at " if state == "EXITED" else " times in "
        assert how_often in evidence, evidence
        assert re.search(r"with exit code 1 at [0-9:]{8}$", evidence.splitlines()[0]), evidence
        assert re.search(rf"{row(report)['exits']}, code 1", service_table([row(report)], {"one": "FAILED"}, 80, plain))


@pytest.mark.parametrize("zone", ordinary(["Asia/Tokyo", "America/Los_Angeles"], "Asia/Tokyo"))
def test_what_ends_after_that_counts_in_every_time_zone(zone: str) -> None:
    with stack({"one": QUICK}) as made:
        assert made.perform()["ok"]
        for number in (1, 2):
            kill(made.pids()["one"])
            after_deaths(made, number)
        acknowledge(made.paths, "tester")
        elsewhere = {**os.environ, "TZ": zone}
        assert rollcall(made, "status", env=elsewhere).code == 0
        kill(made.pids()["one"])
        after_deaths(made, 3)
        said = rollcall(made, "status", "--json", env=elsewhere)
        assert said.code == 1
        check = check_of(said.data, "lives", "one")
        assert (check["code"], check["data"]["exits"]) == ("recovering", 1)
        assert abs(check["data"]["last"] - time.time()) < 600


class Ahead(Clock):
    """A wall clock that is set back afterwards."""

    def wall(self) -> float:
        return super().wall() + 7200


def test_a_clock_that_is_set_back_makes_nothing_known_that_comes_later() -> None:
    with stack({"one": QUICK}) as made:
        assert made.perform()["ok"]
        kill(made.pids()["one"])
        after_deaths(made, 1)
        acknowledge(made.paths, "tester", clock=Ahead())
        kill(made.pids()["one"])
        after_deaths(made, 2)
        assert not made.status()["ok"]


# --- supervisord itself ---------------------------------------------------------------------------------------------


def test_what_is_told_to_end_with_supervisord_has_not_ended_by_itself() -> None:
    # As by a host that goes down, or by the end of a session.
    with stack({"one": QUICK, "two": QUICK}) as made:
        assert made.perform()["ok"]
        for _time in range(2):
            (daemon,) = made.daemons()
            for pid in (*made.pids().values(), daemon.pid):
                os.kill(pid, signal.SIGTERM)
            assert eventually(lambda: not made.daemons())
            report = made.perform(installed=True)
            assert report["ok"], failed_checks(report)
            assert (row(report)["exits"], row(report, "two")["exits"]) == (0, 0)


@pytest.mark.parametrize("restored", ordinary([False, True], True))
@pytest.mark.parametrize("setting", [("loglevel=info", "loglevel=error"), ("/supervisord.log", "/other.log")])
def test_a_supervisord_that_tells_nothing_of_lives_is_not_ok(setting: t.Tuple[str, str], restored: bool) -> None:
    with stack({"one": QUICK}) as made:
        assert made.perform()["ok"]
        config = Path(made.paths.config)
        installed = config.read_text(encoding="utf-8")
        config.write_text(installed.replace(*setting), encoding="utf-8")
        with started_by_hand(made) as client:
            client.start(["one"])
            assert eventually(lambda: client.programs()["one"].state == "RUNNING")
            if restored:
                config.write_text(installed, encoding="utf-8")
            assert failed_checks(made.status()) == [("config", "test")]
            report = made.perform()
            assert report["ok"], failed_checks(report)
            assert made.status()["ok"]


@contextlib.contextmanager
def started_by_hand(made: StackUnderTest) -> t.Iterator[Client]:
    """End the supervisord of a stack, start another one as an operator does, and yield a client of it."""
    (daemon,) = made.daemons()
    os.kill(daemon.pid, signal.SIGTERM)
    assert eventually(lambda: not made.daemons())
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", made.paths.config]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(command, env=environment, cwd=made.root, start_new_session=True)
    client = made.supervisor()

    def answers() -> bool:
        with contextlib.suppress(RollcallError):
            return client.state() == "RUNNING"
        return False

    try:
        assert eventually(answers)
        yield client
    finally:
        process.kill()
        process.wait()
