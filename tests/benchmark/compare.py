# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare two checkouts of Rollcall by turns in one run: ``python -m tests.benchmark compare OLD [PART...]``.

Each checkout needs its own ``.venv`` (``make setup`` there). The services are the same on both sides: the demo's ten
for ``status`` and ``site``, sleep(1) for the restarts and for the ten hosts of ``fleet``. The sides take turns, and
each begins every other round: what slows the machine down for a while, slows both down.
"""

from __future__ import annotations

import argparse
import functools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmark import scale
from tests.benchmark.arena import ROOT, Arena, Checkout, Failure, Ran, Took
from tests.benchmark.noise import Noise
from tests.benchmark.places import Host, Rollcall, demo_services
from tests.benchmark.table import duration, median, spread, table

HEAD = ("what", "old", "new", "new / old", "CPU old", "CPU new", "CPU new / old", "rounds")
BEYOND_HEAD = ("beyond startsecs", "old", "new", "new / old")
# `rollcall status` is short: several for each round.
SHORT = 4


@dataclass
class Comparison:
    """What both sides took for one thing, in the order of the rounds.

    Attributes:
        what: was run.
        start_seconds: what supervisord waits at least in each run.
        old: of the old checkout.
        new: of the new one.
    """

    what: str
    start_seconds: float = 0.0
    old: list[Took] = field(default_factory=list)
    new: list[Took] = field(default_factory=list)

    def cells(self) -> list[str]:
        """Return the row of the table."""
        old, new = median(self.old), median(self.new)
        cpus = [[took.cpu for took in side] for side in (self.old, self.new)]
        return [
            self.what,
            spread(self.old),
            spread(self.new),
            ratio(new.seconds, old.seconds),
            *(f"{duration(statistics.median(cpu))} (least {duration(min(cpu))})" for cpu in cpus),
            f"{ratio(new.cpu, old.cpu)} (least {ratio(min(cpus[1]), min(cpus[0]))})",
            str(len(self.new)),
        ]

    def beyond(self) -> list[str]:
        """Return the row of the table of restarts: medians less the start seconds."""
        old, new = (median(side).seconds - self.start_seconds for side in (self.old, self.new))
        return [self.what, duration(old), duration(new), ratio(new, old)]


def ratio(new: float, old: float) -> str:
    """Return how many times as much the new one is."""
    return f"{new / old:.2f}"


class Side:
    """One checkout with its hosts.

    Args:
        name: ``old`` or ``new``; short, because sockets lie below a directory of that name.
        checkout: whose playbooks install the hosts.
        arena: where the hosts are made.
    """

    def __init__(self, name: str, checkout: Checkout, arena: Arena) -> None:
        self.name = name
        self._checkout = checkout
        self._arena = arena
        self._sleepers: dict[int, Rollcall] = {}

    @functools.cached_property
    def demo(self) -> Rollcall:
        """One host with the demo's ten services."""
        return self._installed("demo", [Host(self._directory("d10"), demo_services(self._arena))])

    @functools.cached_property
    def fleet(self) -> Rollcall:
        """Ten hosts with ten services each that do nothing."""
        return self._installed("fleet", [self._sleeping(f"f{number}", 10) for number in range(10)])

    def sleepers(self, count: int) -> Rollcall:
        """Return one host with so many services that do nothing; it is installed once."""
        if count not in self._sleepers:
            self._sleepers[count] = self._installed(f"{count} services", [self._sleeping(f"s{count}", count)])
        return self._sleepers[count]

    def status(self) -> Took:
        """Run ``rollcall status``."""
        return self._command(self.demo.hosts[0], "status", "--json").must("rollcall status").took

    def unchanged(self, rollcall: Rollcall) -> Took:
        """Run ``site.yml`` where there is nothing to do."""
        ran = rollcall.play("site.yml")
        if ran.output.count("changed=0") != len(rollcall.hosts):
            raise Failure(f"the {self.name} site.yml was to find nothing to do:\n{ran.output[-2000:]}")
        return ran.took

    def restart(self, count: int) -> Took:
        """Run ``rollcall restart`` over so many services that do nothing, and see from outside that it was one."""
        (host,) = self.sleepers(count).hosts
        return scale.measured(host, lambda: self._command(host, "restart", "--json"))

    def _command(self, host: Host, *words: str) -> Ran:
        return self._arena.run([host.command, *words], checkout=self._checkout)

    def _directory(self, name: str) -> Path:
        return self._arena.path / self.name / name

    def _sleeping(self, name: str, count: int) -> Host:
        directory = self._directory(name)
        return scale.SleepingHost(directory, scale.sleepers(directory, count))

    def _installed(self, what: str, hosts: Sequence[Host]) -> Rollcall:
        print(f"installing {what} with the {self.name} checkout", flush=True)
        rollcall = Rollcall(self._arena, f"{self.name}-{hosts[0].directory.name}", hosts, self._checkout)
        rollcall.play("site.yml")
        return rollcall


def by_turns(
    comparison: Comparison, run: Callable[[Side], Took], sides: Sequence[Side], rounds: int, noise: Noise
) -> None:
    """Run each side once to be warm, without counting it, and then both in every round."""
    old, new = sides
    for side in sides:
        run(side)
    for number in range(rounds):
        noise.sample()
        for side in sides if number % 2 == 0 else (new, old):
            (comparison.old if side is old else comparison.new).append(run(side))


def restarts(count: int) -> tuple[Comparison, Callable[[Side], Took]]:
    """Return the part that restarts so many services."""
    return Comparison(f"`rollcall restart`, {count} services", scale.START_SECONDS), lambda side: side.restart(count)


def parts() -> dict[str, tuple[Comparison, Callable[[Side], Took]]]:
    """Return what is compared, by the names on the command line."""
    return {
        "status": (Comparison("`rollcall status`"), Side.status),
        "site": (Comparison("`ansible-playbook site.yml`, nothing to do"), lambda side: side.unchanged(side.demo)),
        **{f"restart{count}": restarts(count) for count in scale.SIZES},
        "fleet": (
            Comparison("`ansible-playbook site.yml`, ten hosts, nothing to do"),
            lambda side: side.unchanged(side.fleet),
        ),
    }


def main(arguments: Sequence[str]) -> int:
    """Compare what is asked for and print the tables.

    Raises:
        Failure: a checkout has no ``.venv``, or what is measured failed.
    """
    names = list(parts())
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark compare", description="Compare two checkouts of Rollcall by turns in one run."
    )
    parser.add_argument("old", type=Path, help="the other checkout")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(names)}; all when none is named")
    parser.add_argument("--new", type=Path, default=ROOT, help="the new checkout; this one when not named")
    parser.add_argument("--rounds", type=int, default=9, help="how often each side is measured (default: 9)")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(names)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    checkouts = {"old": Checkout(options.old.resolve()), "new": Checkout(options.new.resolve())}
    for checkout in checkouts.values():
        if not checkout.bin.is_dir():
            raise Failure(f"{checkout.root} has no .venv: run `make setup` there")
    noise = Noise()
    measured = []
    with Arena() as arena:
        sides = [Side(name, checkout, arena) for name, checkout in checkouts.items()]
        for name, (comparison, run) in parts().items():
            if name in (options.parts or names):
                by_turns(comparison, run, sides, options.rounds * (SHORT if name == "status" else 1), noise)
                print("  ".join(comparison.cells()), flush=True)
                measured.append(comparison)
    print("\n" + table(HEAD, [comparison.cells() for comparison in measured]))
    restarted = [comparison.beyond() for comparison in measured if comparison.start_seconds]
    if restarted:
        print("\n" + table(BEYOND_HEAD, restarted))
    print("\n" + "".join(f"- {fact}\n" for fact in noise.facts()), end="")
    return 0
