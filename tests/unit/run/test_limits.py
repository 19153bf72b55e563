# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a run takes at the longest: no wait of it is left out, by the manifest that runs or by the wanted one."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import LONGEST_STOP, Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import limits
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.modes import AUTO, EMERGENCY, FULL, QUICK, STOP
from tests.support.manifests import a_manifest, a_service, checked


def stack(**services: dict[str, Any]) -> Stack:
    return checked(a_manifest({name: a_service(**keys) for name, keys in services.items()}))


def seconds(made: Stack, mode: Any) -> float:
    return limits.run_limit(made, mode, grace=5, kill_grace=2)


@pytest.mark.parametrize("mode", [AUTO, FULL, QUICK, STOP], ids=lambda mode: str(mode.name))
def test_a_run_waits_for_the_longest_stop_whatever_it_is(mode: Any) -> None:
    usual = seconds(stack(web={}, worker={}), mode)
    longest = seconds(stack(web={}, worker={"stop": {"timeout": LONGEST_STOP}}), mode)
    assert longest - usual >= LONGEST_STOP - 10


def test_an_emergency_waits_for_no_service() -> None:
    slow = stack(web={}, worker={"stop": {"timeout": LONGEST_STOP}})
    assert seconds(slow, EMERGENCY) == seconds(stack(web={}, worker={}), EMERGENCY)


def test_services_that_wait_for_each_other_stop_one_after_the_other() -> None:
    side_by_side = stack(web={"stop": {"timeout": 100}}, worker={"stop": {"timeout": 100}})
    in_turn = stack(web={"stop": {"timeout": 100}}, worker={"stop": {"timeout": 100}, "depends_on": ["web"]})
    assert seconds(in_turn, AUTO) - seconds(side_by_side, AUTO) >= 100


def test_what_runs_may_take_longer_than_what_is_to_come_and_what_goes_counts_as_well() -> None:
    wanted = stack(web={"stop": {"timeout": 5}}, new={})
    running = stack(web={"stop": {"timeout": 600}, "ready_timeout": 90}, gone={"stop": {"timeout": 900}})
    either = limits.with_stops_of(wanted, running)
    assert {one.name: one.stop.timeout for one in either.services} == {"web": 600, "new": 10, "gone": 900}
    assert either.service("web").ready_timeout == 90
    assert seconds(either, AUTO) >= seconds(wanted, AUTO) + 895


def test_the_limit_is_the_sum_of_its_parts_and_ports_count_where_there_are_any() -> None:
    without, with_port = (
        limits.run_parts(stack(web=keys), FULL, grace=5, kill_grace=2) for keys in ({}, {"port": 8000})
    )
    assert list(without) == ["to look", "to stop what runs", "to start", "to judge"]
    assert with_port["for ports to become free"] > 60
    assert sum(with_port.values()) == seconds(stack(web={"port": 8000}), FULL)
    assert sum(without.values()) < sum(with_port.values()) - 60
