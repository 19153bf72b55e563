# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart a real stack: a real supervisord, real services, the whole critical section."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.labels import label_of
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import current_id
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.runs import steps_of
from tests.support.commands import rollcall
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack


def three_services(**first: t.Any) -> t.Dict[str, t.Any]:
    """A database-like service, one that depends on it, and one that stands alone and has no port."""
    base = {"port": free_port(), "health": {"http": "/health"}, **first}
    return {
        "base": base,
        "front": {"port": free_port(), "health": {"http": "/health"}, "depends_on": {"base": "healthy"}},
        "alone": {},
    }


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack(three_services()) as made:
        assert made.perform()["ok"]
        yield made


def test_the_first_run_installs_and_starts_everything_and_says_so() -> None:
    with stack(three_services()) as made:
        report = made.perform()
        assert report["result"] == "ok"
        assert report["changed"] is True
        assert [service["state"] for service in report["services"]] == ["RUNNING"] * 3
        assert {service["name"]: service["pid"] for service in report["services"]} == made.pids()
        assert [service["provenance"] for service in report["services"]] == ["supervised", "supervised", None]


def test_a_second_run_changes_nothing_and_keeps_every_pid(running: StackUnderTest) -> None:
    before = running.pids()
    report = running.perform()
    assert (report["ok"], report["changed"], report["actions"]) == (True, False, [])
    assert running.pids() == before


@pytest.mark.parametrize("mode", ["full", "quick"])
def test_a_restart_gives_every_service_a_new_pid(running: StackUnderTest, mode: str) -> None:
    before = running.pids()
    report = running.perform(mode, installed=True)
    assert report["ok"]
    after = running.pids()
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert check_of(report, "restarted", "base")["ok"]


def test_a_quick_restart_flushes_nothing(running: StackUnderTest) -> None:
    report = running.perform("quick", installed=True)
    steps = steps_of(running.paths.state, report["run"])
    assert next(step for step in steps if step["step"] == "flush")["ports"] == []


def test_a_changed_environment_restarts_that_service_and_its_dependents_only(running: StackUnderTest) -> None:
    before = running.pids()
    running.raw["services"]["base"]["env"] = {"COLOUR": "blue"}
    report = running.perform()
    after = running.pids()
    assert report["ok"]
    assert after["alone"] == before["alone"]
    assert after["base"] != before["base"]
    assert after["front"] != before["front"]


def test_what_check_mode_announces_is_what_then_happens(running: StackUnderTest) -> None:
    running.raw["services"]["front"]["env"] = {"COLOUR": "blue"}
    before = running.pids()
    planned = restart.describe_plan(running.request())
    assert planned["changed"]
    assert running.pids() == before
    assert planned["actions"] == running.perform()["actions"]


def test_check_mode_tells_the_port_that_a_process_has_until_its_restart(running: StackUnderTest) -> None:
    old = running.raw["services"]["front"].get("port")
    new = running.raw["services"]["front"]["port"] = free_port()
    planned = restart.describe_plan(running.request())
    (row,) = [row for row in planned["services"] if row["name"] == "front"]
    assert (row["pid"], row["port"]) == (running.pids()["front"], old)
    # Nobody has asked it where it listens until then.
    assert (row["health"], row["latency_ms"], row["asked"]) == ("none", None, [])
    told = "no port" if old is None else f"port {old}"
    assert f"front is on {told} until its restart, and on port {new} from then on" in planned["notes"]


def test_check_mode_writes_nothing(running: StackUnderTest) -> None:
    running.raw["services"]["front"]["env"] = {"COLOUR": "blue"}
    before = current_id(running.paths)
    restart.describe_plan(running.request())
    assert current_id(running.paths) == before


def test_an_added_service_starts_and_leaves_the_others_alone(running: StackUnderTest) -> None:
    before = running.pids()
    running.raw["services"]["newcomer"] = {}
    assert running.perform()["ok"]
    after = running.pids()
    assert after.pop("newcomer")
    assert after == before


def test_a_service_that_is_down_is_started_again_and_its_dependents_with_it(running: StackUnderTest) -> None:
    before = running.pids()
    running.supervisor().stop(["base"])
    report = running.perform()
    after = running.pids()
    assert report["ok"]
    assert {"action": "restart", "subject": "front", "reason": "it depends on base"} in report["actions"]
    assert after["alone"] == before["alone"]
    assert after["front"] != before["front"]


def test_a_service_starts_once_what_it_depends_on_is_healthy_and_not_before() -> None:
    services = three_services(env={"LISTEN_AFTER": "1.5"})
    with stack(services) as made:
        assert made.perform()["ok"]
        started = {name: processes.describe(pid) for name, pid in made.pids().items()}
        base, front, alone = (started[name] for name in ("base", "front", "alone"))
        assert base is not None
        assert front is not None
        assert alone is not None
        assert front.started_at - base.started_at >= 1.4
        assert alone.started_at < front.started_at


def test_a_program_that_overwrites_its_environment_is_not_restarted_for_that() -> None:
    with stack({"titled": {"port": free_port(), "env": {"TITLE": "1"}}}) as made:
        assert made.perform()["ok"]
        (daemon,) = made.daemons()
        pid = made.only_child(daemon.pid)
        assert label_of(pid) is None
        assert made.perform()["changed"] is False
        made.raw["services"]["titled"]["env"]["COLOUR"] = "blue"
        assert made.perform()["changed"] is True


def test_a_one_shot_runs_to_its_end_before_what_needs_it() -> None:
    services = {
        "migrate": {"kind": "oneshot", "env": {"EXIT": "0"}},
        "web": {"port": free_port(), "depends_on": {"migrate": "completed"}},
    }
    with stack(services) as made:
        report = made.perform()
        assert report["ok"]
        assert check_of(report, "running", "migrate")["evidence"] == "ran to its end"
        assert made.perform()["changed"] is False


def test_a_failing_one_shot_keeps_back_what_needs_it() -> None:
    services = {
        "migrate": {"kind": "oneshot", "env": {"EXIT": "3"}},
        "web": {"port": free_port(), "depends_on": {"migrate": "completed"}},
    }
    with stack(services) as made:
        report = made.perform()
        assert not report["ok"]
        assert "EXITED with status 3" in check_of(report, "running", "migrate")["evidence"]
        assert "not started: it depends on migrate" in check_of(report, "running", "web")["evidence"]


def test_stop_leaves_nothing_of_the_stack(running: StackUnderTest) -> None:
    report = running.perform("stop", installed=True)
    assert report["ok"]
    assert running.pids() == {}
    assert running.daemons() == []
    again = running.perform("stop", installed=True)
    assert (again["ok"], again["changed"]) == (True, False)


def test_a_stack_whose_program_is_gone_can_still_be_stopped(running: StackUnderTest) -> None:
    os.unlink(running.program)
    assert running.perform("stop", installed=True)["ok"]
    assert running.pids() == {}


def test_secrets_reach_the_process_and_neither_config_nor_arguments_nor_journal() -> None:
    token = "s3cr3t-t0k3n-planted"
    with stack({"web": {"port": free_port(), "secrets": {"API_KEY": token}}}) as made:
        report = made.perform()
        assert report["ok"]
        with open(f"/proc/{made.pids()['web']}/environ", encoding="utf-8") as stream:
            assert token in stream.read()
        assert token not in json.dumps(report)
        found = subprocess.run(["grep", "-rl", token, made.root], capture_output=True, text=True, check=False)
        files = [path for path in found.stdout.split() if "/generations/" in path]
        assert [path.rsplit("/", 2)[1:] for path in files] == [["env", "web.json"]]
        assert files == [path for path in found.stdout.split() if "/etc/" not in path]


def test_the_command_on_the_host_tells_the_same_as_the_engine(running: StackUnderTest) -> None:
    said = rollcall(running, "status", "--json")
    assert said.code == 0, said.err
    report = said.data
    assert report["ok"]
    assert {service["name"]: service["pid"] for service in report["services"]} == running.pids()


def test_the_command_restarts_through_a_worker(running: StackUnderTest) -> None:
    before = running.pids()
    said = rollcall(running, "restart", "--json")
    assert said.code == 0, said.out
    assert said.data["result"] == "ok"
    assert not set(running.pids().values()) & set(before.values())


def test_the_command_gives_a_port_and_never_a_default(running: StackUnderTest) -> None:
    asked = subprocess.run([running.command, "port", "base"], capture_output=True, text=True, check=False)
    assert asked.stdout.strip() == str(running.raw["services"]["base"]["port"])
    unknown = subprocess.run([running.command, "port", "nobody"], capture_output=True, text=True, check=False)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "'nobody' is no service of stack test" in unknown.stderr


def test_verify_holds_and_status_sees_what_is_wrong(running: StackUnderTest) -> None:
    assert subprocess.run([running.command, "verify"], capture_output=True, check=False).returncode == 0
    running.supervisor().stop(["alone"])
    said = rollcall(running, "status", "--json")
    assert said.code == 1
    assert failed_checks(said.data) == [("running", "alone")]


def test_without_a_stack_every_verb_says_so() -> None:
    with stack({"web": {}}) as made, pytest.raises(RollcallError, match="No stack is installed") as caught:
        made.perform("full", installed=True)
    assert caught.value.exit_code == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone could take it over")
def test_root_does_not_take_over_the_stack_of_a_user() -> None:
    with stack({"web": {}}) as made:
        os.chown(made.root, 65534, 65534)
        with pytest.raises(RollcallError, match="this is root: its files would become root's") as caught:
            made.perform()
        assert caught.value.remedies[0].startswith("sudo -u ")
        assert made.daemons() == []
