# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Ask a file of SQLite for its tables, without a chance of changing or creating it, as the user of the application.

What root can open, the application may not: so the user's own process opens the file, as for a unix socket.
"""

from __future__ import annotations

import errno
import shlex
import typing as t

from ..base import cures
from ..base.text import count, one_line
from ..base.wire import bounded
from ..host.accounts import Account
from ..host.answering import served_mount
from .answers import NoAnswer
from .as_user import error_text, is_needed, run_as
from .question import Question

QUICK_CHECK_LIMIT = 8 * 1024 * 1024  # bytes of a database file that PRAGMA quick_check reads in some 10 ms

# Of a file that SQLite can have: it has no more pages (https://www.sqlite.org/limits.html).
_MOST_TABLES = 2**32
# Primary result codes of SQLite, and the texts of sqlite3_errstr() for them.
BUSY, LOCKED, INTERRUPT = 5, 6, 9
_CODES_BY_TEXT = {"database is locked": BUSY, "database table is locked": LOCKED, "interrupted": INTERRUPT}


def ask_sqlite(question: Question) -> str:
    """Return how many tables the file has; the wait for a lock is part of the question.

    Raises:
        NoAnswer: it is no database, is damaged, stays locked, or is not for the application's user.
        TimeoutError: the file system does not answer.
    """
    check = question.check
    question.command = f"ls -l {shlex.quote(check.path)}"
    question.waiting = "no answer"
    who = question.runner()
    # SQLite gives up a little earlier, to say why; the thread is for a file system that does not answer.
    patience = check.timeout * 0.8
    try:
        found = bounded(lambda: _as_user(who, check.path, patience, check.timeout), check.timeout)
    except TimeoutError:
        # The command would wait there as well.
        place = served_mount(check.path)
        question.command = question.command if place is None else cures.unmount_hung(place)
        raise
    return _judged(found, who, patience, question)


def look_into(path: str, patience: float, limit: int) -> t.Dict[str, t.Any]:
    """Return what a file holds, as data for JSON.

    Its text alone goes to the process of another user, who need not be able to read the engine: so it imports what it
    needs, and uses nothing else of this file.

    Args:
        path: of the file.
        patience: seconds to wait for a lock, and for all of it.
        limit: bytes of a file up to which all of it is checked.
    """
    import os
    import sqlite3
    import stat
    import time

    try:
        found = os.stat(path)
    except OSError as exc:
        return {"errno": exc.errno}
    if not stat.S_ISREG(found.st_mode):  # opening a named pipe would wait for its other end
        return {"kind": "other"}
    if not found.st_size:
        return {"kind": "empty"}
    end = time.monotonic() + patience
    # All that means something in such an address (https://www.sqlite.org/uri.html).
    plain = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    try:
        connection = sqlite3.connect(f"file:{plain}?mode=ro", uri=True, timeout=patience)
        try:
            connection.set_progress_handler(lambda: int(time.monotonic() > end), 10_000)
            tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
            answer = {"tables": connection.execute(tables).fetchone()[0], "complaint": "ok"}
            if found.st_size <= limit:
                answer["complaint"] = connection.execute("PRAGMA quick_check(1)").fetchone()[0][:1000]
            return answer
        finally:
            connection.close()
    except sqlite3.DatabaseError as exc:
        return {"code": getattr(exc, "sqlite_errorcode", None), "error": str(exc)[:1000]}


def _as_user(who: Account, path: str, patience: float, timeout: float) -> t.Mapping[str, t.Any]:
    if not is_needed(who):
        return look_into(path, patience, QUICK_CHECK_LIMIT)
    import inspect

    text = "import json, sys, typing as t\n" + inspect.getsource(look_into)
    text += "print(json.dumps(look_into(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))))"
    found = run_as(who, text, [path, str(patience), str(QUICK_CHECK_LIMIT)], timeout)
    if not _is_answer(found):
        raise NoAnswer(f"a process of user {who.name} that was to look at {path} said something else")
    return found


def _is_answer(found: t.Mapping[str, t.Any]) -> bool:
    """Return whether that is what `look_into` may return: the user's own process may say anything."""
    kinds = {name: type(value) for name, value in found.items()}
    if kinds == {"errno": int}:
        return True
    if kinds == {"kind": str}:
        return str(found["kind"]) in ("other", "empty")
    if kinds == {"tables": int, "complaint": str}:
        return 0 <= int(found["tables"]) <= _MOST_TABLES
    return kinds in ({"code": int, "error": str}, {"code": type(None), "error": str})


def _judged(found: t.Mapping[str, t.Any], who: Account, patience: float, question: Question) -> str:
    """Return what the file holds. Raises NoAnswer when it is no database, or not for the application."""
    path = question.check.path
    asked = f", asked as user {who.name}" if who.other else ""
    if found.get("errno") == errno.ENOENT:
        raise NoAnswer(f"no such file: {path}{asked}")
    if found.get("errno") is not None:
        raise NoAnswer(f"{path}: {error_text(found['errno'])}{asked}")
    if found.get("kind") == "other":
        raise NoAnswer(f"not a regular file: {path}")
    question.reached = True
    if found.get("kind") == "empty":
        raise NoAnswer(f"{path} is empty: no database was ever written to it")
    if "error" in found:
        code = _CODES_BY_TEXT.get(found["error"]) if found["code"] is None else found["code"] & 0xFF
        if code in (BUSY, LOCKED):
            raise NoAnswer(f"locked by another process for {patience:g} s")
        if code == INTERRUPT:
            raise NoAnswer(f"no answer within {patience:g} s")
        raise NoAnswer(f"{path}: {one_line(found['error'], 200)}{asked}")
    if found["complaint"] != "ok":
        raise NoAnswer(f"damaged: {one_line(str(found['complaint']), 200)}")
    return count(found["tables"], "table")
