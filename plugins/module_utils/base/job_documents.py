# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is told of the jobs of timers: as parts of a report, and as their own. Types only, as in documents.py."""

from __future__ import annotations

import typing as t

JobResult = t.Literal["ok", "failed", "timeout", "ended", "skipped", "running", "cut_off"]


class JobRun(t.TypedDict):
    """One run of the job of a timer.

    Attributes:
        start: When it began, in seconds since the epoch.
        end: When it ended; null while it runs, or where its end was not seen.
        result: ok - exit code 0 - failed - another exit code, a signal, or it could not be started - timeout - it was
            ended because its time was up - ended - a run of the stack, or whoever started it, has ended it - skipped -
            it was not started - running, or cut_off - what has started it was killed, and nobody knows its end.
        exit_code: Its exit code, negative for a signal; null where there is none.
        by: Who has started it; systemd for the timer itself.
        why: Why it was ended or skipped, or could not be started, in words; empty where there is nothing to say.
        times: How often it was skipped for this reason; 1 for any other result.
    """

    start: float
    end: t.Optional[float]
    result: JobResult
    exit_code: t.Optional[int]
    by: str
    why: str
    times: int


class TimerRow(t.TypedDict):
    """One timer, as the roll call has it.

    Attributes:
        name: Name of the timer.
        schedule: When its job is to run, as the manifest says it.
        running: Whether its job is at work.
        last: The last run of its job that has ended and was not skipped; null when there is none.
        failed: Whether that run failed, and nobody has acknowledged it.
        next: When its job is to start next, in seconds since the epoch; null when nobody has installed the timer yet.
        late: Whether that time has passed, and nobody has started it.
    """

    name: str
    schedule: str
    running: bool
    last: t.Optional[JobRun]
    failed: bool
    next: t.Optional[float]
    late: bool


class JobHistoryDocument(t.TypedDict):
    """What rollcall history TIMER prints.

    Attributes:
        ok: Always true.
        timer: Name of the timer.
        runs: The last runs of its job, the newest first.
    """

    ok: bool
    timer: str
    runs: t.List[JobRun]


class JobDocument(t.TypedDict):
    """What rollcall rerun TIMER prints.

    Attributes:
        ok: Whether the job ended with exit code 0; with --check, true.
        stack: Name of the stack.
        timer: Name of the timer.
        command: What is run, and its arguments.
        last: How it went; null with --check.
        log: The file that has its output.
    """

    ok: bool
    stack: str
    timer: str
    command: t.List[str]
    last: t.Optional[JobRun]
    log: str
