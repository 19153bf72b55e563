# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a start asks supervisord, and when: against a stand-in that moves programs on as supervisord does."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Clock
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Identity
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.bringup import (
    AGE_ERROR,
    HEAD_START,
    IDLE_POLL,
    BringUp,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import Client, ProgramState
from tests.support.manifests import a_manifest, checked

# Seconds that the stand-in needs for the spawning of one program.
SPAWN = 0.0025


class Counting(Clock):
    """A clock on which nothing takes time but sleeping and what the stand-in says it does."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)


class Turning(Client):
    """supervisord as its loop turns: it answers a call first, and afterwards moves on what is due."""

    def __init__(self, clock: Counting, start_seconds: float, look: float) -> None:
        super().__init__("/nowhere.sock", clock=clock)
        self._now = clock
        self._look = look
        self._start_seconds = start_seconds
        self.spawned: t.Dict[str, float] = {}
        self._running: t.Set[str] = set()
        self.looks: t.List[float] = []

    def _turn(self) -> None:
        for name, since in self.spawned.items():
            if self._now.now - since > self._start_seconds:
                self._running.add(name)

    def start_and_look(
        self, names: t.Iterable[str]
    ) -> t.Tuple[t.Dict[str, t.Optional[str]], t.Dict[str, ProgramState]]:
        asked = list(names)
        for name in asked:
            self._now.now += SPAWN
            self.spawned[name] = self._now.now
        return dict.fromkeys(asked), self.programs()

    def poke(self, timeout: t.Optional[float] = None) -> str:  # noqa: ARG002 - as the client has it
        self._turn()
        return "RUNNING"

    def programs(self) -> t.Dict[str, ProgramState]:
        self.looks.append(self._now.now)
        states = {name: "RUNNING" if name in self._running else "STARTING" for name in self.spawned}
        self._turn()
        self._now.now += self._look
        return {
            name: ProgramState(
                name, state, 1000 + number, 0, 0, 0, 0, "", "", born=1, age=self._now.now - self.spawned[name]
            )
            for number, (name, state) in enumerate(states.items())
        }


def brought_up(services: t.Dict[str, t.Any], start_seconds: float = 1.0, look: float = 0.0) -> t.Tuple[Turning, float]:
    """Start services that need nothing, and return the stand-in and when the last was ready."""
    stack = checked(a_manifest(services, defaults={"command": ["sleep"], "start": {"seconds": start_seconds}}))
    clock = Counting()
    client = Turning(clock, start_seconds, look)
    outcome = BringUp(stack, client, services, clock).run()
    assert set(outcome.first) == set(services)
    assert not outcome.failed
    return client, clock.now


def test_the_first_look_after_the_start_seconds_of_all_finds_them_all_up() -> None:
    services: t.Dict[str, t.Any] = {f"service_{number}": {} for number in range(200)}
    client, end = brought_up(services)
    over = 100.0 + SPAWN * len(services) + 1.0
    assert [look for look in client.looks if look >= over] == client.looks[-1:]
    assert end - over < 0.01


@pytest.mark.parametrize("look", [0.03, 0.04, 0.05, 0.07, 0.11, 0.13])
def test_no_look_is_under_way_when_the_start_seconds_end(look: float) -> None:
    client, end = brought_up({"web": {}, "worker": {}}, look=look)
    over = 100.0 + 2 * SPAWN + 1.0
    assert [began for began in client.looks if began >= over] == client.looks[-1:]
    assert not [began for began in client.looks if began < over < began + look]
    assert end - over < look + AGE_ERROR + 0.01


def test_while_only_start_seconds_pass_it_is_asked_seldom() -> None:
    client, _unused = brought_up({"web": {}, "worker": {}}, start_seconds=3.0)
    assert len(client.looks) <= 3.0 / IDLE_POLL + 3


def test_while_only_start_seconds_pass_the_programs_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "alive", lambda _identity: True)
    client, end = brought_up({"web": {}, "worker": {}}, start_seconds=3.0)
    assert len(client.looks) == 2  # right after the order to start them, and when their start seconds are over
    assert end - 100.0 < 3.1


def test_a_process_that_ends_within_its_start_seconds_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Counting()
    client = Turning(clock, 3.0, 0.0)

    def alive(identity: Identity) -> bool:
        return identity[0] != 1001 or clock.now < 101.0

    def programs(_self: Turning) -> t.Dict[str, ProgramState]:
        seen = told(client)
        return {
            name: one if alive((one.pid, 1)) else one._replace(state="BACKOFF", pid=0, born=0, spawn_error="it ended")
            for name, one in seen.items()
        }

    told = Turning.programs
    monkeypatch.setattr(Turning, "programs", programs)
    monkeypatch.setattr(processes, "alive", alive)
    stack = checked(a_manifest({"web": {}, "worker": {}}, defaults={"command": ["sleep"], "start": {"seconds": 3.0}}))
    outcome = BringUp(stack, client, ["web", "worker"], clock).run()
    seen = [look for look in client.looks if look >= 101.0]
    assert "worker" in outcome.failed
    assert seen[0] - 101.0 <= IDLE_POLL


def test_a_supervisord_that_goes_within_start_seconds_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Counting()
    client = Turning(clock, 3.0, 0.0)

    def poke(_self: Turning, timeout: t.Optional[float] = None) -> str:  # noqa: ARG001 - as the client has it
        if clock.now >= 101.0:
            raise RollcallError("gone")
        return "RUNNING"

    monkeypatch.setattr(Turning, "poke", poke)
    monkeypatch.setattr(processes, "alive", lambda _identity: True)
    stack = checked(a_manifest({"web": {}}, defaults={"command": ["sleep"], "start": {"seconds": 3.0}}))
    with pytest.raises(RollcallError, match="gone"):
        BringUp(stack, client, ["web"], clock).run()
    assert clock.now - 101.0 <= IDLE_POLL


def test_who_is_waited_for_until_it_runs_is_looked_at_often() -> None:
    client, end = brought_up({"base": {}, "top": {"depends_on": {"base": "running"}}})
    # Both count a second, one after the other, and hardly anything lies between.
    assert end - 100.0 < 2.1
    assert len(client.looks) > 2 * 1.0 / IDLE_POLL


@pytest.mark.parametrize("top", [{"depends_on": {"base": "running"}}, {}], ids=["one waits for base", "none waits"])
def test_who_is_asked_by_others_is_started_at_once_and_only_the_rest_leaves_a_moment_to_who_is_needed(
    top: t.Dict[str, t.Any],
) -> None:
    services: t.Dict[str, t.Any] = {"worker": {}, "base": {}, "top": top, "web": {"port": 8017}}
    manifest = a_manifest(services, defaults={"command": ["sleep"], "start": {"seconds": 1}, "ready_timeout": 1.5})
    clock = Counting()
    client = Turning(clock, 1.0, 0.0)
    BringUp(checked(manifest), client, services, clock).run()
    # The four at once, or those before the moment.
    at_once = 100.0 + 4 * SPAWN
    assert client.spawned["base"] <= at_once
    assert client.spawned["web"] <= at_once
    assert (client.spawned["worker"] > 100.0 + HEAD_START) == bool(top)
