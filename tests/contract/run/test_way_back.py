# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back goes to what was in place before, and not to what was given up."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import leases
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.one_way import one_way_before
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.rollout import Controller, Order, follow
from tests.support import redis
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, failed_checks, stack


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack({"worker": {}}) as made:
        assert version(made, 1)
        yield made


def place(made: StackUnderTest) -> str:
    return os.path.basename(os.readlink(made.paths.etc))


def version(made: StackUnderTest, number: int) -> str:
    """Install a version of the manifest, and return the id of its generation."""
    made.raw["services"]["worker"]["env"] = {"VERSION": str(number)}
    assert made.perform()["ok"]
    return place(made)


def break_it(made: StackUnderTest) -> t.Any:
    made.raw["services"]["worker"]["env"] = {"EXIT": "3"}
    return made.perform(on_failure="rollback")


def rollback(made: StackUnderTest, name: str = "") -> t.Any:
    return made.perform("rollback", installed=True, generation=name)


def test_what_fails_goes_back_to_what_ran_before_and_not_to_what_was_withdrawn(running: StackUnderTest) -> None:
    first = place(running)
    version(running, 2)
    assert rollback(running)["ok"]
    failed = break_it(running)
    assert failed["result"] == "rolled_back"
    assert failed["rolled_back"]["to"] == place(running) == first


def test_a_version_that_was_withdrawn_and_came_again_can_be_withdrawn_again(running: StackUnderTest) -> None:
    first = place(running)
    version(running, 2)
    for _again in range(2):
        done = rollback(running)
        assert done["changed"]
        assert place(running) == first
        version(running, 2)


def test_each_rollback_goes_one_further_back(running: StackUnderTest) -> None:
    first = place(running)
    second = version(running, 2)
    version(running, 3)
    for wanted in (second, first):
        assert rollback(running)["ok"]
        assert place(running) == wanted


def test_failures_that_were_left_in_place_are_never_gone_back_to(running: StackUnderTest) -> None:
    first = place(running)
    for code in ("3", "4"):
        running.raw["services"]["worker"]["env"] = {"EXIT": code}
        assert not running.perform()["ok"]
    assert break_it(running)["result"] == "rolled_back"
    assert place(running) == first


def test_after_an_automatic_way_back_a_rollback_says_so_and_names_what_is_before(running: StackUnderTest) -> None:
    first = place(running)
    second = version(running, 2)
    assert break_it(running)["result"] == "rolled_back"
    for _again in range(2):
        with pytest.raises(RollcallError, match=f"generation {second}, which was in place before it") as told:
            rollback(running)
        assert told.value.remedies[0] == f"rollcall rollback {first}"
        assert place(running) == second
    assert rollback(running, first)["ok"]
    assert place(running) == first


def test_without_anything_before_the_cure_is_none_that_fails_the_same_way(running: StackUnderTest) -> None:
    first = place(running)
    with pytest.raises(RollcallError, match=f"was in place under {running.root} before {first}") as told:
        rollback(running)
    assert list(told.value.remedies) == ["correct the manifest, then run: ansible-playbook site.yml"]


def test_a_held_stack_that_fails_when_it_is_no_longer_held_goes_back(running: StackUnderTest) -> None:
    first = place(running)
    running.raw["services"]["late"] = {"requires_files": ["key.pem"], "env": {"EXIT": "3"}}
    assert running.perform(on_failure="rollback")["result"] == "held"
    Path(running.root, "key.pem").touch()
    failed = running.perform(on_failure="rollback")
    assert failed["result"] == "rolled_back", failed_checks(failed)
    assert place(running) == first


def test_generations_of_an_engine_that_did_not_record_the_order_are_gone_back_through_by_age(
    running: StackUnderTest,
) -> None:
    first = place(running)
    second = version(running, 2)
    for name in (first, second):
        meta = Path(running.root, "generations", name, "meta.json")
        data = json.loads(meta.read_text(encoding="utf-8"))
        del data["before"]
        meta.write_text(json.dumps(data), encoding="utf-8")
    assert rollback(running)["ok"]
    assert place(running) == first


def test_a_way_back_counts_the_ports_of_the_generation_it_restores() -> None:
    own, other = free_port(), free_port()
    with stack({"web": {"port": own, "fallback_ports": [other]}, "worker": {}}) as made:
        made.assigned = {"web": own}
        assert made.perform()["ok"]
        made.assigned = {"web": other}
        leases.save(made.paths.state, made.assigned)
        made.raw["services"]["worker"]["command"] = ["/bin/false"]

        assert made.perform(on_failure="rollback")["result"] == "rolled_back"

        assert leases.load(made.paths.state) == {"web": own}
        assert made.status()["ok"]


def test_over_a_one_way_step_that_has_run_nothing_goes_back_by_itself(running: StackUnderTest) -> None:
    services = running.raw["services"]
    services["worker"]["depends_on"] = {"migrate": "completed"}
    services["migrate"] = {"kind": "oneshot", "command": ["/bin/true"], "hosts": ["app"], "once": "fleet"}
    first = version(running, 2)
    old = running.generation().stack
    services["migrate"]["env"] = {"TO": "3"}
    services["worker"]["env"] = {"EXIT": "3"}
    planned = restart.describe_plan(running.request(on_failure="rollback"))
    assert any("once migrate has run, no run goes back by itself" in note for note in planned["notes"])

    failed = running.perform(on_failure="rollback")

    assert failed["result"] == "degraded"
    assert place(running) != first
    stays = "the new generation stays in place: migrate has run and does not say reversible: true"
    assert stays in failed["notes"]
    # Nor from a later one, which has not run it itself: what ran before it is still what ran before it.
    services["worker"]["env"] = {"EXIT": "4"}
    assert running.perform(on_failure="rollback")["result"] == "degraded"
    assert one_way_before(old) == ("migrate",)
    # As the cure says.
    can_live_with_it = (*old.services[:-1], replace(old.services[-1], reversible=True))
    assert one_way_before(replace(old, services=can_live_with_it, release=None)) == ()

    # What a person orders is done, and said.
    done = rollback(running, first)
    assert done["ok"]
    assert "migrate has run since then, and what it has changed stays" in done["notes"]

    services["migrate"].update({"env": {"TO": "4"}, "reversible": True})
    assert break_it(running)["result"] == "rolled_back"
    assert place(running) == first


def test_where_a_one_way_step_has_run_on_another_host_of_the_rollout_nothing_goes_back(running: StackUnderTest) -> None:
    order = Order("r1", "ada@desk", Controller("", "", 1, 0), "begin", one_way=("migrate",))
    follow(running.paths.state, order, place(running))
    assert break_it(running)["result"] == "degraded"
    follow(running.paths.state, order._replace(step="failed"), place(running))

    running.raw["services"]["worker"]["env"] = {"EXIT": "4"}
    assert running.perform(on_failure="rollback")["result"] == "rolled_back"


def test_a_database_that_is_away_and_was_not_changed_takes_nothing_back() -> None:
    with redis.running() as cache, stack({"worker": {}}, checks={"database": {"redis": {"port": cache.port}}}) as made:
        first = version(made, 1)
        cache.stop()
        made.raw["services"]["worker"]["env"] = {"VERSION": "2"}

        failed = made.perform(on_failure="rollback")

        assert failed["result"] == "degraded"
        assert [name for name, _subject in failed_checks(failed)] == ["reached", "database"]
        assert place(made) != first
        # What brings another address may have brought a wrong one.
        made.raw["checks"]["database"]["redis"]["port"] = free_port()
        assert made.perform(on_failure="rollback")["rolled_back"]["to"] == first
