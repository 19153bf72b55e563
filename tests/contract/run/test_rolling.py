# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`update: rolling`: instances restart one after the other, so that one of them answers at every moment."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from tests.support.askers import Asker
from tests.support.processes import free_pair, is_alive
from tests.support.stacks import StackUnderTest, failed_checks, stack

SITE = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
"""


def web(**more: t.Any) -> t.Dict[str, t.Any]:
    return {"port": free_pair(), "instances": 2, "update": "rolling", "health": {"http": "/health"}, **more}


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    services = {"web": web(), "front": {"depends_on": {"web": "healthy"}}, "base": {}}
    with stack(services) as made:
        assert made.perform()["ok"]
        yield made


def renewed(made: StackUnderTest, before: t.Mapping[str, int]) -> t.Set[str]:
    return {name for name, pid in made.pids().items() if before.get(name) != pid}


@pytest.mark.parametrize("way", ["by name", "changed"])
def test_a_client_that_retries_once_sees_no_failure_while_two_gunicorns_restart(tmp_path: Path, way: str) -> None:
    (tmp_path / "shop.py").write_text(SITE, encoding="utf-8")
    gunicorn = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "shop:application"]
    with stack({"web": web(command=gunicorn, directory=str(tmp_path))}) as made:
        assert made.perform()["ok"]
        before = made.pids()
        port = made.raw["services"]["web"]["port"]
        with Asker([port, port + 1]) as client:
            if way == "by name":
                report = made.perform("full", installed=True, services=("web",))
            else:
                made.raw["services"]["web"]["env"] = {"COLOUR": "green"}
                report = made.perform()
        assert report["ok"]
        assert renewed(made, before) == {"web-1", "web-2"}
        assert client.asked > 0
        assert client.failed == 0


def test_what_depends_on_instances_that_roll_keeps_its_process(running: StackUnderTest) -> None:
    before = running.pids()
    assert running.perform("full", installed=True, services=("web",))["ok"]
    assert renewed(running, before) == {"web-1", "web-2"}


def test_check_mode_says_that_instances_roll(running: StackUnderTest) -> None:
    planned = restart.describe_plan(running.request("full", installed=True, services=("web",)))
    assert {action["subject"]: action["reason"] for action in planned["actions"]} == {
        "web-1": "full restart by name; one instance at a time",
        "web-2": "full restart by name; one instance at a time",
    }


def test_where_one_instance_does_not_come_up_the_others_run_on(running: StackUnderTest) -> None:
    before = running.pids()
    running.raw["services"]["web"]["env"] = {"EXIT": "3"}
    report = running.perform(on_failure="leave")
    assert report["result"] == "degraded"
    assert is_alive(before["web-2"])
    assert running.pids()["web-2"] == before["web-2"]
    evidence = [check["evidence"] for check in report["checks"] if not check["ok"] and check["subject"] == "web-2"]
    assert any("web-1 did not come up" in one for one in evidence)
    # The next run has nothing to wait for: the manifest is as it was.
    del running.raw["services"]["web"]["env"]
    assert running.perform()["ok"]


def test_while_an_instance_fails_and_the_last_verified_generation_comes_back_the_service_answers(
    running: StackUnderTest,
) -> None:
    services = running.raw["services"]
    services["migrate"] = {**ONCE, "env": {"EXIT": "0"}}
    services["front"]["depends_on"]["migrate"] = "completed"
    assert running.perform()["ok"]
    before = running.pids()
    services["web"]["env"] = {"EXIT": "3"}
    port = services["web"]["port"]
    with Asker([port, port + 1]) as client:
        report = running.perform(on_failure="rollback")
    assert report["result"] == "rolled_back"
    assert client.failed == 0
    assert not failed_checks(report)
    assert renewed(running, before) == {"web-1"}, "nobody else has ever been touched"
    assert "migrate" not in {action["subject"] for action in report["actions"]}


def test_instances_go_down_together_where_something_that_they_need_is_restarted(running: StackUnderTest) -> None:
    running.raw["services"]["web"]["depends_on"] = {"base": "running"}
    assert running.perform()["ok"]
    before = running.pids()
    running.raw["services"]["base"]["env"] = {"COLOUR": "green"}
    report = running.perform()
    assert report["ok"]
    assert renewed(running, before) == {"base", "web-1", "web-2", "front"}
    assert not any("one instance at a time" in action["reason"] for action in report["actions"])


ONCE = {"kind": "oneshot", "stable_for": 0, "start": {"seconds": 0}}


def test_a_oneshot_that_they_need_runs_before_the_first_instance_stops(running: StackUnderTest) -> None:
    services = running.raw["services"]
    services["migrate"] = {**ONCE, "env": {"EXIT": "0"}}
    services["web"]["depends_on"] = {"migrate": "completed"}
    assert running.perform()["ok"]
    before = running.pids()
    services["web"]["env"] = {"COLOUR": "green"}
    services["migrate"]["env"] = {"EXIT": "0", "COLOUR": "green"}
    with Asker([services["web"]["port"], services["web"]["port"] + 1]) as client:
        report = running.perform()
    assert report["ok"]
    assert client.failed == 0
    assert renewed(running, before) == {"web-1", "web-2"}


def test_where_a_oneshot_that_they_need_fails_all_instances_run_on(running: StackUnderTest) -> None:
    services = running.raw["services"]
    services["migrate"] = {**ONCE, "env": {"EXIT": "0"}}
    services["web"]["depends_on"] = {"migrate": "completed"}
    assert running.perform()["ok"]
    before = running.pids()
    services["migrate"]["env"] = {"EXIT": "3"}
    services["web"]["env"] = {"COLOUR": "green"}
    assert running.perform(on_failure="leave")["result"] == "degraded"
    assert not renewed(running, before)
