# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When what is sent to one target: a limit for each hour, trials after a failure, and an end of both."""

from __future__ import annotations

import typing as t

import hypothesis
import hypothesis.strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.watch import messages, outbox
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.incidents import StackPlace
from tests.support.receivers import THEN, an_event

PLACE = StackPlace("shop", "app1", "/opt/shop")


def an_alert(number: int = 0) -> t.Any:
    return messages.alert_of(an_event(id=f"not_up:{number}", why=f"{number} is down"))


def titles(box: t.Any) -> list[str]:
    return [each["alert"]["title"].split(" (")[0] for each in box["waiting"]]


def test_the_last_alert_of_an_hour_says_so_and_the_others_are_told_as_one_when_it_is_over() -> None:
    box = outbox.new_outbox()
    for number in range(7):
        outbox.put(box, an_alert(number), THEN + number, 3)
    outbox.let_go(box, PLACE, THEN + 3599, 3)

    assert titles(box) == ["0 is down", "1 is down", "2 is down"]
    assert "the last of 3 within an hour" in box["waiting"][-1]["alert"]["evidence"]
    assert (box["held"]["count"], box["held_back"]) == (4, 4)

    outbox.let_go(box, PLACE, THEN + 3600, 3)
    told = box["waiting"][-1]["alert"]
    assert (told["alert"], told["held_back"]) == ("held_back", 4)
    assert [line.split(" (")[0] for line in told["evidence"].split("\n")[:4]] == [f"{n} is down" for n in range(3, 7)]
    assert box["held"] == {"count": 0, "since": None, "titles": []}

    outbox.let_go(box, PLACE, THEN + 3601, 3)
    assert len(box["waiting"]) == 4, "nothing is told twice"


def test_an_alert_that_is_not_taken_is_tried_later_and_later_and_then_given_up() -> None:
    box, now, waited = outbox.new_outbox(), THEN, []
    outbox.put(box, an_alert(), now, 10)
    while outbox.due(box, now):
        outbox.failed(box, an_alert(), now, "did not answer", again=True)
        if box["waiting"]:
            waited.append(box["waiting"][0]["due"] - now)
            assert outbox.due(box, box["waiting"][0]["due"] - 1) == []
            now = box["waiting"][0]["due"]

    assert tuple(waited) == outbox.PAUSES
    assert (box["dropped"], box["waiting"], box["problem"]) == (1, [], "did not answer")


def test_a_far_end_says_how_long_to_wait_and_never_for_ever() -> None:
    for after, wait in ((0.0, 30.0), (45.0, 45.0), (10.0**9, outbox.PAUSES[-1])):
        box = outbox.new_outbox()
        outbox.put(box, an_alert(), THEN, 10)
        outbox.failed(box, an_alert(), THEN, "answered 429", again=True, after=after)
        assert box["waiting"][0]["due"] - THEN == wait


def test_what_is_of_no_use_is_not_tried_again_and_success_ends_the_problem() -> None:
    box = outbox.new_outbox()
    outbox.put(box, an_alert(1), THEN, 10)
    outbox.put(box, an_alert(2), THEN, 10)
    outbox.failed(box, an_alert(1), THEN, "answered 404", again=False)
    assert (titles(box), box["problem"], box["failed_at"]) == (["2 is down"], "answered 404", THEN)

    outbox.sent(box, an_alert(2), THEN + 1)
    assert (box["sent"], box["dropped"], box["problem"], box["last_sent"]) == (1, 1, None, THEN + 1)


def test_a_clock_that_was_set_back_holds_nothing_back() -> None:
    box = outbox.new_outbox()
    for number in range(3):
        outbox.put(box, an_alert(number), THEN, 3)
        outbox.failed(box, an_alert(number), THEN, "did not answer", again=True)
    before = THEN - 86_400 * 365
    outbox.put(box, an_alert(3), before, 3)

    assert len(outbox.due(box, before)) == 4


@hypothesis.settings(max_examples=50)
@hypothesis.given(
    st.integers(1, 5),
    st.lists(st.tuples(st.floats(0, 2000), st.sampled_from(["put", "let_go", "sent", "failed"])), max_size=80),
)
def test_no_more_than_the_limit_within_an_hour_and_each_alert_is_counted(
    most: int, steps: list[tuple[float, str]]
) -> None:
    box, now, put, told_as_one = outbox.new_outbox(), THEN, 0, 0
    for pause, step in steps:
        now += pause
        held = box["held"]["count"]
        if step == "put":
            put += 1
            outbox.put(box, an_alert(put), now, most)
        elif step == "let_go":
            outbox.let_go(box, PLACE, now, most)
            told_as_one += held > box["held"]["count"]
        elif box["waiting"] and step == "sent":
            outbox.sent(box, box["waiting"][0]["alert"], now)
        elif box["waiting"]:
            outbox.failed(box, box["waiting"][0]["alert"], now, "x", again=True)
        assert len([then for then in box["taken"] if now - then < outbox.HOUR]) <= most

    assert put - box["held_back"] + told_as_one == box["sent"] + box["dropped"] + len(box["waiting"])
    assert len(box["waiting"]) <= outbox.MOST_WAITING
