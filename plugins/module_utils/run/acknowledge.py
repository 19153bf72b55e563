# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""To acknowledge: somebody says that what was wrong until now is known, so that it is not told or judged any more."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..host import processes
from ..manifest.model import Paths, Stack
from ..state.generations import load_stack
from ..state.lives import NOBODY, Book, forgiven, read_book, save_book
from ..state.lock import locked
from ..state.log_marks import save_marks, saved_marks
from ..state.memory import keep_acknowledgement, last_failure
from ..supervisord.client import ProgramState, client_of
from ..supervisord.running import supervisords_of
from ..verdict.logs import read_logs
from ..verdict.status import timer_rows

if t.TYPE_CHECKING:
    from ..base.command_documents import AcknowledgeDocument


def acknowledge(paths: Paths, who: str, *, dry_run: bool = False, clock: Clock = SYSTEM) -> AcknowledgeDocument:
    """Acknowledge the last run and the jobs that failed, and the critical lines in the logs, and return what that was.

    With nothing to acknowledge nothing is changed.

    Args:
        paths: of the stack.
        who: says that it is known.
        dry_run: say only what would be acknowledged.
        clock: of the record, and of the lock.

    Raises:
        RollcallError: no stack is installed, it is locked by a run, or this user may not change it.
    """
    stack = load_stack(paths)
    if dry_run:
        return _acknowledge(stack, who, True, clock)
    with locked(paths.state, who, "acknowledge", clock=clock):
        return _acknowledge(stack, who, False, clock)


def _acknowledge(stack: Stack, who: str, dry_run: bool, clock: Clock) -> AcknowledgeDocument:
    state = stack.paths.state
    failure = last_failure(state)
    marks = saved_marks(stack)
    supervisords = [process.pid for process in supervisords_of(stack)]
    found = {
        name: log
        for name, log in read_logs(stack, marks, supervisords, clock=clock).items()
        if log.critical or log.gaps or log.in_use
    }
    logs = {name: [*log.gaps, *log.critical, *log.in_use] for name, log in found.items()}
    book = _book(stack, clock)
    ended = {name: lives.earlier + len(lives.exits) for name, lives in book.lives.items()}
    exits = {name: number for name, number in ended.items() if number}
    jobs = {row["name"]: row["last"] for row in timer_rows(stack, clock) if row["failed"] and row["last"] is not None}
    changed = failure is not None or bool(logs) or bool(exits) or bool(jobs)
    if changed and not dry_run:
        if logs:
            save_marks(stack, {**marks, **{name: log.mark for name, log in found.items()}})
        if exits:
            save_book(stack, forgiven(book))
        keep_acknowledgement(state, who, clock=clock)
    return {
        "ok": True,
        "stack": stack.name,
        "root": stack.root,
        "host": os.uname().nodename,
        "changed": changed,
        "check": dry_run,
        "who": who,
        "failure": failure,
        "logs": logs,
        "exits": exits,
        "jobs": jobs,
    }


def _book(stack: Stack, clock: Clock) -> Book:
    """Return what is known of the lives until now; of a supervisord that does not answer, by its log alone."""
    programs: t.Mapping[str, ProgramState] = {}
    supervisord = NOBODY
    with contextlib.suppress(RollcallError):
        client = client_of(stack, clock=clock)
        programs, pid = client.programs(), client.pid()
        supervisord = (pid, processes.start_time(pid))
    return read_book(stack, programs, supervisord, clock=clock)
