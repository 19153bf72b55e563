# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a watcher costs: processor time of its looks and of their children, and the memory of both.

``python -m tests.benchmark watch [SERVICES [LOOKS]]``: 50 services with a port and health over HTTP, 40 looks.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, stack

# The interval of a manifest that does not say one, for which the share of a core is told.
INTERVAL = 15.0
TRIES = 5
_TICKS = os.sysconf("SC_CLK_TCK")


def main(arguments: list[str]) -> int:
    """Measure, print a line for each figure, and return the exit code."""
    services, looks = (int(arguments[at]) if len(arguments) > at else usual for at, usual in ((0, 50), (1, 40)))
    wanted = {f"s{number}": {"port": free_port(), "health": {"http": "/health"}} for number in range(services)}
    with stack(wanted, watch={"interval": 1, "grace": 0}) as made:
        if not any(_is_up(made) for _time in range(TRIES)):
            raise SystemExit("the stack did not come up")
        output = Path(made.root, "watched")
        with output.open("wb") as stream, subprocess.Popen([made.command, "watch", "--json"], stdout=stream) as watcher:
            try:
                _measure(watcher.pid, output, services, looks)
            finally:
                watcher.terminate()
    return 0


def _is_up(made: StackUnderTest) -> bool:
    """Bring the stack up, or go on with that: on a busy machine supervisord may not start all of it in time."""
    try:
        return bool(made.perform("auto")["ok"])
    except RollcallError:
        return False


def _measure(pid: int, output: Path, services: int, looks: int) -> None:
    def seen() -> int:
        return output.read_bytes().count(b"\n")

    while seen() < 3:
        time.sleep(0.05)
    first, before, largest = seen(), _seconds(pid), 0
    while seen() < first + looks:
        largest = max(largest, _together(pid))
        time.sleep(0.01)
    a_look = (_seconds(pid) - before) / (seen() - first)
    print(f"{services} services, {looks} looks")
    print(f"  a look: {a_look * 1000:.0f} ms of a core; every {INTERVAL:g} s: {a_look / INTERVAL:.2%} of a core")
    print(f"  memory of the watcher: {_kib(pid, 'VmRSS') / 1024:.1f} MiB, at most {_kib(pid, 'VmHWM') / 1024:.1f} MiB")
    print(f"  with what a look shares and adds (PSS): at most {largest / 1024:.1f} MiB")


def _seconds(pid: int) -> float:
    """Return the processor time of a process and of its children that have ended (proc(5), utime to cstime)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / _TICKS


def _kib(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def _together(pid: int) -> int:
    """Return the KiB of memory of a process and its children, what they share counted once (proc(5), Pss)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return sum(_pss(each) for each in (str(pid), *children))


def _pss(pid: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        # The child of a look has ended meanwhile.
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
