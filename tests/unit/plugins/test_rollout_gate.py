# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the next batch of a rollout begins, and which batches are refused before the first."""

from __future__ import annotations

import dataclasses
import re
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollout_gate import (
    Facts,
    Gate,
    Other,
    gate,
    last_proved,
    needed,
    still_out,
    up_reasons,
)
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Seen, Wishes, decide, in_batches

UP, AWAY = Other(up=True), Other(up=False, why="is not healthy: running web")
GOOD = Seen(reached=True, version="1", healthy=True)
NEW = Seen(reached=True)


@pytest.mark.parametrize(
    ("min_up", "number", "wanted"),
    [
        (0, 5, 0),
        ("3", 5, 3),
        ("80%", 5, 4),
        ("50%", 5, 3),
        ("100%", 5, 5),
        ("101%", 5, None),
        ("most", 5, None),
        (-1, 5, None),
        ("1.5", 5, None),
    ],
)
def test_a_share_is_rounded_up_and_what_is_neither_is_none(min_up: t.Any, number: int, wanted: t.Any) -> None:
    assert needed(min_up, number) == wanted


@pytest.mark.parametrize(
    ("seen", "sizes", "min_up", "told"),
    [
        ([GOOD] * 4, [1], 3, []),
        # One at a time is too many: smaller batches do not help, and that is said once.
        ([GOOD] * 4, [1], "80%", ["min_up"]),
        ([GOOD] * 4, [2], "80%", ["min_up"]),
        ([GOOD] * 5, [1, 2], 4, ["h1, h2", "h3, h4"]),
        ([GOOD] * 4, [1, 2], "most", ["min_up"]),
        # Nothing runs there yet: nothing goes away, and what is not there does not count as up.
        ([NEW] * 3, ["100%"], 2, []),
        ([GOOD, GOOD, NEW], [1], 2, ["min_up"]),
        ([NEW, GOOD, GOOD], [1], 2, []),
    ],
)
def test_batches_that_take_too_many_away_are_all_refused_at_once(
    seen: t.Sequence[Seen], sizes: t.Any, min_up: t.Any, told: t.Sequence[str]
) -> None:
    hosts = {f"h{number}": one for number, one in enumerate(seen)}
    decided = decide(hosts, Wishes(), 10.0)

    reasons = up_reasons(decided, hosts, in_batches(decided.hosts, sizes), min_up)

    assert [reason.host for reason in reasons] == list(told)
    assert all(reason.cure for reason in reasons)
    # What a cure says works.
    for cure in (reason.cure for reason in reasons if "-e min_up=" in reason.cure and "such as" not in reason.cure):
        wanted = re.findall(r"min_up=(\d+)", cure)[0]
        assert not up_reasons(decided, hosts, in_batches(decided.hosts, [1]), wanted)
    # Equal reasons are told together, and two batches are not one.
    assert len({(reason.what, reason.cure) for reason in reasons}) == len(reasons)


@pytest.mark.fault(43)
@pytest.mark.parametrize(
    ("facts", "wanted", "word"),
    [
        (Facts(), Gate(go=True), ""),
        (Facts({"a": "done"}), Gate(go=True), ""),
        (Facts({"a": "failed"}), Gate(go=False), ""),
        (Facts({"a": "failed"}, budget=1), Gate(go=True), ""),
        (Facts({"a": "failed"}, budget=1, steps=True), Gate(go=False), ""),
        (Facts({"a": "lost"}), Gate(go=False), ""),
        (Facts({"a": "inconclusive"}, budget=9), Gate(go=False), ""),
        (Facts(others={"a": UP, "b": UP}, min_up=2), Gate(go=True), ""),
        (Facts(others={"a": UP, "b": AWAY}, min_up=2, waited=5, patience=60), Gate(go=False, waits=True), "b: is not"),
        (Facts(others={"a": UP, "b": AWAY}, min_up=2, waited=61, patience=60), Gate(go=False), "1 of 2 other hosts"),
        (Facts(min_up=1), Gate(go=False), "there are no others"),
        (Facts(since=601, progress=600, last="a at noon"), Gate(go=False), "the last was a at noon"),
        (Facts(since=601), Gate(go=True), ""),
    ],
)
def test_when_the_next_batch_begins(facts: Facts, wanted: Gate, word: str) -> None:
    found = gate(facts)

    assert (found.go, found.waits) == (wanted.go, wanted.waits)
    assert word in found.why
    assert bool(found.why) == bool(word)


OUTCOMES = st.dictionaries(
    st.sampled_from("abc"), st.sampled_from(["done", "failed", "lost", "inconclusive"]), max_size=3
)
OTHERS = st.dictionaries(st.sampled_from("xyz"), st.sampled_from([UP, AWAY]), max_size=3)


@given(OUTCOMES, OTHERS, st.integers(0, 3), st.floats(0, 100), st.floats(0, 100))
def test_no_batch_begins_with_too_few_up_nor_after_what_is_inconclusive(
    outcomes: t.Mapping[str, str], others: t.Mapping[str, Other], min_up: int, waited: float, since: float
) -> None:
    found = gate(Facts(outcomes, 0, False, others, min_up, waited, 50, since, "a", 60))

    if found.go:
        assert sum(one.up for one in others.values()) >= min_up
        assert set(outcomes.values()) <= {"done"}
        assert since <= 60
    assert not (found.go and found.waits)
    assert not found.waits or waited < 50


def test_only_hosts_that_were_proved_are_progress() -> None:
    assert last_proved(5.0, {})[0] == 5.0
    assert last_proved(5.0, {"a": 7.0, "b": 9.0})[0] == 9.0
    assert last_proved(5.0, {"a": 7.0, "b": 9.0})[1].startswith("b at ")


def test_who_is_well_and_was_left_out_comes_back_before_anybody_is_counted() -> None:
    left: t.Any = {
        "id": "r",
        "drained": "haproxy",
        "at_work": True,
        "step": "drain",
        "origin": "r",
        "sign": 1.0,
        "back": False,
    }
    out = dataclasses.replace(GOOD, rollout=left)
    hosts = {"h1": GOOD, "h2": out, "h3": dataclasses.replace(out, healthy=False)}
    decided = decide(hosts, Wishes(dead=frozenset("r"), unhealthy_before="repair"), 10.0)

    assert still_out(decided, hosts) == ["h2"]
