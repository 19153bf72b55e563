# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of each room of the engine its tests run: ``make coverage``, or some tests: ``ARGUMENTS="tests/unit/run"``.

What the tests start is measured, too: the engine of each stack runs on the Python of the tests. Not measured are
modules, which Ansible sends as an archive, what runs as another user, and what is killed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import coverage

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "plugins" / "module_utils"
PLACE = ROOT / ".cache" / "coverage"
TESTS = ("tests/unit", "tests/contract", "tests/playbooks", "tests/fault")
# Rooms with less are named in CONTRIBUTING.md with the reason.
WANTED = 90.0
SETTINGS = f"""\
[run]
data_file = {{place}}/data
parallel = true
include =
    {ENGINE}/*
    */engine/rollcall/*
patch =
    subprocess
    execv
    _exit
sigterm = true
disable_warnings = no-data-collected, module-not-measured
[paths]
engine =
    {ENGINE}
    */engine/rollcall
"""


class Room(t.NamedTuple):
    """How much of a room was run."""

    name: str
    statements: int
    run: int

    @property
    def percent(self) -> float:
        """The part of its statements that was run; all of none."""
        return 100.0 * self.run / self.statements if self.statements else 100.0


def room_of(path: Path) -> str:
    """Return the room that a file of the engine is in; one that is in none is named itself."""
    first = path.relative_to(ENGINE).parts[0]
    return first.removesuffix(".py")


def rooms(measured: coverage.Coverage, files: t.Iterable[Path]) -> t.List[Room]:
    """Return each room with what was run of it, the least first; a file that nothing has imported counts, too."""
    found: t.Dict[str, t.Tuple[int, int]] = {}
    for path in files:
        _name, statements, _excluded, missing, _text = measured.analysis2(str(path))
        all_of_it, run = found.get(room_of(path), (0, 0))
        found[room_of(path)] = (all_of_it + len(statements), run + len(statements) - len(missing))
    listed = [Room(name, *counts) for name, counts in found.items()]
    return sorted(listed, key=lambda room: (room.percent, room.name))


def table(listed: t.Sequence[Room]) -> str:
    """Return the rooms as lines, and all of them as the last one."""
    whole = Room("all", sum(room.statements for room in listed), sum(room.run for room in listed))
    lines = [
        f"{room.name:<12} {room.statements:>6} {room.percent:>6.1f} %{'  below 90 %' if room.percent < WANTED else ''}"
        for room in (*listed, whole)
    ]
    return "\n".join([f"{'room':<12} {'statements':>6}  run", *lines])


def main(arguments: t.Sequence[str]) -> int:
    """Run the tests, print the table and return the exit code of pytest."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    settings = PLACE / "settings"
    settings.write_text(SETTINGS.format(place=PLACE), encoding="utf-8")
    command = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}", "-m", "pytest", "-q", "-n", "2"]
    code = subprocess.run([*command, *(arguments or TESTS)], cwd=ROOT, check=False).returncode
    measured = coverage.Coverage(config_file=str(settings))
    measured.combine()
    print(table(rooms(measured, sorted(ENGINE.rglob("*.py")))))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
