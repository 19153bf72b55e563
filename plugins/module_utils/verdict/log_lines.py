# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The last lines of the logs of services, and what is written from then on. Changes nothing.

The user of the services may write there: a log is a regular file of a limited number of bytes, or a problem.
"""

from __future__ import annotations

import os
import time
import typing as t

from ..base import cures
from ..base.opening import NotPlain, OpenDirectory
from ..base.text import printable
from ..host.accounts import readable_by
from ..manifest.model import Stack
from ..supervisord.places import log_file

if t.TYPE_CHECKING:
    from ..base.documents import LogData
    from ..state.log_marks import LogMark

# How many bytes are read for one line that is told, and for all.
BYTES = 400
MOST = 4_000_000
# Seconds between two looks at logs that are followed, and bytes of each that are read at once.
POLL = 0.2
CHUNK = 1 << 16
# By how many bytes before our place a log is known again that was truncated and has grown since.
KNOWN_BY = 64
# Characters of one line that are told: of minified JSON, and of what a program writes without line ends.
LINE = 1 << 14


class Log:
    """The log of one service, read from its last lines on.

    Args:
        stack: the manifest.
        name: of the service.

    Attributes:
        name: of the service.
        path: of the log.
        problem: why it cannot be read, in words; empty when it can.
    """

    def __init__(self, stack: Stack, name: str) -> None:
        self.name = name
        self.path = log_file(stack, name)
        self.problem = ""
        self._stack = stack
        self._descriptor: t.Optional[int] = None
        self._part = b""
        # From where it is read next, and what stands right before that.
        self._position = 0
        self._before = b""
        self._open()

    def last(self, most: int) -> t.List[str]:
        """Return the last lines, blank ones left out. What is read next begins where they end.

        Args:
            most: how many lines at most.
        """
        if self._descriptor is None:
            return []
        end = os.fstat(self._descriptor).st_size
        begin = max(0, end - min(MOST, most * BYTES))
        self._go_to(end)
        text = os.pread(self._descriptor, end - begin, begin).decode("utf-8", "replace")
        return told_lines(text, most) if most else []

    def continue_at(self, end: LogMark) -> None:
        """Have what is read next begin at a mark; where that is in another file by now, with that file."""
        if self._descriptor is not None and os.fstat(self._descriptor).st_ino == end.inode:
            self._go_to(end.size)

    def read(self) -> t.List[str]:
        """Return the whole lines that were written since the last time.

        A log that is rotated is read to its end, and the new one from its beginning; so is one that was truncated.
        """
        if self._descriptor is None:
            return self._lines(b"", ended=self._open())
        if self._was_cut():
            self._go_to(0)
            return self._lines(b"", ended=True)
        text = os.pread(self._descriptor, CHUNK, self._position)
        if text:
            self._position += len(text)
            self._before = (self._before + text)[-KNOWN_BY:]
            return self._lines(text, ended=False)
        return self._lines(b"", ended=self._has_moved() and self._open())

    def _lines(self, text: bytes, *, ended: bool) -> t.List[str]:
        """Return the lines that are whole with this text; ``ended``: what was begun gets no end any more."""
        *lines, self._part = (self._part + text).split(b"\n")
        if (ended and self._part) or len(self._part) > CHUNK:
            # Some programs write no line ends.
            lines, self._part = [*lines, self._part], b""
        return [_told(line.decode("utf-8", "replace")) for line in lines]

    def _go_to(self, position: int) -> None:
        if self._descriptor is not None:
            self._position = position
            begin = max(0, position - KNOWN_BY)
            self._before = os.pread(self._descriptor, position - begin, begin)

    def _was_cut(self) -> bool:
        """Return whether what stood before our place is gone: it was truncated, and may have grown since."""
        if self._descriptor is None or not self._before:
            return False
        return os.pread(self._descriptor, len(self._before), self._position - len(self._before)) != self._before

    def _has_moved(self) -> bool:
        """Return whether another file has the name of the log by now."""
        try:
            named = os.lstat(self.path)
        except OSError:
            return False
        own = None if self._descriptor is None else os.fstat(self._descriptor)
        return own is None or (named.st_ino, named.st_dev) != (own.st_ino, own.st_dev)

    def _open(self) -> bool:
        """Open the log; return whether there is one to be read."""
        try:
            with OpenDirectory(self._stack.paths.logs, readable_by(self._stack.user)) as logs:
                descriptor = logs.open(os.path.basename(self.path))
        except FileNotFoundError:
            self.problem = _deleted(self._stack, self.path) or "there is none yet"
            return False
        except (OSError, NotPlain) as exc:
            # While it is followed it may become one that can be read.
            self.problem = (exc.strerror or str(exc)) if isinstance(exc, OSError) else str(exc)
            return False
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self.problem = descriptor, ""
        self._go_to(0)
        return True


def told_lines(text: str, most: t.Optional[int] = None) -> t.List[str]:
    """Return the lines of a log that are not blank, safe to print, each of a limited length; the last ``most``."""
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    return [_told(line) for line in (lines if most is None else lines[-most:])]


def _told(line: str) -> str:
    return printable(line if len(line) <= LINE else f"{line[:LINE]}… ({len(line) - LINE} more characters)")


def _deleted(stack: Stack, path: str) -> str:
    """Return that a log was deleted to which supervisord still writes, and what to do; empty when it was not."""
    # Late: hardly ever is one missing.
    from ..state.log_spans import held_files
    from ..supervisord.running import supervisords_of

    pids = [process.pid for process in supervisords_of(stack)]
    if not any(one.name == path for one in held_files(pids)):
        return ""
    return f"it was deleted, and supervisord (pid {pids[0]}) goes on writing to the file that it was; next: {cures.FIX}"


def last_log_lines(logs: t.Sequence[Log], most: int) -> t.Dict[str, LogData]:
    """Return the last lines of logs, by service.

    Args:
        logs: they.
        most: how many lines of each at most, blank ones left out.
    """
    return {log.name: log_data(log, log.last(most)) for log in logs}


def log_data(log: Log, lines: t.List[str], notes: t.Sequence[str] = ()) -> LogData:
    """Return a log as data."""
    return {"path": log.path, "lines": lines, "problem": log.problem or None, "notes": list(notes)}


def followed_lines(logs: t.Sequence[Log]) -> t.Iterator[t.Tuple[str, str]]:
    """Yield the service and the text of each line that is written after what was read last; never ends."""
    while True:
        lines = [(log.name, line) for log in logs for line in log.read()]
        yield from lines
        if not lines:
            time.sleep(POLL)
