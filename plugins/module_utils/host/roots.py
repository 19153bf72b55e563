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
from .apart import ANSWER, TooLong, apart
from .model import Label
from .mounts import may_hang, mounts

# Device and inode.
FileId = t.Tuple[int, int]
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


def seen_by(pid: int, path: str) -> t.Optional[FileId]:
    """Return device and inode of what an absolute path is for a process; None when nothing is there for it.

    Raises:
        PermissionError: what it is for that process may not be looked at.
    """
    if not processes.LINUX:
        return file_id(path)

    def look() -> t.Optional[FileId]:
        if _view(pid) == _own_view():
            return file_id(path)
        status = os.stat(_resolved(f"{_living(pid)}/root", path))
        return (status.st_dev, status.st_ino)

    try:
        if not may_hang(path, mounts(pid)):
            return look()
        # The path is another's, and so may be its file system.
        device, inode = apart(look, ANSWER) or (-1, -1)
    except PermissionError:
        raise
    except (OSError, TooLong):
        return None
    return None if inode < 0 else (device, inode)


def is_same(pid: int, path: str, ours: str) -> bool:
    """Return whether a path is for a process what ``ours`` is for us.

    What may not be looked at is not the same. Only for another user than root, who may not end that process either,
    the same words have to do.
    """
    try:
        seen = seen_by(pid, path)
    except PermissionError:
        return os.geteuid() != 0 and os.path.realpath(path) == os.path.realpath(ours)
    if seen is None:
        # It is gone for both: the words are all that is left, where they have the same meaning.
        return file_id(ours) is None and os.path.realpath(path) == os.path.realpath(ours) and sees_as_we_do(pid)
    return seen == file_id(ours)


def names_stack(pid: int, label: t.Optional[Label], root: str) -> bool:
    """Return whether the label of a process names the stack at ``root``.

    A root that was moved is still known by the processes that work in it. A process that works in another stack's root
    than its label names is neither's by its label.
    """
    if label is None:
        return False
    wanted = file_id(root)
    if wanted is None:
        return is_same(pid, label.root, root)
    works_in = _stack_above(pid, wanted)
    if is_same(pid, label.root, root):
        return works_in in (None, wanted)
    return works_in == wanted and _leads_nowhere(pid, label.root)


def _leads_nowhere(pid: int, path: str) -> bool:
    try:
        return seen_by(pid, path) is None
    except PermissionError:
        return False


def _stack_above(pid: int, wanted: FileId) -> t.Optional[FileId]:
    """Return the root of the stack in which a process works; None when it works in none, or that cannot be seen.

    Args:
        pid: of the process.
        wanted: a root that counts also when there is no engine in it.
    """
    place, before = f"{_living(pid)}/cwd", None
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


def _view(pid: t.Union[int, str]) -> t.Tuple[str, int, int]:
    """Return the mount namespace of a process, and device and inode of its root.

    Raises:
        PermissionError: it may not be looked at.
        FileNotFoundError, ProcessLookupError: there is no such process, or it has ended.
    """
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
def _own_view() -> t.Tuple[str, int, int]:
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
