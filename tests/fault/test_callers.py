# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller hands down, such as a daemon or a cron job, changes neither the command nor the services."""

from __future__ import annotations

import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.support.commands import rollcall
from tests.support.stacks import StackUnderTest, stack, two_services

pytestmark = pytest.mark.usefixtures("bystander")

# Blocks and ignores signals as argv[1] says, and is then the rest of its arguments.
HANDS_DOWN = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
os.umask(0o777)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture(scope="module")
def running() -> t.Iterator[StackUnderTest]:
    """A stack that runs and is verified."""
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        yield made


def signals(pid: int) -> t.Tuple[t.Set[int], t.Set[int]]:
    """Return the signals that a process blocks, and those that it ignores (proc(5))."""
    fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    blocked, ignored = (int(fields[name], 16) for name in ("SigBlk", "SigIgn"))
    return tuple({one for one in range(1, 65) if mask >> (one - 1) & 1} for mask in (blocked, ignored))  # type: ignore


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_caller_without_files_gets_its_restart(running: StackUnderTest, closed: str) -> None:
    before = running.pids()
    done = subprocess.run(["sh", "-c", f'"$0" restart quick {closed}', running.command], check=False, timeout=60)
    assert done.returncode == 0
    assert not set(before.values()) & set(running.pids().values())


def test_services_can_be_asked_to_end_whatever_their_starter_blocks_and_ignores(running: StackUnderTest) -> None:
    command = [sys.executable, "-c", HANDS_DOWN, running.command, "restart", "quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    for pid in running.pids().values():
        blocked, ignored = signals(pid)
        assert (blocked, ignored & {signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}) == (set(), set())
    # Nor may what a run writes down be closed to whoever has started it.
    newest = max(Path(running.paths.state, "runs").glob("*.jsonl"))
    assert newest.stat().st_mode & 0o777 == 0o600
    assert rollcall(running, "history", "--json").code == 0
