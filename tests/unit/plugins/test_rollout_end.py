# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who goes back when a rollout has failed, and how its end is told."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollout_end import (
    Ended,
    Stands,
    Told,
    exit_code,
    result_text,
    way_back,
    way_back_notes,
)

DONE, SAME, FIRST = Stands("done", "old", "new"), Stands("done", "old", "old"), Stands("done", "", "new")
BAD, AWAY, UNSURE = Stands("failed", "old", "old"), Stands("lost"), Stands("inconclusive", "old", "new")


@pytest.mark.parametrize(
    ("stand", "budget", "back", "stays"),
    [
        ([DONE, DONE, BAD, Stands("")], 0, ["h1", "h0"], []),
        # What is within the budget, or no failure of the release, takes nobody back.
        ([DONE, BAD], 1, [], []),
        ([DONE, BAD, UNSURE], 0, [], []),
        ([DONE, AWAY], 0, [], []),
        ([DONE, AWAY, BAD], 0, ["h0"], []),
        # Nothing was changed there.
        ([SAME, DONE, BAD], 0, ["h1"], []),
        ([FIRST, DONE, BAD], 0, ["h1"], ["h0"]),
        ([Stands("done", "old", "new", ("migrate",)), DONE, BAD], 0, [], ["h0", "h1"]),
        ([DONE, Stands("failed", "old", "new", ("migrate",))], 0, [], ["h0"]),
    ],
)
def test_who_goes_back(stand: t.Sequence[Stands], budget: int, back: t.Any, stays: t.Any) -> None:
    hosts = {f"h{number}": one for number, one in enumerate(stand)}

    found = way_back(hosts, "revert", budget)

    assert (list(found.hosts), sorted(found.stays)) == (back, stays)
    assert way_back(hosts, "stop", budget) == ((), {})


STANDS = st.builds(
    Stands,
    st.sampled_from(["", "done", "failed", "lost", "inconclusive"]),
    st.sampled_from(["", "old"]),
    st.sampled_from(["old", "new"]),
    st.sampled_from([(), (), ("migrate",)]),
)


@given(st.lists(STANDS, max_size=8), st.integers(0, 3))
def test_only_hosts_that_were_changed_and_proved_go_back_and_the_last_one_first(
    stand: t.Sequence[Stands], budget: int
) -> None:
    hosts = {f"h{number}": one for number, one in enumerate(stand)}

    found = way_back(hosts, "revert", budget)

    assert list(found.hosts) == sorted(found.hosts, reverse=True)
    assert not set(found.hosts) & set(found.stays)
    assert all(hosts[host].outcome == "done" and hosts[host].before == "old" for host in found.hosts)
    if found.hosts:
        assert not any(one.outcome == "inconclusive" or one.one_way for one in stand)


def test_what_a_failure_would_take_back_is_said_before() -> None:
    assert way_back_notes({"a": "g"}, "stop") == []
    assert "the last one first" in way_back_notes({"a": "g"}, "revert")[0]
    assert "nothing runs yet on b" in way_back_notes({"a": "g", "b": ""}, "revert")[1]


@pytest.mark.parametrize(
    ("ended", "left_out", "code"),
    [
        ([Ended("done")], {}, 0),
        ([Ended("done"), Ended("failed", "x", True)], {}, 1),
        ([Ended("done"), Ended()], {}, 1),
        ([Ended("done", drained=True)], {}, 1),
        ([Ended("done", drained=True, drained_by="by haproxy since 12:00")], {}, 1),
        ([Ended("done"), Ended("lost", "x")], {}, 4),
        ([Ended("done")], {"b": "not reached"}, 4),
    ],
)
def test_a_rollout_is_good_only_when_every_host_is(
    ended: t.Sequence[Ended], left_out: t.Mapping[str, str], code: int
) -> None:
    hosts = {f"h{number}": one for number, one in enumerate(ended)}
    text = result_text(hosts, left_out, Told("r1"))

    assert exit_code(hosts, left_out) == code
    assert ("next:" in text) == (code != 0)
    assert all(host in text for host in [*hosts, *left_out])
    assert all(one.drained_by in text for one in ended)


BACK = Ended("reverted", runs="generation old")


@pytest.mark.parametrize(
    ("ended", "back", "reverts", "word", "cure"),
    [
        ([BACK, Ended("failed", "x", True)], [0], False, "REVERTED, 0 of 2", cures.GO_ON),
        ([Ended("done"), BACK, Ended("failed", "x", True)], [1, 0], False, "yet to go back: h0", cures.GO_ON_BACK),
        ([Ended("done"), Ended("lost", "x")], [1, 0], False, "STOPPED, 0 of 2 hosts done", cures.GO_ON_BACK),
        ([BACK, Ended("failed", "x", False)], [1, 0], True, "STOPPED, 1 of 2 hosts gone back", cures.GO_ON),
        ([BACK, Ended()], [0, 1], True, "1 of 2 hosts gone back", cures.GO_ON_BACK),
        ([BACK], [0], True, "REVERTED, 1 of 1 host gone back", cures.ROLL_OUT_AGAIN),
        ([Ended("done"), Ended("inconclusive", "x")], [], False, "PAUSED", cures.GO_ON),
    ],
)
def test_the_end_says_how_far_going_back_has_come_and_what_to_do_next(
    ended: t.Sequence[Ended], back: t.Sequence[int], reverts: bool, word: str, cure: str
) -> None:
    hosts = {f"h{number}": one for number, one in enumerate(ended)}
    text = result_text(hosts, {}, Told("r1", tuple(f"h{number}" for number in back), reverts=reverts))

    assert word in text
    assert f"next: {cure}" in text


def test_in_the_end_each_host_is_told_with_what_it_runs_now() -> None:
    text = result_text({"a": BACK, "b": BACK, "c": Ended("failed", "x", False, stays="why not")}, {}, Told("r1"))

    paused = result_text({"a": Ended("done"), "b": Ended()}, {}, Told("r1", paused="1 of 3 other hosts are up"))
    assert "paused: 1 of 3 other hosts are up" in paused
    assert "PAUSED, 1 of 2" in paused
    assert "now a, b: generation old" in text
    assert "now c: nobody knows" in text
    assert "stays on what was rolled out: c: why not" in text
