# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A connected socket whose look-up, connection, reads and writes all share one deadline.

A socket's own timeout bounds a single ``recv``: a peer that drips one byte a second stays within it for ever.
Here every ``recv`` and ``send`` gets only the time that is left of the whole.
"""

from __future__ import annotations

import socket
import threading
import typing as t

from .clock import Deadline

if t.TYPE_CHECKING:
    import ssl

_T = t.TypeVar("_T")


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

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Go on in TLS with ``host``. Raises TimeoutError at the deadline, ssl.SSLError, OSError."""
        self._arm()
        try:
            self.sock = context.wrap_socket(self.sock, server_hostname=host)
        except socket.timeout as exc:
            raise TimeoutError(str(exc)) from exc

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()


def connect(host: str, port: int, deadline: Deadline) -> Line:
    """Connect to the first address of the host that takes it.

    Raises:
        TimeoutError: at the deadline.
        OSError: none takes it, or the host has no address.
        UnicodeError: ``host`` cannot be the name of one (the idna codec's word for it).
    """
    failure: OSError = OSError(f"{host} has no address")
    for family, address in _addresses(host, port, deadline):
        line = Line(socket.socket(family, socket.SOCK_STREAM), deadline)
        try:
            line.connect(address)
            if line.sock.getsockname() == line.sock.getpeername():
                # A port of the ephemeral range that nobody listens on, and by chance the kernel gave it to us as our
                # own: TCP's simultaneous open has connected the socket with itself.
                raise ConnectionRefusedError
        except OSError as exc:
            line.close()
            failure = exc
        else:
            return line
    raise failure


def _addresses(host: str, port: int, deadline: Deadline) -> t.List[t.Tuple[int, t.Any]]:
    def look_up(name: t.Union[str, bytes], flags: int) -> t.List[t.Tuple[int, t.Any]]:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)
        return [(entry[0], entry[4]) for entry in found]

    try:
        # As bytes: a text goes through the codec for international names, which takes longer to import than to connect.
        return look_up(host.encode("ascii"), socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeEncodeError):
        # A name: the resolver has time limits of its own and cannot be interrupted.
        return bounded(lambda: look_up(host, 0), deadline.remaining())


def bounded(work: t.Callable[[], _T], seconds: float) -> _T:
    """Return what ``work`` returns, or raise what it raises; TimeoutError when it takes longer, and is left alone."""
    results: t.List[_T] = []
    errors: t.List[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as exc:  # noqa: BLE001 - raised again below, in the thread that asked
            errors.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
