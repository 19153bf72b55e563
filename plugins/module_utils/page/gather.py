# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a host tells of itself for the page. It looks, and changes nothing."""

from __future__ import annotations

import typing as t

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.version import VERSION
from ..manifest.model import Paths
from ..state.generations import load_stack
from ..state.history import recorded_runs
from ..state.rollout import read_rollout
from ..state.watching import read_watch
from ..verdict import status
from .runs import MOST

if t.TYPE_CHECKING:
    from ..base.command_documents import RunSummary
    from ..base.documents import FailedCheck
    from ..base.page_documents import HostTold
    from ..base.watch_documents import WatchState

# Characters of the evidence of a check in the record of a run, and how many actions of a run are told.
EVIDENCE, ACTIONS = 400, 20


def host_told(root: str, clock: Clock = SYSTEM) -> HostTold:
    """Return what a host tells of the stack at a root; what cannot be told is told as such.

    Args:
        root: directory of the stack.
        clock: of the time at which it was looked.
    """
    told: HostTold = {
        "at": clock.wall(),
        "report": None,
        "error": None,
        "runs": [],
        "rollout": None,
        "watch": None,
        "release": "",
        "engine": VERSION,
    }
    try:
        stack = load_stack(Paths.of(root))
        told["release"] = stack.release or ""
        told["runs"] = [_in_short(run) for run in recorded_runs(stack.paths, most=MOST)["runs"]]
        rollout = read_rollout(stack.paths.state)
        told["rollout"] = None if rollout is None else rollout.as_data()
        told["watch"] = _watch(stack.paths.state)
        told["report"] = status.status(stack.paths)
    except RollcallError as exc:
        told["error"] = exc.as_dict()
    return told


def _watch(state: str) -> t.Optional[WatchState]:
    """Return what the watcher remembers, as far as the page shows it; None where there is none to be read."""
    try:
        known = read_watch(state)
    except OSError:
        # It is root's, and a look without it is a look.
        return None
    return None if known is None else {**known, "deliveries": {}}


def _in_short(run: RunSummary) -> RunSummary:
    """Return a run with what the page shows of it."""
    checks: t.List[FailedCheck] = [{**check, "evidence": check["evidence"][:EVIDENCE]} for check in run["checks"]]
    return {**run, "checks": checks, "actions": run["actions"][:ACTIONS], "signals": []}
