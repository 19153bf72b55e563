# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule of lives, by its table and by what must hold for every past."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Service
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lives import Exit, Lives
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.lives import (
    DAY,
    LOOP,
    MOST,
    RECOVERING,
    STEADY,
    Standing,
    probation,
    standing,
)

WEB = Service("web", ("/x",), "/")
NOW = 1_800_000_000.0


def loop(*lived: t.Optional[float], age: float, code: int = 1, **other: t.Any) -> Standing:
    """Return the standing of a service that lives for ``age`` seconds, after lives of so many seconds each."""
    exits: t.List[Exit] = []
    end = NOW - age
    for one in reversed(lived):
        exits.insert(0, Exit(end, one, code, **other))
        end -= one or 0.0
    return standing(WEB, Lives("r", tuple(exits)), age, NOW)


@pytest.mark.parametrize(
    ("past", "age", "word", "asks"),
    [
        # Nothing has ended.
        ((), 0.5, STEADY, 0),
        ((), 1e6, STEADY, 0),
        # Once: a minute, and twice the life before.
        ((4.0,), 3, RECOVERING, 60),
        ((4.0,), 60, RECOVERING, 60),
        ((4.0,), 61, STEADY, 60),
        ((90.0,), 100, RECOVERING, 180),
        ((90.0,), 181, STEADY, 180),
        ((300.0,), 599, RECOVERING, 600),
        # Once, after a long life: a minute.
        ((86_400.0 * 30,), 30, RECOVERING, 60),
        ((86_400.0 * 30,), 61, STEADY, 60),
        # Once, and nobody saw it.
        ((None,), 30, RECOVERING, 60),
        ((None,), 61, STEADY, 60),
        # Loops of any period.
        ((0.5, 0.5, 0.5), 0.4, LOOP, 60),
        ((2.5, 2.5), 2.4, LOOP, 60),
        ((4.0, 4.0), 3.9, LOOP, 60),
        ((5.0, 5.0), 4.9, LOOP, 60),
        ((20.0, 20.0), 19.9, LOOP, 60),
        ((90.0, 90.0), 89.9, LOOP, 180),
        ((90.0, 90.0), 179, LOOP, 180),
        ((90.0, 90.0), 181, STEADY, 180),
        ((1200.0, 1200.0), 1199, LOOP, 2400),
        ((None, None), 30, LOOP, 60),
        # A long life, and then a loop: the long one asks for nothing.
        ((86_400.0 * 10, 5.0, 5.0), 30, LOOP, 60),
        ((86_400.0 * 10, 5.0, 5.0), 61, STEADY, 60),
        # However slow, an hour is enough.
        ((7200.0, 7200.0), 3599, LOOP, MOST),
        ((7200.0, 7200.0), 3601, STEADY, MOST),
    ],
)
def test_the_table(past: t.Sequence[t.Optional[float]], age: float, word: str, asks: float) -> None:
    found = loop(*past, age=age)
    assert (found.word, found.asks) == (word, asks)


def test_what_ended_a_week_ago_counts_no_more() -> None:
    lives = Lives("r", (Exit(NOW - 7 * DAY, 5.0, 1), Exit(NOW - 7 * DAY + 5, 5.0, 1)))
    assert standing(WEB, lives, 1.0, NOW) == Standing(STEADY, 0.0, ())


def test_a_worker_that_renews_itself_is_no_loop_and_one_that_ends_at_once_is() -> None:
    assert loop(3600.0, 3600.0, age=5, code=0, expected=True).word == STEADY
    assert loop(90.0, 90.0, age=5, code=0, expected=True).word == STEADY
    assert loop(4.0, 4.0, age=3, code=0, expected=True).word == LOOP
    # supervisord does not expect it: it was too quick.
    assert loop(0.2, 0.2, age=3, code=0).word == LOOP


def test_who_wants_a_short_look_gets_a_short_wait() -> None:
    assert probation(WEB) == 60
    assert probation(Service("a", (), "", stable_for=0.5)) == 15
    assert probation(Service("a", (), "", stable_for=120)) == 120


LIVED = st.one_of(st.none(), st.floats(0, 1e7))
PASTS = st.lists(LIVED, max_size=8)
AGES = st.floats(0, 1e6)


@given(PASTS, AGES)
def test_it_asks_for_nothing_or_for_something_between_a_minute_and_an_hour(
    past: t.List[t.Optional[float]], age: float
) -> None:
    found = loop(*past, age=age)
    assert found.asks == 0 if not found.counted else probation(WEB) <= found.asks <= MOST
    assert (found.word == STEADY) == (not found.counted or age > found.asks)


@given(PASTS, AGES, AGES)
def test_a_life_that_was_long_enough_stays_long_enough(
    past: t.List[t.Optional[float]], age: float, more: float
) -> None:
    if loop(*past, age=age).word == STEADY:
        assert loop(*past, age=age + more).word == STEADY


@given(st.lists(LIVED, max_size=6), LIVED, st.floats(0, 3600))
def test_one_more_exit_never_asks_for_less(past: t.List[t.Optional[float]], one: t.Optional[float], age: float) -> None:
    exits = tuple(Exit(NOW - 10, lived, 1) for lived in past)
    fewer = standing(WEB, Lives("r", exits), age, NOW)
    more = standing(WEB, Lives("r", (*exits, Exit(NOW - 5, one, 1))), age, NOW)
    assert more.asks >= fewer.asks
    assert not (more.word == STEADY and fewer.word != STEADY)


@given(st.floats(0.1, MOST / 2), st.integers(2, 30), st.floats(0, 1))
def test_a_loop_of_a_steady_period_is_never_ok(period: float, times: int, part: float) -> None:
    assert loop(*[period] * times, age=period * part).word == LOOP


@given(st.lists(st.floats(0.1, 60), min_size=1, max_size=20), st.floats(0, 1))
def test_what_dies_within_a_minute_each_time_is_never_ok_again(lived: t.List[float], part: float) -> None:
    assert loop(*lived, age=60 * part).word != STEADY
