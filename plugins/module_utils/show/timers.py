# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The timers in the roll call, how a job went, and the history of a job, as text. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import one_line, printable, readable_time, table
from .words import WIDTH, Painter, duration

if t.TYPE_CHECKING:
    from ..base.job_documents import JobDocument, JobHistoryDocument, JobRun, TimerRow

# Characters of a reason that a line has room for.
WHY = 60


def timers_text(rows: t.Sequence[TimerRow], paint: Painter) -> str:
    """Return a line of headings and one line a timer; nothing without timers."""
    if not rows:
        return ""
    cells = [(row["name"], row["schedule"], _last(row), _next(row)) for row in rows]
    heads, *lines = table([("timer", "when", "last run", "next"), *cells]).splitlines()
    kinds = ["bad" if row["failed"] or row["late"] else "" for row in rows]
    return "\n".join([paint(heads, "quiet"), *(paint(printable(line), kind) for line, kind in zip(lines, kinds))])


def _last(row: TimerRow) -> str:
    last = row["last"]
    if last is None:
        return "none yet"
    known = last["result"] in ("failed", "timeout", "cut_off") and not row["failed"]
    return f"{_outcome(last)} {_when(last['start'])}{', known' if known else ''}"


def _next(row: TimerRow) -> str:
    if row["running"]:
        return "runs now"
    if row["next"] is None:
        return "-"
    return f"LATE since {_when(row['next'])}" if row["late"] else _when(row["next"])


def _when(seconds: float) -> str:
    """Return a time without its year."""
    return readable_time(seconds)[5:16]


def _outcome(run: JobRun) -> str:
    code = run["exit_code"]
    if run["result"] == "failed":
        if code is None:
            return "FAILED"
        return f"FAILED, {f'signal {-code}' if code < 0 else f'code {code}'},"
    return {"timeout": "TIMEOUT,", "cut_off": "CUT OFF,"}.get(run["result"], run["result"])


def job_text(told: JobDocument) -> str:
    """Return how a run of a job went, and where its output is."""
    run, who = told["last"], f"{told['timer']} of {told['stack']}"
    if run is None:
        return printable(f"{who}: its job would be run now: {' '.join(told['command'])}")
    took = "" if run["end"] is None or run["result"] == "skipped" else f" after {duration(run['end'] - run['start'])}"
    why = f": {run['why']}" if run["why"] else ""
    line = f"{who}: {_outcome(run).rstrip(',')}{took}{why}"
    return printable(f"{line}\n  logs  {told['log']}")


def job_history_text(told: JobHistoryDocument, width: int = WIDTH) -> str:
    """Return the runs of a job, a line a run."""
    if not told["runs"]:
        return "no run of it is recorded"
    rows = [
        (
            readable_time(run["start"]),
            "-" if run["end"] is None or run["result"] == "skipped" else duration(run["end"] - run["start"]),
            _outcome(run).rstrip(",") + (f" {run['times']} times" if run["times"] > 1 else ""),
            one_line(run["by"]),
            one_line(run["why"], WHY),
        )
        for run in told["runs"]
    ]
    lines = table([("when", "took", "result", "by", "why"), *rows]).splitlines()
    return printable("\n".join((line if len(line) <= width else f"{line[: width - 1]}…").rstrip() for line in lines))
