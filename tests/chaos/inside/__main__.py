# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The series, in the container: strike, restart, compare what was said with what is. Prints a line of JSON a step.

``python3 -m tests.chaos.inside --seed 7 --faults 200``; ``--only 12`` plays the twelfth step alone, exactly as it was.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from tests.chaos.inside import eyes, wall_clock
from tests.chaos.inside.bystanders import Bystanders
from tests.chaos.inside.faults import FAULTS, HELD, REFUSED, SIMPLE, Struck
from tests.chaos.inside.places import COMMAND
from tests.chaos.inside.world import Ran, Untrue, World

# How often a second fault strikes as well.
SECOND = 0.25
EMERGENCY = "emergency"


@dataclass
class Step:
    """What came of one step.

    Attributes:
        number: of the step, from 1; with the seed it says all that is needed to play it again.
        kinds: of the faults.
        what: they did.
        refused: whether a restart was refused, or failed truly, while the cause was there.
        emergency: whether it took an emergency.
        commands: what was run, with exit code and seconds.
        failure: why the test has failed; empty when it has not.
        broken: why the step could not be played; empty when it could.
    """

    number: int
    kinds: list[str]
    what: list[str] = field(default_factory=list)
    refused: bool = False
    emergency: bool = False
    commands: list[tuple[str, int, float, str]] = field(default_factory=list)
    failure: str = ""
    broken: str = ""


class Series:
    """Steps over one stack.

    Args:
        seed: what the dice of every step begin with.
        only: kinds to choose among; empty means all.
    """

    def __init__(self, seed: int, only: list[str]) -> None:
        self.seed = seed
        self.kinds = only or list(FAULTS)
        self.world = World()
        self.bystanders = Bystanders(self.world)
        self.world.save()
        self.bystanders.start()
        self.has_doctor = (
            "doctor" in subprocess.run([COMMAND, "--help"], capture_output=True, text=True, check=True).stdout
        )

    def play(self, number: int) -> Step:
        """Play one step."""
        dice = random.Random(f"{self.seed}:{number}")
        step = Step(number, choose(self.seed, number, self.kinds))
        try:
            wrong = self.world.eyes.wrong(self.world.look())
            if wrong:
                raise Untrue(f"it did not stay as it was after the last step: {'; '.join(wrong)}")
            # Services that are killed step after step are a crash loop, unless whoever does it says that it is known.
            known = self.world.rollcall("acknowledge")
            if known.code != 0:
                raise Untrue(f"what happened before could not be acknowledged: {known.reason}")
            self.strike(step, dice)
        except Untrue as exc:
            step.failure = str(exc)
        except Exception:  # noqa: BLE001 - one step that cannot be played does not end the series
            step.broken = traceback.format_exc()
        finally:
            dead = self.bystanders.dead()
            if dead:
                step.failure = f"KILLED: {', '.join(dead)}. {step.failure}"
            self.world.crowd.end()
            wall_clock.jump(0.0)
        return step

    def recover(self, step: Step) -> None:
        """Bring the stack back when a step has failed, and the bystanders when one has died.

        Raises:
            RuntimeError: the stack does not come back.
        """
        if step.failure or step.broken:
            self.world.heal()
        self.bystanders.start()

    def strike(self, step: Step, dice: random.Random) -> None:
        """Strike and see it through.

        Raises:
            Untrue: the test has failed.
        """
        before = self.world.look()
        struck = []
        for kind in step.kinds:
            struck.append(FAULTS[kind](self.world, dice))
            step.what.append(struck[-1].what)
        causes = [one for one in struck if one.then != HELD]
        lives = [pid for one in struck for pid in one.lives]
        if causes:
            self.with_cause(step, struck, before)
            self.survive(lives)
            for cause in causes:
                if cause.lift is not None:
                    cause.lift()
            lives = [pid for one in struck if one.then == HELD for pid in one.lives]
        self.cure(step)
        self.survive(lives)
        left = [pid for one in struck for pid in one.dies if eyes.read(pid) is not None]
        if left:
            raise Untrue(f"FALSE OK: it held, and what was left of the stack lives on: pid {left}")

    def with_cause(self, step: Step, struck: list[Struck], before: eyes.View) -> None:
        """Restart while the cause is there: it must be refused or fail for that reason, or truly hold."""
        causes = [one for one in struck if one.then != HELD]
        at_strike = self.world.look()
        ran = self.restart(step)
        if ran.ok:
            if any(cause.code is not None for cause in causes):
                raise Untrue(f"it was to be refused with {causes[0].code}, and said ok")
            return
        step.refused = True
        said = f"{ran.reason} {' '.join(ran.advice)}"
        # With another fault beside it, that one may be named first.
        excused = len(struck) > 1 and EMERGENCY in said
        for cause in causes:
            if not excused and not cause.matches(said) and not self.told_by_doctor(step, cause):
                raise Untrue(f"it ended with {ran.code} and does not name the reason ({cause.reason}): {said}")
            if not excused and cause.code is not None and ran.code != cause.code:
                raise Untrue(f"it was to be refused with {cause.code}, and ended with {ran.code}: {said}")
        if all(cause.then == REFUSED for cause in causes) and all(one.settled for one in struck):
            self.untouched(before, at_strike, said)

    def told_by_doctor(self, step: Step, cause: Struck) -> bool:
        """Whether the doctor names the reason; a refusal has to name it itself."""
        return cause.then != REFUSED and cause.matches(self.doctor(step))

    def untouched(self, before: eyes.View, at_strike: eyes.View, said: str) -> None:
        """Check that whoever survived the fault itself still runs."""
        now = self.world.look()
        for name in self.world.services:
            kept = before.identities()[name] & at_strike.identities()[name]
            if not kept <= now.identities()[name]:
                raise Untrue(f"it was refused, and yet {name} was touched: {said}")
        daemons = {process.identity for process in before.daemons} & {process.identity for process in at_strike.daemons}
        if not daemons <= {process.identity for process in now.daemons}:
            raise Untrue(f"it was refused, and yet supervisord was touched: {said}")

    def cure(self, step: Step) -> None:
        """One restart holds, or names the emergency that does."""
        old = self.world.look().identities()
        ran = self.restart(step)
        if not ran.ok:
            if not self.advises_emergency(step, ran):
                wrong = self.world.eyes.wrong(self.world.look()) or ["all is well"]
                raise Untrue(
                    f"STUCK: {ran} ended with {ran.code}: {ran.reason} | {ran.advice} | now {'; '.join(wrong)}"
                )
            step.emergency = True
            ran = self.restart(step, EMERGENCY)
            if not ran.ok:
                raise Untrue(f"STUCK: {ran} ended with {ran.code}: {ran.reason} | {ran.advice}")
        still = self.world.eyes.wrong(self.world.look(), old)
        if still:
            raise Untrue(f"FALSE OK: {ran} said ok, and {'; '.join(still)}")

    def advises_emergency(self, step: Step, ran: Ran) -> bool:
        """Whether the refusal, or else the doctor, says that an emergency is the cure."""
        if EMERGENCY in f"{ran.reason} {' '.join(ran.advice)}":
            return True
        return EMERGENCY in self.doctor(step)

    def doctor(self, step: Step) -> str:
        """Return all that the doctor says; nothing where there is none yet."""
        if not self.has_doctor:
            return ""
        ran = self.world.rollcall("doctor")
        step.commands.append(("doctor", ran.code, round(ran.seconds, 2), ""))
        return json.dumps(ran.data)

    def restart(self, step: Step, *mode: str) -> Ran:
        """Run a restart, note it, and check at once that an ok is one."""
        ran = self._run(step, "restart", *mode)
        if ran.recovering:
            # A service that had lived for long before it was killed must live for longer than a verdict waits, unless
            # whoever has killed it says so.
            self._run(step, "acknowledge")
            ran = self._run(step, "restart", *mode)
        if ran.ok:
            wrong = self.world.eyes.wrong(self.world.look())
            if wrong:
                raise Untrue(f"FALSE OK: {ran} said ok, and {'; '.join(wrong)}")
        return ran

    def _run(self, step: Step, *arguments: str) -> Ran:
        ran = self.world.rollcall(*arguments)
        step.commands.append((" ".join(ran.arguments), ran.code, round(ran.seconds, 2), ran.reason[:1500]))
        return ran

    def survive(self, pids: list[int]) -> None:
        """Check that strangers are alive."""
        dead = [pid for pid in pids if eyes.read(pid) is None]
        if dead:
            raise Untrue(f"KILLED: the stranger with pid {dead}")


def choose(seed: int, number: int, among: Sequence[str]) -> list[str]:
    """Return one kind of fault, or two of which the second can strike wherever another one has.

    The first is dealt, as from a shuffled pack of cards: each kind comes once before one comes again.
    """
    pack, place = divmod(number - 1, len(among))
    kinds = [random.Random(f"{seed}:pack {pack}").sample(among, len(among))[place]]
    dice = random.Random(f"{seed}:second of {number}")
    others = [kind for kind in SIMPLE if kind in among and kind not in kinds]
    if others and dice.random() < SECOND:
        kinds.append(dice.choice(others))
    return kinds


def main() -> int:
    """Play the steps asked for; the exit code is 0 when all held."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--faults", type=int, required=True)
    parser.add_argument("--only", type=int)
    parser.add_argument("--kind", action="append", default=[])
    options = parser.parse_args()
    series = Series(options.seed, options.kind)
    failed = False
    for number in [options.only] if options.only else range(1, options.faults + 1):
        step = series.play(number)
        failed = failed or bool(step.failure or step.broken)
        print(json.dumps(asdict(step)), flush=True)
        series.recover(step)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
