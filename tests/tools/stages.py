# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test run: stages one after the other, each with its name and seconds, then one closing line.

``stages.py`` runs all of them, ``stages.py ruff unit`` the named ones in the table's order. A failed stage does not
stop the others; those that wait for containers run beside them. The closing line counts tests: pytest's own, and one
for each stage that is not pytest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
TOOLS = "tests/tools"


@dataclass(frozen=True)
class Stage:
    """One part of the run.

    Attributes:
        name: what it is called, on the command line too.
        command: what is run, in the checkout's root with ``.venv/bin`` first on PATH.
        tests: whether it is pytest, whose tests are counted one by one.
        aside: whether it runs beside the others, after those before it that do: it mostly waits for containers.
    """

    name: str
    command: tuple[str, ...]
    tests: bool = False
    aside: bool = False


def _pytest(name: str, *arguments: str) -> Stage:
    return Stage(name, ("pytest", "-q", "--durations=10", *arguments), tests=True)


# Quick ones first: a mistake shows early.
STAGES = (
    Stage("ruff", (f"{TOOLS}/ruff.sh",)),
    Stage("mypy", ("mypy", "plugins", "tests")),
    _pytest("repo", "tests/repo"),
    _pytest("unit", "-n", "2", "tests/unit"),
    # Most of their time is waiting for services to have lived long enough.
    _pytest("contract", "-n", "4", "tests/contract"),
    _pytest("playbooks", "-n", "4", "tests/playbooks"),
    _pytest("fault", "-n", "4", "tests/fault"),
    # Ten steps of `make chaos`: this seed has a fault of every sort among its first.
    Stage("chaos", (f"{TOOLS}/chaos.sh", "--faults", "10", "--seed", "10493"), aside=True),
    Stage("ansible-lint", (f"{TOOLS}/ansible-lint.sh",)),
    Stage("changelog", ("antsibull-changelog", "lint")),
    Stage("sanity", (f"{TOOLS}/ansible-test.sh", "sanity")),
    Stage("integration", (f"{TOOLS}/ansible-test.sh", "integration")),
    Stage("molecule", (f"{TOOLS}/molecule.sh",), aside=True),
)


@dataclass
class Counts:
    """How many tests held, and how many did not."""

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


def run(stage: Stage, report: Path, output: TextIO | None = None) -> Counts:
    """Run one stage.

    Args:
        stage: what to run.
        report: where pytest writes its JUnit report.
        output: takes what it prints; None lets that go straight to where ours goes.
    """
    environment = {
        # What is compiled once for all of the hundreds of processes that the tests start need not be by each of them.
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(BIN.parent),
        # Root may test the checkout of another user: git would not list its files then.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": str(ROOT),
    }
    command = [*stage.command, f"--junitxml={report}"] if stage.tests else list(stage.command)
    print(f"=== {stage.name}: {' '.join(stage.command)}", flush=True, file=output)
    began = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=output, stderr=output).returncode
    counts = Counts(passed=1) if code == 0 else Counts(failed=1)
    if stage.tests and report.exists():
        counts = read_counts(report)
        # No test collected, a crash of pytest itself, an interrupted run: no failed test, and yet no success.
        if code != 0 and not counts.failed:
            counts.failed = 1
    print(
        f"=== {stage.name}: {'ok' if code == 0 else f'FAILED, exit {code}'}, {time.monotonic() - began:.1f} s\n",
        flush=True,
        file=output,
    )
    return counts


def run_aside(stages: Sequence[Stage], directory: Path) -> dict[str, Counts]:
    """Run stages one after the other with their output in a file, which is printed when the last has ended."""
    found = {}
    with open(directory / "aside.log", "w+", encoding="utf-8") as output:
        for stage in stages:
            found[stage.name] = run(stage, directory / f"{stage.name}.xml", output)
        output.seek(0)
        log = output.read()
    print(log, end="", flush=True)
    return found


def main() -> int:
    """Run the stages asked for and return the exit code."""
    names = [stage.name for stage in STAGES]
    parser = argparse.ArgumentParser(description="Run the tests, stage by stage.")
    parser.add_argument("stages", nargs="*", help=f"of {', '.join(names)}; all when none is named")
    asked = parser.parse_args().stages or names
    unknown = set(asked) - set(names)
    if unknown:
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    wanted = [stage for stage in STAGES if stage.name in asked]
    # Beside nothing else there is no reason not to see what it prints.
    beside = [stage for stage in wanted if stage.aside] if any(not stage.aside for stage in wanted) else []
    found: dict[str, Counts] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(1) as lane:
        directory = Path(name)
        aside = lane.submit(run_aside, beside, directory)
        for stage in wanted:
            if stage not in beside:
                found[stage.name] = run(stage, directory / f"{stage.name}.xml")
        found.update(aside.result())
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
