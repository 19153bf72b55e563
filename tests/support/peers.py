# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that do with each connection what a test wants."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import typing as t

Behaviour = t.Callable[[socket.socket], None]


class Peer:
    """Takes connections in a thread, one after the other, and treats each as ``behave`` says.

    Args:
        server: a bound socket; the Peer listens on it and closes it.
        behave: called with each connection, which is closed afterwards. The peer going away ends it.
        listens: whether it reads a request first, into ``requests``.
    """

    def __init__(self, server: socket.socket, behave: Behaviour, *, listens: bool = True) -> None:
        self.requests: list[bytes] = []
        self._server = server
        self._server.listen()
        self._behave = behave
        self._listens = listens
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def _serve(self) -> None:
        while True:
            try:
                connection, _unused = self._server.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                if self._listens:
                    self.requests.append(connection.recv(65536))
                self._behave(connection)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)


def unix_peer(path: str, behave: Behaviour) -> Peer:
    """Return a Peer on a unix socket."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    return Peer(server, behave)


def tcp_peer(behave: Behaviour, *, host: str = "127.0.0.1", listens: bool = True) -> Peer:
    """Return a Peer on a free port of an address."""
    server = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    server.bind((host, 0))
    return Peer(server, behave, listens=listens)


def says(text: str | bytes) -> Behaviour:
    """Send something and close."""
    data = text if isinstance(text, bytes) else text.encode()
    return lambda connection: connection.sendall(data)


def drips(text: str, interval: float = 0.02) -> Behaviour:
    """Send something one byte at a time."""

    def behave(connection: socket.socket) -> None:
        for byte in text.encode():
            connection.sendall(bytes([byte]))
            time.sleep(interval)

    return behave


def keeps_silent(connection: socket.socket) -> None:
    """Hold the connection until the other side closes it."""
    connection.settimeout(60)
    while connection.recv(65536):
        pass


class Counting:
    """Hold each connection until the other side closes it, and count.

    Attributes:
        most: how many were open at once.
    """

    def __init__(self) -> None:
        self.most = self._open = 0
        self._lock = threading.Lock()

    def __call__(self, connection: socket.socket) -> None:
        with self._lock:
            self._open += 1
            self.most = max(self.most, self._open)
        try:
            keeps_silent(connection)
        finally:
            with self._lock:
                self._open -= 1


def then_silent(text: str) -> Behaviour:
    """Send something and hold the connection open."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(text.encode())
        keeps_silent(connection)

    return behave


def http(body: str = "", status: str = "200 OK", *headers: str) -> str:
    """Return an HTTP answer."""
    lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body.encode())}")
    return "\r\n".join((*lines, "", body))
