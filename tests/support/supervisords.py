# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real supervisord under a hand-written config in a directory of its own; nothing of it is left afterwards.

A test module takes a fixture by naming it: ``sandbox = supervisords.sandbox``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import client_errors, life
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import Client
from tests.support.processes import eventually, kill

MARK = "ROLLCALL_TEST_SANDBOX"

BASE = """\
[unix_http_server]
file={home}/s.sock
chmod=0700
[supervisord]
logfile={home}/supervisord.log
pidfile={home}/s.pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""


@dataclasses.dataclass
class Sandbox:
    """Where one test's supervisord lives. Every process in it carries the sandbox's mark in its environment."""

    home: Path

    @property
    def socket(self) -> str:
        return str(self.home / "s.sock")

    @property
    def pidfile(self) -> str:
        return str(self.home / "s.pid")

    @property
    def config(self) -> str:
        return str(self.home / "s.conf")

    @property
    def log(self) -> str:
        return str(self.home / "supervisord.out")

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", MARK: str(self.home)}

    def configure(self, extra: str = "", **programs: str) -> None:
        """Write the config: each program is given by the lines of its section after the first, its command."""
        sections = [f"[program:{name}]\nautostart=false\ncommand={lines}\n" for name, lines in programs.items()]
        Path(self.config).write_text(BASE.format(home=self.home) + "".join(sections) + extra)

    def start(self, **options: t.Any) -> int:
        """Start supervisord by the engine and return its pid."""
        arguments: dict[str, t.Any] = {
            "socket_path": self.socket,
            "environment": self.environment,
            "log": self.log,
            "cwd": str(self.home),
            "timeout": 60,
            **options,
        }
        return life.start_supervisord(arguments.pop("python", sys.executable), self.config, **arguments)

    def client(self, timeout: float = 20) -> Client:
        return Client(self.socket, timeout=timeout)

    def script(self, name: str, text: str) -> str:
        """Write an executable and return its path."""
        path = self.home / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def processes(self) -> list[int]:
        """Return the pids that carry this sandbox's mark."""
        wanted = f"{MARK}={self.home}".encode()
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    environment = Path("/proc", entry, "environ").read_bytes()
                except OSError:
                    continue  # ended meanwhile, or another user's: not one of ours
                if wanted in environment.split(b"\0"):
                    found.append(int(entry))
        return found

    def end(self) -> None:
        """Kill what carries the mark, until nothing does."""

        def is_empty() -> bool:
            left = self.processes()
            for pid in left:
                kill(pid)
            return not left

        assert eventually(is_empty), f"still alive: {self.processes()}"


def stale_socket(path: str) -> None:
    """Leave a socket file behind that nobody listens on."""
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(path)


@pytest.fixture
def sandbox() -> t.Iterator[Sandbox]:
    # Not tmp_path: its length would come close to the 99 bytes that a socket's path may have.
    place = Sandbox(Path(tempfile.mkdtemp(prefix="rollcall-")))
    try:
        place.configure()
        yield place
    finally:
        place.end()
        shutil.rmtree(place.home)


def want_password(place: Sandbox, username: str, password: str) -> None:
    """Have the config of ``place`` ask for a password, each given as the config writes it."""
    config = Path(place.config)
    asked = f"chmod=0700\nusername={username}\npassword={password}\n"
    config.write_text(config.read_text().replace("chmod=0700\n", asked, 1))


@contextlib.contextmanager
def started(place: Sandbox, python: str = sys.executable) -> t.Iterator[int]:
    """Run supervisord over the config of ``place`` and yield its pid once it answers or asks for a password."""
    command = [python, "-m", "supervisor.supervisord", "--nodaemon", "-c", place.config]
    with open(place.log, "a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=place.environment, cwd=place.home
        )
    try:
        assert eventually(lambda: _answers(place)), Path(place.log).read_text(encoding="utf-8")
        yield process.pid
    finally:
        place.end()
        process.wait(60)


def _answers(place: Sandbox) -> bool:
    try:
        with place.client() as client:
            return client.state() == "RUNNING"
    except RollcallError as exc:
        return bool(exc.evidence["problem"] == client_errors.UNAUTHORISED)
