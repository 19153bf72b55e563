# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""An emergency ends the run that has locked the stack, when that run hangs. No other mode does."""

from __future__ import annotations

import os
import typing as t

from ..base.clock import Clock, Deadline
from ..host import processes
from ..host.ending import end
from ..host.model import Process
from ..state.lock import has_locked, locked_by, monotonic
from ..state.runs import runs_directory
from .modes import EMERGENCY

if t.TYPE_CHECKING:
    from ..base.documents import Signalled
    from .request import Request

# Seconds in which a run that takes no step counts as one that hangs.
PATIENCE = 10.0
POLL = 0.1
# A process that is stopped by a signal, or by a debugger.
_STOPPED = ("T", "t", "stopped")


def end_what_hangs(request: Request, clock: Clock) -> t.List[Signalled]:
    """End the process that has locked the stack when it hangs, and return how that went; nothing when it does not.

    That it has the lock is proved by its pid and start, by the boot, and by the kernel's own list of locks.
    """
    state = request.paths.state
    note = locked_by(state)
    process = processes.describe(note["pid"]) if note else None
    if process is None or note.get("boot") != processes.boot_id() or not has_locked(state, process):
        return []
    if not _hangs(state, note, process, clock):
        return []

    def still_has_it(found: Process) -> bool:
        return found.identity == process.identity and has_locked(state, found)

    ended = end([process.identity], grace=request.grace, kill_grace=request.kill_grace, clock=clock, check=still_has_it)
    return [entry.as_dict() for entry in ended]


def _hangs(state: str, note: t.Mapping[str, t.Any], process: Process, clock: Clock) -> bool:
    """Return whether it is stopped, longer at work than it may take, or takes no step for a while.

    Another emergency is left its time.
    """
    if process.state in _STOPPED:
        return True
    limit = note.get("limit")
    if limit is not None and monotonic() - note["moment"] > limit:
        return True
    if note.get("verb") == EMERGENCY.name:
        return False
    before = _record_size(state, note)

    def moves() -> bool:
        return _record_size(state, note) != before or not processes.alive(process.identity)

    return not Deadline(PATIENCE, clock).poll(moves, POLL)


def _record_size(state: str, note: t.Mapping[str, t.Any]) -> int:
    """Return the size of the record of the run, to which each step adds; 0 when it keeps none."""
    try:
        return os.stat(os.path.join(runs_directory(state), f"{note.get('run')}.jsonl")).st_size
    except FileNotFoundError:
        return 0
