# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deadline that all of a connection's reads and writes share, and the words made of foreign text."""

from __future__ import annotations

import socket
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Clock, Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.wire import Line
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes.wording import quoted


class FakeClock(Clock):
    now = 100.0

    def monotonic(self) -> float:
        return self.now


class FakeSocket:
    """Each call takes a second of the clock; notes the timeouts it was given."""

    def __init__(self, clock: FakeClock, *parts: bytes) -> None:
        self._clock = clock
        self._parts = list(parts)
        self.timeouts: list[float] = []

    def settimeout(self, seconds: float) -> None:
        self.timeouts.append(seconds)

    def recv(self, _limit: int) -> bytes:
        self._clock.now += 1
        if self.timeouts[-1] <= 1:
            raise socket.timeout("timed out")
        return self._parts.pop(0)

    def sendall(self, _data: bytes) -> None:
        self._clock.now += 1


def test_each_read_and_write_gets_only_what_is_left_of_the_whole() -> None:
    clock = FakeClock()
    fake = FakeSocket(clock, b"a", b"b")
    line = Line(t.cast(socket.socket, fake), Deadline(4, clock))
    line.send(b"?")
    assert (line.recv(2), line.recv(2)) == (b"a", b"b")
    with pytest.raises(TimeoutError):
        line.recv(1)
    assert fake.timeouts == [4, 3, 2, 1]
    assert line.received == 2


def test_nothing_is_read_after_the_deadline() -> None:
    clock = FakeClock()
    fake = FakeSocket(clock, b"a")
    line = Line(t.cast(socket.socket, fake), Deadline(4, clock))
    clock.now += 4
    with pytest.raises(TimeoutError):
        line.recv(1)
    assert fake.timeouts == [], "0 would have made the socket non-blocking"


def test_a_kept_connection_gets_a_new_deadline() -> None:
    clock = FakeClock()
    fake = FakeSocket(clock, b"a", b"b")
    line = Line(t.cast(socket.socket, fake), Deadline(2, clock))
    line.recv(1)
    line.deadline = Deadline(5, clock)
    line.recv(1)
    assert fake.timeouts == [2, 5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", '"plain"'),
        (b"two\r\n  lines\t", '"two lines"'),
        (b"\xff\x00\x1b[31mred", '"\ufffd\ufffd\ufffd[31mred"'),
        ("x" * 81, '"' + "x" * 79 + '\u2026"'),
        ("x" * 80, '"' + "x" * 80 + '"'),
    ],
)
def test_foreign_text_is_shown_on_one_line_and_short(text: t.Union[str, bytes], expected: str) -> None:
    assert quoted(text) == expected
