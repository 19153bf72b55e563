# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The last run that failed, as text. Pure."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.text import count, gist, printable, readable_time, run_result
from .failures import NOTHING_RUNS
from .words import Painter, Reader, cut, indented, names_of, runnable

if t.TYPE_CHECKING:
    from ..base.documents import FailedCheck, LastFailure

# Checks that are told; the record of the run has them all.
TOLD = 4


def last_failure_words(failure: LastFailure) -> str:
    """Return which run it was and how it ended, as a part of a sentence."""
    run = printable(failure["run"])
    if failure["step"]:
        return f"run {run} was cut off"
    return f"run {run} ended {run_result(failure['result'])}"


def last_failure_text(failure: LastFailure, reader: Reader, paint: Painter) -> str:
    """Return what is remembered of a run that failed: who ran what and when, why it failed, and what to do about it."""
    cut_off = f"was cut off at its step '{failure['step']}'"
    ended = cut_off if failure["step"] else f"ended {run_result(failure['result'])}"
    when = "" if failure["time"] is None else f" at {readable_time(failure['time'])}"
    lines = [
        paint(printable(f"An earlier run, {failure['run']}, {ended}."), "bad"),
        printable(f"  {failure['mode'] or '?'} by {failure['who'] or '?'}{when}"),
        *indented(printable(failure["message"] or ""), 2),
    ]
    waiting = _waiting(failure["checks"])
    if waiting:
        lines.append(printable(f"  {count(len(waiting), 'service')} waited for another: {names_of(waiting)}"))
    down = {check["subject"] for check in failure["checks"] if check["name"] == "running"}
    for check in [one for one in failure["checks"] if one["subject"] not in waiting and not _follows(one, down)][:TOLD]:
        first, *last = gist(printable(check["evidence"])) or ["no evidence"]
        lines.append(cut(f"  {check['subject']}, {check['name']}: {first}"))
        lines += indented("\n".join(last), 4)
    for command in (cures.history(failure["run"]), cures.ACKNOWLEDGE):
        lines.append(f"  {paint('next:', 'warn')} {runnable(command, reader)}")
    return "\n".join(lines)


def _follows(check: FailedCheck, down: t.Container[str]) -> bool:
    """Return whether a check says only that nothing listens or answers where nothing runs."""
    return check["subject"] in down and (check["name"], check["code"]) in NOTHING_RUNS


def _waiting(checks: t.Sequence[FailedCheck]) -> t.List[str]:
    """Return the services that were not started because of another one."""
    return list(dict.fromkeys(check["subject"] for check in checks if check["code"] == "dependency"))
