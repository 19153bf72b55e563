# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Processes that are there and do nothing: stopped by a signal or a debugger, or stuck in the kernel.

A process is in such a state for a moment all the time: it waits for a disk, or a tracer looks at it. So it must be in
it at each of several looks, and must not have run in between: then the kernel has switched to it no more often
(proc(5), /proc/PID/status).
"""

from __future__ import annotations

import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from . import processes
from .model import Activity

# Letters of /proc/PID/stat. A tracing stop has a small t.
STOPPED = "T"
TRACED = "t"
UNINTERRUPTIBLE = "D"
# A process that has ended, and whose parent has not noticed it yet.
ENDED = "Z"
# Seconds for which a process must have been stopped, and must have waited in the kernel.
MOMENT = 0.1
LONG = 1.0
_INTERVAL = 0.02


def find_halted(pids: t.Iterable[int], *, clock: Clock = SYSTEM) -> t.Dict[int, str]:
    """Return which of the processes do nothing, with the letter of the state that each is in.

    It takes no time when each of them runs, or sleeps and can be woken.

    Args:
        pids: of the processes.
        clock: of the time between the looks.
    """
    suspects = _suspects(pids)
    began, deadline = clock.monotonic(), Deadline(LONG, clock)

    def all_known() -> bool:
        again = {pid: processes.reader.activity(pid) for pid in suspects}
        for pid, activity in again.items():
            if activity != suspects[pid]:
                del suspects[pid]
        waiting = any(activity.state == UNINTERRUPTIBLE for activity in suspects.values())
        return not suspects or (not waiting and clock.monotonic() - began >= MOMENT)

    if suspects:
        deadline.poll(all_known, _INTERVAL)
    return {pid: activity.state for pid, activity in suspects.items()}


def _suspects(pids: t.Iterable[int]) -> t.Dict[int, Activity]:
    """Return what the processes do that are in such a state now; most are in none, and that is cheap to see."""
    states = (STOPPED, TRACED, UNINTERRUPTIBLE)
    seen = {pid: processes.reader.activity(pid) for pid in pids if processes.reader.state(pid) in states}
    return {pid: activity for pid, activity in seen.items() if activity is not None and activity.state in states}
