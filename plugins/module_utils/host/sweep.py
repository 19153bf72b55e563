# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""End everything of a stack that none of its supervisords holds."""

from __future__ import annotations

import os
import typing as t

from ..base.clock import SYSTEM, Clock
from . import processes
from .detached import detached_by
from .ending import Ended, describe_parent, end
from .model import Identity, Process
from .ours import Ownership, left_over

# How often to look again: what a process forked while it was being ended shows up in the next round.
ROUNDS = 4


def sweep(
    root: str,
    *,
    keep: t.Collection[int] = (),
    reported: t.Optional[t.Collection[int]] = None,
    uids: t.Optional[t.Collection[int]] = None,
    services: t.Optional[t.Container[str]] = None,
    spared: t.Optional[t.Mapping[str, Identity]] = None,
    grace: float = 5.0,
    kill_grace: float = 2.0,
    clock: Clock = SYSTEM,
) -> t.List[Ended]:
    """End every process of the stack at ``root`` that no supervisord of it holds, the deepest first.

    It looks again after each round, for what was forked while the parent was being ended.

    Args:
        root: the stack's root directory.
        keep: pids of live supervisords; they and what they hold are left alone. So is this process itself.
        reported: pids of the programs that they report; None when that is not known.
        uids: the users whose labels count; None means ``labels.trusted_uids`` of the root.
        services: of which services; None for everything of the stack.
        spared: by service that the run leaves alone its process: what that has put into the background stays.
        grace: seconds from TERM to KILL, for each round.
        kill_grace: seconds to wait after KILL, for each round.
        clock: the clock of all deadlines.

    Returns:
        How each ended; ``survived`` and ``stuck`` are still there.
    """
    ended: t.List[Ended] = []
    tried: t.Set[Identity] = set()

    def not_kept() -> t.List[Process]:
        return _not_spared(left_over(root, uids, keep, reported), services, spared or {}, keep)

    for _unused in range(ROUNDS):
        left = [process for process in not_kept() if process.identity not in tried]
        if not left:
            return ended
        tried.update(process.identity for process in left)
        left.sort(key=lambda process: len(processes.ancestors(process.pid)), reverse=True)
        ended += end(
            [process.identity for process in left],
            grace=grace,
            kill_grace=kill_grace,
            clock=clock,
            check=_still_ours(root, uids, left),
        )
    return ended + [_started_again(process) for process in not_kept() if process.identity not in tried]


def _not_spared(
    found: t.Sequence[Process],
    services: t.Optional[t.Container[str]],
    spared: t.Mapping[str, Identity],
    kept: t.Collection[int],
) -> t.List[Process]:
    """Return which left-overs are ended; arguments as `sweep`. This process itself is none of them."""
    stays = {os.getpid(), *(process.pid for process in detached_by(found, spared, kept))}
    found = [process for process in found if process.pid not in stays]
    return found if services is None else [one for one in found if one.label and one.label.service in services]


def _started_again(process: Process) -> Ended:
    reason = f"new after {ROUNDS} rounds: something keeps starting it; {describe_parent(process)}"
    return Ended(process.pid, process.start, process.user, process.command, (), "survived", 0.0, reason)


def _still_ours(
    root: str, uids: t.Optional[t.Collection[int]], found: t.Iterable[Process]
) -> t.Callable[[Process], bool]:
    """Return what tells whether a process that has been taken hold of is still what was found."""
    before = {process.identity: process for process in found}
    ownership = Ownership(root, uids)

    def check(process: Process) -> bool:
        seen = before.get(process.identity)
        if ownership.of(process).how:
            return True
        # What it descends from may have ended meanwhile.
        return seen is not None and (seen.session, seen.uid, seen.exe) == (process.session, process.uid, process.exe)

    return check
