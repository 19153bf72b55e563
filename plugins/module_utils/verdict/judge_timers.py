# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Whether the jobs of the timers run when they should, and end well; for a look alone."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.text import readable_time
from ..state.jobs import CUT_OFF, TIMEOUT
from .judge import Case, Proof

if t.TYPE_CHECKING:
    from ..base.job_documents import JobRun, TimerRow


def timers(case: Case) -> t.Sequence[t.Tuple[str, TimerRow]]:
    """Return the timers that are judged: no failed job keeps a run from its verdict, and a stopped stack runs none."""
    if case.expected.timers is None or case.whole_stopped is not None:
        return []
    return [(row["name"], row) for row in case.expected.timers]


def judge_timer(_case: Case, row: TimerRow) -> Proof:
    """Judge one timer by what is remembered of it."""
    last = row["last"]
    if row["failed"] and last is not None:
        evidence = f"its last run, at {readable_time(last['start'])}, {how_it_went(last)}"
        return Proof(evidence, "failed", cures.logs(row["name"]), {"run": last})
    if row["late"] and row["next"] is not None:
        evidence = f"it was to run at {readable_time(row['next'])}, and nobody has started it"
        return Proof(evidence, "late", cures.rerun(row["name"]), {"due": row["next"]})
    if last is None:
        return Proof("it has not run yet")
    return Proof(f"its last run, at {readable_time(last['start'])}, {how_it_went(last)}")


def how_it_went(run: JobRun) -> str:
    """Return how a run of a job went, as the predicate of a sentence."""
    code = run["exit_code"]
    if run["result"] == CUT_OFF:
        return "was cut off: what has started it was killed"
    if run["result"] == TIMEOUT:
        return f"was ended: {run['why']}"
    if code is None:
        return f"was {run['result']}: {run['why']}" if run["why"] else f"was {run['result']}"
    how = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"{how}: {run['why']}" if run["why"] else how
