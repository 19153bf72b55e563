# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which port a service gets: tables over manifest, leases and what is taken."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Service
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import assign


def service(name: str, own: t.Optional[int], *others: int, auto: bool = True) -> Service:
    return Service(name, ("true",), "/", port=own, own_port=own, fallback_ports=others, auto_fallback=auto)


def taken(*ports: int) -> assign.Obstacle:
    return lambda port: "somebody has it" if port in ports else None


WEB, API = service("web", 8000, 8001, 8002), service("api", 8005, 8001)


@pytest.mark.parametrize(
    ("leases", "held", "expected"),
    [
        ({}, (), {"web": 8000, "api": 8005}),
        ({}, (8000,), {"web": 8001, "api": 8005}),
        ({}, (8000, 8005), {"web": 8001}),
        ({}, (8000, 8001, 8005), {"web": 8002}),
        ({"web": 8002}, (), {"web": 8002, "api": 8005}),
        ({"web": 8002}, (8002,), {"web": 8000, "api": 8005}),
        ({"api": 8001}, (8000,), {"web": 8002, "api": 8001}),
        ({"web": 9000}, (), {"web": 8000, "api": 8005}),
        ({"gone": 8000}, (), {"web": 8000, "api": 8005}),
    ],
    ids=[
        "a clean host: each its own",
        "the first is taken: the next",
        "two fall back to one: the first of the manifest has it",
        "two are taken: the third",
        "a lease is kept though the first port is free",
        "a lease that is taken is given up",
        "a lease of a later service goes before an earlier one's wish",
        "a lease that is none of its ports any more is given up",
        "a lease of a service that is gone is nobody's",
    ],
)
def test_who_gets_what(leases: t.Dict[str, int], held: t.Tuple[int, ...], expected: t.Dict[str, int]) -> None:
    assert assign.assign([WEB, API], leases, taken(*held)).ports == expected


def test_all_taken_lists_what_was_tried_and_why() -> None:
    (failure,) = assign.assign([WEB], {}, taken(8000, 8001, 8002)).failures
    assert failure.sentence == (
        "web gets no port. 8000: somebody has it; 8001: somebody has it; 8002: somebody has it."
    )


def test_a_service_that_may_not_fall_back_says_what_it_could_have_had() -> None:
    quiet = service("quiet", 8000, 8001, auto=False)
    (failure,) = assign.assign([quiet], {}, taken(8000)).failures
    assert failure.sentence.endswith("It may not take 8001 by itself (auto_fallback).")
    assert assign.assign([quiet], {}, taken(8000), fallback=True).ports == {"quiet": 8001}
    assert assign.assign([quiet], {"quiet": 8001}, taken(8000)).ports == {"quiet": 8001}


def test_a_service_with_one_port_has_it_whoever_holds_it_and_nobody_else_gets_it() -> None:
    fixed = service("fixed", 8001)
    assert assign.assign([WEB, fixed], {}, taken(8000, 8001)).ports == {"web": 8002, "fixed": 8001}


def test_another_stack_that_runs_on_the_only_port_is_a_failure() -> None:
    result = assign.assign([service("fixed", 8001)], {}, taken(), claimed=lambda port: f"{port} is a neighbour's")
    assert [failure.sentence for failure in result.failures] == ["fixed gets no port. 8001: 8001 is a neighbour's."]


def test_a_move_says_from_where_to_where_and_why() -> None:
    assert assign.assign([WEB], {}, taken(8000)).moved == {"web": (8000, 8001, "somebody has it")}
    assert assign.assign([WEB], {"web": 8002}, taken(8002)).moved == {"web": (8002, 8000, "somebody has it")}
    assert assign.assign([WEB], {"web": 8002}, taken(8000)).moved == {}


PORTS = some.integers(8000, 8012)
SERVICES = some.lists(some.lists(PORTS, min_size=1, max_size=4, unique=True), max_size=6).map(
    lambda lists: [service(f"s{number}", *ports) for number, ports in enumerate(lists)]
)


@given(SERVICES, some.dictionaries(some.sampled_from([f"s{n}" for n in range(6)]), PORTS), some.frozensets(PORTS))
def test_no_port_is_given_twice_and_a_second_run_changes_nothing(
    services: t.List[Service], leases: t.Dict[str, int], held: t.FrozenSet[int]
) -> None:
    movable = {one.name: one for one in services if one.fallback_ports}
    first = assign.assign(services, leases, taken(*held))
    given_to = [first.ports[name] for name in movable if name in first.ports]
    fixed = {one.own_port for one in services if not one.fallback_ports}
    assert len(given_to) == len(set(given_to))
    assert not fixed & set(given_to)
    assert not held & set(given_to)
    for name, one in movable.items():
        assert name not in first.ports or first.ports[name] in (one.own_port, *one.fallback_ports)
    again = assign.assign(services, first.ports, taken(*held))
    assert {name: again.ports[name] for name in first.ports} == dict(first.ports)
    assert not set(again.moved) & set(first.ports)
