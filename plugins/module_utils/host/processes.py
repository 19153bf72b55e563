# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Processes of this host: one, its family, all of them.

A process is known by its identity, the pid and the start time together, because pids are used again.
"""

from __future__ import annotations

import os
import sys
import typing as t

from .model import Identity, Process

LINUX = sys.platform.startswith("linux")

if sys.platform.startswith("linux"):
    from . import proc as _reader
else:
    from . import by_psutil as _reader

# What reads; both modules have the same functions.
reader = _reader


def pids() -> t.List[int]:
    """Return every visible pid, the youngest first as far as numbers tell: most searches are for young processes."""
    return reader.pids()


def describe(pid: int) -> t.Optional[Process]:
    """Return the process with this pid; None when there is none, or it may not even be looked at (hidepid)."""
    return reader.describe(pid)


def look_again(process: Process) -> t.Optional[Process]:
    """Return a process as it is now, None when it is gone; what cannot have changed is not read again."""
    return reader.look_again(process)


def alive(identity: Identity) -> bool:
    """Return whether this very process still runs; a zombie does not."""
    return reader.alive(*identity)


def start_time(pid: int) -> int:
    """Return the start time of the process with this pid, as in `Process.start`; 0 when there is none to be seen."""
    return reader.start_time(pid)


def age(start: int) -> float:
    """Return for how many seconds a process with this start time has lived.

    On Linux by the boot clock, which no setting of the wall clock moves.
    """
    return reader.age(start)


def boot_id() -> str:
    """Return what tells this boot of the host, or this start of the container, from all others."""
    return reader.boot_id()


def count_hidden() -> int:
    """Return how many programs run whose environment this user may not read, so that their labels are not seen."""
    return sum(reader.environment_hidden(pid) for pid in pids())


# --- families -----------------------------------------------------------------------------------------------------


def ancestors(pid: int) -> t.List[int]:
    """Return the pids of the parent, its parent and so on, as far up as can be seen."""
    return lineages([pid])[pid][1:]


def own_lineage() -> t.FrozenSet[int]:
    """Return the pids of this process and of all it descends from."""
    return frozenset(lineages([os.getpid()])[os.getpid()])


def lineages(of: t.Iterable[int], known: t.Iterable[Process] = ()) -> t.Dict[int, t.List[int]]:
    """Return for each pid itself, its parent, the parent's parent and so on, as far up as can be seen.

    Args:
        of: the pids.
        known: processes whose parents need not be asked for.
    """
    parents = {process.pid: process.ppid for process in known}
    found: t.Dict[int, t.List[int]] = {}
    for pid in of:
        chain: t.List[int] = []
        current = pid
        while current > 0 and current not in chain:
            chain.append(current)
            if current not in parents:
                parents[current] = reader.parent(current)
            current = parents[current]
        found[pid] = chain
    return found


def children(pid: int) -> t.List[int]:
    """Return the pids of the children of a process; what it forks at this very moment may be missing."""
    return reader.children(pid)


def below(pid: int) -> t.List[int]:
    """Return the pids of all descendants of a process; asks each for its children, and no other process."""
    found: t.Dict[int, None] = {}
    queue = children(pid)
    while queue:
        one = queue.pop()
        if one not in found:
            found[one] = None
            queue += children(one)
    return list(found)


def descendants(roots: t.Iterable[int]) -> t.Dict[int, Process]:
    """Return all descendants of ``roots`` by pid, not the roots themselves, parents before their children."""
    below: t.Dict[int, t.List[int]] = {}
    for pid in pids():
        below.setdefault(reader.parent(pid), []).append(pid)
    queue = list(roots)
    seen = set(queue)
    found: t.Dict[int, Process] = {}
    while queue:
        for pid in below.get(queue.pop(0), ()):
            process = None if pid in seen else describe(pid)
            seen.add(pid)
            queue.append(pid)
            if process is not None:
                found[pid] = process
    return found
