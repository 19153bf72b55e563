# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of a series: rollouts, a fault in the midst of them, and what the judge has to say of each."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tests.benchmark.balanced import Balanced, Running
from tests.chaos.fleet.bystanders import Bystanders
from tests.chaos.fleet.judge import (
    BUSY,
    OUT,
    UP,
    Excuse,
    Told,
    contradictions,
    not_excused,
    told,
    unfinished,
)
from tests.support.askers import Asker

PLAYBOOK = "playbooks/rollout.yml"
# Seconds after which a rollout hangs.
PATIENCE = 240.0
# Seconds that the balancer has to see what is true.
SETTLES = 5.0
# How often the same command is given until it has to have finished.
MOST = 3
# Seconds for which a fault may make requests fail: until the balancer has seen it, and what was under way is given up.
SHOCK = 12.0
LOOK_EVERY = 0.05
LOCKED = "has locked the stack"


class Untrue(Exception):
    """The step has failed."""


@dataclass
class Record:
    """What has become of a step.

    Attributes:
        number: of the step, from 1.
        kind: of its fault.
        what: has happened, in the order of it.
        commands: how each rollout has ended.
        outputs: what each has printed.
        asked: requests of users.
        failed: those of them that have failed.
        failure: why the step has failed; empty when it has not.
        broken: why it could not be played; empty when it could.
        seconds: that it took.
    """

    number: int
    kind: str
    what: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    asked: int = 0
    failed: int = 0
    failure: str = ""
    broken: str = ""
    seconds: float = 0.0


class Play:
    """What a fault plays on.

    Args:
        world: the fleet; all of its hosts run ``before``.
        bystanders: processes of the hosts that are none of our business.
        record: where it is written down.
        dice: of this step.
        before: the version that runs.
    """

    def __init__(
        self, world: Balanced, bystanders: Bystanders, record: Record, dice: random.Random, before: str
    ) -> None:
        self.world = world
        self.bystanders = bystanders
        self.record = record
        self.dice = dice
        self.before = before
        self.version = f"v{record.number}"
        self.away: set[str] = set()
        self.excuses: list[Excuse] = []
        # Of hosts that were away when a rollout ended, and what it called them.
        self._claims: list[tuple[str, Told, str]] = []
        self._old: dict[int, Mapping[str, str]] = {}
        self._killed = 0.0
        self._begun: list[Running] = []
        self.options = [
            "-e",
            f"soak={dice.choice((0, 1))}",
            "-e",
            f"rollout_on_failure={dice.choice(('stop', 'revert'))}",
            "-e",
            "rollout_batches=[1]",
            "-e",
            "host_timeout=90",
            *(("-e", "min_up=2", "-e", "min_up_timeout=5") if dice.random() < 0.3 else ()),
        ]

    # --- rollouts -------------------------------------------------------------------------------------------------

    def begin(self, version: str = "", *arguments: str, apart: bool = False, broken: Collection[str] = ()) -> Running:
        """Begin a rollout.

        Args:
            version: what it brings; that of the step when it is empty.
            arguments: beside those of the step.
            apart: as if from another machine.
            broken: hosts on which that version does not start.
        """
        self.world.bring(version or self.version, broken)
        running = self.world.play(PLAYBOOK, *self.options, *arguments, apart=apart)
        self._begun.append(running)
        is_settled = time.monotonic() - self._killed > SHOCK
        # What a killed rollout has begun on a host goes on there.
        seen = self.world.look(self.away) if is_settled else {}
        self._old[id(running)] = {host: one.version for host, one in seen.items()}
        return running

    def end(self, running: Running, version: str = "") -> Told:
        """Wait for the end of a rollout, and compare what it says with what is true.

        Raises:
            Untrue: it says what is not so, or does not end.
        """
        version = version or self.version
        if not running.wait(PATIENCE):
            self.keep(running, "hangs")
            running.kill()
            raise Untrue(f"HANGS: a rollout of {version} has not ended after {PATIENCE:g} s")
        said = told(running.code, running.output)
        self.keep(running, str(said.code))
        old = self._old[id(running)]
        self._claims += [(host, said, version) for host in self.away]
        self.hold(lambda: contradictions(said, self.world.look(self.away), version, old))
        return said

    def keep(self, running: Running, end: str) -> None:
        """Write down how a rollout has ended."""
        self.record.commands.append(end)
        self.record.outputs.append(running.output)

    def kill(self, running: Running) -> None:
        """Kill the controller of a rollout."""
        running.kill()
        self._killed = time.monotonic()
        self.keep(running, "killed")

    def finish(self, version: str = "") -> None:
        """Give the same command again, with what is printed, until it has finished.

        Raises:
            Untrue: it does not.
        """
        version = version or self.version
        extra: list[str] = []
        for _attempt in range(MOST):
            said = self.end(self.begin(version, *extra), version)
            if said.code == 0:
                return
            if LOCKED in said.text:
                # As it is printed: wait for that run's end.
                self.await_all(lambda: all(one.version for one in self.world.look(self.away).values()), 30)
            for name in ("takeover", "unhealthy_before=repair"):
                cure = said.cure(name)
                if cure and cure not in extra and (name != "takeover" or BUSY in said.text.lower()):
                    self.record.what.append(f"with {cure}")
                    extra += ["-e", cure]
        raise Untrue(f"STUCK: the same command was given {MOST} times and does not finish")

    def close(self) -> None:
        """End the rollouts that a step that has failed leaves behind."""
        for running in self._begun:
            if running.code is None:
                self.keep(running, "cut off")
                running.kill()

    # --- moments --------------------------------------------------------------------------------------------------

    def reach(self, running: Running, host: str, moment: str, before: str = "") -> bool:
        """Wait for a moment of a rollout; False when it has ended before that.

        Args:
            running: the rollout.
            host: of which the moment is.
            moment: ``begun``: some time from the start of all. ``out``: the balancer gives the host no more requests.
                ``changed``: the host's service is away, or is the new one. ``back``: the balancer has it again.
            before: the version that the host has until then; that before the step when it is empty.
        """
        pause = self.dice.uniform(0.0, 1.0)
        if moment == "begun":
            pause *= 8
        else:
            was_out = False

            def is_there() -> bool:
                nonlocal was_out
                status = self.world.balancer.statuses().get(host, "")
                was_out = was_out or status.startswith(OUT)
                if moment == "out":
                    return was_out
                if moment == "changed":
                    return was_out and self.world.version(host) != (before or self.before)
                return was_out and status == UP

            if not self.await_all(lambda: is_there() or running.code is not None, PATIENCE):
                return False
        running.wait(pause)
        self.record.what.append(f"{host} {moment}" if moment != "begun" else f"after {pause:.1f} s")
        if running.code is not None:
            self.record.what.append("too late: it had ended")
        return running.code is None

    def await_all(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition holds, and return whether it does."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_EVERY)
        return True

    def hold(self, look: Callable[[], Sequence[str]]) -> None:
        """Look until there is nothing wrong.

        Raises:
            Untrue: there still is, after the balancer has had its time.
        """
        wrong: Sequence[str] = []

        def is_well() -> bool:
            nonlocal wrong
            wrong = look()
            return not wrong

        if not self.await_all(is_well, SETTLES):
            raise Untrue("; ".join(wrong))

    # --- hosts ----------------------------------------------------------------------------------------------------

    def pick(self) -> str:
        """Return one of the hosts."""
        return self.dice.choice(self.world.names)

    def excuse(self, seconds: float = SHOCK) -> None:
        """Say that requests may fail from now on for so long."""
        self.excuses.append(Excuse(time.time(), time.time() + seconds))

    def lose(self, host: str, way: str) -> None:
        """Lose a host.

        Args:
            host: which.
            way: ``network``: it has none. ``power``: it ends.
        """
        self.record.what.append(f"{host} loses its {way}")
        self.excuse()
        self.away.add(host)
        if way == "network":
            self.world.host(host).cable(plugged=False)
        else:
            self.bystanders.end(host)
            self.world.host(host).end()

    def bring_back(self, host: str, way: str) -> None:
        """Bring a lost host back, and compare what was said of it with what is true.

        Raises:
            Untrue: something was said of it that is not so.
        """
        if way == "network":
            self.world.host(host).cable(plugged=True)
        else:
            self.world.boot(host)
            self.bystanders.start(host)
        if all(running.code is not None for running in self._begun):
            # One that runs needs them: to the other hosts they are well.
            self.world.forget_connections()
        self.away.discard(host)
        claims, self._claims = self._claims, []
        for of, said, version in claims:
            if of == host and (said.code == 0 or of in said.done):
                self.hold(lambda version=version: self._claimed(host, version))  # type: ignore[misc]

    def _claimed(self, host: str, version: str) -> list[str]:
        seen = self.world.version(host)
        if seen == version:
            return []
        return [f"FALSE OK: {host} was called done while it was lost, and answers with {seen or 'nothing'}"]

    # --- the end --------------------------------------------------------------------------------------------------

    def judge(self) -> None:
        """Look at everything once more.

        Raises:
            Untrue: something is not as it has to be.
        """
        self.hold(lambda: unfinished(self.world.look(), self.version))
        dead = self.bystanders.dead()
        if dead:
            raise Untrue(f"KILLED: {', '.join(dead)}")

    def count(self, users: Asker, since: int) -> None:
        """Look at the requests of users since so many had failed.

        Raises:
            Untrue: one has failed that the fault does not explain.
        """
        misses = users.misses[since:]
        self.record.failed = len(misses)
        left = not_excused(misses, self.excuses)
        if left:
            when = ", ".join(f"{time.strftime('%H:%M:%S', time.gmtime(ended))}" for _began, ended in left[:5])
            raise Untrue(f"USERS: {len(left)} requests failed that the fault does not explain, at {when} UTC")
