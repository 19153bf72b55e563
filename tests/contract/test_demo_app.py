# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's services, each started as supervisord would, without one."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from tests.support.processes import free_port
from tests.support.repository import ROOT

SERVICE = ROOT / "examples" / "demo" / "service.py"
PATIENCE = 60.0


class Demo:
    """Services of the demo over one database; all of them end with the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.started: t.List[t.Tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, **environment: t.Any) -> subprocess.Popen[bytes]:
        given = {key: str(value) for key, value in environment.items()}
        with self.log(name).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(SERVICE), name],
                env={"DATABASE": str(self.directory / "data" / "demo.db"), **given},
                stdout=log,
                stderr=log,
            )
        self.started.append((name, process))
        return process

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def until_log(self, name: str, words: str) -> str:
        """Wait until the log of a service has ``words`` in it and return all of it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            text = self.log(name).read_text(encoding="utf-8")
            if words in text:
                return text
            assert time.monotonic() < deadline, f"never said {words!r}: {text}"
            time.sleep(0.02)

    def end(self) -> None:
        for _name, process in self.started:
            process.kill()
            process.wait()


@pytest.fixture
def demo(tmp_path: Path) -> t.Iterator[Demo]:
    made = Demo(tmp_path)
    try:
        yield made
    finally:
        made.end()


def get(port: int, path: str) -> t.Tuple[int, str]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8")


def test_it_answers_health_and_ends_on_term(demo: Demo) -> None:
    port = free_port()
    process = demo.start("trade_manager", PORT=port)
    demo.until_log("trade_manager", "answers on")

    status, text = get(port, "/health")

    assert status == 200
    assert '"status": "ok"' in text, "the manifest looks for these very characters"
    assert json.loads(text) == {"status": "ok", "service": "trade_manager", "pid": process.pid, "depends_on": {}}
    assert get(port, "/elsewhere")[0] == 404
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert "trade_manager ends" in demo.until_log("trade_manager", "ends")


def test_without_a_port_it_works_and_ends_on_term(demo: Demo) -> None:
    process = demo.start("kalshi_api_watchdog")
    demo.until_log("kalshi_api_watchdog", "works without a port")

    process.terminate()

    assert process.wait(PATIENCE) == 0


def test_the_page_shows_what_the_database_says_of_every_service(demo: Demo) -> None:
    port = free_port()
    names = [f"service_{number}" for number in range(6)]
    pids = {name: demo.start(name).pid for name in names}
    pids["main_app"] = demo.start("main_app", PORT=port, PORT_MAIN_APP=port).pid
    for name in names:
        demo.until_log(name, "works without a port")
    demo.until_log("main_app", "answers on")

    status, text = get(port, "/")

    assert status == 200
    shown = re.findall(r"<tr><td>(\w+)<td>(\d+)<td>(\w+)<td>(\d+)<td>([\d.]+) s ago", text)
    assert {name: int(pid) for name, pid, _port, _beats, _age in shown} == pids
    assert all(float(age) < PATIENCE for *_rest, age in shown)


def test_it_asks_what_it_depends_on_and_is_well_without_it(demo: Demo) -> None:
    port, other = free_port(), free_port()
    demo.start("main_app", PORT=port, PORT_MAIN_APP=port, PORT_TRADE_MANAGER=other)
    demo.until_log("main_app", f"trade_manager on port {other}: no answer (ConnectionRefusedError)")
    demo.until_log("main_app", "answers on")

    assert get(port, "/health")[0] == 200

    demo.start("trade_manager", PORT=other)
    demo.until_log("main_app", f"trade_manager on port {other}: ok")
    assert json.loads(get(port, "/health")[1])["depends_on"] == {"trade_manager": "ok"}


def test_it_crashes_with_a_traceback_when_told_to(demo: Demo) -> None:
    process = demo.start("trade_executor", PORT=free_port(), CRASH_AFTER=0.3)

    assert process.wait(PATIENCE) == 1
    text = demo.until_log("trade_executor", "ConnectionError: the exchange closed the session")
    assert "\nTraceback (most recent call last):\n" in text


def test_it_listens_late_when_told_to(demo: Demo) -> None:
    port = free_port()
    demo.start("trade_executor", PORT=port, LISTEN_AFTER=600)
    demo.until_log("trade_executor", "starts as pid")

    with pytest.raises(ConnectionRefusedError):
        get(port, "/health")


def test_it_answers_with_another_status_when_told_to(demo: Demo) -> None:
    port = free_port()
    demo.start("trade_executor", PORT=port, HEALTH_STATUS=503)
    demo.until_log("trade_executor", "answers on")

    status, text = get(port, "/health")

    assert (status, json.loads(text)["status"]) == (503, "failing")


def test_a_database_that_cannot_be_made_is_a_crash_and_not_a_healthy_service(demo: Demo) -> None:
    (demo.directory / "data").write_text("in the way", encoding="utf-8")

    assert demo.start("trade_executor", PORT=free_port()).wait(PATIENCE) == 1
    demo.until_log("trade_executor", "FileExistsError")


def test_a_client_that_hangs_up_leaves_no_traceback(demo: Demo) -> None:
    port = free_port()
    demo.start("trade_executor", PORT=port)
    demo.until_log("trade_executor", "answers on")
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /hea")
        # With this a close is a reset instead of an orderly end.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    text = demo.until_log("trade_executor", "hung up before its answer")

    assert "Traceback" not in text
    assert get(port, "/health")[0] == 200


def test_it_needs_nothing_but_pythons_own_library() -> None:
    source = SERVICE.read_text(encoding="utf-8")
    modules = set(re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)) - {"__future__"}

    assert modules <= set(sys.stdlib_module_names)
