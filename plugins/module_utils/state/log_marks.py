# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Marks in the logs of the services: how far each was written when a run began, so that only what follows is judged."""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.files import read_record, write_record
from ..manifest.model import Stack
from ..supervisord.places import log_file

# Inode and size in bytes; zeros for a log that does not exist yet.
LogMark = t.Tuple[int, int]
# By service.
LogMarks = t.Mapping[str, LogMark]

READ_LIMIT = 262_144


def log_mark(path: str) -> LogMark:
    """Return the mark at the end of a log as it is now."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return (0, 0)
    return (status.st_ino, status.st_size)


def written_since(path: str, mark: LogMark, limit: int = READ_LIMIT) -> str:
    """Return what was written to a log after ``mark``, at most its last ``limit`` bytes.

    A rotated log has another inode and a truncated one is shorter: all of the new file counts then.
    """
    inode, offset = mark
    try:
        with open(path, "rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_ino != inode or status.st_size < offset:
                offset = 0
            stream.seek(max(offset, status.st_size - limit))
            return stream.read(limit).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def take_marks(stack: Stack) -> t.Dict[str, LogMark]:
    """Return the mark at the end of each service's log."""
    return {service.name: log_mark(log_file(stack, service.name)) for service in stack.services}


def save_marks(stack: Stack, marks: LogMarks) -> None:
    """Keep the marks of a run for a later ``verify``."""
    write_record(_path(stack), marks)


def saved_marks(stack: Stack) -> t.Dict[str, LogMark]:
    """Return the marks of the last run; for a service without one, the end of its log.

    Raises:
        RollcallError: the marks are there and cannot be read.
    """

    def parse(data: t.Any) -> t.Dict[str, LogMark]:
        return {name: (inode, offset) for name, (inode, offset) in data.items()}

    remedies = [cures.AS_ROOT, cures.remove(_path(stack))]
    # First: who may not read the marks may not look at the logs either, and this says so.
    saved: t.Dict[str, LogMark] = read_record(_path(stack), parse, {}, "The log marks of the last run", remedies)
    return {**take_marks(stack), **saved}


def _path(stack: Stack) -> str:
    return os.path.join(stack.paths.state, "marks.json")
