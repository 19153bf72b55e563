# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""All that was written to a log since its mark, wherever it is now: rotated, renamed, copied and truncated, or deleted.

What supervisord still has open can be read although its name is gone (proc(5), /proc/PID/fd). Who runs the services can
put anything into the place of a log, and have anything open: only files that they may read themselves are read.
"""

from __future__ import annotations

import bisect
import errno
import os
import re
import stat
import time
import typing as t

from ..base.opening import Judge, NotPlain, OpenDirectory, open_followed
from ..base.text import readable_time
from ..host import proc
from .log_marks import LogMark, known_by

# The clock of files is behind the clock of processes by as much as a tick of the kernel.
_TICK = 0.02
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4")


class Held(t.NamedTuple):
    """A file that a process has open for its log.

    Attributes:
        inode: of it.
        name: its path, or what it was before it was deleted.
        path: by which it can be opened.
    """

    inode: int
    name: str
    path: str


class Piece(t.NamedTuple):
    """A part of a log: the file ``path`` with this inode, from byte ``start`` to byte ``end``."""

    path: str
    inode: int
    start: int
    end: int


class Span(t.NamedTuple):
    """All that was written to a log since its mark.

    Attributes:
        pieces: in the order in which they were written.
        gaps: what cannot be read any more, in words.
        mark: the end of the log.
        unfit: the path of what is in the place of the log and is not read, and why; else empty.
    """

    pieces: t.Tuple[Piece, ...]
    gaps: t.Tuple[str, ...]
    mark: LogMark
    unfit: t.Tuple[str, ...] = ()


class _File(t.NamedTuple):
    """A file that may have a part of a log. ``rank``: 0 for the log itself, the number at its end, None for others."""

    path: str
    name: str
    inode: int
    size: int
    changed: float
    rank: t.Optional[int]
    held: bool


def held_files(pids: t.Iterable[int]) -> t.List[Held]:
    """Return the files that these processes have open, deleted ones included; none of those we may not look into."""
    found: t.List[Held] = []
    for pid in pids:
        place = f"/proc/{pid}/fd"
        try:
            found += filter(None, [_held(f"{place}/{name}") for name in os.listdir(place)])
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            # It has ended, or is not ours to look into.
            continue
    return found


def _held(descriptor: str) -> t.Optional[Held]:
    """Return the file that a process has open by a descriptor; None for anything else."""
    try:
        link = proc.told_link(descriptor)
        # Others are sockets and pipes. What has a path may be a device, or lie in memory below /dev.
        seen = os.stat(descriptor) if link.startswith("/") else None
    except FileNotFoundError:
        # It was closed just now, as the connection of who has asked is: the others are open.
        return None
    if seen is None or not stat.S_ISREG(seen.st_mode):
        return None
    return Held(seen.st_ino, link.removesuffix(" (deleted)"), descriptor)


def span_since(path: str, mark: LogMark, logs: LogFiles, now: float) -> Span:
    """Return all that was written to the log ``path`` since ``mark``.

    Args:
        path: of the log.
        mark: from which on it counts.
        logs: where its parts may be.
        now: seconds since the epoch, for the mark at the end and for words.

    Raises:
        OSError: the log is there and cannot be read.
    """
    unfit = logs.unfit(path)
    files, gaps = logs.of(path, mark), []
    begin = _begin(files, mark, logs)
    when = f"from {readable_time(mark.time) if mark.time else 'the last run'} to {readable_time(now)}"
    if mark.inode and begin is None:
        gaps.append(f"{path} cannot be judged {when}: {_reason(files, mark)}")
    elif (
        begin is not None and mark.seen and not _has_mark(begin, mark._replace(size=mark.seen, before=mark.ahead), logs)
    ):
        gaps.append(f"{path} cannot be judged {when}: it was truncated or overwritten")
    later = [file for file in files if file is not begin and _is_later(file, begin, mark)]
    missing = sorted(set(range(1, (begin.rank or 0) if begin else 0)) - {file.rank for file in later if file.rank})
    gaps += [f"{path} cannot be judged {when}: {path}.{number} is gone" for number in missing]
    gaps += [f"{file.name} is compressed and cannot be judged" for file in later if _is_compressed(file)]
    pieces = [] if begin is None else [Piece(begin.path, begin.inode, mark.size, begin.size)]
    pieces += [
        Piece(file.path, file.inode, 0, file.size) for file in sorted(later, key=_order) if not _is_compressed(file)
    ]
    return Span(tuple(pieces), tuple(gaps), _end(path, files, now, logs), unfit)


class LogFiles:
    """The files that logs may be in, for one look at many logs: a directory is listed again only when it has changed.

    Args:
        held: the files that the supervisords of the stack have open.
        judge: whether a file is for those who run the services.
    """

    def __init__(self, held: t.Iterable[Held], judge: t.Optional[Judge] = None) -> None:
        self._judge = judge
        self._places: t.Dict[str, OpenDirectory] = {}
        self._open: t.Dict[int, t.List[Held]] = {}
        self._named: t.Dict[str, t.List[Held]] = {}
        for one in held:
            self._open.setdefault(one.inode, []).append(one)
            self._named.setdefault(one.name, []).append(one)
        self._listed: t.Dict[str, t.Tuple[int, t.List[str]]] = {}

    def of(self, path: str, mark: LogMark) -> t.List[_File]:
        """Return those that may have a part of a log: itself, its neighbours, and what supervisord has open of it.

        Raises:
            OSError: the log is there and cannot be read.
        """
        places = [(place, place) for place in self._neighbours(path)]
        held = [*self._named.get(path, ()), *self._open.get(mark.inode, ())]
        places += [(one.path, one.name) for one in held]
        found: t.Dict[int, _File] = {}
        for place, name in places:
            try:
                status = self._status(place)
            except OSError as exc:
                if exc.errno in (errno.ENOENT, errno.ESRCH):
                    continue
                raise
            if stat.S_ISREG(status.st_mode) and (self._judge is None or self._judge(status)):
                in_use = status.st_ino in self._open
                file = _File(place, name, status.st_ino, status.st_size, status.st_mtime, _rank(name, path), in_use)
                found.setdefault(file.inode, file)
        return list(found.values())

    def unfit(self, path: str) -> t.Tuple[str, ...]:
        """Return the path of what has the name of a log and is not read, and why; empty when it is, or is not there.

        Raises:
            OSError: it cannot be looked at.
        """
        directory, name = os.path.split(path)
        try:
            self._place(directory).check(name)
        except FileNotFoundError:
            return ()
        except NotPlain as exc:
            return exc.path, exc.words
        return ()

    def is_lost(self, path: str) -> bool:
        """Return whether supervisord does not write to what has the name of a log: it was moved, deleted or replaced.

        Of a service that does not run, it has no log open. And where it may not be looked into, nothing is known.
        """
        try:
            return bool(self._open) and self._status(path).st_ino not in self._open
        except OSError:
            return True

    def open(self, path: str) -> int:
        """Return a descriptor to read a file that `of` has found, by its path.

        Raises:
            NotPlain: something else is there by now.
            OSError: it cannot be opened.
        """
        if path.startswith("/proc/"):
            return open_followed(path, self._judge)
        directory, name = os.path.split(path)
        return self._place(directory).open(name)

    def close(self) -> None:
        """Close the directories."""
        for place in self._places.values():
            place.close()
        self._places.clear()

    def _place(self, directory: str) -> OpenDirectory:
        if directory not in self._places:
            self._places[directory] = OpenDirectory(directory, self._judge)
        return self._places[directory]

    def _status(self, path: str) -> os.stat_result:
        """Return what the kernel says of a log, of a link itself; of what a process has open, of the file."""
        if path.startswith("/proc/"):
            return os.stat(path)
        directory, name = os.path.split(path)
        return self._place(directory).status(name)

    def _neighbours(self, path: str) -> t.List[str]:
        """Return the log and what it was rotated to, by their names."""
        directory, base = os.path.split(path)
        names = self._names(directory)
        found = []
        for name in names[bisect.bisect_left(names, base) :]:
            if not name.startswith(base):
                break
            if name == base or name[len(base)] in ".-":
                found.append(os.path.join(directory, name))
        return found

    def _names(self, directory: str) -> t.List[str]:
        """Return all names in a directory, in order."""
        try:
            place = self._place(directory)
            changed = place.changed()
            before, names = self._listed.get(directory, (-1, []))
            if changed != before:
                # What is renamed within the same tick of the kernel's clock leaves the same time.
                lasts = time.time() - changed / 1e9 > _TICK
                names = place.names()
                self._listed[directory] = (changed if lasts else -1, names)
        except FileNotFoundError:
            return []
        return names


def _rank(name: str, path: str) -> t.Optional[int]:
    number = re.fullmatch(r"\.([0-9]{1,4})", name[len(path) :])
    return 0 if name == path else None if number is None else int(number[1])


def _begin(files: t.Sequence[_File], mark: LogMark, logs: LogFiles) -> t.Optional[_File]:
    """Return the file that has the mark: the very one, or a copy of it, by what stands before the mark."""
    if not mark.inode:
        return None
    same = [file for file in files if file.inode == mark.inode]
    others = [file for file in files if file.inode != mark.inode and mark.before and mark.size]
    return next((file for file in (*same, *others) if _has_mark(file, mark, logs)), None)


def _has_mark(file: _File, mark: LogMark, logs: LogFiles) -> bool:
    if file.size < mark.size or _is_compressed(file):
        return False
    try:
        descriptor = logs.open(file.path)
    except NotPlain:
        return False
    try:
        return not mark.before or known_by(descriptor, mark.size) == mark.before
    finally:
        os.close(descriptor)


def _reason(files: t.Sequence[_File], mark: LogMark) -> str:
    if any(file.inode == mark.inode for file in files):
        return "it was truncated or overwritten"
    if any(_is_compressed(file) and file.changed >= mark.time - _TICK for file in files):
        return "it was rotated and compressed"
    return "what was written then is gone"


def _is_later(file: _File, begin: t.Optional[_File], mark: LogMark) -> bool:
    """Return whether all of a file was written after the mark."""
    turned = begin is not None and not begin.held and begin.name != file.name
    if begin is not None and turned and begin.rank is not None and file.rank is not None:
        return file.rank < begin.rank
    return file.held or file.changed >= mark.time - _TICK


def _order(file: _File) -> t.Tuple[bool, int, float]:
    """Sort what was rotated by its number or its time, and the log itself last."""
    return (file.rank == 0, -(file.rank or 0), file.changed)


def _is_compressed(file: _File) -> bool:
    return file.name.endswith(_COMPRESSED)


def _end(path: str, files: t.Sequence[_File], now: float, logs: LogFiles) -> LogMark:
    """Return the mark at the end of the file that is written to: the log, or what supervisord still has open of it."""
    written = sorted(files, key=lambda file: (file.held, file.name == path, file.changed))
    ends = [file for file in written if file.held or file.name == path]
    if not ends:
        return LogMark(time=now)
    try:
        descriptor = logs.open(ends[-1].path)
    except NotPlain:
        return LogMark(time=now)
    try:
        return LogMark(ends[-1].inode, ends[-1].size, known_by(descriptor, ends[-1].size), now)
    finally:
        os.close(descriptor)
