# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""When what was done: the phases of the last runs of a host, and how the last rollout went through the fleet. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import count, run_result
from .elements import Child, Element, element
from .parts import (
    BAD,
    GOOD,
    IDLE,
    WARN,
    Cell,
    Heading,
    fold,
    lasting,
    moment,
    name_of,
    row,
    section,
    sentence,
    state,
    table,
)

if t.TYPE_CHECKING:
    from ..base.command_documents import RunSummary
    from ..base.page_documents import PageHost
    from ..base.rollout_documents import RolloutData

# Runs that a page of one host shows, that it shows of all its hosts together, and that it shows of each at least.
MOST, OF_ALL, LEAST = 10, 100, 1
# Seconds that are measured besides the steps, and go on beside them.
_BESIDE = ("running", "healthy")
# Hosts of a rollout up to which all are seen at once.
UNFOLDED = 12
# How long a bar is, in units of its own.
LENGTH = 1000
# Colours of phases.
COLOURS = 6
# Phases of a run that are shown. No run has as many.
PHASES = 30
# Checks that are named of a run that failed.
NAMED = 3

_GOOD, _IDLE = ("ok", "planned"), ("running", "held", "not_ready", "stopped")
_STEPS = {"done": GOOD, "failed": BAD, "reverted": WARN, "inconclusive": WARN}
COLUMNS = (
    Heading("Outcome"),
    Heading("Host", main=True),
    Heading("Began"),
    Heading("Took", number=True),
    Heading("When"),
)


def shown(hosts: int) -> int:
    """Return how many runs of a host are shown on a page of so many hosts."""
    return max(LEAST, min(MOST, OF_ALL // max(hosts, 1)))


def last_runs(runs: t.Sequence[RunSummary], level: int) -> t.Optional[Element]:
    """Return the latest runs of a host with what each of their phases took; None when there was none.

    Args:
        runs: the newest first.
        level: of its heading.
    """
    if not runs:
        return None
    longest = max((run["seconds"] or 0.0 for run in runs), default=0.0)
    listed = element("ol", class_="runs")
    listed.extend([_run(run, longest) for run in runs])
    # No section: a page of many hosts would have as many places of one name.
    return element("div", element(f"h{level}", "Last runs"), listed, class_="part")


def _run(run: RunSummary, longest: float) -> Element:
    result = run["result"]
    kind = GOOD if result in _GOOD else IDLE if result in _IDLE else BAD
    mode = " ".join([name_of(run["mode"] or "?"), *map(name_of, run["services"][:NAMED])])
    who = f"by {name_of(run['who'])}{', automatic' if run['automatic'] else ''}, " if run["who"] else ""
    head = element(
        "p",
        state(name_of(run_result(result)), kind),
        element("b", f" {mode}"),
        f" took {lasting(run['seconds'])} ",
        element("span", who, moment(run["time"]), class_="quiet"),
    )
    phases = [(name_of(name), seconds) for name, seconds in run["timings"].items() if seconds > 0][:PHASES]
    made = element("li", head, _bar([seconds for name, seconds in phases if name not in _BESIDE], longest))
    if phases:
        made.append(_legend(phases))
    why = run["message"] or ", ".join(run["failed"][:NAMED])
    if why and kind == BAD:
        made.append(element("p", sentence(why), class_="why"))
    return made


def _bar(parts: t.Sequence[float], longest: float) -> t.Optional[Element]:
    """Return the phases of a run one after the other, as long as they took; the legend says the same in words."""
    if not parts or longest <= 0:
        return None
    scale = LENGTH / max(longest, sum(parts))
    made = _drawing()
    begin = 0.0
    for number, seconds in enumerate(parts):
        made.append(_rectangle(begin * scale, seconds * scale, f"p{number % COLOURS}"))
        begin += seconds
    return made


def _legend(phases: t.Sequence[t.Tuple[str, float]]) -> Element:
    made = element("p", class_="phases")
    number = 0
    for name, seconds in phases:
        colour: Child = None
        if name not in _BESIDE:
            colour = element("i", class_=f"p{number % COLOURS}")
            number += 1
        made.append(element("span", colour, f"{name} {lasting(seconds)}"))
    return made


def _drawing(label: str = "") -> Element:
    """Return a drawing with what it says for who cannot see it; without that it says nothing that is not beside it."""
    said: t.Mapping[str, str] = {"role": "img", "aria_label": label} if label else {"aria_hidden": "true"}
    return element("svg", viewBox=f"0 0 {LENGTH} 12", preserveAspectRatio="none", class_="bar", **said)


def _rectangle(begin: float, length: float, kind: str) -> Element:
    # A drawing's own attributes are no style: the page's policy does not forbid them.
    return element("rect", x=round(begin), y=0, width=max(2, round(length)), height=12, class_=kind)


# --- the last rollout ---------------------------------------------------------------------------------------------


def rollout_section(hosts: t.Sequence[PageHost]) -> t.Optional[Element]:
    """Return how the last rollout went through the hosts; None when none of them has had one."""
    records = {host["name"]: host["told"]["rollout"] for host in hosts if host["told"] is not None}
    known = {name: record for name, record in records.items() if record is not None}
    if not known:
        return None
    last = max(known.values(), key=lambda record: record["began"])
    of_it = {name: record for name, record in known.items() if record["origin"] == last["origin"]}
    began = min(record["began"] for record in of_it.values())
    ended = max(record["sign"] for record in of_it.values())
    rows = [
        _host(name, record, began, ended) for name, record in sorted(of_it.items(), key=lambda one: one[1]["began"])
    ]
    done = sum(record["step"] == "done" for record in of_it.values())
    words = element(
        "p",
        element("code", name_of(last["id"])),
        f" by {name_of(last['by'])}, began ",
        moment(began),
        f", {done} of {count(len(of_it), 'host')} done, took {lasting(ended - began)}",
    )
    label = f"The hosts of rollout {name_of(last['id'])}"
    shown_rows: Child = table(label, COLUMNS, rows, class_="rollout")
    if len(of_it) > UNFOLDED:
        shown_rows = fold([f"When it was on which of the {len(of_it)} hosts"], shown_rows, class_="rest")
    return section("rollout", "Last rollout", words, shown_rows)


def _host(name: str, record: RolloutData, began: float, ended: float) -> Element:
    step, took = record["step"], max(0.0, record["sign"] - record["began"])
    kind = _STEPS.get(step, IDLE)
    scale = LENGTH / max(ended - began, 1.0)
    label = f"{lasting(record['began'] - began)} after the first, for {lasting(took)}"
    drawn = _drawing(label)
    drawn.append(_rectangle((record["began"] - began) * scale, took * scale, f"k{kind}"))
    drained = [element("small", f"drained by {name_of(record['drained'])}")] if record["drained"] else []
    cells: t.Sequence[Cell] = (
        [state(step.upper(), kind), *drained],
        name_of(name),
        moment(record["began"]),
        lasting(took),
        drawn,
    )
    return row(COLUMNS, cells)
