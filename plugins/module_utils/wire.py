# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A connected socket whose reads and writes all share one deadline.

A socket's own timeout bounds a single ``recv``: a peer that drips one byte a second stays within it for ever.
Here every ``recv`` and ``send`` gets only the time that is left of the whole.
"""

from __future__ import annotations

import io
import socket
import typing as t

from .clock import Deadline


class _RawReader(io.RawIOBase):
    """What ``http.client.HTTPResponse`` reads from; closing it leaves the socket open."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        data = self._line.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Line:
    """A stream socket under a deadline.

    Args:
        sock: the socket, connected or about to be with :meth:`connect`; the Line closes it.
        deadline: for everything until it is replaced: assign ``.deadline`` to reuse a connection.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self.sock = sock
        self.deadline = deadline
        self.received = 0  # bytes read since the connection was made

    def _arm(self) -> None:
        remaining = self.deadline.remaining()
        if remaining <= 0:  # 0 would make the socket non-blocking instead
            raise TimeoutError("the deadline has passed")
        self.sock.settimeout(remaining)

    def connect(self, address: t.Any) -> None:
        """Connect. Raises TimeoutError at the deadline, OSError for anything else."""
        self._arm()
        try:
            self.sock.connect(address)
        except socket.timeout as exc:  # its own class up to Python 3.9
            raise TimeoutError(str(exc)) from exc

    def send(self, data: bytes) -> None:
        """Send all of ``data``. Raises TimeoutError at the deadline, OSError for anything else."""
        self._arm()
        try:
            self.sock.sendall(data)  # sendall's timeout is for the whole of it (Python 3.5 and later)
        except socket.timeout as exc:
            raise TimeoutError(str(exc)) from exc

    def recv(self, limit: int) -> bytes:
        """Return 1 to ``limit`` bytes, none at the end of the stream. Raises TimeoutError, OSError."""
        self._arm()
        try:
            data = self.sock.recv(limit)
        except socket.timeout as exc:
            raise TimeoutError(str(exc)) from exc
        self.received += len(data)
        return data

    def makefile(self, mode: str = "rb", *_args: t.Any) -> io.BufferedReader:
        """Return a buffered reader of the socket: the one method that ``http.client.HTTPResponse`` needs."""
        if mode != "rb":
            raise ValueError(f"only for reading: {mode}")
        return io.BufferedReader(_RawReader(self))

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()
