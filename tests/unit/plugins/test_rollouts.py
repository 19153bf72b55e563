# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a rollout goes to, in which order, and why nobody is touched; how a host has ended."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import (
    Seen,
    Wishes,
    all_left_out,
    before,
    decide,
    in_batches,
    judge,
    plan_text,
    refusal,
    refused,
    seen_of,
)

GOOD = Seen(reached=True, version="1", healthy=True, changes=True)
IDLE = Seen(reached=True, version="1", healthy=True, changes=False)
SICK = Seen(reached=True, version="1", healthy=False, failing=("running web",))
LOST = Seen(reached=False, why="no route")
STOPPED = Seen(reached=True, healthy=False, failing=("supervisord stack",), stopped="stopped by ada")


def record(name: str = "old", step: str = "run", **more: t.Any) -> t.Any:
    controller = {"boot": "b", "namespace": "n", "pid": 1, "start": 1}
    told = {"id": name, "by": "bob@shed", "controller": controller, "began": 1.0, "sign": 2.0, "step": step}
    rest = {"before": "g", "drained": "", "since": 0.0, "leads": False, "back": False, "one_way": []}
    return {**told, **rest, "origin": name, "at_work": step in ("run", "back"), **more}


def with_record(**more: t.Any) -> Seen:
    return Seen(reached=True, version="1", healthy=True, changes=False, rollout=record(**more))


@pytest.mark.parametrize(
    ("one", "wishes", "word"),
    [
        (LOST, Wishes(), "cannot be reached: no route"),
        (SICK, Wishes(), "is not healthy: running web"),
        (with_record(), Wishes(), "another rollout is at work: old of bob@shed"),
        (Seen(reached=True, at_work="pid 7", refused="locked"), Wishes(), "a run has locked the stack: pid 7"),
        (Seen(reached=True, refused="port 80 is taken"), Wishes(), "port 80 is taken"),
        (Seen(reached=True, refused="it is damaged", cure="rm /x  # on b"), Wishes(), "it is damaged"),
    ],
)
def test_what_keeps_one_host_from_it_keeps_all(one: Seen, wishes: Wishes, word: str) -> None:
    decided = decide({"a": GOOD, "b": one}, wishes, 10.0)

    assert [reason.host for reason in decided.reasons] == ["b"]
    assert word in decided.reasons[0].what
    assert decided.reasons[0].cure
    assert one.cure in decided.reasons[0].cure


def test_a_host_whose_manifest_has_problems_was_not_asked_and_is_no_host_out_of_reach() -> None:
    asked = seen_of({"failed": True, "asked": False, "msg": "services.web: unknown key"})

    decided = decide({"a": GOOD, "b": asked}, Wishes(unreachable="skip"), 10.0)

    assert [reason.what for reason in decided.reasons] == ["the run would be refused: services.web: unknown key"]
    assert refused(decided)["kind"] == "refused"
    assert refused(decide({"a": GOOD, "b": LOST}, Wishes(), 10.0))["kind"] == "unreachable"


@pytest.mark.parametrize(
    ("one", "wishes", "goes"),
    [
        (LOST, Wishes(unreachable="skip"), False),
        (STOPPED, Wishes(), False),
        (SICK, Wishes(unhealthy_before="repair"), True),
        (with_record(), Wishes(takeover="old"), True),
        (with_record(), Wishes(dead=frozenset({"old"})), True),
        # What an earlier one has left drained is seen to, whatever else there is to do.
        (with_record(step="failed", drained="haproxy"), Wishes(), True),
        (IDLE, Wishes(), False),
    ],
)
def test_a_host_takes_part_or_is_left_out_and_told(one: Seen, wishes: Wishes, goes: bool) -> None:
    decided = decide({"a": GOOD, "b": one}, wishes, 10.0)

    assert not decided.reasons
    assert ("b" in decided.hosts) == goes
    assert goes or "b" in {**decided.left_out, **decided.set_aside} or "b" in decided.idle


def test_the_first_host_leads_and_what_is_half_done_comes_next() -> None:
    half = with_record()
    decided = decide({"a": IDLE, "b": GOOD, "c": half, "d": IDLE}, Wishes(takeover="old"), 10.0)

    assert decided.hosts == ("a", "c", "b")
    assert decided.idle == ("d",)


def test_with_nothing_to_do_no_host_is_gone_to() -> None:
    assert decide({"a": IDLE, "b": IDLE}, Wishes(), 10.0).hosts == ()


def test_hosts_that_were_not_reached_are_no_success_when_all_others_are_idle() -> None:
    decided = decide({"a": IDLE, "b": LOST}, Wishes(unreachable="skip"), 10.0)

    error = all_left_out(decided)

    assert (decided.hosts, decided.idle) == ((), ("a",))
    assert error["kind"] == "unreachable"
    assert "left out: b: not reached: no route" in error["message"]


@pytest.mark.fault(45)
def test_the_second_name_of_a_machine_is_left_out() -> None:
    one = Seen(reached=True, healthy=True, machine="boot 1:2")
    decided = decide({"a": one, "b": one}, Wishes(), 10.0)

    assert decided.hosts == ("a",)
    assert "same machine and stack as a" in decided.set_aside["b"]


def test_equal_reasons_are_told_together_with_one_cure() -> None:
    text = refusal(decide({"a": LOST, "b": LOST, "c": SICK}, Wishes(), 10.0).reasons)

    assert "a, b: cannot be reached: no route" in text
    assert text.count("unreachable=skip") == 1
    assert "c: is not healthy" in text


@given(st.integers(1, 60), st.lists(st.one_of(st.integers(1, 9), st.integers(1, 100).map("{}%".format)), min_size=1))
def test_batches_have_every_host_once_in_its_order(number: int, sizes: t.List[t.Any]) -> None:
    hosts = [f"h{index}" for index in range(number)]

    batches = in_batches(hosts, sizes)

    assert [host for batch in batches for host in batch] == hosts
    assert all(batches)


def checks(*failed: str, back: bool = False) -> t.Dict[str, t.Any]:
    found = [{"name": name, "subject": "x", "ok": False, "data": {"kind": "redis"}} for name in failed]
    good = [{"name": "health", "subject": "x", "ok": True}]
    if back:
        return {"ok": False, "report": {"result": "rolled_back", "checks": good, "rolled_back": {"checks": found}}}
    return {"ok": False, "report": {"result": "degraded", "checks": [*good, *found], "rolled_back": None}}


OK = {"ok": True, "report": {"checks": []}}


@pytest.mark.parametrize(
    ("run", "soak", "failed", "result", "outcome", "go_back"),
    [
        (OK, {}, "", {}, "done", False),
        (checks("health", back=True), {}, "Verdict", {"msg": "no"}, "failed", False),
        (OK, checks("running"), "Soak", {"msg": "no"}, "failed", True),
        # Only the database is away: that is the same for all hosts, and says nothing of the release.
        (checks("reached", "database"), {}, "Verdict", {"msg": "no"}, "inconclusive", False),
        (OK, checks("reached", "database"), "Soak", {"msg": "no"}, "inconclusive", False),
        # It is there and refuses, it was another one, or something else failed as well.
        (checks("database"), {}, "Verdict", {"msg": "no"}, "failed", False),
        (checks("reached", "database", back=True), {}, "Verdict", {"msg": "no"}, "failed", False),
        (checks("reached", "database", "running"), {}, "Verdict", {"msg": "no"}, "failed", False),
        # It is proved, and the balancer does not take it: nobody can say whether users reach it.
        (OK, {}, "Undrain", {"msg": "silent"}, "inconclusive", False),
        ({}, {}, "Drain", {"msg": "silent"}, "failed", False),
        ({"unreachable": True}, {}, "Verdict", {"msg": "undefined"}, "lost", False),
        ({}, {}, "Run", {"timedout": {"period": 5}, "msg": "Timed out after 5 seconds."}, "lost", False),
        ({}, {}, "Begin", {"error": {"kind": "unreachable"}, "msg": "gone"}, "lost", False),
    ],
)
def test_how_a_host_has_ended(run: t.Any, soak: t.Any, failed: str, result: t.Any, outcome: str, go_back: bool) -> None:
    judged = judge(run, soak, failed, result)

    assert (judged.outcome, judged.go_back) == (outcome, go_back)
    assert bool(judged.why) == (outcome != "done")


@pytest.mark.fault(43)
def test_a_host_that_was_lost_in_its_run_is_told_with_that_and_not_with_what_failed_for_want_of_it() -> None:
    judged = judge({"unreachable": True, "msg": "no route to host"}, {}, "Verdict", {"msg": "no attribute 'ok'"})
    assert (judged.outcome, judged.why) == ("lost", "no route to host")


def test_what_fails_before_a_host_was_touched_says_nothing_of_the_release() -> None:
    assert judge({}, {}, "Drain", {"msg": "silent"}, touched=False).outcome == "inconclusive"
    assert judge({}, {}, "Drain", {"unreachable": True}, touched=False).outcome == "lost"


def brought(step: str = "done", **more: t.Any) -> Seen:
    """Return a host that the rollout ``old`` has brought another generation."""
    return replace(with_record(step=step, **more), generation="new")


def test_what_was_done_before_the_controller_was_killed_is_part_of_what_goes_on() -> None:
    seen = {"a": brought(leads=True, at_work=True), "b": brought(), "c": brought(before="new"), "d": GOOD}
    decided = decide(seen, Wishes(takeover="old"), 10.0)

    assert (decided.origin, decided.hosts, decided.reverts) == ("old", ("a", "d"), False)
    assert decided.idle == ("b", "c")
    assert decided.earlier == ("b",)
    assert [before("old", seen[host]) for host in ("a", "d")] == ["g", ""]


def test_one_that_was_cut_off_while_it_took_hosts_back_goes_on_with_that_and_brings_nothing() -> None:
    seen = {
        "a": brought(leads=True, at_work=True),
        "b": brought(step="back", back=True),
        # Its generation is in place again, and that was not written down any more.
        "c": replace(with_record(step="undrain", back=True, at_work=True, drained="haproxy"), generation="g"),
        "d": replace(with_record(step="reverted", back=True), generation="g"),
        "e": replace(SICK, rollout=record(step="failed"), refused="port 80 is taken"),
        "f": GOOD,
    }
    assert "at work: old" in decide(seen, Wishes(), 10.0).reasons[0].what

    decided = decide(seen, Wishes(takeover="old"), 10.0)

    assert not decided.reasons
    assert (decided.reverts, decided.back, decided.hosts) == (True, ("c", "b", "a"), ("a", "b", "c"))
    assert "brings nothing new: c, b, a" in plan_text(decided, ())


def test_of_a_loop_that_failed_the_words_of_its_items_are_told() -> None:
    loop = {"msg": "One or more items failed", "items": ["too few others are up"]}
    assert judge({}, {}, "Drain", loop, touched=False).why == "Drain: too few others are up"
