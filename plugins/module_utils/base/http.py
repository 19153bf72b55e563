# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The answer to one HTTP/1 request, read from a connection under its deadline and within limits (RFC 9112).

Not with the standard library's ``http.client``: it imports the parser of e-mail, which takes a sixth of the time of
``rollcall status``, and it takes an answer that breaks off within its head for a whole one.
"""

from __future__ import annotations

import typing as t

from .wire import Line

LONGEST_LINE = 65_536
MOST_HEADERS = 100
_PIECE = 65_536


class BrokenAnswer(ValueError):
    """What was received breaks the rules of HTTP; its text says which."""


class NotHttp(BrokenAnswer):
    """What was received is not HTTP; its text is the first line of it."""


class HttpAnswer:
    """The head of an answer, read when this is made, and its body, read by :meth:`read`.

    Args:
        line: the connection, to which the request has been sent.
        head_only: whether it was a request by HEAD, whose answer has no body (RFC 9110, 9.3.2).

    Attributes:
        status: the three digits.
        headers: by their names in lower case; of several with one name, the last.
        length: bytes of the body as announced; None when it ends with its last chunk or with the connection.
        head_is_whole: whether the head ended with an empty line, and not with the connection.
        missing: bytes of the announced length that the connection has ended without, after :meth:`read`.

    Raises:
        NotHttp: it does not begin as an answer of HTTP does.
        BrokenAnswer: a line is too long, there are too many headers, or the status is no number.
        ConnectionAbortedError: the connection ended before the first byte.
        TimeoutError: at the deadline.
        OSError: any other error of the socket.
    """

    def __init__(self, line: Line, *, head_only: bool = False) -> None:
        self._line = line
        self._buffer = b""
        self.missing = 0
        self.status, self.headers = self._head()
        while 100 <= self.status < 200 and self.status != 101:
            # Before the answer itself: Continue, Early Hints (RFC 9110, 15.2).
            self.status, self.headers = self._head()
        length = self.headers.get("content-length", "")
        self._chunked = not head_only and self.headers.get("transfer-encoding", "").lower() == "chunked"
        self.length: t.Optional[int] = None
        if head_only or self.status in (204, 304):
            self.length = 0
        elif not self._chunked and length.isdecimal() and len(length) < 20:
            self.length = int(length)

    @property
    def is_last(self) -> bool:
        """Whether the connection is not to be used again: it was said to end, or there is more than the answer."""
        return bool(self._buffer) or self.missing > 0 or self.headers.get("connection", "").lower() == "close"

    def read(self, most: int) -> bytes:
        """Return the body, and of a longer one the first ``most`` bytes. Errors are those of :meth:`pieces`."""
        return b"".join(self.pieces(most))

    def pieces(self, most: int) -> t.Iterator[bytes]:
        """Yield the body as it comes, and of a longer one the first ``most`` bytes.

        Raises:
            BrokenAnswer: a chunk is none, or the connection ended within one.
            TimeoutError: at the deadline.
            OSError: any other error of the socket.
        """
        if self._chunked:
            yield from self._chunks(most)
            return
        wanted = most if self.length is None else min(most, self.length)
        missing = yield from self._take(wanted)
        self.missing = 0 if self.length is None else missing

    def _head(self) -> t.Tuple[int, t.Dict[str, str]]:
        first = self._text_line()
        if not first and not self._buffer and not self._line.received:
            raise ConnectionAbortedError("the connection ended before the first byte")
        status = first.partition(" ")[2].strip().partition(" ")[0]
        if not first.startswith("HTTP/1.") or not (status.isdecimal() and len(status) == 3):
            raise NotHttp(first)
        headers: t.Dict[str, str] = {}
        for _number in range(MOST_HEADERS + 1):
            text = self._text_line()
            if not text:
                return int(status), headers
            name, _colon, value = text.partition(":")
            headers[name.strip().lower()] = value.strip()
        raise BrokenAnswer(f"it has more than {MOST_HEADERS} headers")

    def _text_line(self) -> str:
        """Return the next line without its end; what is left, when the connection has ended."""
        while b"\n" not in self._buffer and len(self._buffer) <= LONGEST_LINE and self._fill():
            pass
        found, newline, rest = self._buffer.partition(b"\n")
        if len(found) > LONGEST_LINE:
            raise BrokenAnswer(f"a line of it is longer than {LONGEST_LINE} bytes")
        self.head_is_whole = bool(newline)
        self._buffer = rest
        return found.decode("latin-1").rstrip("\r")

    def _fill(self) -> bool:
        """Take more from the connection; False when it has ended."""
        data = self._line.recv(_PIECE)
        self._buffer += data
        return bool(data)

    def _take(self, number: int) -> t.Generator[bytes, None, int]:
        """Yield so many bytes as they come; return how many of them the connection has ended without."""
        while number > 0 and (self._buffer or self._fill()):
            piece = self._buffer[:number]
            self._buffer = self._buffer[number:]
            number -= len(piece)
            yield piece
        return number

    def _chunks(self, most: int) -> t.Iterator[bytes]:
        while most > 0:
            text = self._text_line().partition(";")[0].strip()
            try:
                size = int(text, 16) if len(text) < 20 else -1
            except ValueError:
                size = -1
            if size < 0:
                raise BrokenAnswer("a chunk of it has no size")
            missing = yield from self._take(min(size, most))
            if missing:
                raise BrokenAnswer("the connection was closed within a chunk of it")
            if size == 0:
                break
            most -= size
            self._text_line()  # the end of the chunk's own line
