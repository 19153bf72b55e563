# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service's users notice of ten rollouts: ``python -m tests.benchmark rollouts``, as root.

Hosts with SSH behind a real HAProxy run the service twice: once by Rollcall, once by a plain supervisord. Both get
another version ten times while a client outside asks their pages fifty times a second; each page takes half a second.
The one side is ``rollout`` with its drain. The other is the playbook that people write: ``serial: 1``, install the
configuration, restart, wait until it answers (plain_serial.yml).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmark.arena import HERE, THIS, Arena, Failure, wait_until
from tests.benchmark.balanced import PORT, SERVICE, Balanced, balanced
from tests.benchmark.noise import Noise
from tests.benchmark.places import wheels
from tests.benchmark.ssh_hosts import enter_namespaces
from tests.benchmark.table import machine, table
from tests.support.askers import RATE, Asker

# The one argument of the process inside the namespaces that nobody types.
INSIDE = "--wheels"
PLAIN, PLAIN_PORT, PLAIN_AT = "plain", 8001, Path("/srv/plain")
PLAIN_PLAYBOOK = HERE / "plain_serial.yml"
TOGETHER = 60
PATIENCE = 600.0
HEAD = ("what", "rollouts", "requests", "failed", "rollouts without a failed request", "clock of one, median")


@dataclass
class Tally:
    """What users have noticed of some rollouts of one kind.

    Attributes:
        what: the kind.
        asked: requests during each.
        failed: those of them that have failed.
        seconds: that each took.
    """

    what: str
    asked: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def cells(self) -> list[str]:
        """Return the row of the table."""
        return [
            self.what,
            str(len(self.asked)),
            str(sum(self.asked)),
            str(sum(self.failed)),
            f"{self.failed.count(0)} of {len(self.failed)}",
            f"{statistics.median(self.seconds):.1f} s",
        ]


def measure(world: Balanced, tally: Tally, version: str, port: int, playbook: Sequence[str]) -> None:
    """Roll a version out while users ask, and count.

    Args:
        world: the fleet.
        tally: that it is counted in.
        version: that each host has to answer with afterwards.
        port: of the service on the hosts, and of the balancer.
        playbook: that brings it, with its arguments.

    Raises:
        Failure: it did not bring the version.
    """
    with Asker([port], "/", TOGETHER) as users:
        began = time.perf_counter()
        running = world.play(*playbook)
        ended = running.wait(PATIENCE)
        tally.seconds.append(time.perf_counter() - began)
    tally.asked.append(users.asked)
    tally.failed.append(users.missed)
    print(f"{tally.what}: {tally.seconds[-1]:.1f} s, {users.missed} of {users.asked} requests failed", flush=True)
    seen = [world.version(name, port) for name in world.names]
    if not ended or running.code != 0 or set(seen) != {version}:
        running.kill()
        raise Failure(f"{tally.what} ended with {running.code}, and the hosts answer {seen}:\n{running.output[-3000:]}")


def plain_config(version: str, takes: float) -> str:
    """Return the configuration of the plain supervisord."""
    environment = f'PORT="{PLAIN_PORT}",VERSION="{version}",TAKES="{takes:g}"'
    return f"""\
[supervisord]
directory={PLAIN_AT}
logfile={PLAIN_AT}/supervisord.log
pidfile={PLAIN_AT}/supervisord.pid
[unix_http_server]
file={PLAIN_AT}/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{PLAIN_AT}/supervisor.sock
[program:page]
command=/usr/bin/python3 {SERVICE}
environment={environment}
"""


def start_plain(world: Balanced, takes: float) -> None:
    """Start a plain supervisord on every host."""
    config = world.place / "plain.conf"
    config.write_text(plain_config("0", takes), encoding="utf-8")
    for host in world.fleet.hosts:
        host.run("mkdir", str(PLAIN_AT))
        host.run("cp", str(config), str(PLAIN_AT / "supervisord.conf"))
        command = [str(THIS.bin / "supervisord"), "-c", str(PLAIN_AT / "supervisord.conf")]
        subprocess.run(
            [*host.entering("--net", "--pid", "--mount"), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        wait_until(lambda name=host.name: world.version(name, PLAIN_PORT) == "0", f"{host.name} answers")  # type: ignore[misc]


def inside(options: argparse.Namespace) -> None:
    """Measure, in namespaces of our own."""
    noise = Noise()
    with Arena() as arena:
        place = arena.path / "fleet"
        place.mkdir()
        ways = {PLAIN: (PLAIN_PORT, PLAIN_PORT)}
        with balanced(place, options.wheels, options.takes, ways=ways) as world:
            world.install("0", options.hosts)
            start_plain(world, options.takes)
            ours, plain = Tally("`rollout`, with its drain"), Tally("the plain playbook, `serial: 1`")
            for turn in range(1, options.times + 1):
                version = str(turn)
                noise.sample()
                world.bring(version)
                measure(world, ours, version, PORT, ["playbooks/rollout.yml", "-e", "rollout_batches=[1]"])
                config = place / "plain.conf"
                config.write_text(plain_config(version, options.takes), encoding="utf-8")
                given = {
                    "config": config,
                    "supervisorctl": THIS.bin / "supervisorctl",
                    "port": PLAIN_PORT,
                    "place": PLAIN_AT,
                }
                words = [word for name, value in given.items() for word in ("-e", f"{name}={value}")]
                measure(world, plain, version, PLAIN_PORT, [str(PLAIN_PLAYBOOK), *words])
    print(table(HEAD, [ours.cells(), plain.cells()]))
    print(f"- {options.hosts} hosts; {RATE} requests a second, each of {options.takes:g} s")
    print("".join(f"- {fact}\n" for fact in [*machine(), *noise.facts()]))


def main(arguments: Sequence[str]) -> int:
    """Enter namespaces of our own, and measure there."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark rollouts", description=__doc__)
    parser.add_argument("--times", type=int, default=10, help="how many rollouts of each kind; ten by default")
    parser.add_argument("--hosts", type=int, default=5, help="how many hosts; five by default")
    parser.add_argument("--takes", type=float, default=0.5, help="seconds that a request takes; 0.5 by default")
    parser.add_argument(INSIDE, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.wheels:
        with Arena() as arena:
            store = wheels(arena, THIS)
        enter_namespaces(["-m", "tests.benchmark", "rollouts", *arguments, INSIDE, str(store)])
    inside(options)
    return 0
