# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is ordered of a balancer after a look, and what is read of its answers, as tables."""

from __future__ import annotations

import csv
import dataclasses
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer import haproxy
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.haproxy import (
    ServerKey,
    ServerView,
    views_of,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.plan import (
    DrainMemory,
    by_force,
    next_of_drain,
    next_of_undrain,
    others,
)

A, B = ServerKey("/s", "web", "a"), ServerKey("/s", "web", "b")
READY = ServerView(
    key=A,
    address="192.0.2.1",
    port=80,
    maint=False,
    drain=False,
    inherited=False,
    up=True,
    checked=True,
    passed=True,
    tracked=None,
    sessions=0,
    queued=0,
    idle=None,
    status="UP",
    check="L7OK",
)


def but(**values: t.Any) -> ServerView:
    return dataclasses.replace(READY, **values)


DRAINING, MAINT = but(drain=True), but(maint=True, up=False)
FIRST, BACK = [("drain", A), ("distrust", A)], [("ready", A)]


@pytest.mark.parametrize(
    ("view", "down", "orders", "waits"),
    [
        (READY, False, ["drain"], True),
        (but(sessions=3), False, ["drain"], True),
        (but(up=False, sessions=3), False, ["drain"], True),
        (but(drain=True, sessions=1), False, [], True),
        (but(drain=True, queued=1), False, [], True),
        (DRAINING, False, ["maint"], False),
        (but(drain=True, up=False, sessions=3), False, ["maint"], False),
        (but(drain=True, maint=True, up=False), False, [], False),
        (but(maint=True, up=False, sessions=1), False, [], True),
        (but(maint=True, up=False, sessions=1), True, [], False),
        (MAINT, False, [], False),
        (but(inherited=True, up=False), False, ["drain"], True),
    ],
)
def test_a_server_is_drained_then_empty_then_in_maintenance(
    view: ServerView, down: bool, orders: list[str], waits: bool
) -> None:
    step = next_of_drain({A: view}, [A], (), DrainMemory({A}, {A} if down else set()))

    assert ([order for order, _key in step.orders], bool(step.waiting)) == (orders, waits)


def test_maintenance_waits_for_all_and_what_is_gone_or_of_others_has_no_orders() -> None:
    memory = DrainMemory(set())
    waiting = next_of_drain({A: DRAINING, B: but(key=B, drain=True, sessions=1)}, [A, B], (), memory)
    assert (waiting.orders, waiting.waiting) == ((), (B,))
    assert next_of_drain({}, [A], (), memory).done
    assert next_of_drain({A: DRAINING}, [A], [A], memory).done
    assert next_of_drain({A: but(drain=True, sessions=1)}, [A], [A], memory).waiting == (A,)
    # One that was down when it was taken out is not waited for; the memory of that ends when it is in use again.
    next_of_drain({A: but(drain=True, up=False, sessions=1)}, [A], (), memory)
    assert memory.down == {A}
    next_of_drain({A: but(sessions=1)}, [A], (), memory)
    assert memory.down == set()


@pytest.mark.parametrize(
    ("view", "theirs", "orders"),
    [
        (but(drain=True, sessions=2), [], ["maint", "cut"]),
        (DRAINING, [], ["maint"]),
        (but(maint=True, sessions=2), [], ["cut"]),
        (but(drain=True, sessions=2), [A], ["cut"]),
        (MAINT, [], []),
    ],
)
def test_by_force_sessions_are_ended_when_no_new_ones_come(
    view: ServerView, theirs: list[ServerKey], orders: list[str]
) -> None:
    assert [order for order, _key in by_force({A: view}, [A], theirs).orders] == orders


@pytest.mark.parametrize(
    ("view", "distrusted", "orders", "waits"),
    [
        (MAINT, False, FIRST, True),
        (DRAINING, False, FIRST, True),
        (but(drain=True, up=False), True, [], True),
        (but(drain=True, passed=False), True, [], True),
        (DRAINING, True, BACK, True),
        (MAINT, True, FIRST, True),
        (but(maint=True, up=False, checked=False), False, BACK, True),
        (READY, True, [], False),
        (but(up=False), True, [], True),
        # After a reload of HAProxy it counts as up before the first check.
        (but(passed=False), True, [], True),
        (but(inherited=True), True, [], True),
    ],
)
def test_a_server_comes_back_when_checks_that_begin_now_have_passed(
    view: ServerView, distrusted: bool, orders: list[t.Any], waits: bool
) -> None:
    step = next_of_undrain({A: view}, [A], (), DrainMemory({A}, set(), {A} if distrusted else set()))

    assert (list(step.orders), bool(step.waiting)) == (orders, waits)


def test_a_server_that_is_gone_is_waited_for_and_one_of_others_is_not() -> None:
    assert next_of_undrain({}, [A], (), DrainMemory({A})).waiting == (A,)
    assert next_of_undrain({A: MAINT}, [A], [A], DrainMemory(set())).done


@pytest.mark.parametrize(
    ("view", "ours", "theirs"),
    [
        (READY, [], False),
        (MAINT, [], True),
        (DRAINING, [], True),
        (MAINT, [A], False),
        (but(inherited=True, tracked=B), [], True),
        (but(inherited=True, tracked=B), [B], False),
        (but(inherited=True), [], True),
    ],
)
def test_what_is_out_and_not_ours_is_somebody_elses(view: ServerView, ours: list[ServerKey], theirs: bool) -> None:
    assert others({A: view}, [A, B], ours) == ([A] if theirs else [])


STATES = (
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_check_state srv_port"
    " srv_uweight of_a_later_version\n3 web 1 a 192.0.2.1 2 8 6 80 1 -\n3 web 2 b - 0 32 0 0 1 -\n\n"
)
STATISTICS = (
    "# pxname,svname,qcur,scur,status,tracked,check_status,lastsess,of_a_later_version\n"
    'web,a,1,2,DRAIN,,* L7OK,7,"of, later"\nweb,b,,0,MAINT (resolution),web/a,,-1,\nweb,c,0,0,UP,,,-1,\n'
)


def test_columns_are_found_by_their_names() -> None:
    views = views_of("/s", STATES, STATISTICS)

    a = but(drain=True, sessions=2, queued=1, idle=7, status="DRAIN")
    assert views[A] == a
    assert a.text() == "web/a is DRAIN, check L7OK, 2 sessions, 1 queued, the last one came 7 s ago"
    # One that is in one answer only has just come or gone.
    assert set(views) == {A, B}
    assert (views[B].inherited, views[B].tracked, views[B].passed, views[B].port) == (True, A, True, 0)
    failed = views_of("/s", STATES.replace("8 6", "0 6"), STATISTICS.replace("* L7OK", "L7STS"))
    assert (failed[A].passed, failed[B].passed) == (False, False)


@pytest.mark.parametrize(
    ("states", "statistics"),
    [
        ("", STATISTICS),
        ("2" + STATES[1:], STATISTICS),
        ("1\n", STATISTICS),
        (STATES.replace("# be_id", "be_id"), STATISTICS),
        (STATES.replace("srv_admin_state", "x"), STATISTICS),
        (STATES.replace("2 8 6", "2 y 6"), STATISTICS),
        (STATES, ""),
        (STATES, STATISTICS.replace("scur", "x")),
        (STATES, STATISTICS.replace("web,a,1,2", "web,a,1,many")),
        (STATES.replace("web 1 a", "web 1 a;x"), STATISTICS.replace("web,a,", "web,a;x,")),
        (STATES, STATISTICS.replace(",,* L7OK", ",web/a\x1b,* L7OK")),
        (STATES, STATISTICS + "web,d," + "x" * 200_000),
    ],
)
def test_what_no_haproxy_says_is_an_error(states: str, statistics: str) -> None:
    with pytest.raises((ValueError, LookupError, csv.Error)):
        views_of("/s", states, statistics)


def test_more_servers_than_there_are_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "MOST_SERVERS", 1)
    with pytest.raises(ValueError, match="more than 1"):
        views_of("/s", STATES, STATISTICS)
