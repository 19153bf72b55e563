# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who must be down before another service is told to stop."""

from __future__ import annotations

import typing as t

import hypothesis
import hypothesis.strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Service, Stop
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.order import needs_of, stopped_before


def a_service(name: str, *needs: str, timeout: float = 10, port: t.Optional[int] = None) -> Service:
    return Service(name, ("x",), "/", depends_on=dict.fromkeys(needs, "started"), stop=Stop("TERM", timeout), port=port)


def by_name(*services: Service) -> t.Dict[str, Service]:
    return {service.name: service for service in services}


STACK = by_name(
    a_service("redis", port=1),
    a_service("web", "redis", port=2),
    a_service("beat", "redis"),
    a_service("worker", "redis", timeout=600),
    a_service("site", port=3, timeout=30),
)


def test_before_all_are_replaced_the_slow_ones_stop_first_and_those_that_answer_last() -> None:
    before = stopped_before(STACK, STACK, together=True)
    assert before == {
        "worker": set(),
        "beat": {"worker"},
        "site": {"worker", "beat"},
        "web": {"worker", "beat", "site"},
        "redis": {"worker", "beat", "site", "web"},
    }


def test_services_that_share_nothing_do_not_wait_for_each_other() -> None:
    before = stopped_before(STACK, ["web", "worker", "site"], together=False, replaced=["web", "worker", "site"])
    assert before == {"web": set(), "worker": set(), "site": set()}


def test_what_needs_the_same_replaced_service_stops_after_the_slow_one() -> None:
    before = stopped_before(STACK, STACK, together=False, replaced=STACK)
    assert before["web"] == {"worker", "beat"}
    assert before["redis"] == {"worker", "beat", "web"}
    assert before["site"] == set()


def test_what_depends_on_a_slow_service_goes_before_it_and_so_before_all_that_are_quick() -> None:
    stack = by_name(a_service("worker", timeout=600), a_service("flower", "worker", port=1), a_service("web", port=2))
    before = stopped_before(stack, stack, together=True)
    assert before == {"flower": set(), "worker": {"flower"}, "web": {"flower", "worker"}}


def test_what_one_that_answers_needs_does_not_take_it_down_while_a_worker_drains_that_has_as_much_time() -> None:
    stack = by_name(a_service("pool"), a_service("web", "pool", port=1), a_service("worker", "pool"))
    before = stopped_before(stack, stack, together=True)
    assert before == {"worker": set(), "web": {"worker"}, "pool": {"worker", "web"}}


@st.composite
def stacks(draw: st.DrawFn) -> t.Dict[str, Service]:
    names = [f"s{number}" for number in range(draw(st.integers(1, 7)))]
    services = [
        a_service(
            name,
            *draw(st.lists(st.sampled_from(names[:index]), unique=True) if index else st.just([])),
            timeout=draw(st.sampled_from([1, 10, 60])),
            port=draw(st.sampled_from([None, 8000 + index])),
        )
        for index, name in enumerate(names)
    ]
    return by_name(*draw(st.permutations(services)))


@hypothesis.given(stacks(), st.booleans(), st.data())
def test_each_service_comes_to_its_turn_and_none_before_what_depends_on_it(
    services: t.Dict[str, Service], together: bool, data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(services)), unique=True))
    before = stopped_before(services, names, together=together, replaced=services)
    needs = needs_of(services, names)
    assert all(other in before[name] for name in names for other in names if name in needs[other])
    down: t.Set[str] = set()
    while len(down) < len(names):
        ready = {name for name in names if name not in down and before[name] <= down}
        assert ready
        down |= ready
