# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HAProxy of the test's own, in a temporary directory, and servers behind it that can be sick."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import typing as t
from pathlib import Path

from tests.support.processes import eventually, free_port

BOUND = 60
# Another one than that on the path, such as a newer version.
PROGRAM = os.environ.get("HAPROXY", "/usr/sbin/haproxy")


class App:
    """A server that keeps connections open, and answers ``/health`` with 503 while it is sick."""

    def __init__(self) -> None:
        self.sick = threading.Event()
        self.requests = 0
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                is_check = self.path == "/health"
                app.requests += not is_check
                self.send_response(503 if is_check and app.sick.is_set() else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_words: t.Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_request: None  # type: ignore[method-assign]
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


class Balancer:
    """A running HAProxy.

    Attributes:
        directory: of its configuration, its log and its sockets.
        socket: path of its runtime socket.
        operator: path of one whose level is too low to change a server.
        port: of its frontend.
        tcp: its runtime socket on a port.
        apps: the servers, app1 and app2.
    """

    def __init__(self, directory: str, backends: str, mode: str) -> None:
        self.directory = directory
        self.socket, self.operator = f"{directory}/admin.sock", f"{directory}/operator.sock"
        self.port, tcp = free_port(), free_port()
        self.tcp = f"127.0.0.1:{tcp}"
        self.apps = (App(), App())
        config = Path(directory, "haproxy.cfg")
        ports = {"port1": self.apps[0].port, "port2": self.apps[1].port}
        config.write_text(
            f"global\n  stats socket {self.socket} mode 600 level admin expose-fd listeners\n"
            f"  stats socket {self.operator} level operator\n  stats socket {self.tcp} level admin\n"
            f"defaults\n  mode {mode}\n  timeout check 5s\n  timeout connect 2s\n"
            "  timeout client 60s\n  timeout server 60s\n"
            f"frontend all\n  bind 127.0.0.1:{self.port}\n  default_backend web\n{backends.format(**ports)}",
            encoding="utf-8",
        )
        self._log = Path(directory, "log")
        with self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-W", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if not eventually(self._accepts, BOUND):
            self.stop()
            raise AssertionError(self._log.read_text(encoding="utf-8"))

    def say(self, command: str) -> str:
        """Return what it answers to a command."""
        return say(self.socket, command)

    def status(self, server: str) -> str:
        """Return the status of ``backend/server``, as its own page has it."""
        return statuses(self.socket)[server]

    def client(self) -> socket.socket:
        """Return a connection that has had one answer, and stays open."""
        line = socket.create_connection(("127.0.0.1", self.port), timeout=BOUND)
        line.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert line.recv(65_536).startswith(b"HTTP/1.1 200")
        return line

    def reload(self) -> None:
        """Have it read its configuration again, which makes a new process."""
        before = self.say("show info").partition("Pid: ")[2].split()[0]
        self._process.send_signal(signal.SIGUSR2)
        # For a moment both processes accept.
        assert eventually(lambda: all(self._pid() not in ("", before) for _each in range(5)), BOUND)

    def stop(self) -> None:
        """End it, with its worker, and the servers."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(BOUND)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(BOUND)
        for app in self.apps:
            app.stop()

    def _pid(self) -> str:
        with contextlib.suppress(OSError):
            return self.say("show info").partition("Pid: ")[2].split()[0]
        return ""

    def _accepts(self) -> bool:
        try:
            return bool(self.say("show version"))
        except OSError:
            return self._process.poll() is not None


# What systemd does for the unit of Debian, for a process of a test's own.
_RELOAD = """
pid=$(cat {pid} 2>/dev/null)
if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then kill -USR2 "$pid"; exit; fi
exec {program} -W -D -p {pid} -f {config}
"""


def reloading(pid: str, config: str) -> t.Tuple[str, ...]:
    """Return the command that starts a HAProxy, or has it read its configuration again.

    Args:
        pid: path of the file that has its pid.
        config: path of the configuration.
    """
    return ("sh", "-c", _RELOAD.format(pid=pid, program=PROGRAM, config=config))


def end(pid: str, socket_path: str) -> None:
    """End the HAProxy that `reloading` has started, if it has, by its pid.

    Args:
        pid: path of the file that has it.
        socket_path: of its runtime socket.
    """
    if os.path.exists(pid):
        os.kill(int(Path(pid).read_text(encoding="utf-8")), signal.SIGTERM)
        assert eventually(lambda: not _listens(socket_path), BOUND)


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        return line.connect_ex(path) == 0


def say(path: str, command: str) -> str:
    """Return what a HAProxy answers to a command on its runtime socket."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(BOUND)
        line.connect(path)
        line.sendall(f"{command}\n".encode())
        return b"".join(iter(lambda: line.recv(65_536), b"")).decode()


def statuses(path: str) -> t.Dict[str, str]:
    """Return the status of each server of a HAProxy, by ``backend/server``, as its own page has it.

    Args:
        path: of its runtime socket.
    """
    head, *rows = [line.split(",") for line in say(path, "show stat -1 4 -1").splitlines() if line]
    return {"/".join(row[:2]): row[head.index("status")] for row in rows}


@contextlib.contextmanager
def running(backends: str, mode: str = "tcp") -> t.Iterator[Balancer]:
    """Start a HAProxy; end it by its pid and remove all of it afterwards.

    Args:
        backends: of its configuration; ``{port1}`` and ``{port2}`` are those of the two servers.
        mode: tcp, in which each connection is a session while it is open, or http, in which each request is one.
    """
    directory = tempfile.mkdtemp(prefix="haproxy-")
    made = None
    try:
        made = Balancer(directory, backends, mode)
        yield made
    finally:
        if made is not None:
            made.stop()
        shutil.rmtree(directory)
