# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test run: stages, each with its name, seconds and CPU seconds, then one closing line.

``stages.py`` runs all of them, ``stages.py ruff unit`` the named ones, in the table's order. Stages that mostly wait,
for containers or downloads, run beside the others, two at a time; the last lines that such a stage prints come when it
has ended, and all of them at the end of the run when it has failed. A failed stage does not stop the others. The
closing line counts tests: pytest's own, and one for each other stage.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
TOOLS = "tests/tools"
# A worker without tests left takes some of another worker.
WAITING = ("-n", "6", "--dist", "worksteal")


@dataclass(frozen=True)
class Stage:
    """One part of the run.

    Attributes:
        name: what it is called, on the command line too.
        command: what is run, in the checkout's root with ``.venv/bin`` first on PATH.
        tests: whether it is pytest, whose tests are counted one by one.
        aside: whether it runs beside the others: it needs nothing that they leave, and mostly waits.
        group: a name for several stages on the command line.
        named: whether it runs only when it, or its group, is named.
    """

    name: str
    command: tuple[str, ...]
    tests: bool = False
    aside: bool = False
    group: str = ""
    named: bool = False


def _pytest(name: str, *arguments: str, named: bool = False) -> Stage:
    return Stage(name, ("pytest", "-q", "--durations=10", *arguments), tests=True, named=named)


def _aside(name: str, *command: str, group: str = "", named: bool = False) -> Stage:
    return Stage(name, command, aside=True, group=group, named=named)


def _molecule(scenario: str, *, named: bool = False) -> Stage:
    return _aside(f"molecule-{scenario}", f"{TOOLS}/molecule.sh", scenario, group="molecule", named=named)


# How many stages run beside the others at once: with more, two cores are too few.
LANES = 2

# What is printed of a stage that ran beside others. All of it comes at the end of the run when it has failed: there it
# is found, and kept by whoever keeps only the end of a long output.
LAST_LINES = 10

# The pairs of the matrix in noxfile.py that the ordinary run tries.
FEW = ("core-2.20-3.13", "core-2.21-3.12")

# Quick ones first, so that a mistake shows early. Of those that run beside others, the longest first: all end sooner.
STAGES = (
    Stage("ruff", (f"{TOOLS}/ruff.sh",)),
    Stage("mypy", ("mypy", "plugins", "tests", "noxfile.py")),
    _pytest("repo", "tests/repo"),
    _pytest("unit", "-n", "2", "tests/unit"),
    # Much of their time is waiting for services to have lived long enough: more workers than cores. In one run of
    # pytest its workers start once, some tests compute while others wait, and only one end leaves workers idle.
    _pytest("stacks", *WAITING, "tests/contract", "tests/playbooks", "tests/fault"),
    # The whole run has half an hour on two cores: what takes long, and others try in parts, is left to `make long`.
    _pytest("long", *WAITING, "-m", "long and not exhaustive", "tests/playbooks", named=True),
    _molecule("debian", named=True),
    _molecule("fleet", named=True),
    Stage("ansible-lint", (f"{TOOLS}/ansible-lint.sh",)),
    Stage("changelog", ("antsibull-changelog", "lint")),
    Stage("docs", ("python", f"{TOOLS}/site/build.py", ".cache/site")),
    _molecule("default"),
    _molecule("django"),
    # Ten steps of `make chaos`: this seed has a fault of every sort among its first.
    _aside("chaos", f"{TOOLS}/chaos.sh", "--faults", "10", "--seed", "10493"),
    _aside("integration", f"{TOOLS}/ansible-test.sh", "integration"),
    _aside("container", f"{TOOLS}/container.sh"),
    # The two versions that no other stage has, and of the Pythons both that no other stage has. Debian has neither.
    _aside("versions", "nox", "--no-error-on-missing-interpreters", "-s", *FEW, "--", "few"),
    _aside("sanity", f"{TOOLS}/ansible-test.sh", "sanity"),
    _molecule("refuses"),
    # It brings a browser where there is none.
    Stage("browser", (f"{TOOLS}/browser.sh",), tests=True, aside=True),
)


@dataclass
class Counts:
    """How many tests passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Counts) -> None:
        """Add the counts of ``other``."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def read_counts(report: Path) -> Counts:
    """Return what pytest's JUnit report says."""
    counts = Counts()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        counts.add(Counts(int(suite.get("tests", 0)) - failed - skipped, failed, skipped))
    return counts


# Where Linux keeps files in memory, for everybody and without a limit to what is executed there.
MEMORY = Path("/dev/shm")
ENOUGH = 4 << 30


def in_memory() -> dict[str, str]:
    """Return the variables by which the stacks of the tests lie in memory; none where there is no room.

    A stack has hundreds of small files, and each of its runs waits many times until the disk has what it has written.
    """
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        return {}
    room = os.statvfs(MEMORY)
    if room.f_flag & os.ST_NOEXEC or room.f_bavail * room.f_frsize < ENOUGH:
        return {}
    # What pytest makes itself stays on the disk: below the names that it gives a socket's path would be too long.
    return {"TMPDIR": str(MEMORY), "PYTEST_DEBUG_TEMPROOT": tempfile.gettempdir()}


def run(stage: Stage, report: Path, output: TextIO | None = None) -> Counts:
    """Run one stage.

    Args:
        stage: what to run.
        report: where pytest writes its JUnit report.
        output: takes what it prints; None lets that go straight to where ours goes.
    """
    environment = {
        # Compiled files are kept for the hundreds of processes that the tests start.
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(BIN.parent),
        # Root may test the checkout of another user: git would not list its files then.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": str(ROOT),
        **(in_memory() if stage.tests else {}),
    }
    command = [*stage.command, f"--junitxml={report}"] if stage.tests else list(stage.command)
    print(f"=== {stage.name}: {' '.join(stage.command)}", flush=True, file=output)
    began = time.monotonic()
    # What has ended below it counts as well: where cores are few, this is what a slow run is made of.
    started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    _, status, used = os.wait4(started.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    counts = Counts(passed=1) if code == 0 else Counts(failed=1)
    if stage.tests and report.exists():
        counts = read_counts(report)
        # No test collected, a crash of pytest or an interrupted run: no test failed, and still it is no success.
        if code != 0 and not counts.failed:
            counts.failed = 1
    print(
        f"=== {stage.name}: {'ok' if code == 0 else f'FAILED, exit {code}'}, {time.monotonic() - began:.1f} s, "
        f"{used.ru_utime + used.ru_stime:.1f} s of CPU\n",
        flush=True,
        file=output,
    )
    return counts


def run_aside(stage: Stage, directory: Path) -> Counts:
    """Run one stage with its output in a file, whose last lines are printed when it has ended."""
    with open(directory / f"{stage.name}.log", "w+", encoding="utf-8") as output:
        counts = run(stage, directory / f"{stage.name}.xml", output)
        output.seek(0)
        print("".join(deque(output, LAST_LINES)), end="", flush=True)
    return counts


def main() -> int:
    """Run the stages asked for and return the exit code."""
    names = list(dict.fromkeys(name for stage in STAGES for name in (stage.group, stage.name) if name))
    parser = argparse.ArgumentParser(description="Run the tests, stage by stage.")
    parser.add_argument(
        "stages",
        nargs="*",
        help=f"of {', '.join(names)}; all when none is named, but for "
        f"{', '.join(stage.name for stage in STAGES if stage.named)}",
    )
    asked = parser.parse_args().stages
    unknown = set(asked) - set(names)
    if unknown:
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    wanted = [stage for stage in STAGES if ({stage.name, stage.group} & set(asked) if asked else not stage.named)]
    # A single stage prints directly.
    beside = [stage for stage in wanted if stage.aside and len(wanted) > 1]
    found: dict[str, Counts] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(LANES) as lanes:
        directory = Path(name)
        aside = {stage.name: lanes.submit(run_aside, stage, directory) for stage in beside}
        for stage in wanted:
            if stage not in beside:
                found[stage.name] = run(stage, directory / f"{stage.name}.xml")
        found.update({name: counts.result() for name, counts in aside.items()})
        for stage in beside:
            if found[stage.name].failed:
                print((directory / f"{stage.name}.log").read_text(encoding="utf-8"), end="", flush=True)
    total = Counts()
    for counts in found.values():
        total.add(counts)
    broken = [stage.name for stage in wanted if found[stage.name].failed]
    if broken:
        print(f"failed stages: {', '.join(broken)}")
    print(f"{total} in {time.monotonic() - began:.2f}s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
