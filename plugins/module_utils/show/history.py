# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The history of a stack's runs as text. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import LONGEST, one_line, printable, readable_time, run_result, table
from .words import WIDTH, cut, indented

if t.TYPE_CHECKING:
    from ..base.command_documents import HistoryDocument, RunDocument, RunSummary

# Characters of how a run ended that the list shows; the history of that run says all.
RESULT = 30
# Characters of what a run by name was about.
MODE = 22


def history_text(data: HistoryDocument, width: int = WIDTH) -> str:
    """Return the list of runs, a line a run, and below it the generations that are kept.

    Args:
        data: as ``recorded_runs`` returns it.
        width: columns of the terminal. No line is longer: what failed is said whole by the history of that run.
    """
    if not data["runs"]:
        return "no run is recorded"
    return "\n\n".join(part for part in (_runs(data, width), _generations(data)) if part)


def _generations(data: HistoryDocument) -> str:
    if not data["generations"]:
        return ""
    rows = [
        (
            one["id"],
            "in place" if one["in_place"] else "-",
            "verified" if one["verified"] else "not verified",
            one["digest"][:8],
        )
        for one in data["generations"]
    ]
    return printable(table([("generation", "place", "verdict", "manifest"), *rows]))


def _runs(data: HistoryDocument, width: int) -> str:
    rows = [
        (
            run["run"],
            # The id has its year.
            _when(run["time"])[5:16] or "-",
            _mode(run, MODE),
            "-" if run["seconds"] is None else f"{run['seconds']:.1f} s",
            one_line(_result(run), RESULT),
            run["who"] or "-",
        )
        for run in data["runs"]
    ]
    lines = table([("run", "when", "mode", "took", "result", "who"), *rows]).splitlines()
    return printable("\n".join(line if len(line) <= width else f"{line[: width - 1]}…" for line in lines))


def run_text(run: RunDocument) -> str:
    """Return one run: what was done, what was signalled, and how long each phase took."""
    lines = [f"run {run['run']}: {_result(run)}", f"  {_mode(run)} by {run['who'] or '?'} at {_when(run['time'])}"]
    if run["message"]:
        lines += [f"  {line}" for line in run["message"].splitlines()]
    for check in run["checks"]:
        first, *more = check["evidence"].splitlines() or ["no evidence"]
        lines += [f"  failed: {check['name']} {check['subject']}: {cut(first)}", *indented("\n".join(more), 4)]
    told = {f"{check['name']} {check['subject']}" for check in run["checks"]}
    lines += [f"  failed: {check}" for check in run["failed"] if check not in told]
    lines += [f"  did: {action}" for action in run["actions"]]
    for entry in run["signals"]:
        sent = ", then ".join(entry["signals"]) or "no signal"
        who = f"pid {entry['pid']} '{one_line(entry['command'], LONGEST)}' of user {one_line(entry['user'])}"
        lines.append(f"  signalled {who}: {sent}; {entry['result']}")
    if run["timings"]:
        lines.append("  took " + ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in run["timings"].items()))
    if run["manifest"]:
        lines.append(f"  manifest {run['manifest']}")
    return printable("\n".join(lines))


def _when(seconds: t.Optional[float]) -> str:
    return "-" if seconds is None else readable_time(seconds)


def _mode(run: RunSummary, width: int = LONGEST) -> str:
    """Return the mode of a run; of one by name what was done with which services, in so many characters."""
    mode = str(run["mode"] or "?")
    if run["services"]:
        # Late: most lists have no run by name.
        from ..run.modes import BY_NAME, title_by_name

        done = title_by_name(BY_NAME[mode]) if mode in BY_NAME else mode
        mode = _with_names(done, run["services"], width)
    return f"{mode}, automatic" if run["automatic"] else mode


def _with_names(done: str, names: t.Sequence[str], width: int) -> str:
    """Return what was done with as many of the services as there is room for, and how many more these are."""
    for told in range(len(names), 0, -1):
        more = f" +{len(names) - told}" if told < len(names) else ""
        text = f"{done} {', '.join(names[:told])}"
        if len(text) + len(more) <= width or told == 1:
            return one_line(text, width - len(more)) + more
    return done


def _result(run: RunSummary) -> str:
    word = run_result(run["result"], run["step"])
    failed = f": {', '.join(run['failed'])}" if run["failed"] else ""
    return word + (failed if len(run["failed"]) <= 3 else f": {len(run['failed'])} checks")
