# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client, against a real supervisord and against peers that misbehave."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import client_errors, life
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import (
    DOWN,
    Client,
    await_exec,
    wait_states,
)
from tests.support import supervisords
from tests.support.calls import error_of, timed
from tests.support.peers import drips, http, says, unix_peer
from tests.support.processes import eventually, is_alive, signal_mask
from tests.support.supervisords import Sandbox, stale_socket

sandbox = supervisords.sandbox
SLEEP = "sleep 600\nstartsecs=0"
# Ignores TERM: its stop takes stopwaitsecs.
STUBBORN = "/bin/sh -c 'trap \"\" TERM; while true; do sleep 0.2; done'\nstartsecs=0\nkillasgroup=true\nstopwaitsecs="
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")
# Takes its time between fork and exec, as supervisord does on a busy machine or with a high minfds.
SLOW_EXEC = """\
import os, sys, time
from supervisor.supervisord import main
def execve(*arguments, really=os.execve):
    time.sleep(0.4)
    really(*arguments)
os.execve = execve
sys.argv[1:] = sys.argv[sys.argv.index("--nodaemon"):]
main()
"""


def test_an_absent_socket_is_told_from_a_stale_one(sandbox: Sandbox) -> None:
    absent = error_of(sandbox.client().state)
    stale_socket(sandbox.socket)
    stale = error_of(sandbox.client().state)
    assert (absent.evidence["problem"], stale.evidence["problem"]) == (client_errors.ABSENT, client_errors.STALE)
    assert "there is no socket at" in absent.message
    assert "left-over" in stale.message


def test_a_file_in_place_of_the_socket_is_named_as_such(sandbox: Sandbox) -> None:
    Path(sandbox.socket).write_text("")
    assert error_of(sandbox.client().state).evidence["problem"] == client_errors.NOT_A_SOCKET


@pytest.mark.fault(22)
def test_a_socket_path_that_is_too_long_is_named_with_its_length() -> None:
    error = error_of(Client("/tmp/" + "x" * 120).state)
    assert error.evidence["problem"] == client_errors.TOO_LONG
    assert "125 bytes" in error.message


def test_a_socket_that_may_not_be_opened_says_so(sandbox: Sandbox) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sandbox.socket)
        server.listen()
        os.chmod(sandbox.socket, 0)
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)
        try:
            error = error_of(sandbox.client().state)
        finally:
            os.seteuid(was)
    assert error.evidence["problem"] == client_errors.DENIED
    assert "may not open" in error.message


def test_a_stopped_supervisord_is_bounded_and_answers_again_when_it_goes_on(sandbox: Sandbox) -> None:
    pid = sandbox.start()
    client = sandbox.client()
    assert client.state() == "RUNNING"
    os.kill(pid, signal.SIGSTOP)
    client.timeout = 0.3
    seconds, error = timed(lambda: error_of(client.state))
    assert 0.25 < seconds < 60
    assert error.evidence["problem"] == client_errors.SILENT
    assert "has not answered getState within 0.3 s" in error.message
    assert str(pid) not in error.message  # the socket cannot tell whose it is
    os.kill(pid, signal.SIGCONT)
    assert sandbox.client().state() == "RUNNING"
    client.timeout = 20
    assert client.pid() == pid


def test_a_full_queue_of_connections_is_silence_not_absence(sandbox: Sandbox) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sandbox.socket)
        server.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _unused in range(3)]
        try:
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(sandbox.socket)
            seconds, error = timed(lambda: error_of(sandbox.client(timeout=0.3).state))
        finally:
            for one in waiting:
                one.close()
    assert seconds < 60
    assert error.evidence["problem"] == client_errors.SILENT


def test_an_answer_that_drips_in_is_bounded_in_all(sandbox: Sandbox) -> None:
    with unix_peer(sandbox.socket, drips(http("x" * 10_000))):
        seconds, error = timed(lambda: error_of(sandbox.client(timeout=2).state))
    assert seconds < 60
    assert error.evidence["problem"] == client_errors.SILENT
    assert error.evidence["received"] > 3
    assert "bytes of its answer" in error.message


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (http("", "401 Unauthorized"), client_errors.UNAUTHORISED),
        (http("", "500 Internal Server Error"), client_errors.GARBAGE),
        (http("", "404 Not Found"), client_errors.GARBAGE),
        ("220 smtp.example.org ESMTP\r\n", client_errors.GARBAGE),
        (http("<html>it works</html>"), client_errors.GARBAGE),
        (http("not xml at all"), client_errors.GARBAGE),
        (http(""), client_errors.GARBAGE),
        (http("<methodResponse><params></params></methodResponse>"), client_errors.GARBAGE),
        (
            http("<methodResponse><params><param><value><int>x</int></value></param></params></methodResponse>"),
            client_errors.GARBAGE,
        ),
        (
            http("<methodResponse><params><param><value>RUNNING</value></param></params></methodResponse>"),
            client_errors.GARBAGE,
        ),
        ("", client_errors.CLOSED),
    ],
)
def test_what_is_not_supervisord_is_named_as_what_it_is(sandbox: Sandbox, answer: str, expected: str) -> None:
    with unix_peer(sandbox.socket, says(answer)):
        error = error_of(sandbox.client().state)
    assert error.evidence["problem"] == expected
    assert sandbox.socket in error.message


def test_a_shorter_answer_to_a_batch_is_not_taken_for_the_batchs(sandbox: Sandbox) -> None:
    array = "<array><data><value><boolean>1</boolean></value></data></array>"
    with unix_peer(
        sandbox.socket,
        says(http(f"<methodResponse><params><param><value>{array}</value></param></params></methodResponse>")),
    ):
        error = error_of(lambda: sandbox.client().start(["a", "b"]))
    assert error.evidence["problem"] == client_errors.GARBAGE


def test_programs_start_and_stop_by_the_batch(sandbox: Sandbox) -> None:
    sandbox.configure(one=SLEEP, two=SLEEP, three=SLEEP)
    sandbox.start()
    client = sandbox.client()
    assert {program.state for program in client.programs().values()} == {"STOPPED"}
    assert client.start(["one", "two"]) == {"one": None, "two": None}
    states = wait_states(client, ["one", "two"], ("RUNNING",), deadline=Deadline(60))
    assert all(is_alive(program.pid) for program in states.values())
    assert client.start(["one", "three"]) == {"one": None, "three": None}, "ALREADY_STARTED is no fault"
    assert client.stop(["one", "two", "three"]) == {"one": None, "two": None, "three": None}
    # A TERM that reaches a program between fork and exec is lost in supervisord's own handler, which the child still
    # has; then it takes the stopwaitsecs of 10 s and a KILL.
    states = wait_states(client, ["one", "two", "three"], DOWN, deadline=Deadline(60))
    assert {program.state for program in states.values()} == {"STOPPED"}
    assert client.stop(["one"]) == {"one": None}, "NOT_RUNNING is no fault"
    assert client.start([]) == {}


def test_each_program_that_cannot_start_says_why_and_the_others_start(sandbox: Sandbox) -> None:
    locked = sandbox.script("locked", "#!/bin/sh\n")
    os.chmod(locked, 0o644)
    sandbox.configure(good=SLEEP, missing="/no/such/command", locked=locked, unknown_to_it=SLEEP)
    # With the log's directory gone supervisord cannot make the pipes' files: a spawn error of its own.
    gone = sandbox.home / "gone"
    gone.mkdir()
    sandbox.configure(
        good=SLEEP,
        missing="/no/such/command",
        locked=locked,
        logless=f"{SLEEP}\nstdout_logfile={gone}/x.log",
    )
    sandbox.start()
    gone.rmdir()
    client = sandbox.client()
    faults = client.start(["good", "missing", "locked", "logless", "nobody"])
    assert faults["good"] is None
    assert "cannot be found (NO_FILE): can't find command '/no/such/command'" in str(faults["missing"])
    assert "cannot be executed (NOT_EXECUTABLE)" in str(faults["locked"])
    assert "could not be spawned: unknown error making dispatchers" in str(faults["logless"])
    assert "does not know it" in str(faults["nobody"])
    assert "BAD_NAME" in str(faults["nobody"])
    assert client.programs()["good"].state == "RUNNING"


def test_a_program_that_is_still_stopping_cannot_be_started_and_says_so(sandbox: Sandbox) -> None:
    sandbox.configure(stubborn=STUBBORN + "60")
    sandbox.start()
    client = sandbox.client()
    client.start(["stubborn"])
    assert eventually(lambda: client.programs()["stubborn"].state == "RUNNING")
    # The shell must have set its trap, or TERM ends it at once.
    pid = client.programs()["stubborn"].pid
    assert eventually(lambda: int(signal_mask(pid, "SigIgn"), 16) & 1 << (signal.SIGTERM - 1) > 0)
    assert client.stop(["stubborn"]) == {"stubborn": None}
    assert client.programs()["stubborn"].state == "STOPPING"
    assert "still stopping" in str(client.start(["stubborn"])["stubborn"])
    assert client.stop(["stubborn"]) == {"stubborn": None}, "stopping already is no fault"


def test_waiting_ends_at_the_first_dead_end(sandbox: Sandbox) -> None:
    sandbox.configure(
        fails="/bin/sh -c 'exit 7'\nstartsecs=1\nstartretries=0", slow="sleep 600\nstartsecs=600", other=SLEEP
    )
    sandbox.start()
    client = sandbox.client()
    client.start(["fails", "slow"])
    seconds, states = timed(
        lambda: wait_states(client, ["fails", "slow", "not-there"], ("RUNNING",), ("FATAL",), deadline=Deadline(300))
    )
    assert seconds < 100
    assert (states["fails"].state, states["slow"].state) == ("FATAL", "STARTING")
    assert "Exited too quickly" in states["fails"].spawn_error
    assert "not-there" not in states


def test_waiting_ends_at_the_deadline_with_the_last_states(sandbox: Sandbox) -> None:
    sandbox.configure(slow="sleep 600\nstartsecs=600")
    sandbox.start()
    client = sandbox.client()
    client.start(["slow"])
    seconds, states = timed(lambda: wait_states(client, ["slow"], ("RUNNING",), deadline=Deadline(0.2)))
    assert seconds < 60
    assert states["slow"].state == "STARTING"


def test_a_changed_config_is_taken_over_program_by_program(sandbox: Sandbox) -> None:
    # A lost signal would leave it there for its stopwaitsecs.
    patient = f"{SLEEP}\nstopwaitsecs=300"
    sandbox.configure(stays=SLEEP, changes=patient, goes=patient)
    sandbox.start()
    client = sandbox.client()
    client.start(["stays", "changes", "goes"])
    pid = client.programs()["stays"].pid
    sandbox.configure(stays=SLEEP, changes=patient + "\nenvironment=A='1'", comes=SLEEP)
    assert client.reload() == (["comes"], ["changes"], ["goes"])
    error = error_of(lambda: client.remove("goes"))
    assert error.evidence["fault"] == "STILL_RUNNING"
    assert "removeProcessGroup goes" in error.message
    await_exec(client.programs().values())
    client.stop(["changes", "goes"])
    states = wait_states(client, ["changes", "goes"], DOWN, deadline=Deadline(60))
    assert {program.state for program in states.values()} == {"STOPPED"}
    client.remove("goes")
    client.remove("changes")
    client.add("changes")
    client.add("comes")
    assert error_of(lambda: client.add("comes")).evidence["fault"] == "ALREADY_ADDED"
    assert set(client.programs()) == {"stays", "changes", "comes"}
    assert client.programs()["stays"].pid == pid


def test_a_program_that_was_started_just_now_gets_its_stop_signal(sandbox: Sandbox) -> None:
    patient = f"{SLEEP}\nstopwaitsecs=300"
    sandbox.configure(one=patient, two=patient)
    sandbox.start(python=sandbox.script("supervisord", f"#!{sys.executable}\n{SLOW_EXEC}"))
    client = sandbox.client()
    client.start(["one", "two"])
    await_exec(client.programs().values())
    client.stop(["one", "two"])
    # A lost signal would leave it there for its stopwaitsecs.
    states = wait_states(client, ["one", "two"], DOWN, deadline=Deadline(60))
    assert {name: program.state for name, program in states.items()} == {"one": "STOPPED", "two": "STOPPED"}


def test_a_config_that_cannot_be_read_again_is_refused_with_supervisords_words(sandbox: Sandbox) -> None:
    sandbox.configure(one=SLEEP)
    sandbox.start()
    client = sandbox.client()
    sandbox.configure(one=SLEEP + "\nautorestart=perhaps")
    error = error_of(client.reload)
    assert error.evidence["fault"] == "CANT_REREAD"
    assert "perhaps" in error.message
    assert client.state() == "RUNNING"


def test_a_program_of_another_group_is_keyed_with_its_group(sandbox: Sandbox) -> None:
    sandbox.configure("[group:pair]\nprograms=one,two\n", one=SLEEP, two=SLEEP, alone=SLEEP)
    sandbox.start()
    client = sandbox.client()
    assert set(client.programs()) == {"pair:one", "pair:two", "alone"}
    assert client.start(["pair:one"]) == {"pair:one": None}
    assert client.programs()["pair:one"].state == "RUNNING"


def test_one_client_serves_one_daemon_after_the_other(sandbox: Sandbox) -> None:
    first = sandbox.start()
    client = sandbox.client()
    assert client.pid() == first
    life.stop_supervisord(sandbox.client(), first, timeout=60)
    second = sandbox.start()
    assert client.pid() == second, "its kept connection led to the first, and is made anew"
    assert client.version().startswith("4.")
