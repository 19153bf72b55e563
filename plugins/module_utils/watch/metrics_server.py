# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Metrics over HTTP on this host's own address: the text of the last look, which costs a scrape nothing.

One thread serves all connections, each under a deadline: who is slow delays no other scrape, and no look.
"""

from __future__ import annotations

import itertools
import select
import socket
import threading
import typing as t

from ..base.clock import Deadline

ADDRESS = "127.0.0.1"
PATH = "/metrics"
# Seconds for one question and its answer, and bytes of a question.
SECONDS, MOST_BYTES = 1.0, 8192
# The text format of Prometheus, which every version of it reads.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_QUEUE = 16
# Connections that are served at the same time.
MOST_AT_ONCE = 64
# After so many seconds it takes connections again, when it could not.
_AGAIN = 0.1


class MetricsServer:
    """Answers scrapes with a text.

    Args:
        port: that it listens on.

    Attributes:
        text: what is answered.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(self, port: int) -> None:
        self.text = b""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            # A watcher that begins anew has the port at once (socket(7)).
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((ADDRESS, port))
            self._socket.listen(_QUEUE)
            # Who is in the queue may have gone before it is taken, and then nobody is.
            self._socket.setblocking(False)
        except OSError:
            self._socket.close()
            raise
        self.port = int(self._socket.getsockname()[1])
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._closed.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        self._socket.close()

    def _serve(self) -> None:
        asking: t.List[_Asker] = []
        while not self._closed.is_set():
            readers = [one.sock for one in asking if not one.answer]
            # Who has too many others before it waits in the queue, for as long as the slowest of these may take.
            readers += [self._socket] if len(asking) < MOST_AT_ONCE else []
            writers = [one.sock for one in asking if one.answer]
            wait = min((one.deadline.remaining() for one in asking), default=None)
            ready = set(itertools.chain(*select.select(readers, writers, [], wait)[:2]))
            for one in [one for one in asking if one.sock in ready or one.deadline.expired]:
                if one.deadline.expired or one.goes_on(self._answer):
                    asking.remove(one)
                    one.sock.close()
            if self._socket in ready:
                asking += self._taken()
        for one in asking:
            one.sock.close()

    def _taken(self) -> t.List[_Asker]:
        try:
            taken, _address = self._socket.accept()
        except OSError:
            # Who asked has gone already, or no more files can be opened just now; unless it is the end.
            self._closed.wait(_AGAIN)
            return []
        return [_Asker(taken)]

    def _answer(self, asked: t.Sequence[str]) -> bytes:
        if len(asked) != 3 or not asked[2].startswith("HTTP/1."):
            return _response("400 Bad Request", b"")
        method, target = asked[0], asked[1].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _response("405 Method Not Allowed", b"", "Allow: GET, HEAD")
        if target != PATH:
            return _response("404 Not Found", f"the metrics are at {PATH}\n".encode())
        return _response("200 OK", self.text, head_only=method == "HEAD")


class _Asker:
    """Who asks: its connection, what it has said, and what of the answer it has not taken yet."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.deadline = Deadline(SECONDS)
        self.answer = memoryview(b"")
        self._head = b""
        sock.setblocking(False)

    def goes_on(self, answer: t.Callable[[t.Sequence[str]], bytes]) -> bool:
        """Read or write what can be at once; return whether it is over."""
        try:
            if self.answer:
                self.answer = self.answer[self.sock.send(self.answer) :]
                return not self.answer
            piece = self.sock.recv(MOST_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            # Who asked has gone.
            return True
        self._head += piece
        if piece and b"\r\n\r\n" not in self._head and len(self._head) < MOST_BYTES:
            return False
        # An end without a whole head is no question.
        line = self._head.partition(b"\r\n")[0] if piece else b""
        self.answer = memoryview(answer(line.decode("latin-1").split(" ")))
        return False


def _response(status: str, body: bytes, *headers: str, head_only: bool = False) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join((*lines, "Connection: close", "", "")).encode("ascii") + (b"" if head_only else body)
