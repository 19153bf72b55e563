# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults 26 to 35: services that do not come up, do not stay, or answer something else.

The health of one answer is tested byte by byte in tests/contract/probes/test_health.py, a database's in
test_databases.py beside it; here it is what a run makes of it. PostgreSQL and Redis are in test_database_faults.py.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import files
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Clock
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Health
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes import health, sqlite
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import load_stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.runs import new_run_id
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import verify
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.judge import Expectation
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.observation import identity
from tests.support import peers
from tests.support.interpreters import own_interpreter
from tests.support.peers import drips, http, keeps_silent, says, tcp_peer
from tests.support.processes import eventually, free_port, is_alive
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack, two_services

pytestmark = pytest.mark.usefixtures("bystander")


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        yield made


# --- 26 -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(26)
def test_a_service_without_retries_is_fatal_at_once_and_shows_its_log() -> None:
    services = two_services(env={"CRASH_AFTER": "0.1"}, start={"seconds": 20, "retries": 0}, ready_timeout=60)
    with stack(services) as made:
        report = made.perform()
        assert not report["ok"]
        assert report["seconds"] < 60, "it is not waited for"
        evidence = check_of(report, "running", "web")["evidence"]
        assert "FATAL: Exited too quickly" in evidence
        assert "RuntimeError: the flux capacitor is empty" in evidence


@pytest.mark.fault(26)
def test_a_program_that_cannot_be_executed_fails_with_supervisords_words_and_its_own() -> None:
    with stack(two_services(ready_timeout=60)) as made:
        no_program = Path(made.root, "no-program")
        no_program.write_bytes(b"\x7fELF, or so it says\n")
        no_program.chmod(0o755)
        made.raw["services"]["web"]["command"] = [str(no_program)]
        report = made.perform()
        assert not report["ok"]
        assert report["seconds"] < 60, "it is not waited for"
        assert "Exec format error" in check_of(report, "running", "web")["evidence"] or (
            "ENOEXEC" in check_of(report, "running", "web")["evidence"]
        )


@pytest.mark.fault(26)
def test_a_program_that_went_away_is_told_with_the_spawn_error(running: StackUnderTest) -> None:
    gone = running.pids()["worker"]
    os.unlink(running.program)
    os.kill(gone, signal.SIGKILL)
    assert eventually(lambda: running.supervisor().programs()["worker"].state in ("BACKOFF", "FATAL"))
    check = check_of(running.status(), "running", "worker")
    assert not check["ok"]
    assert "can't find command" in check["evidence"]
    assert not is_alive(gone)


# --- 27, 28: tests/fault/test_restart_faults.py -------------------------------------------------------------------


@pytest.mark.fault(28)
def test_a_one_shot_that_exits_0_is_completed_and_a_service_that_does_is_not() -> None:
    once = {"env": {"EXIT": "0"}, "start": {"seconds": 0}}
    with stack(
        {"migrate": {**once, "kind": "oneshot"}, "serve": {**once, "stable_for": 5, "restart": "never"}}
    ) as made:
        report = made.perform()
        assert check_of(report, "running", "migrate")["ok"]
        assert not check_of(report, "running", "serve")["ok"]
        assert "EXITED with status 0" in check_of(report, "running", "serve")["evidence"]


# --- 29 -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(29)
@pytest.mark.parametrize("seconds", [0, 1])
def test_a_service_that_puts_itself_into_the_background_is_named_as_that(seconds: int) -> None:
    services = {"web": {"start": {"seconds": seconds, "retries": 0}, "stable_for": 1, "restart": "never"}, "worker": {}}
    with stack(services) as made:
        # As daemon(3) does: what lives on is there before what was started ends.
        made.raw["services"]["web"]["command"] = ["sh", "-c", "setsid sleep 600 & exit 0"]
        report = made.perform()
        assert not report["ok"]
        check = check_of(report, "running", "web")
        assert "puts itself into the background" in check["evidence"]
        (pid,) = check["data"]["background"]
        assert is_alive(pid)
        assert f"pid {pid}" in check["evidence"]


# --- 30 -----------------------------------------------------------------------------------------------------------

# A deadline that is to pass, one that is not, and how late an answer may be on a busy machine.
DEADLINE, LONG, LATE = 1.0, 20.0, 20.0


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def endless_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: of the same\r\n")


def drips_its_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    drips("x" * 10_000, 0.05)(connection)


def self_signed(directory: Path) -> peers.Behaviour:
    """Return a server of TLS with a certificate that nobody but itself has signed."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True, timeout=100)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as line:
            line.sendall(http('{"status": "ok"}').encode())

    return behave


drips_its_head = drips(http('{"status": "ok"}'), 0.5)

# These alone go on beyond any deadline.
SLOW = (drips_its_head, drips_its_body, keeps_silent)

HTTP_CASES: t.Mapping[str, t.Tuple[peers.Behaviour, str]] = {
    "an error page with status 200": (says(http("<h1>Oops</h1>")), "its body lacks"),
    "a redirect elsewhere": (says(http("", "302 Found", "Location: http://127.0.0.1:1/")), "it redirects to"),
    "an error": (says(http("database gone", "503 Service Unavailable")), "503, wanted 200"),
    "headers one byte at a time": (drips_its_head, "unfinished answer"),
    "a body one byte at a time": (drips_its_body, "did not end within"),
    "accepted and silent": (keeps_silent, "no answer within"),
    "an endless body": (endless, "of its body lack"),
    "endless headers": (endless_headers, "a broken HTTP answer"),
    "a wrong banner": (says("SSH-2.0-OpenSSH_9.2\r\n"), "not an HTTP answer"),
}


@pytest.mark.fault(30)
@pytest.mark.parametrize("name", HTTP_CASES)
def test_every_wrong_answer_is_judged_wrong_within_one_deadline(name: str) -> None:
    behave, said = HTTP_CASES[name]
    seconds = DEADLINE if behave in SLOW else LONG
    with tcp_peer(behave) as peer:
        target = Health(kind="http", host="127.0.0.1", port=peer.port, path="/health", body='"ok"', timeout=seconds)
        began = time.monotonic()
        answer = health.probe(target)
        assert time.monotonic() - began < seconds + LATE
    assert not answer.ok
    assert said in answer.detail
    assert len(answer.detail) < 300


@pytest.mark.fault(30)
def test_a_server_of_tls_is_not_healthy_over_http_and_says_what_it_sent(tmp_path: Path) -> None:
    with tcp_peer(self_signed(tmp_path), listens=False) as peer:
        target = Health(kind="http", host="127.0.0.1", port=peer.port, path="/health", timeout=DEADLINE)
        began = time.monotonic()
        answer = health.probe(target)
        assert time.monotonic() - began < DEADLINE + LATE
    assert not answer.ok
    assert answer.detail


@pytest.mark.fault(30)
def test_a_run_over_a_service_with_an_error_page_fails_with_what_it_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    with stack(
        two_services(
            env={"BODY": "<h1>Sorry</h1>"}, health={"http": "/health", "body": '"status": "ok"'}, ready_timeout=6
        )
    ) as made:
        report = made.perform()
        assert {subject for _name, subject in failed_checks(report)} == {"web"}
        assert "its body lacks" in check_of(report, "health", "web")["evidence"]
        assert "Sorry" in check_of(report, "health", "web")["evidence"]
        made.raw["services"]["web"]["env"] = {}
        assert made.perform()["ok"], "the proxy is not asked"


# --- 31 -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_database() -> t.Iterator[t.Tuple[StackUnderTest, Path]]:
    with stack({"worker": {}}) as made:
        path = Path(made.root, "data.db")
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE trades (id)")
        connection.commit()
        connection.close()
        made.raw["checks"] = {"database": {"sqlite": str(path)}}
        assert made.perform()["ok"]
        yield made, path


@pytest.mark.fault(31)
def test_a_missing_database_fails_as_the_check_of_that_name(
    with_database: t.Tuple[StackUnderTest, Path],
) -> None:
    made, path = with_database
    path.unlink()
    for report in (made.status(), made.perform("full", installed=True)):
        assert failed_checks(report) == [("reached", "test"), ("database", "test")]
        assert f"no such file: {path}" in check_of(report, "database", "test")["evidence"]
    assert not path.exists(), "looking does not make it"


@pytest.mark.fault(31)
def test_what_is_no_database_fails_as_the_check_of_that_name(
    with_database: t.Tuple[StackUnderTest, Path],
) -> None:
    made, path = with_database
    path.write_text("these are not the bytes of a database, and there are enough of them to see it\n" * 20)
    report = made.perform("full", installed=True)
    assert failed_checks(report) == [("database", "test")]
    assert "not a database" in check_of(report, "database", "test")["evidence"]


@pytest.mark.fault(31)
def test_a_locked_database_fails_within_bounds_as_the_check_of_that_name(
    with_database: t.Tuple[StackUnderTest, Path],
) -> None:
    made, path = with_database
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        began = time.monotonic()
        report = made.status()
        assert time.monotonic() - began < 60
    finally:
        holder.close()
    assert failed_checks(report) == [("database", "test")]
    assert "locked by another process" in check_of(report, "database", "test")["evidence"]
    assert made.status()["ok"]


@pytest.mark.fault(31)
def test_a_slow_database_fails_within_bounds_as_the_check_of_that_name(
    with_database: t.Tuple[StackUnderTest, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _path = with_database
    released = threading.Event()
    monkeypatch.setattr(sqlite, "look_into", lambda *_a: released.wait(300))
    try:
        began = time.monotonic()
        report = made.status()
        assert time.monotonic() - began < 60
    finally:
        released.set()
    assert failed_checks(report) == [("reached", "test"), ("database", "test")]
    assert "no answer within" in check_of(report, "database", "test")["evidence"]


# --- 32 -----------------------------------------------------------------------------------------------------------


class Jumping(Clock):
    """The real clock, whose wall time jumps by hours at every look, back and forth."""

    def __init__(self) -> None:
        self._offset = 0.0

    def wall(self) -> float:
        self._offset = -7200.0 if self._offset >= 0 else 7200.0
        return super().wall() + self._offset


@pytest.mark.fault(32)
@pytest.mark.parametrize("mode", ["auto", "full", "quick", "stop"])
def test_a_run_does_not_care_for_the_wall_clock(running: StackUnderTest, mode: str) -> None:
    running.raw["services"]["worker"]["env"] = {"COLOUR": "blue"}
    report = restart.perform(running.request(mode), new_run_id(running.paths.state), clock=Jumping())
    assert report["ok"], failed_checks(report)
    assert 0 <= (report["seconds"] or 0) < 3600
    assert all(0 <= seconds < 3600 for seconds in report["timings"].values())


# Runs in supervisord: its own wall clock is what a file says.
WALL = """
import time

_real = time.time

def jumped():
    try:
        with open({offset!r}) as stream:
            return _real() + float(stream.read() or 0)
    except OSError:
        return _real()

time.time = jumped
"""


@pytest.fixture
def jumpy() -> t.Iterator[t.Tuple[StackUnderTest, t.Callable[[float], None]]]:
    """A stack whose supervisord sees the wall clock jump when the test says so."""
    with stack(two_services(start={"seconds": 2}, stable_for=1)) as made:
        offset = Path(made.root, "offset")
        own_interpreter(made, at_start=WALL.format(offset=str(offset)))

        def jump(seconds: float) -> None:
            files.write_atomically(str(offset), str(seconds), 0o644)

        yield made, jump


@pytest.mark.fault(32)
@pytest.mark.parametrize("seconds", [-7200.0, 7200.0])
def test_a_jump_of_supervisords_clock_while_services_start_has_no_effect(
    jumpy: t.Tuple[StackUnderTest, t.Callable[[float], None]], seconds: float
) -> None:
    made, jump = jumpy

    def jump_once_it_starts() -> None:
        if eventually(lambda: "web" in made.pids()):
            jump(seconds)

    jumping = threading.Thread(target=jump_once_it_starts)
    jumping.start()
    try:
        report = made.perform()
    finally:
        jumping.join()
    assert report["ok"], [check["evidence"] for check in report["checks"] if not check["ok"]]


@pytest.mark.fault(32)
@pytest.mark.parametrize("seconds", [-7200.0, 7200.0])
def test_a_jump_of_supervisords_clock_afterwards_has_no_effect(
    jumpy: t.Tuple[StackUnderTest, t.Callable[[float], None]], seconds: float
) -> None:
    made, jump = jumpy
    assert made.perform()["ok"]
    before = made.pids()
    jump(seconds)
    made.supervisor().state()  # a turn of its loop, in which it sees the jump
    for report in (made.status(), verify.verify(made.paths), made.perform()):
        assert report["ok"], [check["evidence"] for check in report["checks"] if not check["ok"]]
        assert all(row["uptime"] is not None and 0 <= row["uptime"] < 3600 for row in report["services"])
    assert made.pids() == before
    assert made.perform("full")["ok"]


# --- 33 -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(33)
def test_a_cycle_is_said_with_its_path_before_anything_is_started() -> None:
    services = {"a": {"depends_on": {"b": "running"}}, "b": {"depends_on": {"c": "started"}}, "c": {}}
    with stack(services) as made:
        made.raw["services"]["c"]["depends_on"] = {"a": "healthy"}
        problems = [problem.message for problem in check_manifest({"stack": made.raw}).problems]
        assert any("depend on each other in a circle: " in text for text in problems)
        assert any(" -> ".join(("a", "b", "c", "a")) in text for text in problems)


@pytest.mark.fault(33)
def test_dependents_of_what_never_gets_healthy_are_not_started_because_of_it() -> None:
    services = {
        "db": {"port": free_port(), "health": {"http": "/health"}, "env": {"STATUS": "500"}, "ready_timeout": 6},
        "api": {"depends_on": {"db": "healthy"}},
        "web": {"depends_on": {"api": "running"}},
        "other": {},
    }
    with stack(services) as made:
        report = made.perform()
        assert not report["ok"]
        assert "not ready after 6 s" in check_of(report, "running", "db")["evidence"]
        assert "500, wanted 200" in check_of(report, "running", "db")["evidence"]
        evidence = {name: check_of(report, "running", name)["evidence"] for name in ("api", "web")}
        assert "not started: it depends on db, which is not up" in evidence["api"]
        assert "not started: it depends on api, which is not up" in evidence["web"]
        assert sorted(made.pids()) == ["db", "other"]
        assert check_of(report, "running", "other")["ok"]


# --- 34 -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(34)
def test_a_service_that_was_to_be_restarted_and_kept_its_process_fails(running: StackUnderTest) -> None:
    stack_now = load_stack(running.paths)
    kept = {name: identity(program) for name, program in running.supervisor().programs().items()}
    _seen, checks = verify.wait_and_judge(stack_now, {}, Expectation(before=kept))
    failed = {check.subject: check for check in checks if not check.ok}
    assert sorted(failed) == ["web", "worker"]
    assert {check.kind.name for check in failed.values()} == {"restarted"}
    pid = running.pids()["web"]
    assert failed["web"].proof.evidence == f"pid {pid} before, {pid} now"
    assert failed["web"].proof.next == "rollcall restart full"


# --- 35 -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(35)
def test_a_removed_service_that_ignores_term_is_ended_and_what_depended_on_nothing_stays() -> None:
    services = {"web": {"port": free_port(), "env": {"IGNORE_TERM": "1"}, "stop": {"timeout": 1}}, "worker": {}}
    with stack(services) as made:
        assert made.perform()["ok"]
        before = made.pids()
        del made.raw["services"]["web"]
        report = made.perform()
        assert report["ok"], failed_checks(report)
        assert not is_alive(before["web"])
        assert made.pids() == {"worker": before["worker"]}


@pytest.mark.fault(35)
def test_a_service_that_is_stopped_by_a_signal_ends_in_its_own_way_when_it_is_told_to(tmp_path: Path) -> None:
    done = tmp_path / "done"
    command = ["sh", "-c", f"trap 'echo > {done}; exit' TERM; while :; do sleep 0.1; done"]
    with stack({"careful": {"command": command, "stop": {"timeout": 600}}}) as made:
        assert made.perform()["ok"]
        os.kill(made.pids()["careful"], signal.SIGSTOP)
        report = made.perform("stop")
        assert report["ok"], failed_checks(report)
        assert done.exists()


@pytest.mark.fault(35)
def test_a_removed_service_whose_process_is_stopped_by_a_signal_is_ended(running: StackUnderTest) -> None:
    before = running.pids()
    os.kill(before["web"], signal.SIGSTOP)
    del running.raw["services"]["web"]
    report = running.perform()
    assert report["ok"], failed_checks(report)
    assert not is_alive(before["web"])
    assert running.pids() == {"worker": before["worker"]}
