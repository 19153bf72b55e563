# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A connection whose name look-up, connect, reads and writes share one deadline.

A socket's own timeout is for a single ``recv``: a peer that sends one byte a second never exceeds it. Here every
``recv`` and ``send`` gets only the time that is left until the deadline.
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
        deadline: of all operations; assign another to ``.deadline`` to use the connection again.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self.sock = sock
        self.deadline = deadline
        self.received = 0  # bytes

    def _arm(self) -> None:
        remaining = self.deadline.remaining()
        if remaining <= 0:  # 0 would make the socket non-blocking instead
            raise TimeoutError("the deadline has passed")
        self.sock.settimeout(remaining)

    def connect(self, address: t.Any) -> None:
        """Connect. Raises TimeoutError at the deadline, or OSError."""
        self._arm()
        try:
            self.sock.connect(address)
        except socket.timeout as exc:  # its own class up to Python 3.9
            raise TimeoutError(str(exc)) from exc

    def send(self, data: bytes) -> None:
        """Send all of ``data``. Raises TimeoutError at the deadline, or OSError."""
        self._arm()
        try:
            self.sock.sendall(data)  # its timeout is for all of ``data``
        except socket.timeout as exc:
            raise TimeoutError(str(exc)) from exc

    def recv(self, limit: int) -> bytes:
        """Return 1 to ``limit`` bytes, or none at the end of the stream. Raises TimeoutError or OSError."""
        self._arm()
        try:
            data = self.sock.recv(limit)
        except socket.timeout as exc:
            raise TimeoutError(str(exc)) from exc
        self.received += len(data)
        return data

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Start TLS with ``host``. Raises TimeoutError at the deadline, ssl.SSLError or OSError."""
        self._arm()
        try:
            self.sock = context.wrap_socket(self.sock, server_hostname=host)
        except socket.timeout as exc:
            raise TimeoutError(str(exc)) from exc

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()


def connect(host: str, port: int, deadline: Deadline) -> Line:
    """Connect to the first address of the host that accepts.

    Raises:
        TimeoutError: at the deadline.
        OSError: no address accepts, or the host has none.
        UnicodeError: the idna codec refuses ``host`` as a name.
    """
    failure: OSError = OSError(f"{host} has no address")
    for family, address in _addresses(host, port, deadline):
        line = Line(socket.socket(family, socket.SOCK_STREAM), deadline)
        try:
            line.connect(address)
            if line.sock.getsockname() == line.sock.getpeername():
                # Nobody listens on this port of the ephemeral range, and the kernel chose it as our own port: by TCP's
                # simultaneous open (RFC 9293, 3.5) the socket is connected with itself.
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
        # As bytes: a text would import the idna codec, which takes longer than to connect.
        return look_up(host.encode("ascii"), socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeEncodeError):
        # A name: the resolver has its own timeouts and cannot be interrupted.
        return bounded(lambda: look_up(host, 0), deadline.remaining())


def bounded(work: t.Callable[[], _T], seconds: float) -> _T:
    """Return what ``work`` returns, or raise what it raises.

    Raises:
        TimeoutError: it takes longer than ``seconds``; its thread runs on.
    """
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
