# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service with several ports: each is proved to be its own, and freed when it is not."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from tests.support.commands import BOUND, rollcall
from tests.support.processes import eventually, free_port
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

# Listens on the ports that its arguments name.
LISTENS = (
    "import socket, sys, time; "
    "held = [socket.create_server(('127.0.0.1', int(port))) for port in sys.argv[1:]]; time.sleep(600)"
)


@pytest.fixture(name="made")
def a_stack() -> t.Iterator[StackUnderTest]:
    service = {
        "command": [sys.executable, "-c", LISTENS, "{port}", "{port.metrics}"],
        "ports": {"http": free_port(), "metrics": free_port()},
        "health": {"tcp": True, "port": "metrics"},
        "stop": {"timeout": 10},
        "ready_timeout": 60,
    }
    with stack({"web": service}) as made:
        yield made


def metrics(made: StackUnderTest) -> int:
    return int(made.raw["services"]["web"]["ports"]["metrics"])


def test_every_port_is_proved_and_told_by_its_name(made: StackUnderTest) -> None:
    report = made.perform()
    assert report["ok"], failed_checks(report)
    ports = made.raw["services"]["web"]["ports"]
    assert report["services"][0]["ports"] == ports
    evidence = "; ".join(f"port {port} is its own" for port in ports.values())
    assert check_of(report, "port", "web")["evidence"] == evidence

    assert f"{ports['http']},{ports['metrics']}" in rollcall(made, "status").out
    assert rollcall(made, "port", "web.metrics").out == f"{ports['metrics']}\n"
    assert rollcall(made, "port", "web").out == f"{ports['http']}\n"
    unknown = rollcall(made, "port", "web.admin")
    assert unknown.code != 0
    assert "web, web.http, web.metrics" in unknown.err
    client = [sys.executable, str(Path(made.root, "lib", "rollcall_ports.py")), "web.metrics"]
    done = subprocess.run(client, capture_output=True, text=True, check=False, timeout=BOUND)
    assert (done.stdout, done.stderr) == (f"{ports['metrics']}\n", "")
    registry = json.loads(Path(made.root, "ports.json").read_text(encoding="utf-8"))
    assert registry["services"]["web"]["ports"] == ports
    assert not made.perform()["changed"], "a second run changes nothing"


def test_a_service_that_does_not_listen_on_one_of_them_is_not_up(made: StackUnderTest) -> None:
    made.raw["services"]["web"].update(
        command=[sys.executable, "-c", LISTENS, "{port}"], health={"tcp": True}, ready_timeout=10
    )
    report = made.perform()
    assert ("port", "web") in failed_checks(report)
    assert check_of(report, "port", "web")["evidence"] == f"nothing listens on port {metrics(made)}"
    assert f"nothing listens on port {metrics(made)} yet" in check_of(report, "running", "web")["evidence"]


def test_a_stranger_on_one_of_them_is_found_before_anything_is_stopped(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    pid = made.pids()["web"]
    taken = free_port()
    with socket.create_server(("127.0.0.1", taken)):
        made.raw["services"]["web"]["ports"]["metrics"] = taken
        with pytest.raises(RollcallError) as error:
            made.perform("full")
        assert str(taken) in error.value.message
    assert made.pids()["web"] == pid
    assert made.status()["ok"]


def test_what_is_left_over_on_one_of_them_is_ended(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    left = made.pids()["web"]
    made.kill_daemon()
    assert eventually(lambda: not made.daemons())
    report = made.perform()
    assert report["ok"], failed_checks(report)
    assert made.pids()["web"] != left
    assert check_of(report, "port", "web")["ok"]


def test_instances_have_ports_of_their_own(made: StackUnderTest) -> None:
    made.raw["services"]["web"].update(ports={"http": 21_300, "metrics": 21_400}, instances=2)
    report = made.perform()
    assert report["ok"], failed_checks(report)
    assert [row["ports"] for row in report["services"]] == [
        {"http": 21_300, "metrics": 21_400},
        {"http": 21_301, "metrics": 21_401},
    ]
