# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of HTTP are read as the standard library reads them, piece by piece and within limits."""

from __future__ import annotations

import http.client
import io
import socket
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import SYSTEM, Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.http import BrokenAnswer, HttpAnswer, NotHttp
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.wire import Line

MOST = 100_000


class Pieces:
    """A socket that hands out what it was given in pieces of one size, and then ends."""

    def __init__(self, received: bytes, size: int) -> None:
        self._left = received
        self._size = size

    def settimeout(self, _seconds: float) -> None:
        return

    def recv(self, limit: int) -> bytes:
        data, self._left = self._left[: min(limit, self._size)], self._left[min(limit, self._size) :]
        return data


def answer(received: bytes, size: int = 7) -> HttpAnswer:
    return HttpAnswer(Line(t.cast(socket.socket, Pieces(received, size)), Deadline(5, SYSTEM)))


class Readable:
    """What the standard library reads an answer from."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._received)


def chunked(parts: list[bytes]) -> bytes:
    return b"".join(b"%x;name=value\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


TOKENS = st.text("abcXYZ-", min_size=1, max_size=8)
HEADERS = st.dictionaries(TOKENS.filter(lambda name: name.lower() not in ("connection",)), TOKENS, max_size=5)
BODIES = st.binary(max_size=300)
FRAMED: st.SearchStrategy[tuple[list[str], bytes, bytes]] = st.one_of(
    BODIES.map(lambda body: ([f"Content-Length: {len(body)}"], body, body)),
    BODIES.map(lambda body: ([], body, body)),
    st.lists(BODIES.filter(bool), max_size=4).map(
        lambda parts: (["Transfer-Encoding: chunked"], chunked(parts), b"".join(parts))
    ),
)


@given(st.sampled_from([200, 301, 404, 503]), HEADERS, FRAMED, st.integers(1, 200))
def test_a_whole_answer_is_read_as_the_standard_library_reads_it(
    status: int, headers: dict[str, str], framed: tuple[list[str], bytes, bytes], size: int
) -> None:
    lines = [f"HTTP/1.1 {status} Some reason", *(f"{name}: {value}" for name, value in headers.items()), *framed[0]]
    received = "\r\n".join([*lines, "", ""]).encode() + framed[1]
    theirs = http.client.HTTPResponse(t.cast(socket.socket, Readable(received)), method="GET")
    theirs.begin()
    ours = answer(received, size)
    body = ours.read(MOST)
    assert (ours.status, body, ours.missing) == (theirs.status, theirs.read(), 0) == (status, framed[2], 0)
    assert all(ours.headers[name.lower()] is not None for name in headers)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_bytes_make_it_raise_anything_else(received: bytes, size: int) -> None:
    try:
        answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + received, size).read(MOST)
        answer(received, size).read(MOST)
    except (BrokenAnswer, ConnectionAbortedError):
        return


def test_an_answer_before_the_answer_is_passed_over() -> None:
    got = answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert (got.status, got.read(MOST)) == (200, b"ok")


def test_no_more_is_read_than_was_asked_for() -> None:
    assert answer(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 500).read(100) == b"x" * 100
    assert answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"x" * 500])).read(9) == b"x" * 9


def test_a_body_that_breaks_off_is_told_by_what_is_missing() -> None:
    got = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok")
    assert (got.read(MOST), got.missing, got.is_last) == (b"ok", 98, True)


def test_a_head_that_breaks_off_is_told_to_be_not_whole() -> None:
    assert answer(b"HTTP/1.1 200 OK\r\nX: 1\r\n").head_is_whole is False
    assert answer(b"HTTP/1.1 200 OK\r\nX: 1\r\n\r\n").head_is_whole is True


@pytest.mark.parametrize(
    ("received", "error"),
    [
        (b"", ConnectionAbortedError),
        (b"220 mail ESMTP\r\n", NotHttp),
        (b"HTTP/1.1 OK\r\n\r\n", NotHttp),
        (b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n", BrokenAnswer),
        (b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 101 + b"\r\n", BrokenAnswer),
    ],
)
def test_what_is_no_answer_is_told_by_its_kind(received: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        answer(received)


@pytest.mark.parametrize("first", ["HTTP/1.1 2000 x", "HTTP/1.1 200x OK", "HTTP/2 200", "HTTP/1.1 20", "HTTP/1.1"])
def test_a_first_line_without_a_status_of_three_digits_is_not_http(first: str) -> None:
    with pytest.raises(NotHttp):
        answer(f"{first}\r\ncontent-length: 0\r\n\r\n".encode())
