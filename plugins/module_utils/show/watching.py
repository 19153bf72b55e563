# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a watcher has seen, as text: a line for what has happened, and below it what to run next. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import count, printable, readable_time, span, table
from .words import Reader, indented, runnable

if t.TYPE_CHECKING:
    from ..base.alert_documents import AlertTestDocument
    from ..base.watch_documents import Incident, WatchDocument, WatchEvent, WatchState
    from ..manifest.model import Stack

_WORDS = {
    "degraded": "DEGRADED",
    "critical": "CRITICAL",
    "recovered": "RECOVERED",
    "restarted": "RESTARTED",
    "gave_up": "GAVE UP",
}
# Commands that are shown of an incident.
_NEXT = 2


def begun_text(stack: Stack, state: WatchState) -> str:
    """Return the first line of a watcher: what it watches, how often, and what it knows already."""
    told = [one for one in state["incidents"] if one["level"] != "noticed"]
    known = f", {count(len(told), 'incident')} not over" if told else ""
    return printable(f"watching stack {stack.name} in {stack.root} every {stack.watch.interval:g} s{known}")


def look_text(document: WatchDocument, *, whole: bool) -> str:
    """Return what a look has brought.

    Args:
        document: what the look tells.
        whole: whether all incidents are told, and not only what has happened to them.
    """
    reader = Reader(document["root"])
    lines = [line for event in document["events"] for line in _event_lines(event, reader)]
    if whole:
        told = {event["incident"]["id"] for event in document["events"]}
        for one in document["incidents"]:
            if one["id"] not in told:
                lines += _incident_lines(one, reader)
        where = f"{document['stack']} on {document['host']}"
        counted = ": nothing is counted so soon after a run or a boot" if document["level"] == "grace" else ""
        lines.append(f"{where}: {document['level'].upper()}, {count(len(document['incidents']), 'incident')}{counted}")
    return printable("\n".join(lines))


def _event_lines(event: WatchEvent, reader: Reader) -> t.List[str]:
    one, kind = event["incident"], event["event"]
    lasted = f" after {span(round(event['lasted']))}"
    if kind == "recovered":
        return [f"{readable_time(event['at'])} {_WORDS[kind]}{lasted}: {one.get('told') or one['why']}"]
    first = f"{readable_time(event['at'])} {_WORDS[kind]}: {one['why']}"
    # The words of a restart stand before what was seen; the first line of that is in the sentence above.
    after = event["event"] not in ("restarted", "gave_up")
    return [first, *_more(one, reader, skip=int(after))]


def _incident_lines(one: Incident, reader: Reader) -> t.List[str]:
    since = readable_time(one["since"])
    first = f"{one['level']} since {since}, {count(one['looks'], 'failed look')}: {one['why']}"
    return [first, *_more(one, reader, skip=1)]


def _more(one: Incident, reader: Reader, *, skip: int) -> t.List[str]:
    rest = "\n".join(one["evidence"].splitlines()[skip:])
    return [*indented(rest, 2), *(f"  next: {runnable(command, reader)}" for command in one["next"][:_NEXT])]


def tried_text(document: AlertTestDocument) -> str:
    """Return what each target has answered to a trial, a line each."""
    if not document["targets"]:
        return "nobody is told: the manifest has no watch.alerts"
    rows = [
        (one["target"], "ok" if one["ok"] else "FAILED", f"{one['seconds']:.1f} s", one["answer"])
        for one in document["targets"]
    ]
    return printable(table([("target", "", "took", "answer"), *rows]))
