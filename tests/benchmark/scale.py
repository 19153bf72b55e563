# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarting 10, 50 and 200 services: Rollcall beside ``supervisorctl restart all`` and supervisorctl in a loop."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.benchmark.arena import THIS, Arena, Failure, Ran, Took
from tests.benchmark.places import Host, Place, Plain
from tests.benchmark.table import Contest
from tests.benchmark.truth import failures

SIZES = (10, 50, 200)
START_SECONDS = 1.0
# What Rollcall may add to the start seconds of ten services; more of them may cost it no more in proportion.
ADDED_AT_TEN = 0.4
LOOP = 'for service in "$@"; do supervisorctl -c "$CONFIG" restart "$service"; done'
OURS = "`rollcall restart`"
LOOPED = "`supervisorctl restart` in a loop"
# A loop over more services than these takes minutes, and every second of it is the same.
LOOPED_EACH_ROUND = 10


class SleepingHost(Host):
    """A host of Rollcall's whose services have no database."""

    def manifest(self) -> dict[str, Any]:
        return {**super().manifest(), "checks": {}}


def sleepers(directory: Path, count: int) -> dict[str, dict[str, Any]]:
    """Return services that do nothing, each under a name of its own: sleep(1) starts in a millisecond."""
    programs = directory / "programs"
    programs.mkdir(parents=True)
    sleep = shutil.which("sleep")
    if sleep is None:
        raise Failure("there is no sleep on the PATH")
    services = {}
    for number in range(count):
        program = programs / f"service_{number}"
        program.symlink_to(sleep)
        services[program.name] = {"command": [str(program), "86400"]}
    return services


def ways(arena: Arena, host: Host, plain: Plain) -> Mapping[str, tuple[Place, Callable[[], Ran]]]:
    """Return the ways to restart all services, each with the place it works on; ours is the first."""
    names = list(plain.services)
    control = {"CONFIG": str(plain.config)}
    return {
        OURS: (host, lambda: arena.run([host.command, "restart", "--json"])),
        "`rollcall restart quick`": (host, lambda: arena.run([host.command, "restart", "quick", "--json"])),
        "`supervisorctl restart all`": (
            plain,
            lambda: arena.run([str(THIS.bin / "supervisorctl"), "-c", str(plain.config), "restart", "all"]),
        ),
        LOOPED: (plain, lambda: arena.run(["bash", "-c", LOOP, "bash", *names], control)),
    }


def measured(place: Place, restart: Callable[[], Ran]) -> Took:
    """Return what a restart took, having seen from outside that it was one.

    Raises:
        Failure: it was not.
    """
    before = place.pids()
    ran = restart().must("the restart")
    wrong = failures(place, before)
    if wrong:
        raise Failure(f"this was no restart: {', '.join(wrong[:5])}\n{ran.output[-2000:]}")
    return ran.took


def contests(services: str, arena: Arena, host: Host, plain: Plain, rounds: int) -> list[Contest]:
    """Measure all ways by turns, each once before without counting it, but for a long loop: that is run once in all."""
    found = {name: Contest(services, name, START_SECONDS) for name in ways(arena, host, plain)}
    long = len(plain.services) > LOOPED_EACH_ROUND
    for number in range(rounds + 1):
        for name, (place, restart) in ways(arena, host, plain).items():
            if name == LOOPED and long and number != rounds:
                continue
            took = measured(place, restart)
            if number > 0:
                found[name].times.append(took)
    return list(found.values())


def set_targets(measured: Mapping[int, Contest]) -> None:
    """Give Rollcall's own times what they are to reach: so much at ten services, and in proportion beyond.

    Args:
        measured: Rollcall's time for each number of services.
    """
    smallest = min(measured)
    for size, contest in measured.items():
        if size == smallest:
            contest.limit, contest.target = ADDED_AT_TEN, f"at most {ADDED_AT_TEN * 1000:.0f} ms"
        else:
            factor = size / smallest
            contest.limit, contest.target = (
                factor * measured[smallest].added,
                f"at most {factor:g} times that of {smallest}",
            )
