# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What an alert is, as a webhook gets it, and what the delivery of alerts remembers. Types only, as in documents.py."""

from __future__ import annotations

import typing as t

AlertKind = t.Literal["degraded", "critical", "recovered", "restarted", "gave_up", "held_back", "test"]


class AlertDocument(t.TypedDict):
    """One alert, as the webhook of an alert of kind webhook gets it by POST.

    Attributes:
        alert: Why it is sent. degraded or critical - an incident has come to that level; recovered - it is over;
            restarted - the watcher has restarted a service for it; gave_up - the watcher does not any more; held_back -
            others were not sent: there were too many, or another version has left them; test - somebody has asked for a
            trial.
        id: The incident that it is about, the same in all alerts of one cause; null when it is about none.
        title: All of it in one line.
        code: What is wrong, as a word for programs; null when it is about no incident.
        subject: What it is about, such as a service; the stack when it is about no incident.
        services: The services that suffer, in the order of the manifest.
        at: When that was, in seconds since the epoch.
        since: The first look that failed, in seconds since the epoch; null when it is about no incident.
        lasted: Seconds from then on; null when it is about no incident.
        stack: Name of the stack.
        host: Name of the host.
        root: Directory of the stack on the host.
        evidence: What was seen, in one or several lines; a long one is cut.
        next: Commands to run next, the most useful first.
        held_back: How many alerts were not sent; 0 unless that is what it is about.
    """

    alert: AlertKind
    id: t.Optional[str]
    title: str
    code: t.Optional[str]
    subject: str
    services: t.List[str]
    at: float
    since: t.Optional[float]
    lasted: t.Optional[float]
    stack: str
    host: str
    root: str
    evidence: str
    next: t.List[str]
    held_back: int


class WaitingAlert(t.TypedDict):
    """An alert that its target has not taken yet.

    Attributes:
        alert: It.
        tries: How often it was sent in vain.
        due: When it is sent next, in seconds since the epoch.
    """

    alert: AlertDocument
    tries: int
    due: float


class HeldAlerts(t.TypedDict):
    """Alerts that were not sent to a target, because there were too many.

    Attributes:
        count: How many.
        since: The first of them, in seconds since the epoch; null when there is none.
        titles: Of the latest of them.
    """

    count: int
    since: t.Optional[float]
    titles: t.List[str]


class Outbox(t.TypedDict):
    """What was sent to one target, and what was not.

    Attributes:
        taken: When alerts were taken up within the last hour, in seconds since the epoch.
        waiting: Those that are still to be sent, the oldest first.
        held: Those that were held back since the last that was sent.
        sent: How many the target has taken, ever.
        dropped: How many were given up, ever.
        held_back: How many were held back, ever.
        last_sent: When the target has taken the last one, in seconds since the epoch; null before the first.
        failed_at: When the last trial failed, in seconds since the epoch; null when the last one did not.
        problem: Why, in words; null when it did not fail.
    """

    taken: t.List[float]
    waiting: t.List[WaitingAlert]
    held: HeldAlerts
    sent: int
    dropped: int
    held_back: int
    last_sent: t.Optional[float]
    failed_at: t.Optional[float]
    problem: t.Optional[str]


class Heartbeats(t.TypedDict):
    """What has become of the calls of the heartbeat's URL.

    Attributes:
        called: The last call, in seconds since the epoch; null before the first.
        failed_at: When the last call failed, in seconds since the epoch; null when the last one did not.
        problem: Why, in words; null when it did not fail.
    """

    called: t.Optional[float]
    failed_at: t.Optional[float]
    problem: t.Optional[str]


class AlertMemory(t.TypedDict):
    """What the delivery of alerts remembers; it stands in the watcher's memory.

    Attributes:
        targets: What was sent to each target, by its name.
        heartbeat: What has become of the heartbeat.
    """

    targets: t.Dict[str, Outbox]
    heartbeat: Heartbeats


class TargetTried(t.TypedDict):
    """What a target has answered to a trial.

    Attributes:
        target: Its name.
        kind: What it is, such as discord.
        ok: Whether it has taken the alert.
        answer: What it answered, or why it did not, in words.
        seconds: How long that took.
    """

    target: str
    kind: str
    ok: bool
    answer: str
    seconds: float


class AlertTestDocument(t.TypedDict):
    """What rollcall watch --test-alert prints.

    Attributes:
        ok: Whether all targets have taken the alert, and there is one at least.
        stack: Name of the stack.
        root: Its directory.
        host: Name of the host.
        targets: What each target has answered, the heartbeat among them.
    """

    ok: bool
    stack: str
    root: str
    host: str
    targets: t.List[TargetTried]
