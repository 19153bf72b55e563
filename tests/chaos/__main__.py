# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make chaos``: random faults against the demo in a container, each followed by one restart that must tell the truth.

After each fault one ``rollcall restart``, or ``rollcall restart emergency`` where the refusal or the doctor says so,
must hold; where the cause is still there it must be refused, or fail, with the reason named. What it says is compared
with what is there, by eyes that know nothing of Rollcall. ``--seed`` and ``--only`` play a step again as it was.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from typing import Any

from tests.chaos.container import ROOT, Container, Failure
from tests.chaos.table import Tally, page

PAGE = ROOT / "docs" / "reference" / "chaos.md"
# The longest that a step may take, in seconds: some commands, each within its bound, and a recovery.
STEP = 400.0
# Of what a step says, so many characters are printed.
LONGEST = 1200


def say(text: str) -> None:
    """Tell the user how far it is."""
    print(text, flush=True)


def tell(step: dict[str, Any], total: int, verbose: bool) -> None:
    """Print one step in a line, or in more of them when it has failed."""
    end = "FAILED" if step["failure"] else "NOT PLAYED" if step["broken"] else "ok"
    ran = ", ".join(f"{command} {code} ({seconds:g} s)" for command, code, seconds, _reason in step["commands"])
    say(f"{step['number']:3}/{total} {end:6} {'; '.join(step['what']) or '; '.join(step['kinds'])}: {ran}")
    for text in (step["failure"], step["broken"]):
        if text:
            say(f"    {' and '.join(step['kinds'])}: {text[:LONGEST]}")
    if verbose or step["failure"]:
        for command, code, _seconds, reason in step["commands"]:
            if reason:
                say(f"    {command} {code}: {reason[:LONGEST]}")


def interrupted(number: int, _frame: object) -> None:
    """End as Ctrl-C does, so that the container is removed; a second signal must not disturb that."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> int:
    """Play the series; the exit code is 0 when every step held."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Random faults against the demo.")
    parser.add_argument("--faults", type=int, default=200, help="how many steps; 200 by default")
    parser.add_argument("--seed", type=int, help="of the dice; printed when it is not given")
    parser.add_argument("--only", type=int, metavar="K", help="play step K of the seed alone")
    parser.add_argument("--kind", action="append", default=[], help="strike with faults of this kind alone; repeatable")
    parser.add_argument("--verbose", action="store_true", help="say what every command that did not hold has said")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)} when all have held")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    count = 1 if options.only else options.faults
    signal.signal(signal.SIGTERM, interrupted)
    say(f"chaos: seed {seed}, {count} faults")
    arguments = ["--seed", str(seed), "--faults", str(options.faults)]
    arguments += ["--only", str(options.only)] if options.only else []
    arguments += [word for kind in options.kind for word in ("--kind", kind)]
    tally = Tally()
    began = time.monotonic()
    try:
        with Container() as container:
            say(f"the demo is installed after {time.monotonic() - began:.0f} s")
            for line in container.lines(*arguments, timeout=STEP * count):
                step = json.loads(line)
                tally.add(step)
                tell(step, options.faults, options.verbose)
    except (Failure, KeyboardInterrupt) as exc:
        say(f"it ended before its time: {exc}")
    say("")
    say(tally.table())
    say("")
    closing = f"{tally.summary()}; seed {seed}, {time.monotonic() - began:.0f} s"
    say(closing)
    held = tally.steps == count and not tally.failed
    if options.write and held:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        PAGE.write_text(page(tally, seed, commit), encoding="utf-8")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
