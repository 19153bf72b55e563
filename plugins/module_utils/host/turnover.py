# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Children that end with an error again and again, below a parent that lives and starts them anew.

Many programs have short-lived children on purpose: a shell its commands, a server one for each request, a pool workers
that it renews. So only children count that run the program of their parent. One that runs another program, or ends
with code 0 or by a signal that asks to end, says that all is meant. Nothing takes time while one of them lives for
longer than a moment, or the parent has never had a child that ended.

How a process has ended only its parent is told. Linux 6.15 tells it whoever has a pidfd of it (ioctl PIDFD_GET_INFO,
linux/pidfd.h); before, it can be read as long as the parent has not asked (proc(5), field 52 of /proc/PID/stat).
"""

from __future__ import annotations

import os
import select
import signal
import struct
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from . import proc, processes
from .model import Identity

# Seconds: a child that has lived for longer than this works.
MOMENT = 2.0
# How many children must have ended with an error.
ENDS = 3
_INTERVAL = 0.02
# Seconds in which the next child has begun after one that has ended.
_BETWEEN = 0.5
# Seconds in which a child that was forked to execute another program has done so.
_FORKED = 0.1
# How a shell's child ends that could not execute a program.
_NOT_EXECUTED = (126, 127)
# Signals that a parent ends its children with on purpose.
_ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)

# _IOWR(0xFF, 11, struct pidfd_info) with a struct of 64 bytes: mask, cgroup, eleven ids, exit code.
_PIDFD_GET_INFO = 0xC040FF0B
_INFO = struct.Struct("=QQ11Ii")
_INFO_EXIT = 1 << 3


class DyingChildren(t.NamedTuple):
    """Children that ended with an error, one after the other.

    Attributes:
        parent: their pid's parent, which lives.
        ends: how many were seen to end.
        last: how the last one did, for people.
    """

    parent: int
    ends: int
    last: str


def find_dying(
    families: t.Mapping[str, t.Sequence[int]], seconds: float, *, clock: Clock = SYSTEM
) -> t.Dict[str, DyingChildren]:
    """Return by service the children that die for ever; nothing where that is not known for sure.

    Args:
        families: the processes of each service, its own first.
        seconds: in which they must have ended.
        clock: of the time between the looks.
    """
    if not processes.LINUX or not hasattr(os, "pidfd_open"):
        return {}
    watched = {parent: (name, _Watch(parent)) for name, pids in families.items() for parent in _suspects(pids, clock)}
    if watched:
        Deadline(seconds, clock).poll(lambda: _settled(watch for _name, watch in watched.values()), _INTERVAL)
    found = {}
    for parent, (name, watch) in watched.items():
        if watch.ends >= ENDS and not watch.meant:
            found[name] = DyingChildren(parent, watch.ends, watch.last)
        watch.close()
    return found


def _settled(watches: t.Iterable[_Watch]) -> bool:
    # Each of them looks.
    return not [watch for watch in watches if not watch.settled()]


def _suspects(pids: t.Sequence[int], clock: Clock) -> t.List[int]:
    """Return which processes of a family have children, all of them new, and had others that have ended.

    Who was seen as a child may have ended since, and the next one may not have begun.
    """
    parents = [pid for pid in pids if proc.has_reaped(pid)] if len(pids) > 1 else []
    ages: t.Dict[int, float] = {}

    def has_found() -> bool:
        for parent in parents:
            for pid in processes.children(parent):
                place = processes.reader.place_of(pid)
                if place is not None:
                    ages[parent] = max(ages.get(parent, 0.0), processes.age(place.start))
        return bool(ages)

    if parents:
        Deadline(_BETWEEN, clock).poll(has_found, _INTERVAL)
    return [parent for parent, oldest in ages.items() if oldest <= MOMENT]


class _Watch:
    """The children of one process, watched until it is known whether they die for ever.

    Attributes:
        ends: how many of them have ended with an error.
        last: how the last one did.
        meant: whether one of them works, or has ended well.
    """

    def __init__(self, parent: int) -> None:
        self.ends = 0
        self.last = ""
        self.meant = False
        self._parent = parent
        self._program = proc.executable(parent)
        # By pidfd its process, and whether it is known to run the program of its parent for good.
        self._open: t.Dict[int, Identity] = {}
        self._sure: t.Set[int] = set()
        # Whose end was seen; one that waits for its parent is among the children for as long.
        self._ended: t.Set[Identity] = set()

    def settled(self) -> bool:
        """Look again; return whether there is nothing more to learn."""
        for pid in processes.children(self._parent):
            self._look_at(pid)
        ready = select.select(list(self._open), [], [], 0)[0] if self._open else []
        for descriptor in ready:
            self._note_end(descriptor)
        return self.meant or self.ends >= ENDS

    def close(self) -> None:
        """Let go of all children."""
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()

    def _look_at(self, pid: int) -> None:
        descriptor = self._held(pid)
        program = proc.executable(pid)
        if descriptor is None or not program:
            # It has ended.
            return
        age = processes.age(self._open[descriptor][1])
        if program != self._program or age > MOMENT:
            self.meant = True
        elif proc.has_executed(pid) or age > _FORKED:
            self._sure.add(descriptor)

    def _held(self, pid: int) -> t.Optional[int]:
        """Return the pidfd of a child; None when it is gone."""
        identity = (pid, processes.start_time(pid))
        known = next((descriptor for descriptor, one in self._open.items() if one == identity), None)
        if known is not None or not identity[1] or identity in self._ended:
            return known
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return None
        if processes.start_time(pid) != identity[1]:
            os.close(descriptor)
            return None
        self._open[descriptor] = identity
        return descriptor

    def _note_end(self, descriptor: int) -> None:
        pid = self._open[descriptor][0]
        status, waits = _exit_info(descriptor), proc.exit_status(pid)
        if status is None and waits is None and processes.start_time(pid):
            # The kernel does not tell yet.
            return
        sure = descriptor in self._sure or (waits is not None and not proc.has_executed(pid))
        self._ended.add(self._open.pop(descriptor))
        self._sure.discard(descriptor)
        os.close(descriptor)
        self._judge(waits if status is None else status, sure=sure)

    def _judge(self, status: t.Optional[int], *, sure: bool) -> None:
        if status is None:
            return
        if status == 0 or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in _ASKING):
            self.meant = True
        elif sure and not (os.WIFEXITED(status) and os.WEXITSTATUS(status) in _NOT_EXECUTED):
            self.ends += 1
            self.last = _in_words(status)


def _exit_info(descriptor: int) -> t.Optional[int]:
    """Return the wait status of a process that has ended, by its pidfd; None where the kernel does not tell."""
    import fcntl

    data = bytearray(_INFO.pack(_INFO_EXIT, 0, *[0] * 11, 0))
    try:
        fcntl.ioctl(descriptor, _PIDFD_GET_INFO, data, True)
    except OSError:
        return None
    mask, *_others, status = _INFO.unpack(data)
    return int(status) if mask & _INFO_EXIT else None


def _in_words(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return f"exit code {os.WEXITSTATUS(status)}"
