# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a path is for a process: one in another mount namespace, or with another root, means another directory by it.

Directories are compared by device and inode, so two spellings of one directory are the same, and a directory that was
moved is still itself.
"""

from __future__ import annotations

import contextlib
import functools
import os
import typing as t

from . import processes
from .apart import ANSWER, TooLong, ask_place
from .model import Label
from .mounts import Mount, may_hang, mount_of, mounts

# Device and inode.
FileId = t.Tuple[int, int]
# The mount namespace of a process, and device and inode of its root: who has the same sees the same by every path.
View = t.Tuple[str, int, int]
# Every stack has this below its root.
ENGINE = os.path.join("engine", "rollcall")
# How many links a path may lead through (path_resolution(7)), and how many directories may be above another.
MOST_LINKS = 40
DEEPEST = 64


def file_id(path: str) -> t.Optional[FileId]:
    """Return device and inode of what a path leads to; None when nothing is there, or it may not be looked at."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


class Views:
    """What paths are for processes, for one look: what is the same for many of them is looked up once.

    A path of others may be on a file system that does not answer. It is looked at by a child with a deadline.
    """

    def __init__(self) -> None:
        self._mounted: t.Dict[View, t.Sequence[Mount]] = {}
        self._seen: t.Dict[t.Tuple[View, str], t.Optional[FileId]] = {}
        self._works_in: t.Dict[t.Tuple[View, str, FileId], t.Optional[FileId]] = {}

    def seen_by(self, pid: int, path: str) -> t.Optional[FileId]:
        """Return device and inode of what an absolute path is for a process; None when nothing is there for it.

        Raises:
            PermissionError: what it is for that process may not be looked at.
        """
        if not processes.LINUX:
            return file_id(path)
        try:
            view = _view(pid)
            if (view, path) not in self._seen:
                self._seen[view, path] = self._look(pid, view, path)
            return self._seen[view, path]
        except PermissionError:
            raise
        except OSError:
            return None

    def _look(self, pid: int, view: View, path: str) -> t.Optional[FileId]:
        """Return what a path is in a view, by a process that has it; raises OSError when nothing can be seen there."""

        def look() -> FileId:
            status = os.stat(path if view == _own_view() else _resolved(f"{_living(pid)}/root", path))
            return (status.st_dev, status.st_ino)

        known = self._mounts(pid, view)
        return _in_time((view, mount_of(path, known).point), look) if may_hang(path, known) else look()

    def is_same(self, pid: int, path: str, ours: str) -> bool:
        """Return whether a path is for a process what ``ours`` is for us.

        What may not be looked at is not the same. Only for another user than root, who may not end that process either,
        the same words have to do.
        """
        return self._compare(pid, path, ours)[0]

    def _compare(self, pid: int, path: str, ours: str) -> t.Tuple[bool, bool]:
        """Return whether a path is for a process what ``ours`` is for us, and whether it leads nowhere for it."""
        if path == ours and sees_as_we_do(pid):
            return True, False
        try:
            seen = self.seen_by(pid, path)
        except PermissionError:
            return os.geteuid() != 0 and os.path.realpath(path) == os.path.realpath(ours), False
        wanted = file_id(ours)
        if seen is not None:
            return seen == wanted, False
        # It is gone for both: the words are all that is left, where they have the same meaning.
        return wanted is None and os.path.realpath(path) == os.path.realpath(ours) and sees_as_we_do(pid), True

    def names_stack(self, pid: int, label: t.Optional[Label], root: str) -> bool:
        """Return whether the label of a process names the stack at ``root``.

        A root that was moved is still known by the processes that work in it. A process that works in another stack's
        root than its label names is neither's by its label.
        """
        if label is None:
            return False
        wanted = file_id(root)
        if wanted is None:
            return self.is_same(pid, label.root, root)
        same, nowhere = self._compare(pid, label.root, root)
        if same:
            return self._stack_above(pid, wanted) in (None, wanted)
        return nowhere and self._stack_above(pid, wanted) == wanted

    def _stack_above(self, pid: int, wanted: FileId) -> t.Optional[FileId]:
        """Return the root of the stack in which a process works; None when it works in none, or that cannot be seen.

        Args:
            pid: of the process.
            wanted: a root that counts also when there is no engine in it.
        """
        place = f"{_living(pid)}/cwd"
        try:
            view, works_in = _view(pid), os.readlink(place)
        except OSError:
            return None
        known = self._mounts(pid, view)
        if view == _own_view() and not may_hang(works_in, known):
            return _root_above(place, wanted)
        key = (view, works_in, wanted)
        if key not in self._works_in:
            on = (view, mount_of(works_in, known).point)
            self._works_in[key] = _in_time(on, lambda: _root_above(place, wanted))
        return self._works_in[key]

    def _mounts(self, pid: int, view: View) -> t.Sequence[Mount]:
        """Return what is mounted for the processes that have a view, of which this is one."""
        if view not in self._mounted:
            self._mounted[view] = mounts(pid)
        return self._mounted[view]


def _in_time(place: t.Tuple[View, str], look: t.Callable[[], t.Optional[FileId]]) -> t.Optional[FileId]:
    """Return what a look of a child finds on a file system, None when it takes too long, now or a moment ago.

    Raises:
        OSError: as the look itself does.
    """
    try:
        found = ask_place(place, look, ANSWER)
    except TooLong:
        return None
    return None if found is None else (found[0], found[1])


def _root_above(place: str, wanted: FileId) -> t.Optional[FileId]:
    """Return which directory from ``place`` upwards is ``wanted``, or has an engine in it; None when none is."""
    before = None
    for _unused in range(DEEPEST):
        here = file_id(place)
        if here is None or here == before:
            return None
        if here == wanted or os.path.lexists(os.path.join(place, ENGINE)):
            return here
        before, place = here, f"{place}/.."
    return None


def sees_as_we_do(pid: int) -> bool:
    """Return whether paths mean for a process what they mean for us; false when that may not be looked at."""
    try:
        return not processes.LINUX or _view(pid) == _own_view()
    except OSError:
        return False


def _view(pid: t.Union[int, str]) -> View:
    """Return the view of a process.

    Raises:
        PermissionError: it may not be looked at.
        FileNotFoundError, ProcessLookupError: there is no such process, or it has ended.
    """
    place = f"/proc/{pid}"
    try:
        status = os.stat(f"{place}/root")
    except (FileNotFoundError, ProcessLookupError):
        place = _living(pid)
        status = os.stat(f"{place}/root")
    return (os.readlink(f"{place}/ns/mnt"), status.st_dev, status.st_ino)


def _living(pid: t.Union[int, str]) -> str:
    """Return the directory of a process below /proc, or that of a thread that lives when the first one has ended.

    Whoever asks next is told when it may not be looked at, or has ended.
    """
    place = f"/proc/{pid}"
    try:
        os.stat(f"{place}/root")
    except (FileNotFoundError, ProcessLookupError):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in os.listdir(f"{place}/task"):
                if os.path.exists(f"{place}/task/{task}/root"):
                    return f"{place}/task/{task}"
    except PermissionError:
        return place
    return place


@functools.lru_cache(maxsize=1)
def _own_view() -> View:
    return _view("self")


def _resolved(top: str, path: str) -> str:
    """Return where a path leads with ``top`` as the root: a link in it means what it means there.

    The kernel would follow an absolute link from our own root.
    """
    waiting, real, links = path.split("/")[::-1], "", 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            real = os.path.dirname(real)
        elif part not in ("", "."):
            try:
                target = os.readlink(f"{top}{real}/{part}")
            except OSError:
                # No link, or nothing at all: the look at the whole tells.
                real = f"{real}/{part}"
                continue
            links += 1
            if links > MOST_LINKS:
                # The kernel says ELOOP; this leads as little to anything.
                return f"{top}/dev/null/{part}"
            real = "" if target.startswith("/") else real
            waiting += target.split("/")[::-1]
    return top + real
