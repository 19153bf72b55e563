# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Marks in the logs of the services: up to where each was judged good, so that what follows is judged next.

A mark moves when a verdict was OK, when somebody acknowledges what the log says, and when the service's process is a
new one.
"""

from __future__ import annotations

import os
import time
import typing as t

from ..base import cures
from ..base.digest import hex_of
from ..base.files import read_record, write_record
from ..base.opening import NotPlain, OpenDirectory
from ..host.accounts import readable_by
from ..manifest.model import Stack
from ..supervisord.places import log_file
from . import lives

READ_LIMIT = 262_144
# Bytes at the beginning of a log, and before its mark, by which the log is known again when it is another file.
_KNOWN_BY = 256


class LogMark(t.NamedTuple):
    """A position in a log.

    Attributes:
        inode: of the log; 0 when there was none.
        size: how many bytes it had.
        before: a hash of what stood at its beginning and before the mark; empty when that is not known.
        time: when the mark was set, in seconds since the epoch; 0 when that is not known.
        seen: bytes that the log had when it was last judged from this mark, and was not good; 0 where it was not.
        ahead: a hash of what stood at its beginning and before ``seen``.
    """

    inode: int = 0
    size: int = 0
    before: str = ""
    time: float = 0.0
    seen: int = 0
    ahead: str = ""

    def seen_until(self, end: LogMark) -> LogMark:
        """Return this mark with the knowledge of how far the log went: what is taken out of it then is missed."""
        if not end.inode or self.inode not in (0, end.inode):
            return self
        return self._replace(inode=end.inode, seen=end.size, ahead=end.before)


# By service.
LogMarks = t.Mapping[str, LogMark]


def log_mark(descriptor: int) -> LogMark:
    """Return the mark at the end of an open log as it is now."""
    status = os.fstat(descriptor)
    return LogMark(status.st_ino, status.st_size, known_by(descriptor, status.st_size), time.time())


def known_by(descriptor: int, size: int) -> str:
    """Return a hash of what a file has at its beginning and before the position ``size``."""
    first = os.pread(descriptor, min(_KNOWN_BY, size), 0)
    last = os.pread(descriptor, min(_KNOWN_BY, size), max(0, size - _KNOWN_BY))
    return hex_of(first + last, 16)


def written_since(descriptor: int, mark: LogMark, limit: int = READ_LIMIT) -> str:
    """Return what was written to an open log after ``mark``, at most its last ``limit`` bytes.

    A rotated log has another inode and a truncated one is shorter: all of the new file counts then.
    """
    status = os.fstat(descriptor)
    same = status.st_ino == mark.inode and status.st_size >= mark.size
    begin = max(mark.size if same else 0, status.st_size - limit)
    return os.pread(descriptor, limit, begin).decode("utf-8", "replace")


def take_marks(stack: Stack) -> t.Dict[str, LogMark]:
    """Return the mark at the end of each service's log."""
    return _ends_of_logs(stack, [service.name for service in stack.services])


def _ends_of_logs(stack: Stack, names: t.Iterable[str]) -> t.Dict[str, LogMark]:
    """Return the marks at the ends of logs; the present moment for one that is not there, or is no log.

    Raises:
        OSError: a log is there and cannot be read.
    """
    now = LogMark(time=time.time())
    marks = dict.fromkeys(names, now)
    if not marks:
        return marks
    try:
        logs = OpenDirectory(stack.paths.logs, readable_by(stack.user))
    except (FileNotFoundError, NotPlain):
        return marks
    with logs:
        for name in marks:
            try:
                descriptor = logs.open(os.path.basename(log_file(stack, name)))
            except (FileNotFoundError, NotPlain):
                continue
            try:
                marks[name] = log_mark(descriptor)
            finally:
                os.close(descriptor)
    return marks


def save_marks(stack: Stack, marks: LogMarks) -> None:
    """Keep marks, those of the stack's services, for the next judgement."""
    names = [service.name for service in stack.services]
    write_record(_path(stack), {name: list(marks[name]) for name in names if name in marks})


def saved_marks(stack: Stack) -> t.Dict[str, LogMark]:
    """Return the marks that were kept; for a service without one, the end of its log.

    Where there are none at all although services were started, somebody has removed them: all of each log counts.

    Raises:
        RollcallError: the marks are there and cannot be read.
    """

    def parse(data: t.Any) -> t.Dict[str, LogMark]:
        # Before 0.2.0 a mark was an inode and a size.
        return {name: _mark(*mark) for name, mark in data.items()}

    remedies = [cures.remove(_path(stack))]
    # First: who may not read the marks may not look at the logs either, and this says so.
    lost = os.path.exists(lives.path(stack)) and not os.path.exists(_path(stack))
    saved: t.Dict[str, LogMark] = read_record(_path(stack), parse, {}, "The log marks of the last run", remedies)
    names = [service.name for service in stack.services]
    unknown = [name for name in names if name not in saved]
    ends = dict.fromkeys(unknown, LogMark()) if lost else _ends_of_logs(stack, unknown)
    return {name: saved[name] if name in saved else ends[name] for name in names}


def _mark(
    inode: t.Any, size: t.Any, before: t.Any = "", time: t.Any = 0.0, seen: t.Any = 0, ahead: t.Any = ""
) -> LogMark:
    return LogMark(int(inode), int(size), str(before), float(time), int(seen), str(ahead))


def _path(stack: Stack) -> str:
    return os.path.join(stack.paths.state, "marks.json")
