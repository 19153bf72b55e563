# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The recorded runs of a stack: who asked, when, what was changed and signalled, how long it took, how it ended."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..manifest.model import Paths
from .generations import kept_generations
from .lock import locked_by
from .runs import run_ids, steps_of

if t.TYPE_CHECKING:
    from ..base.command_documents import HistoryDocument, KeptGeneration, RunDocument, RunSummary

SHOWN = 20

Data = t.Dict[str, t.Any]


def recorded_runs(paths: Paths, root: str = "", *, most: int = SHOWN) -> HistoryDocument:
    """Return the latest runs of a stack, the latest first, each in short, and the generations that are kept.

    Args:
        paths: of the stack.
        root: of the stack; without it no generation is told.
        most: how many runs at most.
    """
    state = paths.state
    running = locked_by(state).get("run")
    latest = run_ids(state)[:most]
    return {
        "ok": True,
        "runs": [_summary(run, steps_of(state, run), running) for run in latest],
        "generations": t.cast("t.List[KeptGeneration]", kept_generations(paths, root) if root else []),
    }


def recorded_run(paths: Paths, run: str) -> RunDocument:
    """Return one run with every step.

    Args:
        paths: of the stack.
        run: its id, or the beginning of it.

    Raises:
        RollcallError: ``wrong_use``: no run, or more than one, has such an id.
    """
    state = paths.state
    known = run_ids(state)
    found = [run] if run in known else [name for name in known if name.startswith(run)]
    if len(found) != 1:
        raise RollcallError(
            f"There {'is no run' if not found else f'are {len(found)} runs'} whose id begins with '{run}'.",
            kind="wrong_use",
            evidence={"run": run, "known": found or known},
            remedies=[cures.HISTORY],
        )
    steps = steps_of(state, found[0])
    running = locked_by(state).get("run")
    return {"ok": True, **_summary(found[0], steps, running), "steps": steps}


def last_seconds(paths: Paths, mode: str) -> t.Optional[float]:
    """Return how long the last run of a mode took that ended ok; None when no recent one did."""
    rows = recorded_runs(paths)["runs"]
    return next((row["seconds"] for row in rows if row["mode"] == mode and row["result"] == "ok"), None)


def _summary(run: str, steps: t.Sequence[Data], running: t.Optional[str]) -> RunSummary:
    first = steps[0] if steps else {}
    last = steps[-1] if steps else {}
    planned = next((step for step in steps if step["step"] == "plan"), {})
    done = last if last.get("step") == "done" else {}
    return {
        "run": run,
        "time": first.get("time"),
        "who": first.get("who"),
        "mode": first.get("mode"),
        "services": [str(name) for name in first.get("services") or ()],
        "automatic": bool(first.get("automatic")),
        "manifest": planned.get("manifest"),
        "actions": planned.get("actions", []),
        "result": done.get("result") or ("running" if run == running else "cut off"),
        "step": None if done else last.get("step"),
        "seconds": last.get("at"),
        "changed": done.get("changed"),
        "message": done.get("message"),
        "failed": done.get("failed", []),
        "checks": done.get("checks", []),
        "signals": done.get("signals", []),
        "timings": done.get("timings", {}),
    }
