# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge of the fleet chaos: what it reads, what it takes for a contradiction; and that a seed means the same."""

from __future__ import annotations

import pytest

from tests.benchmark.balanced import Seen
from tests.chaos.fleet.__main__ import dealt
from tests.chaos.fleet.faults import FAULTS
from tests.chaos.fleet.judge import UP, Excuse, Told, contradictions, not_excused, told, unfinished

TEXT = """\
TASK [Tell how every host has ended] ****
    done: h001, h002
    not begun: h005
    failed: h003: services_running page; it runs again what ran before
    lost: h004: Rollout | Write down that it begins here: no answer
    still drained, or not up in the balancer: h004
    rollout 20261201-031000-abcd: STOPPED, 2 of 5 hosts done
"""
END = "rollout 20261201-031000-abcd: OK, 1 of 1 host done"
NEW, OLD = Seen("v2", UP), Seen("v1", UP)


def test_what_was_said_is_read_from_the_lines() -> None:
    said = told(1, TEXT)
    parts = (said.done, said.waiting, said.back, said.bad, said.drained)
    assert [sorted(part) for part in parts] == [["h001", "h002"], ["h005"], ["h003"], ["h003", "h004"], ["h004"]]
    assert said.cure("takeover") == ""
    assert told(1, "next: run the same command with -e takeover=2026-ab").cure("takeover") == "takeover=2026-ab"


def test_what_was_said_and_is_so_is_no_contradiction() -> None:
    seen = {"h001": NEW, "h002": NEW, "h003": OLD, "h004": Seen("", "MAINT"), "h005": OLD}
    assert contradictions(told(1, TEXT), seen, "v2", dict.fromkeys(seen, "v1")) == []
    assert contradictions(told(0, f"done: h001\n{END}"), {"h001": NEW}, "v2", {"h001": "v1"}) == []


@pytest.mark.parametrize(
    ("said", "seen", "words"),
    [
        (Told(0), OLD, "FALSE OK"),
        (Told(0), Seen("v2", "MAINT"), "FALSE OK"),
        (Told(0), Seen("", "DOWN"), "FALSE OK"),
        (Told(1, done=frozenset({"h"})), OLD, "called done"),
        (Told(1, waiting=frozenset({"h"})), NEW, "called not begun"),
        (Told(1, back=frozenset({"h"})), NEW, "said to run again"),
        (Told(1, back=frozenset({"h"}), bad=frozenset({"h"})), Seen("", "DOWN"), "said to run again"),
        (Told(1), Seen("v1", "DRAIN"), "left drained"),
        (Told(1), Seen("", "DOWN"), "does not answer any more"),
        (Told(1, "No host was touched."), NEW, "no host was touched"),
        (Told(1, "[ERROR]: Error while evaluating conditional"), OLD, "SILENT"),
    ],
)
def test_what_was_said_and_is_not_so_is_found(said: Told, seen: Seen, words: str) -> None:
    found = contradictions(said, {"h": seen}, "v2", {"h": "v1"})
    assert any(words in line for line in found), found


def test_a_rollout_that_was_killed_has_said_nothing_and_what_is_left_is_seen_at_the_end() -> None:
    seen = {"h": Seen("v1", "MAINT")}
    assert contradictions(told(None, TEXT), seen, "v2", {"h": "v1"}) == []
    assert unfinished(seen, "v2") == ["h answers with v1, and is MAINT in the balancer"]
    assert unfinished({"h": NEW}, "v2") == []


def test_a_fault_excuses_only_requests_that_were_under_way_with_it() -> None:
    excuses = [Excuse(100.0, 110.0)]
    misses = [(90.0, 99.0), (95.0, 104.0), (109.0, 120.0), (111.0, 112.0)]
    assert not_excused(misses, excuses) == [(90.0, 99.0), (111.0, 112.0)]


def test_a_seed_means_the_same_faults_and_each_comes_once_before_one_comes_again() -> None:
    kinds = sorted(FAULTS)
    first = [dealt(7, number, kinds) for number in range(1, len(kinds) + 1)]
    assert sorted(first) == kinds
    assert first == [dealt(7, number, kinds) for number in range(1, len(kinds) + 1)]
    assert first != [dealt(8, number, kinds) for number in range(1, len(kinds) + 1)]
