# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The history of a stack's runs as text. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import printable, readable_time, table

if t.TYPE_CHECKING:
    from ..base.command_documents import HistoryDocument, RunDocument, RunSummary

_ENDED = {"ok": "OK", "held": "HELD", "degraded": "FAILED"}


def history_text(data: HistoryDocument) -> str:
    """Return the list of runs, a line a run."""
    if not data["runs"]:
        return "no run is recorded"
    rows = [
        (
            run["run"],
            _when(run["time"]),
            _mode(run),
            "-" if run["seconds"] is None else f"{run['seconds']:.1f} s",
            (run["manifest"] or "-")[:8],
            _result(run),
            run["who"] or "-",
        )
        for run in data["runs"]
    ]
    return printable(table([("run", "when", "mode", "took", "manifest", "result", "who"), *rows]))


def run_text(run: RunDocument) -> str:
    """Return one run: what was done, what was signalled, and how long each phase took."""
    lines = [f"run {run['run']}: {_result(run)}", f"  {_mode(run)} by {run['who'] or '?'} at {_when(run['time'])}"]
    if run["message"]:
        lines += [f"  {line}" for line in run["message"].splitlines()]
    lines += [f"  failed: {check}" for check in run["failed"]]
    lines += [f"  did: {action}" for action in run["actions"]]
    for entry in run["signals"]:
        sent = ", then ".join(entry["signals"]) or "no signal"
        who = f"pid {entry['pid']} '{entry['command']}' of user {entry['user']}"
        lines.append(f"  signalled {who}: {sent}; {entry['result']}")
    if run["timings"]:
        lines.append("  took " + ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in run["timings"].items()))
    if run["manifest"]:
        lines.append(f"  manifest {run['manifest']}")
    return printable("\n".join(lines))


def _when(seconds: t.Optional[float]) -> str:
    return "-" if seconds is None else readable_time(seconds)


def _mode(run: RunSummary) -> str:
    return f"{run['mode'] or '?'}, automatic" if run["automatic"] else str(run["mode"] or "?")


def _result(run: RunSummary) -> str:
    if run["step"] is not None:
        return f"{run['result']} at step '{run['step']}'"
    word = _ENDED.get(run["result"]) or str(run["result"]).upper().replace("_", " ")
    failed = f": {', '.join(run['failed'])}" if run["failed"] else ""
    return word + (failed if len(run["failed"]) <= 3 else f": {len(run['failed'])} checks")
