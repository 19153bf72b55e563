# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The services and timers of one host, as tables. Pure."""

from __future__ import annotations

import os
import typing as t

from ..base.text import count, one_line
from ..show.failures import failing_by_subject, verdict_word
from .elements import Child, Element, element
from .parts import BAD, GOOD, IDLE, NAME, WARN, Cell, Heading, breakable, lasting, moment, name_of, row, state, table

if t.TYPE_CHECKING:
    from ..base.documents import Report, ServiceRow
    from ..base.job_documents import TimerRow

# Rows of a table at the most. No stack has as many services.
MOST = 500
# Characters of an answer of a health check.
ANSWER = 80

COLUMNS = (
    Heading("Verdict"),
    Heading("Service", main=True),
    Heading("State"),
    Heading("Port"),
    Heading("Health"),
    Heading("Uptime", number=True),
    Heading("Restarts"),
)
TIMERS = (Heading("Verdict"), Heading("Timer", main=True), Heading("Schedule"), Heading("Last run"), Heading("Next"))
_KINDS = {"ok": GOOD, "HELD": WARN, "NOT READY": WARN, "FAILED": BAD, "STOPPED": IDLE}
_WORDS = {"ok": "OK"}
_HEALTH = {"not_ready": "not ready", "none": "no check"}
# Results of a job that are none of its own.
_ENDED = ("ok", "ended", "skipped", "running")


def services_table(report: Report, label: str) -> t.Optional[Element]:
    """Return the table of the services of a host; None where there are none."""
    services = report["services"][:MOST]
    if not services:
        return None
    failing = failing_by_subject(report)
    words = {one["name"]: "STOPPED" if one["stopped"] else verdict_word(failing.get(one["name"])) for one in services}
    rows = [_service(one, words[one["name"]]) for one in services]
    return table(label, COLUMNS, rows, class_="services")


def up_of(report: Report) -> t.Tuple[int, int]:
    """Return how many services are up, and how many are to be, those left out that somebody has stopped."""
    failing = failing_by_subject(report)
    wanted = [one for one in report["services"] if not one["stopped"]]
    return sum(verdict_word(failing.get(one["name"])) == "ok" for one in wanted), len(wanted)


def _service(one: ServiceRow, word: str) -> Element:
    kind = _KINDS.get(word, BAD)
    cells: t.Sequence[Cell] = (
        state(_WORDS.get(word, word), kind),
        breakable(one["name"]),
        _state(one),
        _ports(one),
        _health(one),
        lasting(one["uptime"]),
        _restarts(one),
    )
    return row(COLUMNS, cells, class_=None if kind == GOOD else kind)


def _state(one: ServiceRow) -> Cell:
    if one["stopped"]:
        return [f"by {name_of(one['stopped']['by'])} ", moment(one["stopped"]["at"])]
    told: t.List[Child] = [one_line(one["state"], NAME)]
    if one["pid"] is not None:
        told.append(element("small", f"pid {one['pid']}"))
    return told


def _ports(one: ServiceRow) -> str:
    named = [f"{name_of(name)} {port}{'/udp' if name in one['udp'] else ''}" for name, port in one["ports"].items()]
    shown = named or ([] if one["port"] is None else [str(one["port"])])
    shown += [name_of(os.path.basename(one["socket"]))] if one["socket"] else []
    return ", ".join(shown) or "-"


def _health(one: ServiceRow) -> Cell:
    told: t.List[Child] = [_HEALTH.get(one["health"], one["health"])]
    if one["latency_ms"] is not None:
        told.append(element("small", lasting(one["latency_ms"] / 1000)))
    if one["health"] in ("failed", "not_ready") and one["answer"]:
        told.append(element("small", one_line(one["answer"], ANSWER)))
    return told


def _restarts(one: ServiceRow) -> Cell:
    last = one["last_exit"]
    if last is None:
        return "-"
    how = last["signal"] or ("unseen" if last["code"] is None else f"code {last['code']}")
    return [count(one["exits"], "time"), element("small", f"last {name_of(how)} ", moment(last["at"]))]


def timers_table(timers: t.Sequence[TimerRow], label: str) -> t.Optional[Element]:
    """Return the table of the timers of a host; None where there are none."""
    return table(label, TIMERS, [_timer(one) for one in timers[:MOST]], class_="timers") if timers else None


def _timer(one: TimerRow) -> Element:
    last = one["last"]
    word, kind = ("FAILED", BAD) if one["failed"] else ("LATE", WARN) if one["late"] else ("OK", GOOD)
    told: Cell = "none yet"
    if last is not None:
        how = last["result"].replace("_", " ")
        code = f", code {last['exit_code']}" if last["exit_code"] and last["result"] not in _ENDED else ""
        told = [f"{how}{code} ", moment(last["start"])]
    following: Cell = "runs now" if one["running"] else moment(one["next"])
    cells: t.Sequence[Cell] = (state(word, kind), name_of(one["name"]), name_of(one["schedule"]), told, following)
    return row(TIMERS, cells, class_=None if kind == GOOD else kind)
