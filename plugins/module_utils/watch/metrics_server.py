# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Metrics over HTTP on this host's own address: the text of the last look, which costs a scrape nothing.

One thread takes one connection after the other, each under a deadline: who is slow delays other scrapes for a second,
and no look.
"""

from __future__ import annotations

import socket
import threading
import typing as t

from ..base.clock import Deadline
from ..base.wire import Line

ADDRESS = "127.0.0.1"
PATH = "/metrics"
# Seconds for one question and its answer, and bytes of a question.
SECONDS, MOST_BYTES = 1.0, 8192
# The text format of Prometheus, which every version of it reads.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_QUEUE = 16
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
        self._socket.close()
        self._thread.join(SECONDS)

    def _serve(self) -> None:
        while True:
            try:
                taken, _address = self._socket.accept()
            except OSError:
                # Who asked has gone already, or no more files can be opened just now; unless it is the end.
                if self._closed.wait(_AGAIN):
                    return
                continue
            line = Line(taken, Deadline(SECONDS))
            try:
                line.send(self._answer(_first_line(line)))
            except OSError:
                # Who asked has gone, or was too slow.
                continue
            finally:
                line.close()

    def _answer(self, asked: t.Sequence[str]) -> bytes:
        if len(asked) != 3 or not asked[2].startswith("HTTP/1."):
            return _response("400 Bad Request", b"")
        method, target = asked[0], asked[1].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _response("405 Method Not Allowed", b"", "Allow: GET, HEAD")
        if target != PATH:
            return _response("404 Not Found", f"the metrics are at {PATH}\n".encode())
        return _response("200 OK", self.text, head_only=method == "HEAD")


def _first_line(line: Line) -> t.List[str]:
    """Return the words of a question's first line, when the whole head of it was read."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < MOST_BYTES:
        piece = line.recv(MOST_BYTES)
        if not piece:
            return []
        head += piece
    return head.partition(b"\r\n")[0].decode("latin-1").split(" ")


def _response(status: str, body: bytes, *headers: str, head_only: bool = False) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join((*lines, "Connection: close", "", "")).encode("ascii") + (b"" if head_only else body)
