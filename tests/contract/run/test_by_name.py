# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop, restart, see and verify some services of a real stack by name; all others keep their processes."""

from __future__ import annotations

import re
import shlex
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import status
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.lives import PATIENCE
from tests.support import redis
from tests.support.commands import rollcall
from tests.support.processes import eventually, free_pair, free_port, kill
from tests.support.stacks import StackUnderTest, failed_checks, stack
from tests.support.victims import victim


def services() -> t.Dict[str, t.Any]:
    """A service, one that depends on it, and two that stand alone."""
    return {
        "base": {"port": free_port(), "health": {"http": "/health"}},
        "front": {"port": free_port(), "health": {"http": "/health"}, "depends_on": {"base": "healthy"}},
        "worker": {},
        "mailer": {},
    }


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack(services()) as made:
        assert made.perform()["ok"]
        yield made


def changed(before: t.Mapping[str, int], after: t.Mapping[str, int]) -> t.Set[str]:
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def states(made: StackUnderTest) -> t.Dict[str, str]:
    return {name: program.state for name, program in made.supervisor().programs().items()}


@pytest.mark.parametrize("mode", ["full", "quick"])
def test_a_restart_by_name_restarts_that_and_what_depends_on_it(running: StackUnderTest, mode: str) -> None:
    before = running.pids()
    report = running.perform(mode, installed=True, services=("base",))
    assert report["ok"]
    assert changed(before, running.pids()) == {"base", "front"}
    assert [row["name"] for row in report["services"]] == ["base", "front"]
    assert not report["whole"]


def test_without_dependents_only_what_is_named_restarts(running: StackUnderTest) -> None:
    before = running.pids()
    assert running.perform("full", installed=True, services=("base",), dependents=False)["ok"]
    assert changed(before, running.pids()) == {"base"}


# Is well for as long as `base` holds its connection, and ends with that.
CLIENT = (
    "import os, socket; line = socket.create_connection(('127.0.0.1', int(os.environ['PORT_BASE']))); "
    "print('connected', flush=True); line.recv(1); os._exit(1)"
)


def test_who_cannot_bear_that_what_it_needs_was_taken_away_by_name_takes_nothing_from_the_generation() -> None:
    server = [sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
    services = {
        "base": {"command": server, "port": free_port(), "health": {"http": "/"}, "stable_for": 3},
        "client": {"command": [sys.executable, "-c", CLIENT], "depends_on": ["base"], "start": {"retries": 9}},
    }
    with stack(services) as made:
        assert made.perform()["ok"]
        log = Path(made.paths.logs, "client.log")
        assert eventually(lambda: "connected" in log.read_text(encoding="utf-8"))
        alone = made.perform("full", installed=True, services=("base",), dependents=False)
        assert alone["ok"]
        assert any(note.startswith("client was left running, has ended ") for note in alone["notes"]), alone["notes"]
        assert eventually(lambda: made.status()["ok"]), made.status()
        # As long as somebody likes; then it is a loop.
        made.perform("stop", installed=True, services=("base",), dependents=False)
        assert eventually(lambda: made.status()["services"][1]["exits"] > 1)
        started = made.perform("auto", installed=True, services=("base",))
        assert started["ok"], failed_checks(started)
        assert started["seconds"] < PATIENCE, "it is not waited for"
        kept = rollcall(made, "history", "--json").data["generations"]
        assert [one["verified"] for one in kept] == [True]


def test_a_pattern_names_several(running: StackUnderTest) -> None:
    before = running.pids()
    assert running.perform("full", installed=True, services=("*er",))["ok"]
    assert changed(before, running.pids()) == {"worker", "mailer"}


def test_an_unknown_name_is_an_error_with_the_nearest_before_anything_is_touched(running: StackUnderTest) -> None:
    before = running.pids()
    with pytest.raises(RollcallError, match="wroker") as caught:
        running.perform("full", installed=True, services=("base", "wroker", "zzz"))
    assert caught.value.kind == "wrong_use"
    assert caught.value.evidence["unknown"] == ["wroker", "zzz"]
    assert caught.value.evidence["nearest"]["wroker"] == ["worker"]
    assert running.pids() == before


@pytest.mark.parametrize("mode", ["emergency", "flush"])
def test_a_mode_of_the_whole_stack_takes_no_names(running: StackUnderTest, mode: str) -> None:
    before = running.pids()
    with pytest.raises(RollcallError) as caught:
        running.perform(mode, installed=True, services=("base",))
    assert caught.value.kind == "wrong_use"
    assert running.pids() == before


def test_what_check_mode_announces_by_name_is_what_then_happens(running: StackUnderTest) -> None:
    before = running.pids()
    planned = restart.describe_plan(running.request("full", installed=True, services=("base",)))
    assert running.pids() == before
    assert planned["actions"] == running.perform("full", installed=True, services=("base",))["actions"]


def test_a_service_that_is_stopped_by_name_stays_so_and_is_told_who_stopped_it(running: StackUnderTest) -> None:
    before = running.pids()
    report = running.perform("stop", installed=True, services=("worker",))
    assert report["ok"]
    assert changed(before, running.pids()) == {"worker"}
    # The whole stack is brought to its manifest again, as a site playbook does, and nothing is wrong.
    again = running.perform()
    assert (again["ok"], again["actions"]) == (True, [])
    row = next(row for row in status.status(running.paths)["services"] if row["name"] == "worker")
    assert row["state"] == "STOPPED"
    assert row["stopped"] is not None
    assert row["stopped"]["by"] == "tester"


def test_what_depends_on_a_stopped_service_stops_and_starts_with_it(running: StackUnderTest) -> None:
    before = running.pids()
    assert running.perform("stop", installed=True, services=("base",))["ok"]
    assert changed(before, running.pids()) == {"base", "front"}
    assert running.perform("auto", installed=True)["actions"] == []
    assert running.perform("auto", installed=True, services=("base",))["ok"]
    assert set(states(running).values()) == {"RUNNING"}


def test_to_start_what_depends_on_a_stopped_service_starts_that_as_well(running: StackUnderTest) -> None:
    assert running.perform("stop", installed=True, services=("base",))["ok"]
    report = running.perform("auto", installed=True, services=("front",))
    assert report["ok"]
    assert set(states(running).values()) == {"RUNNING"}
    assert running.perform("auto", installed=True)["actions"] == []


def test_a_restart_leaves_stopped_what_was_stopped_by_its_own_name(running: StackUnderTest) -> None:
    assert running.perform("stop", installed=True, services=("front",))["ok"]
    assert running.perform("full", installed=True, services=("base",))["ok"]
    assert states(running)["front"] == "STOPPED"


def test_a_restart_of_everything_starts_what_was_stopped_by_name(running: StackUnderTest) -> None:
    assert running.perform("stop", installed=True, services=("worker", "base"))["ok"]
    assert running.perform("full", installed=True)["ok"]
    assert set(states(running).values()) == {"RUNNING"}
    assert all(row["stopped"] is None for row in status.status(running.paths)["services"])


def test_an_install_starts_what_was_stopped_by_name_when_it_is_told_to(running: StackUnderTest) -> None:
    assert running.perform("stop", installed=True, services=("worker",))["ok"]
    assert running.perform(start_stopped=True)["ok"]
    assert set(states(running).values()) == {"RUNNING"}


def test_a_changed_service_that_was_stopped_by_name_is_installed_and_stays_stopped(running: StackUnderTest) -> None:
    assert running.perform("stop", installed=True, services=("worker",))["ok"]
    running.raw["services"]["worker"]["env"] = {"COLOUR": "blue"}
    assert running.perform()["ok"]
    assert states(running)["worker"] == "STOPPED"
    assert running.perform("auto", installed=True, services=("worker",))["ok"]
    assert states(running)["worker"] == "RUNNING"


def test_a_stack_that_was_stopped_comes_back_without_what_was_stopped_by_name(running: StackUnderTest) -> None:
    assert running.perform("stop", installed=True, services=("worker",))["ok"]
    assert running.perform("stop", installed=True)["ok"]
    assert running.perform("auto", installed=True)["ok"]
    assert states(running) == {"base": "RUNNING", "front": "RUNNING", "worker": "STOPPED", "mailer": "RUNNING"}


def test_a_start_by_name_of_a_stack_that_is_down_says_what_starts_it(running: StackUnderTest) -> None:
    assert running.perform("stop", installed=True)["ok"]
    with pytest.raises(RollcallError) as caught:
        running.perform("auto", installed=True, services=("worker",))
    assert (caught.value.kind, list(caught.value.remedies)) == ("refused", ["rollcall start"])


def test_another_service_that_is_broken_does_not_fail_a_run_by_name(running: StackUnderTest) -> None:
    running.supervisor().stop(["mailer"])
    assert running.perform("full", installed=True, services=("worker",))["ok"]
    assert not status.status(running.paths)["ok"]
    assert status.status(running.paths, services=["worker"])["ok"]
    assert not status.status(running.paths, services=["mailer"])["ok"]


def test_by_name_a_database_is_asked_by_the_service_that_has_its_url_and_by_no_other() -> None:
    with redis.running() as cache:
        web = {
            **{"port": free_pair(), "instances": 2, "update": "rolling"},
            "depends_on": {"base": "running"},
            "env": {"REDIS_URL": f"redis://127.0.0.1:{cache.port}/0"},
        }
        checks = {"database": {"redis": {"service": "web"}}}
        with stack({"base": {}, "web": web, "worker": {}}, checks=checks) as made:
            assert made.perform()["ok"]
            for name, asked in (("worker", []), ("web", ["redis of web"])):
                report = made.perform("full", installed=True, services=(name,))
                assert report["ok"], failed_checks(report)
                assert [check["subject"] for check in report["checks"] if check["name"] == "database"] == asked
                assert rollcall(made, "status", name).code == 0
            cache.stop()
            assert rollcall(made, "status", "worker").code == 0
            said = rollcall(made, "verify", "web")
            assert said.code == 1
            assert "redis of web" in said.out


def test_what_the_command_prints_names_the_services_and_what_starts_them_again(running: StackUnderTest) -> None:
    done = rollcall(running, "stop", "worker")
    assert done.code == 0
    assert "worker of " in done.out
    assert "rollcall start worker" in done.out
    looked = rollcall(running, "status")
    assert looked.code == 0
    assert "stopped by " in looked.out
    assert "3 of 3 services up" in looked.out
    assert "1 stopped by hand" in looked.out
    findings = [(one["name"], one["subject"]) for one in rollcall(running, "doctor", "--json").data["findings"]]
    assert ("stopped", "worker") in findings
    assert "not_healthy" not in dict(findings), "it is meant to be down"
    assert rollcall(running, "start", "worker").code == 0
    assert states(running)["worker"] == "RUNNING"


def test_a_start_by_name_that_a_stranger_refuses_prints_what_starts_that_service(running: StackUnderTest) -> None:
    assert rollcall(running, "stop", "front").code == 0
    with victim("listen", running.raw["services"]["front"]["port"]):
        refused = rollcall(running, "start", "front")
        assert refused.code == 3
        (forced,) = re.findall(r"next: \S+/bin/rollcall (.*--policy any)", refused.err)
        assert rollcall(running, *shlex.split(forced)).code == 0
    assert states(running)["front"] == "RUNNING"


def test_a_stack_that_was_stopped_says_who_stopped_it_and_nothing_else_is_wrong(running: StackUnderTest) -> None:
    assert rollcall(running, "stop").code == 0
    looked = rollcall(running, "status")
    assert looked.code == 1
    assert "STOPPED" in looked.out
    assert "stopped by " in looked.out
    assert "FAILED" not in looked.out
    assert "rollcall start" in looked.out


def test_the_mode_of_a_restart_may_stand_before_the_names(running: StackUnderTest) -> None:
    before = running.pids()
    assert rollcall(running, "restart", "quick", "worker").code == 0
    assert changed(before, running.pids()) == {"worker"}
    between = running.pids()
    assert rollcall(running, "restart", "mailer", "worker").code == 0
    assert changed(between, running.pids()) == {"mailer", "worker"}


def test_a_good_run_of_one_service_does_not_make_good_that_another_one_failed(running: StackUnderTest) -> None:
    running.raw["services"]["mailer"]["command"] = ["false"]
    failed = running.perform()
    assert not failed["ok"]
    again = running.perform("full", installed=True, services=("mailer",))
    standing = {key: again["standing"][key] for key in ("state", "running", "services", "next")}
    assert standing == {"state": "up", "running": 3, "services": 4, "next": None}, "three others run"
    failed = again
    assert running.perform("full", installed=True, services=("worker",))["ok"]
    last = status.status(running.paths)["last_failure"]
    assert last is not None
    assert last["run"] == failed["run"]


def test_what_was_started_otherwise_since_and_has_crashed_is_not_told_as_stopped() -> None:
    with stack({"worker": {"restart": "never"}, "mailer": {}}) as made:
        assert made.perform()["ok"]
        assert made.perform("stop", installed=True, services=("worker",))["ok"]
        row = next(row for row in status.status(made.paths)["services"] if row["name"] == "worker")
        assert row["stopped"] is not None
        at = row["stopped"]["at"]
        # supervisord tells when it has started a program in whole seconds.
        assert eventually(lambda: time.time() > at + 1)
        made.supervisor().start_and_look(["worker"])
        assert eventually(lambda: states(made)["worker"] == "RUNNING")
        kill(made.pids()["worker"])
        assert eventually(lambda: states(made)["worker"] == "EXITED")
        looked = status.status(made.paths)
        assert ("running", "worker") in failed_checks(looked)
        assert all(one["stopped"] is None for one in looked["services"])
