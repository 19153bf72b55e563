# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""From look to look: which incidents there are, at which level, and what of that is told. Pure.

One cause is one incident. It is told three times at the most: when it is degraded, when it is critical, and when it is
over.
docs/design/0019-watching.md says why it is so.
"""

from __future__ import annotations

import typing as t

from ..base.text import count
from ..manifest.model import Stack
from ..manifest.watch_model import Watch
from .symptoms import CRITICAL, DEGRADED, LOOK, RUN, Sight, Symptom, is_finding, symptoms

if t.TYPE_CHECKING:
    from ..base.watch_documents import (
        EventKind,
        Incident,
        IncidentLevel,
        PastIncident,
        WatchEvent,
        WatchLevel,
        WatchState,
    )

NOTICED, GRACE = "noticed", "grace"
# For so many seconds it is remembered that there was an incident: what comes back meanwhile is flapping.
REMEMBERED = 3600.0
# What flaps must be well for twice as many looks each time, and for no more than so many times as many.
MOST_PATIENCE = 64
# Of so many scopes it is remembered.
_MOST_REMEMBERED = 200
# Names that one line has at the most.
_NAMED = 3

Events = t.List["WatchEvent"]


class StackPlace(t.NamedTuple):
    """Where a stack is, for what is told of it."""

    stack: str
    host: str
    root: str


def begin(interval: float) -> WatchState:
    """Return the memory of a watcher that has not looked yet."""
    return {
        "at": 0.0,
        "interval": interval,
        "level": "ok",
        "looks": 0,
        "seconds": 0.0,
        "incidents": [],
        "recovering": {},
        "seen_before": {},
        "boot": "",
        "grace_until": 0.0,
        "run": None,
        "deliveries": {},
    }


def next_state(
    memory: WatchState, stack: Stack, sight: Sight, now: float, place: StackPlace
) -> t.Tuple[WatchState, t.List[WatchEvent]]:
    """Return what the watcher remembers after a look, and what has happened.

    Args:
        memory: what it has remembered before.
        stack: the manifest.
        sight: what it has seen.
        now: when, in seconds since the epoch.
        place: for what is told.
    """
    watch = stack.watch
    told = {**memory, "at": now, "interval": watch.interval, "looks": memory["looks"] + 1}
    state = t.cast("WatchState", {**told, "seen_before": _recent(memory["seen_before"], now)})
    state = _with_grace(state, sight, watch, now)
    if now < state["grace_until"] or (_at_work(sight) and not sight.overdue):
        return t.cast("WatchState", {**state, "level": _level(state["incidents"], "grace")}), []
    found = [one for one in symptoms(stack, sight, now) if not _unknown(one.scope, sight)]
    state, events = _counted(state, stack, sight, found, now, place)
    return t.cast("WatchState", {**state, "level": _level(state["incidents"], "ok")}), events


def _is_blind(sight: Sight) -> bool:
    return bool(sight.hung) or sight.report is None


def _at_work(sight: Sight) -> bool:
    return sight.locked or (sight.report is not None and sight.report["run_at_work"] is not None)


def _with_grace(state: WatchState, sight: Sight, watch: Watch, now: float) -> WatchState:
    """Return the memory with the time until which nothing is counted: after a boot, and after a run."""
    if _is_blind(sight) and not sight.locked:
        return state
    kept = state["grace_until"] if state["grace_until"] - now <= watch.grace else 0.0
    until = max(kept, min(sight.booted, now) + watch.grace)
    if _at_work(sight) and not sight.overdue:
        # A run that was seen at work has its grace from then on, also where it leaves no record.
        until = max(until, now + watch.grace)
    elif sight.run and sight.ended <= now:
        until = max(until, sight.ended + watch.grace)
    elif sight.run and sight.run != state["run"]:
        # The clock was set back since it ended: it has its grace once, and not until the clock is there again.
        until = max(until, now + watch.grace)
    known = {**state, "boot": sight.boot, "run": sight.run or state["run"], "grace_until": until}
    return t.cast("WatchState", known)


def _counted(
    state: WatchState, stack: Stack, sight: Sight, found: t.Sequence[Symptom], now: float, place: StackPlace
) -> t.Tuple[WatchState, Events]:
    """Return the memory with all that was seen counted, and what has happened."""
    open_now = {one["id"]: one for one in state["incidents"]}
    roots = roots_of(found, open_now)
    seen = {one.scope: one for one in found}
    events: Events = []
    kept: t.List[Incident] = []
    recovering: t.Dict[str, int] = {}
    before = dict(state["seen_before"])
    for scope, incident in open_now.items():
        if scope in seen and roots[scope] != scope:
            # It is a part of its cause. What was told stays as it is until it is over.
            kept += [incident] if incident["level"] != NOTICED else []
        elif scope in seen:
            kept.append(_again(incident, seen[scope], _followers(stack, seen, roots, scope), stack.watch))
            events += _told(incident["level"], kept[-1], now, place)
        elif _unknown(scope, sight):
            kept.append(incident)
        elif state["recovering"].get(scope, 0) + 1 < _patience(before.get(scope), stack.watch):
            kept.append(incident)
            recovering[scope] = state["recovering"].get(scope, 0) + 1
        elif incident["level"] != NOTICED:
            events.append(event_of("recovered", incident, now, place))
            before[scope] = _past(before.get(scope), incident, now)
    for scope in (scope for scope in seen if roots[scope] == scope and scope not in open_now):
        first = _first(scope, now, before.get(scope))
        kept.append(_again(first, seen[scope], _followers(stack, seen, roots, scope), stack.watch))
        events += _told(NOTICED, kept[-1], now, place)
    after = {**state, "incidents": kept, "recovering": recovering, "seen_before": before}
    return t.cast("WatchState", after), events


def _told(level: str, incident: Incident, now: float, place: StackPlace) -> Events:
    """Return the event that an incident is at another level than before; none where it is not."""
    now_at = incident["level"]
    return [] if now_at in (level, NOTICED) else [event_of(t.cast("EventKind", now_at), incident, now, place)]


def roots_of(found: t.Sequence[Symptom], open_now: t.Mapping[str, Incident]) -> t.Dict[str, str]:
    """Return by the scope of each symptom the scope of its cause, which may be its own.

    A cause is ill at this look as well, or was told before and is not over yet.
    """
    told = {scope for scope, one in open_now.items() if one["level"] != NOTICED}
    under = {one.scope: one.under for one in found}
    roots: t.Dict[str, str] = {}
    for one in found:
        scope, way = one.scope, [one.scope]
        while True:
            above = next(
                (each for each in under.get(scope, ()) if (each in under or each in told) and each not in way), ""
            )
            if not above:
                break
            scope = above
            way.append(above)
        roots[one.scope] = scope
    return roots


def _followers(stack: Stack, seen: t.Mapping[str, Symptom], roots: t.Mapping[str, str], scope: str) -> t.List[str]:
    """Return the services that suffer from a cause, in the order of the manifest."""
    names = {name for each, one in seen.items() if roots[each] == scope for name in one.services}
    return [name for name in stack.entries if name in names]


def _first(scope: str, now: float, past: t.Optional[PastIncident]) -> Incident:
    """Return an incident before its first failed look is counted."""
    return {
        "id": scope,
        "code": "",
        "subject": "",
        "services": [],
        "level": "noticed",
        "why": "",
        "told": "",
        "evidence": "",
        "next": [],
        "since": now,
        "looks": 0,
        "restarts": 0 if past is None else past["restarts"],
        "gave_up": past is not None and past["gave_up"],
    }


def _again(incident: Incident, symptom: Symptom, services: t.Sequence[str], watch: Watch) -> Incident:
    """Return an incident after one more failed look."""
    looks = incident["looks"] + 1
    level: IncidentLevel = incident["level"]
    if looks >= watch.critical_after and symptom.worst == CRITICAL:
        level = "critical"
    elif looks >= watch.degraded_after and level == NOTICED:
        level = "degraded"
    suffer = [name for name in services if name != symptom.subject]
    why = symptom.why + (f" ({_affected(suffer)})" if suffer else "")
    seen: t.Dict[str, t.Any] = {
        "code": symptom.code,
        "subject": symptom.subject,
        "services": list(services),
        "level": level,
        "why": why,
        "told": why if level != incident["level"] else told_of(incident),
        "evidence": symptom.evidence,
        "next": list(symptom.next),
        "looks": looks,
    }
    return t.cast("Incident", {**incident, **seen})


def told_of(incident: Incident) -> str:
    """Return the why that was told last; of what an earlier version remembers, and of what was never told, none."""
    return t.cast("t.Dict[str, str]", incident).get("told", "")


def _affected(names: t.Sequence[str]) -> str:
    return f"{count(len(names), 'service') if len(names) > _NAMED else ', '.join(names)} affected"


def _unknown(scope: str, sight: Sight) -> bool:
    """Return whether a look says nothing about a scope."""
    if _is_blind(sight) or sight.overdue:
        # A run that hangs may have stopped anything.
        return scope not in (LOOK, RUN)
    return is_finding(scope) and sight.findings is None


def _patience(past: t.Optional[PastIncident], watch: Watch) -> int:
    """Return how many good looks, one after the other, end an incident: more for what keeps coming back."""
    times = 0 if past is None else past["times"]
    return watch.degraded_after * min(1 << times, MOST_PATIENCE)


def _past(past: t.Optional[PastIncident], incident: Incident, now: float) -> PastIncident:
    times = 1 if past is None else past["times"] + 1
    return {"times": times, "last": now, "restarts": incident["restarts"], "gave_up": incident["gave_up"]}


def _recent(past: t.Mapping[str, PastIncident], now: float) -> t.Dict[str, PastIncident]:
    """Return what is remembered of incidents that are over: of the last hour."""
    recent = {scope: one for scope, one in past.items() if 0 <= now - one["last"] < REMEMBERED}
    return dict(list(recent.items())[-_MOST_REMEMBERED:])


def event_of(kind: EventKind, incident: Incident, now: float, place: StackPlace) -> WatchEvent:
    lasted = round(max(0.0, now - incident["since"]), 1)
    return {"event": kind, "at": now, "incident": incident, "lasted": lasted, **place._asdict()}  # type: ignore[typeddict-item]


def _level(incidents: t.Iterable[Incident], otherwise: WatchLevel) -> WatchLevel:
    levels = {one["level"] for one in incidents}
    return "critical" if CRITICAL in levels else "degraded" if DEGRADED in levels else otherwise
