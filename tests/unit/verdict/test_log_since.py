# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``--since`` takes, and what is left out of a log by the times of its lines."""

from __future__ import annotations

import time
import typing as t
from datetime import datetime

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Clock
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Paths
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.log_since import (
    moment_of,
    since_by_time,
    time_of,
)

NOW = datetime(2026, 5, 31, 0, 30).timestamp()
PATHS = Paths.of("/nowhere")


class Still(Clock):
    """It is half past midnight."""

    def wall(self) -> float:
        return NOW


@pytest.mark.parametrize(
    ("words", "at"),
    [
        ("90s", NOW - 90),
        ("10m", NOW - 600),
        ("1h30min", NOW - 5400),
        ("2d", NOW - 172_800),
        ("0:10", NOW - 1200),
        ("23:50", NOW - 2400),
        ("23:50:30", NOW - 2370),
        ("2026-05-30T23:50", NOW - 2400),
        ("2026-05-31", NOW - 1800),
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
    ],
)
def test_a_time_a_time_of_the_day_and_a_span_are_a_moment(words: str, at: float) -> None:
    assert moment_of(PATHS, words, Still()).at == at


@pytest.mark.parametrize(
    "words", ["", "ten", "25:00", "10", "10 parsecs", "2026-13-01", "-5m", "2026-06-01", "9" * 400 + "d"]
)
def test_what_is_no_moment_or_lies_ahead_is_wrong_use(words: str) -> None:
    with pytest.raises(RollcallError) as caught:
        moment_of(PATHS, words, Still())
    assert caught.value.kind == "wrong_use"


def local(hour: int, minute: int, second: int) -> float:
    return time.mktime((2026, 5, 31, hour, minute, second, 0, 0, -1))


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("2026-05-31 14:05:06,123 INFO hello", local(14, 5, 6)),
        ("INFO 2026-05-31 14:05:06 hello", local(14, 5, 6)),
        ("[2026-05-31 12:05:06 +0000] [7] [INFO] Booting worker", 1780229106.0),
        ('{"level": "info", "time": "2026-05-31T12:05:06.000Z", "msg": "hello"}', 1780229106.0),
        ('127.0.0.1 - - [31/May/2026:14:05:06 +0200] "GET / HTTP/1.1" 200', 1780229106.0),
        ("hello", None),
        ("report for 2026-05-31 14:05:06 is done", None),
        ("2026-99-31 14:05:06 hello", None),
    ],
)
def test_a_line_has_the_time_that_it_begins_with(line: str, at: t.Optional[float]) -> None:
    assert time_of(line) == at


def test_only_what_is_proved_to_be_older_is_left_out() -> None:
    lines = [
        "no time",
        "2026-05-31 14:00:00 old",
        "2026-05-31 14:04:00 also old",
        "of that, or of the next",
        "2026-05-31 14:05:00 new",
        "2026-05-31 13:00:00 of a clock that was set back",
    ]
    assert since_by_time(lines, local(14, 5, 0) + 0.5) == (lines[3:], True)
    assert since_by_time(lines[:1], local(14, 5, 0)) == (lines[:1], False)
    assert since_by_time(lines[:4], local(14, 5, 0)) == (lines[3:4], True), "what follows may be new"
