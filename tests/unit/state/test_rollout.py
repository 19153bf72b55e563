# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host keeps of a rollout: whose it is, what it has drained, and what is gone back to."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.rollout import (
    Controller,
    Order,
    Rollout,
    follow,
    next_record,
    path,
    read_rollout,
)

HERE = Controller("boot", "pid:[1]", 100, 5)


def order(step: str, **more: t.Any) -> Order:
    return Order("mine", "ada@desk", HERE, step, **more)


def others(step: str, **more: t.Any) -> Rollout:
    return Rollout("theirs", "bob@shed", HERE, 10.0, 20.0, step, "old", **more)


@pytest.mark.parametrize("step", ["begin", "drain", "run", "undrain", "soak"])
def test_another_rollout_at_work_is_refused_with_whose_it_is(step: str) -> None:
    with pytest.raises(RollcallError) as refused:
        next_record(others(step), order("begin"), "now", 80.0)

    assert refused.value.kind == "refused"
    assert "theirs of bob@shed" in refused.value.message
    assert "last sign of life 60 s ago" in refused.value.message
    assert "takeover=theirs" in refused.value.remedies[0]


def test_one_that_leads_the_fleet_is_at_work_even_where_it_is_done() -> None:
    with pytest.raises(RollcallError):
        next_record(others("done", leads=True), order("begin"), "now", 80.0)
    assert next_record(others("done"), order("begin"), "now", 80.0).id == "mine"


def test_what_a_dead_rollout_has_drained_is_kept_and_what_ran_before_it_is_gone_back_to() -> None:
    dead = others("run", drained="haproxy", since=15.0)

    taken = next_record(dead, order("begin", over=("theirs",)), "half", 80.0)

    assert (taken.id, taken.step, taken.before) == ("mine", "begin", "old")
    assert (taken.drained, taken.since) == ("haproxy", 15.0)


def test_whoever_goes_on_with_another_one_keeps_what_ran_before_the_first() -> None:
    first = Rollout("x", "bob@shed", HERE, 10.0, 20.0, "done", "old", leads=True, origin="x", one_way=("migrate",))

    led = next_record(first, order("lead", over=("x",), origin="x", leads=True), "new", 80.0)
    back = next_record(led, order("back", origin="x"), "new", 81.0)
    ended = next_record(back, order("reverted", origin="x"), "old", 82.0)

    assert (led.id, led.step, led.before, led.leads, led.one_way) == ("mine", "done", "old", True, ("migrate",))
    assert (back.back, back.is_at_work, ended.back, ended.step) == (True, True, True, "reverted")
    assert not next_record(ended, order("begin", origin="x"), "old", 83.0).back
    # One that begins anew goes back to what is in place now.
    anew = next_record(first._replace(leads=False), order("begin"), "new", 80.0)
    assert (anew.before, anew.origin, anew.one_way) == ("new", "mine", ())


def test_one_that_only_leads_leaves_nothing_unfinished_on_its_host() -> None:
    led = next_record(None, order("lead", leads=True), "now", 1.0)

    assert (led.step, led.is_at_work) == ("done", True)
    assert not next_record(led, order("end"), "now", 2.0).is_at_work


def test_after_a_rollout_that_has_ended_what_is_in_place_is_gone_back_to() -> None:
    left = others("failed", drained="haproxy", since=15.0)

    taken = next_record(left, order("begin"), "now", 80.0)

    assert taken.before == "now"
    assert (taken.drained, taken.since) == ("haproxy", 15.0)


def test_a_host_is_drained_since_its_first_drain_until_it_is_undrained() -> None:
    begun = next_record(None, order("begin", leads=True), "now", 1.0)
    drained = next_record(begun, order("drain", drained="file"), "now", 2.0)
    again = next_record(drained, order("run"), "now", 3.0)
    back = next_record(again, order("done", drained=""), "now", 4.0)
    ended = next_record(back, order("end"), "now", 5.0)

    assert (drained.since, again.drained, again.since) == (2.0, "file", 2.0)
    assert (back.drained, back.since, back.leads, back.is_at_work) == ("", 0.0, True, True)
    assert (ended.step, ended.leads, ended.is_at_work, ended.sign) == ("done", False, False, 5.0)


def test_the_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = follow(str(tmp_path), order("begin", leads=True), "now")

    assert read_rollout(str(tmp_path)) == written
    assert follow(str(tmp_path), order("run"), "now", dry_run=True).step == "run"
    assert read_rollout(str(tmp_path)) == written


def test_a_record_that_says_something_else_is_an_error_and_never_none(tmp_path: Path) -> None:
    follow(str(tmp_path), order("begin"), "now")
    text = Path(path(str(tmp_path))).read_text(encoding="utf-8")
    Path(path(str(tmp_path))).write_text(text.replace('"begin"', '"fly"'), encoding="utf-8")

    with pytest.raises(RollcallError) as unreadable:
        read_rollout(str(tmp_path))
    assert unreadable.value.remedies
