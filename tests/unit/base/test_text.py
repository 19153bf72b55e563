# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text for people."""

from __future__ import annotations

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import (
    count,
    last_lines,
    one_line,
    printable,
    span,
    table,
)


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("short", 160, "short"),
        ("  two\n\tlines ", 160, "two lines"),
        (b"bytes \xff", 160, "bytes \N{REPLACEMENT CHARACTER}"),
        ("\x1b[31mred", 160, "\N{REPLACEMENT CHARACTER}[31mred"),
        ("12345678", 8, "12345678"),
        ("123456789", 8, "1234567…"),
    ],
)
def test_the_words_of_others_come_on_one_line(text: str, most: int, shown: str) -> None:
    assert one_line(text, most) == shown


def test_what_moves_the_cursor_is_written_out() -> None:
    assert printable("a\tb\r\nc\x1b[2J\x85") == "a    b\nc\\x1b[2J\\x85"


def test_blank_lines_are_no_last_lines() -> None:
    assert last_lines("one\n\n  two  \n\x20\nthree\n", 2) == ["  two", "three"]
    assert last_lines("", 2) == []


def test_a_number_comes_with_its_noun() -> None:
    assert [count(number, "service") for number in (0, 1, 2)] == ["0 services", "1 service", "2 services"]
    assert [count(number, "process", "processes") for number in (1, 2)] == ["1 process", "2 processes"]


def test_columns_stand_below_each_other() -> None:
    assert table([("NAME", "PORT"), ("a", "8000"), ("longer", "")]) == "NAME    PORT\na       8000\nlonger"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.5, "0.5 s"),
        (90, "90 s"),
        (120, "2 min"),
        (150, "2 min 30 s"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (604_800, "7 d"),
        (100_000, "1 d 3 h"),
    ],
)
def test_a_span_is_said_in_the_units_that_people_use(seconds: float, said: str) -> None:
    assert span(seconds) == said
