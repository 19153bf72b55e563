# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a watcher tells and remembers: incidents, what happened to them, its memory. Types only, as in documents.py."""

from __future__ import annotations

import typing as t

IncidentLevel = t.Literal["noticed", "degraded", "critical"]
WatchLevel = t.Literal["ok", "grace", "degraded", "critical"]
EventKind = t.Literal["degraded", "critical", "recovered", "restarted", "gave_up"]


class Incident(t.TypedDict):
    """One cause of trouble, from the first look that saw it to the look that sees that it is over.

    Attributes:
        id: What stays the same for one cause, such as service:web, also when its code changes or it comes back.
        code: What is wrong, as a word for programs; the code of a check of the verdict, of a finding of the doctor, or
            of the watcher itself. The reference lists those of the watcher.
        subject: What it is about: a service, a database, a port, or the stack.
        services: The services that suffer from it, in the order of the manifest.
        level: noticed - a failed look or a few, nobody was told; degraded, and critical, as the manifest says after how
            many looks.
        why: One line in words; the cause comes first.
        told: The why that was told when the incident came to its level; empty while nobody was told.
        evidence: What was seen, in one or several lines; a long one is cut.
        next: Commands to run next, the most useful first.
        since: The first look that failed, in seconds since the epoch.
        looks: How many looks have failed, with no more than a few good ones in between.
        restarts: How often the watcher has restarted a service because of it.
        gave_up: Whether the watcher will not restart anything for it any more.
    """

    id: str
    code: str
    subject: str
    services: t.List[str]
    level: IncidentLevel
    why: str
    told: str
    evidence: str
    next: t.List[str]
    since: float
    looks: int
    restarts: int
    gave_up: bool


class PastIncident(t.TypedDict):
    """What is remembered of an incident that is over.

    Attributes:
        times: How often there was one of this id, with less than an hour from one to the next.
        last: When the last of them was over, in seconds since the epoch.
        restarts: How often the watcher has restarted a service because of them.
        gave_up: Whether the watcher has given up to restart anything for them.
    """

    times: int
    last: float
    restarts: int
    gave_up: bool


class WatchEvent(t.TypedDict):
    """What has happened to an incident, once.

    Attributes:
        event: degraded or critical - it has come to that level - recovered - it is over - restarted - the watcher has
            restarted a service for it - gave_up - the watcher was allowed to restart, and does not any more.
        at: When, in seconds since the epoch.
        incident: The incident, as it is then.
        lasted: Seconds from its first failed look to this event.
        stack: Name of the stack.
        host: Name of the host.
        root: Directory of the stack.
    """

    event: EventKind
    at: float
    incident: Incident
    lasted: float
    stack: str
    host: str
    root: str


class WatchState(t.TypedDict):
    """What the watcher of a stack remembers, which is also what it tells others of itself.

    Attributes:
        at: The last finished look, in seconds since the epoch.
        interval: Seconds from one look to the next; 0 when the watcher was ended on purpose, or looked once.
        level: The worst level of all incidents; ok when none is degraded, grace while nothing is counted.
        looks: How many looks it has made since it began.
        seconds: How long the last look took.
        incidents: Those that are not over, in the order in which they began.
        recovering: By the id of an incident, how many looks, one after the other, have not seen it any more.
        seen_before: By id, the incidents of the last hour that are over.
        boot: What tells this boot of the host from others; empty where the system does not say.
        grace_until: Until when nothing is counted, in seconds since the epoch.
        run: The last run that the watcher has seen; null when it has seen none.
        deliveries: What the delivery of alerts remembers.
    """

    at: float
    interval: float
    level: WatchLevel
    looks: int
    seconds: float
    incidents: t.List[Incident]
    recovering: t.Dict[str, int]
    seen_before: t.Dict[str, PastIncident]
    boot: str
    grace_until: float
    run: t.Optional[str]
    deliveries: t.Dict[str, t.Any]


class WatchDocument(t.TypedDict):
    """What rollcall watch prints of each look.

    Attributes:
        ok: Whether no incident is degraded or critical.
        stack: Name of the stack.
        root: Its directory.
        host: Name of the host.
        at: When the look ended, in seconds since the epoch.
        seconds: How long it took.
        level: The worst level of all incidents; ok when none is degraded, grace while nothing is counted.
        incidents: Those that are not over, in the order in which they began.
        events: What has happened to incidents in this look.
    """

    ok: bool
    stack: str
    root: str
    host: str
    at: float
    seconds: float
    level: WatchLevel
    incidents: t.List[Incident]
    events: t.List[WatchEvent]
