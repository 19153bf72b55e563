# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Ask a file of SQLite for its tables, without a chance of changing or creating it."""

from __future__ import annotations

import os
import shlex
import stat
import typing as t

from ..base.clock import Deadline
from ..base.text import count, one_line
from ..base.wire import bounded
from .answers import NoAnswer
from .question import Question

QUICK_CHECK_LIMIT = 8 * 1024 * 1024  # bytes of a database file that PRAGMA quick_check reads in some 10 ms

# Primary result codes of SQLite, and the texts of sqlite3_errstr() for them.
BUSY, LOCKED, INTERRUPT = 5, 6, 9
_CODES_BY_TEXT = {"database is locked": BUSY, "database table is locked": LOCKED, "interrupted": INTERRUPT}


def ask_sqlite(question: Question) -> str:
    """Return how many tables the file has; the wait for a lock is part of the question.

    Raises:
        NoAnswer: it is no database, is damaged, or stays locked.
        TimeoutError: the file system does not answer.
    """
    check = question.check
    question.command = f"ls -l {shlex.quote(check.path)}"
    question.waiting = "no answer"
    # SQLite gives up a little earlier, to say why; the thread is for a file system that does not answer.
    patience = Deadline(check.timeout * 0.8, question.deadline.clock)
    return bounded(lambda: _look_into(check.path, patience, question), check.timeout)


def _look_into(path: str, deadline: Deadline, question: Question) -> str:
    import sqlite3
    from urllib.parse import quote

    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise NoAnswer(f"no such file: {path}") from None
    except OSError as exc:
        raise NoAnswer(f"{path}: {exc.strerror}") from exc
    if not stat.S_ISREG(found.st_mode):  # opening a named pipe would wait for its other end
        raise NoAnswer(f"not a regular file: {path}")
    question.reached = True
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=deadline.remaining())
        try:
            connection.set_progress_handler(lambda: int(deadline.expired), 10_000)
            return _judged(connection, found.st_size)
        finally:
            connection.close()
    except sqlite3.DatabaseError as exc:
        code = _code_of(exc)
        if code in (BUSY, LOCKED):
            raise NoAnswer(f"locked by another process for {deadline.seconds:g} s") from exc
        if code == INTERRUPT:
            raise NoAnswer(f"no answer within {deadline.seconds:g} s") from exc
        raise NoAnswer(f"{path}: {exc}") from exc


def _code_of(error: Exception) -> t.Optional[int]:
    """Return the primary result code of an error of SQLite; None for one that has none, or another than these.

    Python has the code since 3.11. Before, there is only the text that sqlite3_errstr() gives for it.
    """
    code = getattr(error, "sqlite_errorcode", None)
    return _CODES_BY_TEXT.get(str(error)) if code is None else code & 0xFF


def _judged(connection: t.Any, size: int) -> str:
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
    if size <= QUICK_CHECK_LIMIT:
        complaint = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if complaint != "ok":
            raise NoAnswer(f"damaged: {one_line(str(complaint), 200)}")
    return count(tables, "table")
