# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the observer of `make liars` calls dead and healthy, and what it holds against a word."""

from __future__ import annotations

import typing as t

import pytest

from tests.liars.draw import ILL, KINDS, draw
from tests.liars.judge import DEAD, HEALTHY, NEITHER, lies, opinion

if t.TYPE_CHECKING:
    from tests.liars.one import Sight

ASKED, SAID, END = 25.0, 27.0, 87.0


def seen(
    lives: t.Callable[[float], int] = lambda _at: 1,
    alive: t.Callable[[float], bool] = lambda _at: True,
    answer: t.Callable[[float], bool] = lambda _at: True,
    critical: t.Callable[[float], bool] = lambda _at: False,
) -> list[Sight]:
    moments = [half / 2 for half in range(1, int(END * 2))]
    return [
        {"at": at, "lives": lives(at), "alive": alive(at), "answer": answer(at), "critical": critical(at)}
        for at in moments
    ]


@pytest.mark.parametrize(
    ("sights", "call"),
    [
        (seen(), HEALTHY),
        (seen(alive=lambda _at: False, answer=lambda _at: False), DEAD),
        (seen(answer=lambda _at: False), DEAD),
        (seen(lives=lambda at: 1 + int(at // 8)), DEAD),  # a loop of eight seconds
        (seen(lives=lambda at: 1 + int(at // 20)), DEAD),
        (seen(lives=lambda at: 1 + (at > 40)), NEITHER),  # nobody saw that coming
        (seen(lives=lambda at: 1 + (at > 10)), NEITHER),  # it ended once, and never again
        (seen(answer=lambda at: at < 20 or at > 40), DEAD),  # down when it was asked about
        (seen(answer=lambda at: at < 50), NEITHER),
        (seen(answer=lambda at: int(at * 2) % 2 == 0), DEAD),  # every second answer
        (seen(critical=lambda at: at > 10), DEAD),
        (seen(critical=lambda at: at > 50), NEITHER),
        (seen(answer=lambda at: at > 5), NEITHER),
    ],
)
def test_what_an_observer_calls_a_service(sights: list[Sight], call: str) -> None:
    assert opinion(sights, ASKED, SAID, logs=True)[0] == call


def test_a_line_in_a_log_is_not_held_against_a_word_that_is_not_about_logs() -> None:
    assert opinion(seen(critical=lambda at: at > 10), ASKED, SAID, logs=False)[0] == NEITHER


def told(sights: list[Sight], *, ok: bool, failed: t.Sequence[t.Sequence[str]] = ()) -> dict[str, t.Any]:
    word = {"ok": ok, "failed": failed}
    moment = {"asked": ASKED, "said": SAID, "verify": word, "status": word}
    return {"first": {"failed": [], "ok": ok, "at": 3.0}, "later": moment, "last": moment, "sights": {"web": sights}}


def test_a_word_that_the_observer_contradicts_is_a_lie() -> None:
    assert lies({"web": "well"}, told(seen(), ok=True)) == []
    loop = seen(lives=lambda at: 1 + int(at // 8))
    assert {lie.word for lie in lies({"web": "loops"}, told(loop, ok=True))} >= {"later verify", "later status"}
    assert lies({"web": "loops"}, told(loop, ok=False, failed=[["steady", "web", ""]])) == []
    false = lies({"web": "well"}, told(seen(), ok=False, failed=[["running", "web", "gone"]]))
    assert {lie.service for lie in false} == {"web", "every service"}
    assert not any(lie.said_ok for lie in false)


def test_one_that_starts_or_ends_while_the_first_run_works_is_seen() -> None:
    late = seen(alive=lambda at: at > 2, answer=lambda at: at > 2)
    assert lies({"web": "slow"}, told(late, ok=True)) == []
    once = seen(lives=lambda at: 1 + (at > 2))
    assert not [lie for lie in lies({"web": "dies_once"}, told(once, ok=False)) if lie.word == "first run"]


def test_a_draw_is_the_same_again_and_every_kind_has_its_turn() -> None:
    drawn = [draw(number, 7) for number in range(100)]
    assert drawn == [draw(number, 7) for number in range(100)]
    assert {behaviour["kind"] for services in drawn for behaviour in services.values()} == set(KINDS)
    ill = [sum(behaviour["kind"] in ILL for behaviour in services.values()) for services in drawn]
    assert {0, 1, 2} == set(ill)
