# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which service a watcher may start again, and when it gives up. Pure.

It starts only what is down by itself, one service at a time, and never for ever: each run counts against the restart
budget of the stack, and an incident has a limit of its own.
"""

from __future__ import annotations

import typing as t

from ..manifest.model import Stack
from .incidents import GRACE, NOTICED, Events, StackPlace, event_of, roots_of
from .symptoms import Sight, service_of, symptoms

if t.TYPE_CHECKING:
    from ..base.watch_documents import Incident, WatchState

# How often a service is started again for one incident, and for those that come back within an hour.
MOST = 3


class Attempt(t.NamedTuple):
    """What came of starting a service again.

    Attributes:
        ok: whether its verdict was OK.
        refused: whether nothing was tried, because the restart budget is used up, or something else is in the way.
        said: what the run has said, in one line.
    """

    ok: bool
    refused: bool
    said: str


def next_start(stack: Stack, sight: Sight, state: WatchState) -> t.Optional[Incident]:
    """Return the incident of the service that is to be started now, or given up; None where there is none.

    Args:
        stack: the manifest.
        sight: what the last look has seen.
        state: what the watcher remembers after it.
    """
    report = sight.report
    if not stack.watch.restart or report is None or report["run_at_work"] is not None or sight.overdue:
        return None
    if state["level"] == GRACE or state["at"] < state["grace_until"]:
        return None
    open_now = {one["id"]: one for one in state["incidents"]}
    found = symptoms(stack, sight, state["at"])
    roots = roots_of(found, open_now)
    for one in found:
        incident = open_now.get(one.scope)
        alone = one.startable and roots[one.scope] == one.scope
        if alone and incident is not None and incident["level"] != NOTICED and not incident["gave_up"]:
            return incident
    return None


def gave_up(state: WatchState, scope: str, why: str, now: float, place: StackPlace) -> t.Tuple[WatchState, Events]:
    """Return the memory and the event where a service is not started again any more."""
    return _changed(state, scope, {"gave_up": True}, f"not started again any more: {why}", "gave_up", now, place)


def settled(
    state: WatchState, scope: str, attempt: Attempt, now: float, place: StackPlace
) -> t.Tuple[WatchState, Events]:
    """Return the memory and the event after a service was to be started."""
    if attempt.refused:
        return gave_up(state, scope, attempt.said, now, place)
    times = {one["id"]: one["restarts"] for one in state["incidents"]}.get(scope, 0) + 1
    said = f"started again by the watcher ({times} of {MOST}): {attempt.said}"
    return _changed(state, scope, {"restarts": times}, said, "restarted", now, place)


def service_to_start(incident: Incident) -> str:
    """Return the name of the service that an incident is about."""
    return service_of(incident["id"])


def _changed(
    state: WatchState, scope: str, change: t.Mapping[str, t.Any], said: str, kind: t.Any, now: float, place: StackPlace
) -> t.Tuple[WatchState, Events]:
    incidents: t.List[Incident] = []
    events: Events = []
    for one in state["incidents"]:
        if one["id"] != scope:
            incidents.append(one)
            continue
        evidence = "\n".join(part for part in (said, one["evidence"]) if part)
        incidents.append(t.cast("Incident", {**one, **change, "evidence": evidence}))
        events.append(event_of(kind, incidents[-1], now, place))
    return t.cast("WatchState", {**state, "incidents": incidents}), events
