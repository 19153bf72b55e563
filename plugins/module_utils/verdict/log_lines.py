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

from ..base.opening import NotPlain, OpenDirectory
from ..base.text import last_lines, printable
from ..host.accounts import readable_by
from ..manifest.model import Stack
from ..supervisord.places import log_file

if t.TYPE_CHECKING:
    from ..base.documents import LogData

# How many bytes are read for one line that is told, and for all.
BYTES = 400
MOST = 4_000_000
# Seconds between two looks at logs that are followed, and bytes of each that are read at once.
POLL = 0.2
CHUNK = 1 << 16


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
        self._open()

    def last(self, most: int) -> t.List[str]:
        """Return the last lines, blank ones left out. What is read next begins where they end.

        Args:
            most: how many lines at most.
        """
        if self._descriptor is None:
            return []
        end = os.lseek(self._descriptor, 0, os.SEEK_END)
        begin = max(0, end - min(MOST, most * BYTES))
        text = os.pread(self._descriptor, end - begin, begin).decode("utf-8", "replace")
        return [printable(line) for line in last_lines(text, most)] if most else []

    def read(self) -> t.List[str]:
        """Return the whole lines that were written since the last time.

        A log that is rotated is read to its end, and the new one from its beginning.
        """
        text = b"" if self._descriptor is None else os.read(self._descriptor, CHUNK)
        if not text and self._has_moved():
            self._open()
        *lines, self._part = (self._part + text).split(b"\n")
        if len(self._part) > CHUNK:
            # A program that writes no line ends.
            lines, self._part = [*lines, self._part], b""
        return [printable(line.decode("utf-8", "replace")) for line in lines]

    def _has_moved(self) -> bool:
        """Return whether another file has the name of the log by now, or it was cut."""
        if self._descriptor is None:
            return True
        own = os.fstat(self._descriptor)
        try:
            named = os.lstat(self.path)
        except OSError:
            return False
        position = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        return (named.st_ino, named.st_dev) != (own.st_ino, own.st_dev) or position > own.st_size

    def _open(self) -> None:
        try:
            with OpenDirectory(self._stack.paths.logs, readable_by(self._stack.user)) as logs:
                descriptor = logs.open(os.path.basename(self.path))
        except FileNotFoundError:
            self.problem = "there is none yet"
            return
        except (OSError, NotPlain) as exc:
            # While it is followed it may become one that can be read.
            self.problem = (exc.strerror or str(exc)) if isinstance(exc, OSError) else str(exc)
            return
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self.problem = descriptor, ""


def last_log_lines(logs: t.Sequence[Log], most: int) -> t.Dict[str, LogData]:
    """Return the last lines of logs, by service.

    Args:
        logs: they.
        most: how many lines of each at most, blank ones left out.
    """
    return {log.name: {"path": log.path, "lines": log.last(most), "problem": log.problem or None} for log in logs}


def followed_lines(logs: t.Sequence[Log]) -> t.Iterator[t.Tuple[str, str]]:
    """Yield the service and the text of each line that is written after what was read last; never ends."""
    while True:
        lines = [(log.name, line) for log in logs for line in log.read()]
        yield from lines
        if not lines:
            time.sleep(POLL)
