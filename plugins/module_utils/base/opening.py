# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Opens files that others may have put there. Root looks at them, and must not be led to what these others cannot see.

Who may write to a directory can put anything into it: a link, or a second name of a file of root's (a hard link), a
pipe that keeps whoever opens it waiting, or the name of a device. What is opened here is a regular file by its very
name, and one that they may read themselves. Nothing is asked of a path twice: what was opened is what is judged.
"""

from __future__ import annotations

import errno
import os
import stat
import typing as t

# Judges by its owner and mode whether a file is for those who can write to its directory.
Judge = t.Callable[[os.stat_result], bool]

# Why something is not opened.
LINK, KIND, FOREIGN, SIZE = "link", "kind", "foreign", "size"

_PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Linux: needs no permission to read it, as a directory above the one that is meant may not give.
_O_PATH = getattr(os, "O_PATH", 0)
_STEP = os.O_RDONLY | _O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HELD = os.O_RDONLY | _O_PATH | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# As many links as the kernel follows in one path (path_resolution(7)).
_MOST_LINKS = 40
# Bytes that are read at a time.
_PART = 1 << 20
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class NotPlain(OSError):
    """Something is there that is not opened, or not read.

    Attributes:
        reason: LINK, KIND, FOREIGN or SIZE.
        path: of it.
        words: why, for people.
    """

    def __init__(self, number: int, words: str, path: str, reason: str) -> None:
        super().__init__(number, words, path)
        self.reason = reason
        self.path = path
        self.words = words


class OpenDirectory:
    """A directory that others may write to, kept open: each file in it takes one step from there.

    Args:
        path: of the directory.
        judge: whether a file is for those who may write there; None takes every file.

    Raises:
        NotPlain: a link of others leads there.
        OSError: it is not there, or no directory.
    """

    def __init__(self, path: str, judge: t.Optional[Judge] = None) -> None:
        self._path = path
        self._judge = judge
        self._handle = open_directory(path)

    def __enter__(self) -> OpenDirectory:
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        self.close()

    def close(self) -> None:
        """Close the directory. The files stay open."""
        os.close(self._handle)

    def changed(self) -> int:
        """Return when a name in the directory was made, changed or removed, in nanoseconds since the epoch."""
        return os.fstat(self._handle).st_mtime_ns

    def names(self) -> t.List[str]:
        """Return all names in the directory, in order."""
        return sorted(os.listdir(self._handle))

    def status(self, name: str) -> os.stat_result:
        """Return what the kernel says of a name, of a link itself.

        Raises:
            OSError: there is none.
        """
        return os.stat(_single(name), dir_fd=self._handle, follow_symlinks=False)

    def is_file(self, name: str) -> bool:
        """Return whether there is a regular file of a name."""
        try:
            return stat.S_ISREG(self.status(name).st_mode)
        except FileNotFoundError:
            return False

    def check(self, name: str) -> None:
        """Check that something is a file that `open` would open.

        Raises:
            NotPlain: it is none.
            OSError: there is nothing of that name.
        """
        path, seen = os.path.join(self._path, name), self.status(name)
        if stat.S_ISLNK(seen.st_mode):
            raise _link_at(path)
        if not stat.S_ISREG(seen.st_mode):
            raise _of_kind(seen.st_mode, path)
        if self._judge is not None and not self._judge(seen):
            raise _foreign(path)

    def open(self, name: str) -> int:
        """Return a descriptor to read a file by its name in the directory; never blocks.

        Raises:
            NotPlain: it is a link, no regular file, or not for those who may write to the directory.
            OSError: it cannot be opened.
        """
        path = os.path.join(self._path, name)
        try:
            descriptor = os.open(_single(name), _PLAIN, dir_fd=self._handle)
        except OSError as exc:
            raise _why(exc, path) from exc
        return judged(descriptor, path, self._judge)

    def create(self, name: str, mode: int) -> int:
        """Make a new file and return a descriptor to write it, always at its end.

        Raises:
            OSError: there is something of that name already, a link included; or it cannot be made.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(_single(name), flags, mode, dir_fd=self._handle)

    def read(self, name: str, most: int) -> bytes:
        """Return all that is in a file.

        Args:
            name: of it.
            most: bytes that it may have.

        Raises:
            NotPlain: as `open`, or it is larger.
            OSError: it cannot be read.
        """
        descriptor = self.open(name)
        try:
            return read_all(descriptor, most, os.path.join(self._path, name))
        finally:
            os.close(descriptor)


def open_plain(path: str, judge: t.Optional[Judge] = None) -> int:
    """Return a descriptor to read one file, as `OpenDirectory.open` does."""
    above, name = os.path.split(os.path.abspath(path))
    with OpenDirectory(above, judge) as place:
        return place.open(name)


def open_own(path: str) -> int:
    """Return a descriptor to read a file in a directory that others may not write to; never blocks.

    Raises:
        NotPlain: it is no regular file.
        OSError: it cannot be opened.
    """
    try:
        descriptor = os.open(path, _PLAIN & ~os.O_NOFOLLOW)
    except OSError as exc:
        raise _why(exc, path) if exc.errno == errno.ENXIO else exc from None
    return judged(descriptor, path, None)


def open_followed(path: str, judge: t.Optional[Judge] = None) -> int:
    """Return a descriptor to read the file that a path leads to, also through links; never blocks.

    For what is named by whoever may read it, and for what a process has open (proc(5), /proc/PID/fd). Nothing is opened
    before it is known as a regular file: some devices act when they are opened.

    Raises:
        NotPlain: it leads to no regular file, or to one that the judge does not take.
        OSError: it leads nowhere, or the file cannot be opened.
    """
    held = os.open(path, _HELD)
    try:
        seen = os.fstat(held)
        if not stat.S_ISREG(seen.st_mode):
            raise _of_kind(seen.st_mode, path)
        # Without O_PATH, or without a /proc, by its path again.
        again = f"/proc/self/fd/{held}" if _O_PATH and os.path.exists("/proc/self/fd") else path
        try:
            descriptor = os.open(again, _PLAIN & ~os.O_NOFOLLOW)
        except OSError as exc:
            exc.filename = path
            raise
    finally:
        os.close(held)
    return judged(descriptor, path, judge)


def judged(descriptor: int, path: str, judge: t.Optional[Judge]) -> int:
    """Return the descriptor of a file that was opened; closes it where it is none to be read.

    Args:
        descriptor: of it, opened so that nothing blocks.
        path: for the error.
        judge: whether the file is for those who may have put it there; None takes every file.

    Raises:
        NotPlain: it is no regular file, or not for them.
    """
    seen = os.fstat(descriptor)
    if stat.S_ISREG(seen.st_mode) and (judge is None or judge(seen)):
        return descriptor
    os.close(descriptor)
    if stat.S_ISREG(seen.st_mode):
        raise _foreign(path)
    raise _of_kind(seen.st_mode, path)


def read_all(descriptor: int, most: int, path: str) -> bytes:
    """Return all that an open file has, from its beginning.

    Raises:
        NotPlain: it is larger than ``most`` bytes; no more than that is read.
        OSError: it cannot be read.
    """
    with open(os.dup(descriptor), "rb") as stream:
        stream.seek(0)
        # A size that the file only claims to have costs nothing, and one that grows meanwhile is seen here as well.
        data = bytearray()
        while os.fstat(descriptor).st_size <= most and len(data) <= most:
            # Python sets aside as much memory as is asked for, however little there is to read.
            part = stream.read(min(_PART, most + 1 - len(data)))
            if not part:
                return bytes(data)
            data += part
        raise NotPlain(errno.EFBIG, f"it is larger than {most} bytes", path, SIZE)


def open_directory(path: str) -> int:
    """Return a descriptor of a directory, to list it and to open what is in it.

    Root follows a link on the way only where root alone can have made it: it is root's, and in a directory in which
    nobody else can put another one into its place. Who is not root is led nowhere that they could not go themselves.

    Raises:
        NotPlain: a link of others is in the path.
        OSError: it is not there, or no directory.
    """
    if os.geteuid() != 0:
        return os.open(path, _DIRECTORY)
    left = _parts(os.path.abspath(path))
    links = 0
    here = os.open("/", _STEP)
    try:
        while left:
            name = left.pop()
            try:
                inner = os.open(name, _STEP, dir_fd=here)
            except OSError as exc:
                # ENOTDIR with O_PATH, else ELOOP: open(2), O_NOFOLLOW.
                if exc.errno not in (errno.ENOTDIR, errno.ELOOP):
                    exc.filename = path
                    raise
                target, links = _link(here, name, path), links + 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from exc
                left += _parts(target)
                inner = os.open("/", _STEP) if target.startswith("/") else os.dup(here)
            os.close(here)
            here = inner
        return os.open(".", _DIRECTORY, dir_fd=here)
    finally:
        os.close(here)


def _parts(path: str) -> t.List[str]:
    """Return the names in a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _link(here: int, name: str, path: str) -> str:
    """Return where a link of root's leads, by its name in an open directory.

    Raises:
        NotPlain: it is a link of others.
        OSError: it is none.
    """
    above, seen = os.fstat(here), os.stat(name, dir_fd=here, follow_symlinks=False)
    if not stat.S_ISLNK(seen.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    # In a sticky directory, such as /tmp, only its owner can move the link away (unlink(2)).
    shared = above.st_mode & stat.S_IWOTH or (above.st_mode & stat.S_IWGRP and above.st_gid != 0)
    if seen.st_uid != 0 or above.st_uid != 0 or (shared and not above.st_mode & stat.S_ISVTX):
        words = f"{name} is a link in it that others than root can change, and root does not follow it"
        raise NotPlain(errno.ELOOP, words, path, LINK)
    return os.readlink(name, dir_fd=here)


def _single(name: str) -> str:
    """Return a name that is surely one of the directory itself."""
    if "/" in name or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is no name in a directory")
    return name


def _why(exc: OSError, path: str) -> OSError:
    """Return what to say of a file that could not be opened."""
    # EMLINK: FreeBSD. The kernel says ENXIO of a socket (open(2)).
    if exc.errno in (errno.ELOOP, errno.EMLINK):
        return _link_at(path)
    if exc.errno == errno.ENXIO:
        return _of_kind(stat.S_IFSOCK, path)
    exc.filename = path
    return exc


def _link_at(path: str) -> NotPlain:
    return NotPlain(errno.ELOOP, "it is a link, which is not followed", path, LINK)


def _foreign(path: str) -> NotPlain:
    words = "it is a file that those who can write there may not read"
    return NotPlain(errno.EPERM, words, path, FOREIGN)


def _of_kind(mode: int, path: str) -> NotPlain:
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    return NotPlain(number, f"it is {kind} and no regular file", path, KIND)
