# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make bench``: measure Rollcall beside what people use instead, write the pages docs/reference/benchmarks*.md.

``python -m tests.benchmark [PART...]`` measures the named parts alone, and writes a page when they are all of it;
``python -m tests.benchmark compare OLD`` compares this checkout with another one (compare.py);
``python -m tests.benchmark hosts [COUNT...]`` measures what many hosts cost the controller (hosts.py),
``python -m tests.benchmark report [COUNT...]`` what the page of a fleet costs (report.py),
``python -m tests.benchmark rollouts`` what users notice of ten rollouts (rollouts.py), and
``python -m tests.benchmark watch [SERVICES [LOOKS]]`` what a watcher costs (watching.py). In the environment: ROUNDS
(of every comparison, 5), TRUTH (restarts that are looked at from outside, for each start and side, 20) and QUIET
(seconds to wait at most for other work to end before a part, 120).
"""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
import time
from collections.abc import Callable

import psutil

from tests.benchmark import compare, daemon, hosts, owners, page, peers, ports, report, rollouts, scale, watching
from tests.benchmark.arena import ROOT, Arena, Failure, Ran, Took
from tests.benchmark.places import Host, Place, Plain, PlainPlaybook, Rollcall, collections, demo_services
from tests.benchmark.table import Contest, Count, Row, Target
from tests.benchmark.truth import failures

RESTART = "`ansible-playbook playbooks/restart.yml`"
# A machine this busy with other work is not quiet.
BUSY = 0.1


def setting(name: str, default: int) -> int:
    """Return a number from the environment."""
    return int(os.environ.get(name) or default)


class Bench:
    """All parts, and what they share: the rivals' places and one host of Rollcall's, each made when first asked for.

    Args:
        arena: where everything happens.
        rounds: of every comparison; each side is run once before, to be warm, and that is not counted.
        truth: restarts for each start and side whose outcome is looked at from outside.
        quiet: seconds to wait at most for other work to end.
    """

    def __init__(self, arena: Arena, rounds: int, truth: int, quiet: int) -> None:
        self.arena = arena
        self.rounds = rounds
        self.truth = truth
        self.quiet = quiet
        self.measured = page.Measured()
        self._host: Rollcall | None = None

    def forget(self) -> None:
        """Begin another page."""
        self.measured = page.Measured()

    # --- what the parts stand on ----------------------------------------------------------------------------------

    @property
    def ours(self) -> Rollcall:
        """The collection on one host, installed and running."""
        if self._host is None:
            self._host = self.installed("one", [self.host("h10", 10)])
        return self._host

    def host(self, name: str, services: int) -> Host:
        """Make a host of Rollcall's; nothing is installed yet."""
        return Host(self.arena.path / name, demo_services(self.arena, services))

    def plain(self, name: str) -> Plain:
        """Make a plain supervisord with the ten services; it does not run yet."""
        return Plain(self.arena.path / name, demo_services(self.arena))

    def installed(self, name: str, hosts: list[Host]) -> Rollcall:
        """Install hosts with ``site.yml``."""
        say(f"installing {len(hosts)} host(s) with {len(hosts[0].services)} services each")
        rollcall = Rollcall(self.arena, name, hosts)
        rollcall.play("site.yml")
        return rollcall

    def warm(self, *sides: Callable[[], object]) -> None:
        """Wait for a quiet machine and run each side once without counting it."""
        wait_for_quiet(self.quiet)
        for side in sides:
            side()

    def pairs(self, row: Row, ours: Callable[[], Took], rival: Callable[[], Took], times: int = 1) -> Row:
        """Measure both sides in turn, ``times`` for every round, and keep the row."""
        self.warm(ours, rival)
        for _unused in range(self.rounds * times):
            self.measured.noise.sample()
            row.times.append(ours())
            row.rival_times.append(rival())
        return self.keep(row)

    def keep(self, row: Row) -> Row:
        """Keep a row and say it."""
        self.measured.rows.append(row)
        say("  ".join(cell for cell in row.cells() if cell))
        return row

    # --- the restarts ---------------------------------------------------------------------------------------------

    def command_restart(self) -> Ran:
        """Run ``rollcall restart`` on the host: full, from the call to the verdict."""
        return self.arena.run([self.ours.hosts[0].command, "restart", "--json"])

    def restarts(self) -> None:
        """Compare a full restart, by the command and by the playbook, with both rivals."""
        shell, plain, host = self.plain("shell"), self.plain("plain"), self.ours.hosts[0]
        playbook = PlainPlaybook(self.arena, "plain", [plain], collections(self.arena))
        plain.start()

        def killed(place: Place, restart: Callable[[], Ran]) -> Took:
            revive(place)
            place.kill_daemon()
            return restart().took

        def by_shell() -> Took:
            return killed(shell, lambda: shell.shell_restart(self.arena))

        def by_playbook() -> Took:
            return self.ours.play("playbooks/restart.yml").took

        script = "the shell script"
        engine = Row("`rollcall restart`, supervisord killed before", script, Target(ratio_at_least=12))
        self.pairs(engine, lambda: killed(host, lambda: self.command_restart().must("rollcall restart")), by_shell)
        whole = Row(
            "`ansible-playbook playbooks/restart.yml`, supervisord killed before", script, Target(ratio_at_least=7)
        )
        self.pairs(whole, lambda: killed(host, lambda: self.ours.play("playbooks/restart.yml")), by_shell)
        row = Row(
            "`ansible-playbook playbooks/restart.yml`, all running", "the plain playbook", Target(ratio_at_least=8)
        )
        self.pairs(row, by_playbook, lambda: playbook.play("restarted").took)
        self.keep(Row("`rollcall restart`, all running", times=self.several(lambda: self.command_restart().took)))
        for place in (shell, plain):
            place.end()

    def several(self, side: Callable[[], Took], times: int = 1) -> list[Took]:
        """Measure one side alone, ``times`` for every round."""
        self.warm(side)
        self.measured.noise.sample()
        return [side() for _unused in range(self.rounds * times)]

    def fleet(self) -> None:
        """Compare the restart of ten hosts. Only one side is up at a time: this machine carries all ten."""
        ours = self.installed("fleet", [self.host(f"f{number}", 10) for number in range(10)])
        ours.stop()
        places = [self.plain(f"p{number}") for number in range(10)]
        playbook = PlainPlaybook(self.arena, "plains", places, collections(self.arena))

        def by_playbook() -> Took:
            ours.play("site.yml")
            try:
                return ours.play("playbooks/restart.yml").took
            finally:
                ours.stop()

        def by_plain() -> Took:
            for place in places:
                place.start()
            try:
                return playbook.play("restarted").took
            finally:
                for place in places:
                    place.end()

        row = Row(
            "`ansible-playbook playbooks/restart.yml`, ten hosts", "the plain playbook", Target(ratio_at_least=10)
        )
        self.pairs(row, by_playbook, by_plain)

    def scale(self) -> None:
        """Compare restarts of more and more services."""
        ours = {}
        for size in scale.SIZES:
            host, plain = self.sleeping(size)
            ours[size] = self.contest(f"{size}", host, plain)[0]
            self.arena.run([host.command, "stop"]).must("rollcall stop")
        scale.set_targets(ours)
        self.contest("10, the demo's", self.ours.hosts[0], self.plain("plain10"))

    def sleeping(self, size: int) -> tuple[Host, Plain]:
        """Return a host of Rollcall's and a plain supervisord with so many services that do nothing."""
        directory = self.arena.path / f"s{size}"
        host = scale.SleepingHost(directory, scale.sleepers(directory, size))
        say(f"installing {size} services")
        Rollcall(self.arena, directory.name, [host]).play("site.yml")
        directory = self.arena.path / f"t{size}"
        return host, Plain(directory, scale.sleepers(directory, size))

    def contest(self, services: str, host: Host, plain: Plain) -> list[Contest]:
        """Measure one number of services, keep what was measured, and end the plain one."""
        plain.start()
        self.warm()
        self.measured.noise.sample()
        measured = scale.contests(services, self.arena, host, plain, self.rounds)
        self.measured.contests.append(measured)
        for contest in measured:
            say("  ".join(cell for cell in contest.cells(measured[0]) if cell))
        plain.end()
        return measured

    def idle(self) -> None:
        """Compare runs that find nothing to do."""
        plain = self.plain("idle")
        plain.start()
        playbook = PlainPlaybook(self.arena, "idle", [plain], collections(self.arena))
        row = Row("`ansible-playbook site.yml`, nothing to do", "the plain playbook", Target(ratio_at_least=3))
        self.pairs(row, lambda: unchanged(self.ours.play("site.yml")), lambda: unchanged(playbook.play("started")))
        plain.end()
        many = self.installed("many", [self.host("h50", 50)])
        row = Row(
            "`ansible-playbook site.yml`, nothing to do, 50 services",
            "itself with 10",
            Target(ratio_at_most=1.3),
            upside_down=True,
        )
        self.pairs(row, lambda: unchanged(many.play("site.yml")), lambda: unchanged(self.ours.play("site.yml")))
        many.stop()

    def ports(self) -> None:
        """Compare freeing ports, and finding their owners, with one lsof after the other."""
        for count, wanted in ((8, 25), (100, 60)):
            numbers = self.arena.ports(count)
            stack = ports.stack_of(self.arena, numbers)
            row = Row(f"flushing {count} ports, in process", "one lsof a port", Target(ratio_at_least=wanted))
            ours = functools.partial(ports.flush_in_process, self.arena, stack, numbers)
            self.pairs(row, ours, functools.partial(ports.flush_by_lsof, self.arena, stack, numbers))
        host = self.ours.hosts[0]
        hints = [program["pid"] for program in host.call("getAllProcessInfo")]
        row = Row("owners of 8 ports, in process", "one lsof a port", Target(seconds_at_most=0.001))
        self.pairs(
            row, lambda: ports.owners_in_process(host, hints), lambda: ports.owners_by_lsof(self.arena, host), 10
        )
        blind = Row("the same, not knowing where to look first")
        blind.times = self.several(lambda: ports.owners_in_process(host, ()), 10)
        self.keep(blind)

    def owners(self) -> None:
        """Compare finding the owners of some ports with everything that people use for it."""
        for count in (8, 100):
            numbers = self.arena.ports(count)
            with ports.orphans(self.arena, ports.stack_of(self.arena, numbers), numbers) as pids:
                for crowd in (0, owners.CROWD):
                    with owners.crowd(self.arena, crowd):
                        beside = f", beside {crowd:,} sockets" if crowd else ""
                        for name, rival in owners.rivals(self.arena, numbers, pids).items():
                            row = Row(f"who holds {count} ports{beside}", name, Target(ratio_at_least=1))
                            self.pairs(row, functools.partial(owners.ours, numbers, pids), rival)

    def daemon(self) -> None:
        """Compare stopping a supervisord of ten programs poked and in silence."""
        place = self.plain("daemon")

        def stopped(stop: Callable[[Plain], Took]) -> Took:
            place.start()
            return stop(place)

        row = Row("stopping supervisord with ten services, poked", "in silence", Target(ratio_at_least=40))
        self.pairs(row, lambda: stopped(daemon.stop_poked), lambda: stopped(daemon.stop_silent))

    def status(self) -> None:
        """Measure ``rollcall status`` as a process."""
        command = [self.ours.hosts[0].command, "status", "--json"]
        row = Row("`rollcall status`, as a process", target=Target(seconds_at_most=0.15))
        row.times = self.several(lambda: self.arena.run(command).must("rollcall status").took, 4)
        self.keep(row)

    def peers(self) -> None:
        """Compare with what people run services with instead: how long it takes, and what is said of a silent one."""
        self.measured.found = peers.compare(self.arena, self.rounds, self._sampled, say)

    def _sampled(self) -> None:
        wait_for_quiet(self.quiet)
        self.measured.noise.sample()

    # --- the truth ------------------------------------------------------------------------------------------------

    def outcomes(self) -> None:
        """Count true successes of full restarts from two starts."""
        shell, host = self.plain("truth"), self.ours.hosts[0]
        for start in ("all running", "supervisord killed, services still listening"):
            for place in (host, shell):
                name = "Rollcall" if place is host else "the shell script"
                count = Count(f"{name}, {start}", needed=place is host)
                for _unused in range(self.truth):
                    revive(place)
                    before = place.pids()
                    if start != "all running":
                        place.kill_daemon()
                    ran = self.command_restart() if place is host else shell.shell_restart(self.arena)
                    # Both exit with 0 when they claim a success; the script does so whatever happened.
                    count.add(ran.code == 0, failures(place, before))
                self.measured.counts.append(count)
                say("  ".join(count.cells()))
        shell.end()


def revive(place: Place) -> None:
    """Bring a place to "all running", whatever was left of it."""
    if failures(place, {}):
        place.end()
        place.start()


def unchanged(ran: Ran) -> Took:
    """Return what a playbook took that changed nothing.

    Raises:
        Failure: it did.
    """
    if "changed=0" not in ran.output:
        raise Failure(f"it was to find nothing to do:\n{ran.output[-2000:]}")
    return ran.took


def wait_for_quiet(patience: float) -> None:
    """Wait until little else runs, ``patience`` seconds at most."""
    until = time.monotonic() + patience
    while psutil.cpu_percent(2.0) / 100 >= BUSY and time.monotonic() < until:
        time.sleep(1.0)


def say(text: str) -> None:
    """Tell the user how far it is."""
    print(text, flush=True)


def interrupted(number: int, _frame: object) -> None:
    """End as Ctrl-C does, so that everything is cleaned up."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> int:
    """Measure and write, or compare two checkouts."""
    signal.signal(signal.SIGTERM, interrupted)
    if sys.argv[1:2] == ["compare"]:
        return compare.main(sys.argv[2:])
    if sys.argv[1:2] == ["hosts"]:
        return hosts.main(sys.argv[2:])
    if sys.argv[1:2] == ["rollouts"]:
        return rollouts.main(sys.argv[2:])
    if sys.argv[1:2] == ["watch"]:
        return watching.main(sys.argv[2:])
    if sys.argv[1:2] == ["report"]:
        return report.main(sys.argv[2:])
    parts: dict[str, Callable[[Bench], None]] = {
        "peers": Bench.peers,
        "restarts": Bench.restarts,
        "fleet": Bench.fleet,
        "scale": Bench.scale,
        "idle": Bench.idle,
        "ports": Bench.ports,
        "daemon": Bench.daemon,
        "status": Bench.status,
        "outcomes": Bench.outcomes,
        "owners": Bench.owners,
    }
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark",
        description="Measure, and write docs/reference/benchmarks.md and docs/reference/benchmarks-ports.md.",
    )
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(parts)}; all when none is named")
    options = parser.parse_args()
    unknown = set(options.parts) - set(parts)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    began = time.monotonic()
    with Arena() as arena:
        bench = Bench(arena, setting("ROUNDS", 5), setting("TRUTH", 20), setting("QUIET", 120))
        for path, sheet in page.SHEETS.items():
            chosen = [name for name in sheet.parts if name in (options.parts or parts)]
            for name in chosen:
                say(f"=== {name}")
                parts[name](bench)
            text = page.write(sheet, bench.measured, collections(arena))
            # A page is of one run, or it is not written.
            if chosen == list(sheet.parts):
                (ROOT / "docs" / "reference" / path).write_text(text, encoding="utf-8")
            if chosen:
                print(text)
            bench.forget()
    say(f"{time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as exc:
        sys.exit(f"benchmark: {exc}")
    except KeyboardInterrupt:
        sys.exit(130)
