# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make fleet-chaos``: random faults in rollouts over SSH hosts behind a real HAProxy; as root.

A step rolls a version out while users ask fifty times a second, and strikes with one fault. Then the same command
again, with the option that a printed line names, must finish it. What each rollout says is compared with what is there:
which version each host's service answers with, which servers the balancer itself sees up, whether bystanders live, and
which requests failed though the fault does not explain it. ``--seed`` and ``--only`` play a step again.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.benchmark.arena import THIS, Arena, Failure
from tests.benchmark.balanced import PORT, Balanced, balanced
from tests.benchmark.places import wheels
from tests.benchmark.ssh_hosts import enter_namespaces
from tests.chaos.fleet.bystanders import Bystanders
from tests.chaos.fleet.faults import FAULTS
from tests.chaos.fleet.play import Play, Record, Untrue
from tests.support.askers import RATE, Asker

# The one option that nobody types: we are in our namespaces.
INSIDE = "--wheels"
DISK = "300m"
# Of what a rollout has printed, so many of its last lines are evidence.
EVIDENCE = 40
TOGETHER = 40


def say(text: str) -> None:
    """Tell the user how far it is."""
    print(text, flush=True)


def dealt(seed: int, number: int, among: Sequence[str]) -> str:
    """Return the kind of a step, as from a shuffled pack of cards: each comes once before one comes again."""
    pack, place = divmod(number - 1, len(among))
    return random.Random(f"{seed}:pack {pack}").sample(among, len(among))[place]


def played(world: Balanced, bystanders: Bystanders, users: Asker, record: Record, dice: random.Random) -> Record:
    """Play one step, and write down what has become of it."""
    began, asked, since = time.monotonic(), users.asked, len(users.misses)
    play = Play(world, bystanders, record, dice, "" if not world.names else world.version(world.names[0]))
    try:
        FAULTS[record.kind](play)
        play.judge()
        play.count(users, since)
    except Untrue as exc:
        record.failure = str(exc)
    except Failure as exc:
        record.broken = str(exc)
    finally:
        play.close()
    record.asked = users.asked - asked
    record.failed = len(users.misses) - since
    record.seconds = time.monotonic() - began
    return record


def heal(world: Balanced, bystanders: Bystanders, version: str) -> None:
    """Bring the fleet back after a step that has failed.

    Raises:
        Failure: it does not come back.
    """
    world.balancer.kill()
    for host in list(world.fleet.hosts):
        (host.directory / "full").unlink(missing_ok=True)
        world.sickness(host.name).unlink(missing_ok=True)
        bystanders.end(host.name)
        host.end()
        world.boot(host.name)
        bystanders.start(host.name)
    world.forget_connections()
    world.balancer.start()
    world.bring(version)
    for host in world.fleet.hosts:
        (host.directory / "state" / "rollout.json").unlink(missing_ok=True)
    running = world.play("playbooks/site.yml")
    if not running.wait(300) or running.code != 0:
        raise Failure(f"the fleet does not come back:\n{running.output[-3000:]}")


def tell(record: Record, total: int, seed: int, verbose: bool) -> None:
    """Print one step in a line, or in more of them when it has failed."""
    end = "FAILED" if record.failure else "NOT PLAYED" if record.broken else "ok"
    happened = "; ".join(record.what)
    say(
        f"{record.number:3}/{total} {end:6} {record.kind}: {happened}: rollouts {', '.join(record.commands)}; "
        f"{record.failed} of {record.asked} requests failed; {record.seconds:.0f} s"
    )
    if record.failure or record.broken:
        say(f"    {record.failure or record.broken}")
        say(f'    again: make fleet-chaos ARGUMENTS="--seed {seed} --only {record.number}"')
    if record.failure or record.broken or verbose:
        for command, output in zip(record.commands, record.outputs, strict=True):
            say(f"    --- a rollout, ended with {command}:")
            say("\n".join(f"    {line}" for line in output.splitlines()[-EVIDENCE:]))


def series(options: argparse.Namespace, seed: int) -> bool:
    """Play a series, in namespaces of our own, and return whether all of it held."""
    numbers = [options.only] if options.only else range(1, options.faults + 1)
    counts: Counter[str] = Counter()
    began, loads = time.monotonic(), []
    among = options.kind or sorted(FAULTS)
    with Arena() as arena:
        place = arena.path / "fleet"
        place.mkdir()
        with balanced(place, options.wheels, takes=0.1, disk=DISK) as world:
            world.install("v0", options.hosts)
            bystanders = Bystanders(world)
            for name in world.names:
                bystanders.start(name)
            say(f"{options.hosts} hosts run behind a HAProxy after {time.monotonic() - began:.0f} s")
            with Asker([PORT], "/", TOGETHER) as users:
                for number in numbers:
                    record = Record(number, dealt(seed, number, among))
                    loads.append(os.getloadavg()[0])
                    played(world, bystanders, users, record, random.Random(f"{seed}:{number}"))
                    tell(record, options.faults, seed, options.verbose)
                    counts.update([record.kind, "failed" if record.failure or record.broken else "held"])
                    counts["asked"] += record.asked
                    counts["requests"] += record.failed
                    if record.failure or record.broken:
                        heal(world, bystanders, f"v{number}")
    say("")
    for kind in sorted(set(among)):
        say(f"  {counts[kind]:3}  {kind}")
    say(
        f"{sum(counts[kind] for kind in set(among))} faults in {options.hosts} hosts: {counts['held']} held, "
        f"{counts['failed']} failed; {counts['asked']} requests at {RATE} a second, {counts['requests']} failed by the "
        f"faults themselves; seed {seed}; load {min(loads):.1f} to {max(loads):.1f}; {time.monotonic() - began:.0f} s"
    )
    return counts["failed"] == 0 and counts["held"] == len(numbers)


def interrupted(number: int, _frame: object) -> None:
    """End as Ctrl-C does, so that everything is cleaned up; a second signal must not disturb that."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def main(arguments: Sequence[str]) -> int:
    """Enter namespaces of our own, and play there; the exit code is 0 when every step held."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.fleet", description="Random faults in rollouts.")
    parser.add_argument("--faults", type=int, default=50, help="how many steps; 50 by default")
    parser.add_argument("--seed", type=int, help="of the dice; printed when it is not given")
    parser.add_argument("--only", type=int, metavar="K", help="play step K of the seed alone")
    parser.add_argument("--kind", action="append", choices=sorted(FAULTS), help="only faults of this kind; repeatable")
    parser.add_argument("--hosts", type=int, default=3, help="how many hosts; three by default")
    parser.add_argument("--verbose", action="store_true", help="print what every rollout has said")
    parser.add_argument(INSIDE, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    if not options.wheels:
        with Arena() as arena:
            store = wheels(arena, THIS)
        enter_namespaces(["-m", "tests.chaos.fleet", *arguments, "--seed", str(seed), INSIDE, str(store)])
    signal.signal(signal.SIGTERM, interrupted)
    say(f"fleet chaos: seed {seed}, {1 if options.only else options.faults} faults")
    return 0 if series(options, seed) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as exc:
        sys.exit(f"fleet chaos: {exc}")
    except KeyboardInterrupt:
        sys.exit(130)
