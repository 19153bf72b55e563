# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a stack remembers of the jobs of its timers: each of the last runs, and which one is at work.

Each timer has a directory of its own, which is locked while its job runs, as that of the stack is during a run.
"""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.files import read_record, write_record
from ..base.removing import remove
from ..manifest.model import Service, Stack
from .lock import locked_by
from .memory import acknowledgement

if t.TYPE_CHECKING:
    from ..base.job_documents import JobResult, JobRun, TimerRow

# How many runs of a job are remembered.
MOST_RUNS = 50
OK: t.Final = "ok"
FAILED: t.Final = "failed"
TIMEOUT: t.Final = "timeout"
ENDED: t.Final = "ended"
SKIPPED: t.Final = "skipped"
RUNNING: t.Final = "running"
CUT_OFF: t.Final = "cut_off"
# Results of a run that somebody must hear of.
BAD = (FAILED, TIMEOUT, CUT_OFF)
# Seconds after SIGKILL until a job is gone, unless it hangs in the kernel.
KILLED = 5.0
# Seconds that a job may start after its time: a host that boots, or is busy, starts it late.
LATE = 120.0


def directory(stack: Stack, name: str) -> str:
    """Return the directory of what is remembered of a timer's job."""
    return os.path.join(stack.paths.state, "jobs", name)


def make_directory(stack: Stack, name: str) -> str:
    """Make the directory of what is remembered of a timer's job, and return its path.

    Raises:
        OSError: it cannot be made.
    """
    os.makedirs(directory(stack, name), mode=0o700, exist_ok=True)
    return directory(stack, name)


def _runs_path(stack: Stack, name: str) -> str:
    return os.path.join(directory(stack, name), "runs.json")


def _skipped_path(stack: Stack, name: str) -> str:
    return os.path.join(directory(stack, name), "skipped.json")


def _end_path(stack: Stack, name: str) -> str:
    return os.path.join(directory(stack, name), "end.json")


def _since_path(stack: Stack) -> str:
    return os.path.join(stack.paths.state, "timers.json")


# --- the record ---------------------------------------------------------------------------------------------------


def _run(data: t.Any) -> JobRun:
    return {
        "start": float(data["start"]),
        "end": None if data["end"] is None else float(data["end"]),
        "result": t.cast("JobResult", str(data["result"])),
        "exit_code": None if data["exit_code"] is None else int(data["exit_code"]),
        "by": str(data["by"]),
        "why": str(data["why"]),
        "times": int(data["times"]),
    }


def _read(path: str) -> t.List[JobRun]:
    none: t.List[JobRun] = []
    subject, remedies = "The record of a job", [cures.remove(path)]
    return read_record(path, lambda data: [_run(one) for one in data], none, subject, remedies)


def keep_run(stack: Stack, name: str, run: JobRun) -> None:
    """Record a run, in the place of the one that has begun at the same time. The job is locked by who calls this.

    Raises:
        OSError: it could not be written.
    """
    path = _runs_path(stack, name)
    before = [one for one in _read(path) if one["start"] != run["start"]]
    write_record(path, [run, *before][:MOST_RUNS])


def keep_skipped(stack: Stack, name: str, run: JobRun) -> None:
    """Record that a run was skipped; one after the other for the same reason is one entry.

    Raises:
        OSError: it could not be written.
    """
    make_directory(stack, name)
    path = _skipped_path(stack, name)
    before = _read(path)
    last_run = max((one["start"] for one in _read(_runs_path(stack, name))), default=0.0)
    if before and before[0]["why"] == run["why"] and before[0]["start"] > last_run:
        run = {**run, "start": before[0]["start"], "times": before[0]["times"] + 1}
        before = before[1:]
    write_record(path, [run, *before][:MOST_RUNS])


def runs_of(stack: Stack, name: str) -> t.List[JobRun]:
    """Return the last runs of a job, the latest first, those that were skipped included.

    Raises:
        RollcallError: a record is there and cannot be read.
    """
    # First: a run that ends meanwhile has its end in the record.
    at_work = bool(locked_by(directory(stack, name)))
    runs = _read(_runs_path(stack, name))
    if runs and runs[0]["result"] == RUNNING and not at_work:
        runs[0] = {**runs[0], "result": CUT_OFF}
    found = [*runs, *_read(_skipped_path(stack, name))]
    return sorted(found, key=lambda run: -run["start"])[:MOST_RUNS]


def keep_timers(stack: Stack, now: float) -> None:
    """Record since when each timer says what it says, for one whose job has never run.

    Raises:
        OSError: it could not be written.
    """
    if not stack.timers and not os.path.exists(_since_path(stack)):
        return
    from ..manifest import schedule  # late: few stacks have a timer

    before = _since(stack)
    told = {timer.name: schedule.schedule_of(timer) for timer in stack.timers}
    kept = {name: before[name] if before.get(name, ("",))[0] == said else (said, now) for name, said in told.items()}
    if kept != before:
        write_record(_since_path(stack), kept)


def _since(stack: Stack) -> t.Dict[str, t.Tuple[str, float]]:
    """Return by timer when it is to run its job, and since when that is so."""
    none: t.Dict[str, t.Tuple[str, float]] = {}

    def parse(data: t.Any) -> t.Dict[str, t.Tuple[str, float]]:
        return {str(name): (str(said), float(at)) for name, (said, at) in data.items()}

    path = _since_path(stack)
    return read_record(path, parse, none, "The record of the timers", [cures.remove(path)])


# --- that it is to end --------------------------------------------------------------------------------------------


def ask_to_end(stack: Stack, name: str, by: str) -> None:
    """Have the job end that is at work; who runs it looks for this.

    Raises:
        OSError: it could not be written.
    """
    write_record(_end_path(stack, name), {"by": by})


def asked_to_end(stack: Stack, name: str) -> str:
    """Return who wants the job to end that is at work; empty when nobody does.

    Raises:
        RollcallError: the record cannot be read.
    """
    path = _end_path(stack, name)
    return read_record(path, lambda data: str(data["by"]), "", "That a job is to end", [cures.remove(path)])


def forget_to_end(stack: Stack, name: str) -> None:
    """Forget that the job was to end."""
    remove(_end_path(stack, name), missing_ok=True)


# --- what is told of it -------------------------------------------------------------------------------------------


def rows(stack: Stack, now: float, booted: float) -> t.List[TimerRow]:
    """Return what is told of each timer of a stack.

    Args:
        stack: the manifest.
        now: in seconds since the epoch.
        booted: when this host has booted, in seconds since the epoch.

    Raises:
        RollcallError: a record is there and cannot be read.
    """
    if not stack.timers:
        return []
    known = acknowledgement(stack.paths.state)
    since = _since(stack)
    return [
        _row(timer, runs_of(stack, timer.name), since.get(timer.name, ("", 0.0))[1], known and known.time, now, booted)
        for timer in stack.timers
    ]


def _row(
    timer: Service, runs: t.Sequence[JobRun], since: float, known: t.Optional[float], now: float, booted: float
) -> TimerRow:
    """Return what is told of a timer. Pure.

    Args:
        timer: of the manifest.
        runs: of its job.
        since: when the timer began.
        known: when somebody has acknowledged what was wrong; None when nobody has.
        now, booted: as for `rows`.
    """
    from ..manifest import schedule  # late: few stacks have a timer

    last = next((run for run in runs if run["result"] not in (SKIPPED, RUNNING)), None)
    running = bool(runs) and any(run["result"] == RUNNING for run in runs)
    heard = known is not None and last is not None and known >= (last["end"] or last["start"])
    # What was skipped was started, too.
    begun = max([since, *(_latest(run) for run in runs)])
    # systemd counts from the boot where there is no clock time, and makes up for a clock time that was missed.
    begun = max(begun, booted) if timer.every else begun
    due = schedule.next_time(timer, begun) if begun else None
    late = due is not None and not running and now > max(due, booted) + LATE
    return {
        "name": timer.name,
        "schedule": schedule.schedule_of(timer),
        "running": running,
        "last": last,
        "failed": last is not None and last["result"] in BAD and not heard,
        "next": due,
        "late": late,
    }


def _latest(run: JobRun) -> float:
    """Return when a job was started, or was to be started for the last time."""
    return (run["end"] or run["start"]) if run["result"] == SKIPPED else run["start"]
