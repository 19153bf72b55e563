# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service with ports of UDP: nobody listens there, so the owner of the socket is the proof."""

from __future__ import annotations

import json
import socket
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from tests.support.commands import rollcall
from tests.support.processes import eventually
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

# Is bound to the port of UDP that its argument names.
BINDS = (
    "import socket, sys, time; one = socket.socket(type=socket.SOCK_DGRAM); "
    "one.bind(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"
)


def free_udp() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])


@pytest.fixture(name="made")
def a_stack() -> t.Iterator[StackUnderTest]:
    port = free_udp()
    service = {
        "command": [sys.executable, "-c", BINDS, "{port.query}"],
        "ports": {"query": f"{port}/udp"},
        "ready_timeout": 60,
        "stop": {"timeout": 10},
    }
    with stack({"dns": service}, ports={"range": [10000, 30000], "also": [port]}) as made:
        made.raw["services"]["client"] = {"depends_on": {"dns": "healthy"}}
        yield made


def number(made: StackUnderTest) -> int:
    return int(made.raw["services"]["dns"]["ports"]["query"].partition("/")[0])


def test_a_port_of_udp_is_proved_told_and_freed_as_others_are(made: StackUnderTest) -> None:
    report = made.perform()
    assert report["ok"], failed_checks(report)
    port = number(made)
    assert (report["services"][0]["port"], report["services"][0]["ports"]) == (None, {"query": port})
    assert check_of(report, "port", "dns")["evidence"] == f"port {port}/udp is its own"
    assert f"{port}/udp" in rollcall(made, "status").out
    assert rollcall(made, "port", "dns.query").out == f"{port}\n"
    for name in ("dns", "client"):
        environment = Path(f"/proc/{made.pids()[name]}/environ").read_text(encoding="utf-8")
        assert f"PORT_DNS_QUERY={port}\0" in environment
    registry = json.loads(Path(made.root, "ports.json").read_text(encoding="utf-8"))["services"]["dns"]
    assert (registry["port"], registry["ports"], registry["udp"]) == (None, {"query": port}, ["query"])
    told = rollcall(made, "ports", "check", f"{port}/udp")
    assert f"port {port}/udp (dns) is taken" in told.out
    assert f"pid {made.pids()['dns']}" in told.out
    assert "is free" in rollcall(made, "ports", "check", str(port)).out, "the port of TCP is another one"
    assert not made.perform()["changed"], "a second run changes nothing"

    # What is left over is ended, and the port is proved free by a bind.
    left = made.pids()["dns"]
    made.kill_daemon()
    assert eventually(lambda: not made.daemons())
    report = made.perform()
    assert report["ok"], failed_checks(report)
    assert made.pids()["dns"] != left


def test_a_stranger_on_a_port_of_udp_is_found_before_anything_is_stopped(made: StackUnderTest) -> None:
    assert made.perform()["ok"]
    pid = made.pids()["dns"]
    with socket.socket(type=socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        taken = stranger.getsockname()[1]
        made.raw["services"]["dns"]["ports"]["query"] = f"{taken}/udp"
        made.raw["ports"]["also"].append(taken)
        with pytest.raises(RollcallError) as error:
            made.perform("full")
        assert f"{taken}/udp" in error.value.message
        assert made.pids()["dns"] == pid

    # Without its socket the service is not up.
    made.raw["services"]["dns"].update(command=[sys.executable, "-c", "import time; time.sleep(600)"], ready_timeout=3)
    report = made.perform()
    assert f"nothing is bound to port {taken}/udp" in check_of(report, "port", "dns")["evidence"]
