# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Whether the stack is up after a run that did not end well: as it was, up, or down, since when, and what to type.

The record of the run says whether it has touched anything; what runs is looked at.
"""

from __future__ import annotations

import contextlib
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..host import ours
from ..host.labels import label_of, trusted_uids
from ..manifest.model import Stack
from ..state.generations import load_stack
from ..state.runs import steps_of
from ..supervisord.client import client_of
from .request import Request

if t.TYPE_CHECKING:
    from ..base.documents import Report, StandingData

# Steps of a run that end, start or replace something.
_TOUCHING = frozenset(
    {"stop", "stop-daemon", "sweep", "flush", "clear", "install", "reload", "start-daemon", "start", "reload-services"}
)
# Commands that bring a stack up that is down. An error advises one where the usual one would not do.
_STARTING = (cures.START, cures.RESTART, cures.FULL, cures.EMERGENCY, cures.FORCE_INSTALL)

Steps = t.Sequence[t.Mapping[str, t.Any]]


def as_it_was(running: t.Optional[int] = None, services: t.Optional[int] = None) -> StandingData:
    """Return that nothing was touched, and how many services run of how many, where that was looked at."""
    return {"state": "as_it_was", "running": running, "services": services, "since": None, "next": None}


@contextlib.contextmanager
def untouched() -> t.Iterator[None]:
    """Say of an error from what is done within that nothing was touched, unless it says more."""
    try:
        yield
    except RollcallError as exc:
        exc.standing = exc.standing or as_it_was()
        raise


def after_error(request: Request, run: str, error: RollcallError, *, clock: Clock = SYSTEM) -> StandingData:
    """Return how a run has left the stack that ended with an error, or that goes on alone.

    Args:
        request: what was asked.
        run: the run's id.
        error: what it ended with.
        clock: of all deadlines.
    """
    start = next((one for one in error.remedies if one in (*_STARTING, request.force)), cures.RESTART)
    try:
        steps = steps_of(request.paths.state, run)
        if not any(step["step"] in _TOUCHING for step in steps):
            return _untouched(request, error, clock)
        return _standing(*_counted(_in_place(request), clock), steps, start)
    except (RollcallError, OSError):
        return unknown()


def after_report(request: Request, report: Report, steps: Steps, *, clock: Clock = SYSTEM) -> t.Optional[StandingData]:
    """Return how a run has left the stack that ended with a report; None where its verdict is good.

    Args:
        request: what was asked.
        report: it.
        steps: those that the run has recorded.
        clock: of all deadlines.
    """
    if report["ok"]:
        return None
    start = cures.START if report["mode"] == "stop" else cures.RESTART
    if not report["whole"]:
        # It tells of some services, and the stack may be up without them.
        try:
            return _standing(*_counted(_in_place(request), clock), steps, start)
        except (RollcallError, OSError):
            return unknown()
    rows = [row for row in report["services"] if row["kind"] == "service"]
    return _standing(sum(row["state"] == "RUNNING" for row in rows), len(rows), steps, start)


def _untouched(request: Request, error: RollcallError, clock: Clock) -> StandingData:
    """Return that nothing was touched, and how many services run: as it was is no word for a stack that was down."""
    if error.evidence.get("lock") is not None:
        # Another run may be stopping or starting them.
        return as_it_was()
    try:
        return as_it_was(*_counted(load_stack(request.paths), clock))
    except (RollcallError, OSError):
        return as_it_was()


def unknown() -> StandingData:
    """Return that it could not be seen how the stack is."""
    return {"state": "unknown", "running": None, "services": None, "since": None, "next": cures.STATUS}


def _standing(running: int, services: int, steps: Steps, start: str) -> StandingData:
    if running or not services:
        return {"state": "up", "running": running, "services": services, "since": None, "next": None}
    stopped = next((step for step in steps if _stops(step)), None)
    since = None if stopped is None else float(stopped["time"])
    return {"state": "down", "running": running, "services": services, "since": since, "next": start}


def _stops(step: t.Mapping[str, t.Any]) -> bool:
    """Return whether a step has ended what ran: one that found nothing to end says nothing of when that went down."""
    return bool(step.get("services") if step["step"] == "stop" else step["step"] == "stop-daemon" and step.get("pids"))


def _counted(stack: Stack, clock: Clock) -> t.Tuple[int, int]:
    """Return how many services run, and how many there are, oneshots left out."""
    names = [service.name for service in stack.services if service.kind == "service"]
    return len(_running(stack, clock).intersection(names)), len(names)


def _in_place(request: Request) -> Stack:
    try:
        return load_stack(request.paths)
    except RollcallError:
        if request.wanted is None:
            raise
        return request.wanted.stack


def _running(stack: Stack, clock: Clock) -> t.Set[str]:
    """Return which services run: by supervisord's word, and where it gives none, by the processes that there are."""
    try:
        programs = client_of(stack, clock=clock).programs()
        return {name for name, program in programs.items() if program.state == "RUNNING"}
    except RollcallError:
        found = ours.find(stack.root, trusted_uids(stack.root, stack.user))
        labels = (label_of(process.pid) for process in found)
        return {label.service for label in labels if label is not None}
