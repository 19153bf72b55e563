# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which processes hold a socket: found by their descriptors below /proc (proc(5), /proc/PID/fd)."""

from __future__ import annotations

import functools
import os
import typing as t

from . import homes, proc, processes
from .model import Owners, Process

# How far `find_owners` looks for processes that share a socket.
ONE = "one"
RELATIVES = "relatives"
EVERY = "every"


def find_owners(inodes: t.Iterable[int], hints: t.Iterable[int] = (), sharing: str = ONE) -> Owners:
    """Return the processes that hold these sockets.

    Args:
        inodes: of the sockets.
        hints: pids to look at first; right ones make this a matter of microseconds.
        sharing: how far to look for processes that share a socket. ``one``: the search stops once each socket has an
            owner. ``relatives``: also their families, which is how masters and workers come to share. ``every``: look
            at every process, for a socket can also be handed to a stranger (SCM_RIGHTS).

    A first thread that has ended leaves /proc/PID/fd empty though other threads hold the descriptors: those are looked
    at below /proc/PID/task.
    """
    numbers = list(inodes)
    if not processes.LINUX:
        from . import by_psutil

        return by_psutil.find_owners(numbers)
    search = _Search([inode for inode in numbers if inode > 0], sharing == EVERY)
    visible: t.List[int] = []
    if not search.look(hints):
        visible = processes.pids()
        search.look(visible)
    if sharing == RELATIVES:
        search.look_at_relatives()
    # With hidepid the processes of others are not even listed, and pid 1 is never ours.
    hidden = bool(visible) and 1 not in visible
    # What runs outside of our pid namespace and shares our network, as a container may, has no pid here.
    complete = not search.missing or not (search.unreadable or hidden or not homes.in_first_namespace())
    return Owners(search.found, complete, search.unreadable, hidden, search.places, search.described)


class _Search:
    """The search for the holders of some sockets, process by process."""

    def __init__(self, inodes: t.Sequence[int], exhaustive: bool) -> None:
        self.found: t.Dict[int, t.List[int]] = {}
        self.places: t.Dict[t.Tuple[int, int], str] = {}
        self.described: t.Dict[int, Process] = {}
        self.unreadable = 0
        self._wanted = {f"socket:[{inode}]": inode for inode in inodes}
        self._ownerless = set(inodes)
        self._holders: t.Set[int] = set()
        self._exhaustive = exhaustive
        self._seen: t.Set[int] = set()

    @property
    def missing(self) -> bool:
        """Whether a socket has no holder yet."""
        return bool(self._ownerless)

    def look_at_relatives(self) -> None:
        """Look at the descendants of each holder, of those above it that hold too, and of one more above them."""
        self._exhaustive = True
        held = sorted(self._holders)
        for pid in held:
            process = processes.describe(pid)
            if process is not None:
                self.described[pid] = process
        queue: t.List[int] = []
        for lineage in processes.lineages(held, self.described.values()).values():
            for pid in lineage:
                # Everything descends from pid 1, and being its child makes nobody a relative.
                if pid > 1:
                    self.look([pid])
                    queue.append(pid)
                if pid not in self._holders:
                    break
        visited: t.Set[int] = set()
        while queue:
            pid = queue.pop()
            if pid not in visited:
                visited.add(pid)
                children = processes.children(pid)
                self.look(children)
                queue += children

    def look(self, pids: t.Iterable[int]) -> bool:
        """Look at these processes; return whether the search may end here."""
        if not self._wanted:
            return True
        for pid in pids:
            if pid in self._seen:
                continue
            self._seen.add(pid)
            try:
                held = _held(pid, self._wanted)
            except PermissionError:
                self.unreadable += 1
                continue
            for inode, place in held.items():
                self.found.setdefault(inode, []).append(pid)
                self.places[pid, inode] = place
            if held:
                self._holders.add(pid)
                self._ownerless.difference_update(held)
                if not self._exhaustive and not self._ownerless:
                    return True
        return False


def held_among(pids: t.Iterable[int], inodes: t.Iterable[int]) -> t.Dict[int, int]:
    """Return which of these processes holds each of these sockets, by inode; no other process is looked at.

    Args:
        pids: of the processes; the first one that holds a socket counts.
        inodes: of the sockets; elsewhere than on Linux negative pids.
    """
    pids, numbers = list(pids), list(inodes)
    search = _Search([inode for inode in numbers if inode > 0], exhaustive=False)
    search.look(pids)
    by_pid = {inode: -inode for inode in numbers if -inode in pids}
    return {**{inode: holding[0] for inode, holding in search.found.items()}, **by_pid}


def holds(pid: int, inode: int, place: str = "") -> bool:
    """Return whether a process holds this socket now; one that may not be read does not.

    Args:
        pid: of the process.
        inode: of the socket.
        place: where `find_owners` saw its descriptor. It is mostly still there, and then no other is looked at.
    """
    if inode < 0:
        return pid == -inode
    wanted = f"socket:[{inode}]"
    try:
        return (place != "" and _link_target(place) == wanted) or bool(_held(pid, {wanted: inode}))
    except PermissionError:
        return False


def _held(pid: int, wanted: t.Mapping[str, int]) -> t.Dict[int, str]:
    """Return which of the wanted sockets a process holds, by inode, and where.

    Raises:
        PermissionError: its descriptors may not be read.
    """
    place = f"/proc/{pid}/fd"
    try:
        # Since Linux 6.2 the size of the directory is the number of descriptors, and most processes, the kernel's own,
        # have none: asking costs a fifth of listing. Before, the size is always 0.
        names = os.listdir(place) if os.stat(place).st_size or not _directory_size_counts() else []
        if not names:
            return _held_by_threads(pid, wanted)
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return _wanted_links(place, names, wanted)


@functools.lru_cache(maxsize=1)
def _directory_size_counts() -> bool:
    # We always have a descriptor open: that of the directory itself while it is listed, if nothing else.
    handle = os.open("/proc/self/fd", os.O_RDONLY)
    try:
        return os.stat(handle).st_size > 0
    finally:
        os.close(handle)


def _held_by_threads(pid: int, wanted: t.Mapping[str, int]) -> t.Dict[int, str]:
    if not proc.threaded(pid):
        return {}
    found: t.Dict[int, str] = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        place = f"/proc/{pid}/task/{task}/fd"
        try:
            found.update(_wanted_links(place, os.listdir(place), wanted))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _wanted_links(place: str, names: t.Iterable[str], wanted: t.Mapping[str, int]) -> t.Dict[int, str]:
    found = {}
    for name in names:
        inode = wanted.get(_link_target(f"{place}/{name}"))
        if inode is not None:
            found[inode] = f"{place}/{name}"
    return found


def _link_target(path: str) -> str:
    """Return what a descriptor stands for; empty when it has been closed since, or has a longer path than is told."""
    try:
        return proc.told_link(path)
    except (FileNotFoundError, ProcessLookupError):
        return ""
