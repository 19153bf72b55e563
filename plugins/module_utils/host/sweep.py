# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""End everything that carries the label of a stack and that nobody is to keep."""

from __future__ import annotations

import os
import typing as t

from ..base.clock import SYSTEM, Clock
from . import processes
from .ending import Ended, describe_parent, end
from .labels import is_of, label_of, labelled_processes, recorded_labels
from .model import Identity, Process

# How often to look again: what a process forked while it was being ended shows up in the next round.
ROUNDS = 4


def sweep(
    root: str,
    *,
    keep: t.Iterable[int] = (),
    uids: t.Optional[t.Container[int]] = None,
    grace: float = 5.0,
    kill_grace: float = 2.0,
    clock: Clock = SYSTEM,
) -> t.List[Ended]:
    """End every process that carries the label of the stack at ``root`` and is not kept, the deepest first.

    It looks again after each round, for what was forked while the parent was being ended.

    Args:
        root: the stack's root directory.
        keep: pids of live supervisords; they and their descendants are left alone. So is this process itself.
        uids: the users whose labels count; None means ``labels.trusted_uids`` of the root.
        grace: seconds from TERM to KILL, for each round.
        kill_grace: seconds to wait after KILL, for each round.
        clock: the clock of all deadlines.

    Returns:
        How each ended. ``survived`` and ``stuck`` are those that are still there.
    """
    ended: t.List[Ended] = []
    tried: t.Set[Identity] = set()
    for _unused in range(ROUNDS):
        left = [process for process in _not_kept(root, keep, uids) if process.identity not in tried]
        if not left:
            return ended
        tried.update(process.identity for process in left)
        left.sort(key=lambda process: len(processes.ancestors(process.pid)), reverse=True)
        ended += end(
            [process.identity for process in left],
            grace=grace,
            kill_grace=kill_grace,
            clock=clock,
            check=lambda process: _carries_label(process, root),
        )
    for process in _not_kept(root, keep, uids):
        if process.identity not in tried:
            reason = f"new after {ROUNDS} rounds: something keeps starting it; {describe_parent(process)}"
            ended.append(Ended(process.pid, process.start, process.user, process.command, (), "survived", 0.0, reason))
    return ended


def _not_kept(root: str, keep: t.Iterable[int], uids: t.Optional[t.Container[int]]) -> t.List[Process]:
    kept = set(keep)
    found = [process for process in labelled_processes(root, uids) if process.pid != os.getpid()]
    lineages = processes.lineages([process.pid for process in found], found)
    return [process for process in found if not kept.intersection(lineages[process.pid])]


def _carries_label(process: Process, root: str) -> bool:
    return is_of(label_of(process.pid) or recorded_labels(root).get(process.identity), root)
