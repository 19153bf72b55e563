# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emergency restart: whatever hangs, it ends in bounded time, and touches nothing but this stack.

A bystander, which is none of ours, runs beside every test and must be alive afterwards; so must a supervisord of
somebody else with its program.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from tests.support.processes import eventually, free_port, is_alive
from tests.support.stacks import StackUnderTest, stack
from tests.support.victims import victim


@pytest.fixture(autouse=True)
def bystanders() -> t.Iterator[None]:
    with victim("bystander") as innocent, stack({"other": {"port": free_port()}}) as neighbour:
        assert neighbour.perform()["ok"]
        before = (neighbour.pids(), [process.pid for process in neighbour.daemons()])
        yield
        assert innocent.alive
        assert (neighbour.pids(), [process.pid for process in neighbour.daemons()]) == before


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    services = {"web": {"port": free_port(), "health": {"http": "/health"}}, "worker": {"depends_on": ["web"]}}
    with stack(services) as made:
        assert made.perform()["ok"]
        yield made


def emergency(made: StackUnderTest) -> t.Any:
    report = made.perform("emergency", installed=True)
    assert report["ok"], report["checks"]
    assert report["seconds"] < report["limit"]
    assert len(made.daemons()) == 1
    return report


def test_it_restarts_a_stack_that_is_well(running: StackUnderTest) -> None:
    before = running.pids()
    report = emergency(running)
    assert not set(before.values()) & set(running.pids().values())
    assert {action["subject"] for action in report["actions"]} >= {"web", "worker", "supervisord"}


def test_a_stopped_supervisord_is_ended_with_all_that_it_held(running: StackUnderTest) -> None:
    before = running.pids()
    (daemon,) = running.daemons()
    os.kill(daemon.pid, signal.SIGSTOP)
    with pytest.raises(RollcallError) as caught:
        running.perform("full", installed=True)
    assert "rollcall restart emergency" in caught.value.remedies
    emergency(running)
    assert not any(is_alive(pid) for pid in (*before.values(), daemon.pid))


def test_the_plan_of_a_stopped_supervisord_says_what_is_ended(running: StackUnderTest) -> None:
    (daemon,) = running.daemons()
    os.kill(daemon.pid, signal.SIGSTOP)
    planned = restart.describe_plan(running.request("emergency", installed=True))["actions"]
    assert {"action": "end", "subject": f"supervisord pid {daemon.pid}"}.items() <= planned[2].items()
    assert running.daemons()[0].pid == daemon.pid, "check mode touches nothing"
    done = emergency(running)
    assert done["actions"] == planned


def test_a_service_that_ignores_its_signal_and_is_stopped_is_killed_soon() -> None:
    services = {
        "stubborn": {"env": {"IGNORE_TERM": "1"}, "stop": {"timeout": 120}},
        "frozen": {"stop": {"timeout": 120}},
    }
    with stack(services) as made:
        assert made.perform()["ok"]
        before = made.pids()
        os.kill(before["frozen"], signal.SIGSTOP)
        report = emergency(made)
        assert report["seconds"] < 100, "its own 120 seconds are not given to it"
        assert not any(is_alive(pid) for pid in before.values())


def test_a_supervisord_without_its_socket_and_a_second_one_are_both_ended(running: StackUnderTest) -> None:
    (first,) = running.daemons()
    os.unlink(running.paths.socket)
    second = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "-c", running.paths.config],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: len(running.daemons()) == 2)
        emergency(running)
        assert not is_alive(first.pid)
        assert second.poll() is not None or not is_alive(second.pid)
    finally:
        second.kill()
        second.wait()


@pytest.mark.fault(20)
@pytest.mark.parametrize("daemon", ["lives behind it", "was killed"])
def test_a_socket_that_takes_calls_and_never_answers_is_got_out_of_the_way(
    running: StackUnderTest, daemon: str
) -> None:
    if daemon == "was killed":
        running.kill_daemon()
    os.unlink(running.paths.socket)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
        deaf.bind(running.paths.socket)
        deaf.listen(16)
        before = running.pids()
        with pytest.raises(RollcallError) as caught:
            running.perform("full", installed=True)
        assert "rollcall restart emergency" in caught.value.remedies
        assert all(is_alive(pid) for pid in before.values()), "nothing was stopped"
        report = emergency(running)
    # A supervisord that lives removes the path itself when it ends.
    assert any(running.paths.socket in note for note in report["notes"]) == (daemon == "was killed")


STRANGER = """\
[unix_http_server]
file={socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisord]
nodaemon=true
pidfile={place}/pid
logfile={place}/log
[program:theirs]
command=sleep 600
"""


def test_a_supervisord_of_somebody_else_on_our_socket_is_given_no_order(
    running: StackUnderTest, tmp_path: Path
) -> None:
    running.kill_daemon()
    config = tmp_path / "supervisord.conf"
    config.write_text(STRANGER.format(socket=running.paths.socket, place=tmp_path), encoding="utf-8")
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
    other = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: len(processes.descendants([other.pid])) == 1)
        theirs = list(processes.descendants([other.pid]))
        for mode in ("auto", "full", "stop"):
            with pytest.raises(RollcallError, match="is no supervisord of stack test"):
                running.perform(mode, installed=True)
        assert not running.status()["ok"]
        emergency(running)
        assert other.poll() is None
        assert list(processes.descendants([other.pid])) == theirs
    finally:
        other.terminate()
        other.wait(60)


def test_a_process_that_shed_its_label_is_ended_because_it_descends_from_our_supervisord() -> None:
    program = (
        "import os, sys, time; os.execve(sys.executable, [sys.executable, '-c', 'import time; time.sleep(600)'], {})"
    )
    with stack({"shedding": {"command": [sys.executable, "-c", program]}}) as made:
        assert made.perform()["ok"]
        (daemon,) = made.daemons()
        child = made.only_child(daemon.pid)
        os.unlink(Path(made.paths.state, "started.json"))
        os.kill(daemon.pid, signal.SIGSTOP)
        emergency(made)
        assert not is_alive(child)
