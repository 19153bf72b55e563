# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The hosts: one table of all of them, and what there is to know of each. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import count
from ..show.words import Reader, runnable
from .elements import Child, Element, element, extend
from .parts import Cell, Heading, facts, fold, lasting, moment, name_of, row, section, sentence, state, table
from .problems import Concern, state_of
from .runs import last_runs, shown
from .services import services_table, timers_table, up_of

if t.TYPE_CHECKING:
    from ..base.page_documents import HostTold, PageHost

# Hosts up to which those that are well are unfolded, too.
UNFOLDED = 3
# Characters of a generation's id that tell it from others.
SHORT = 20
NOTES = 10

COLUMNS = (
    Heading("State"),
    Heading("Host", main=True),
    Heading("Services up", number=True),
    Heading("Release"),
    Heading("Last run"),
    Heading("Rollout"),
    Heading("Last reached"),
)


class Judged(t.NamedTuple):
    """A host with what there is to see to on it.

    Attributes:
        host: it.
        problems: of it, the worst first.
        number: its place among the hosts, from 1.
    """

    host: PageHost
    problems: t.Sequence[Concern]
    number: int

    @property
    def state(self) -> t.Tuple[str, str]:
        """How it is: a word, and its kind."""
        return state_of(self.host, self.problems)

    @property
    def anchor(self) -> str:
        """The name of its place on the page."""
        return f"h{self.number}"


def hosts_table(hosts: t.Sequence[Judged]) -> Element:
    """Return the table of all hosts."""
    return table("The hosts", COLUMNS, [_row(one) for one in hosts], class_="hosts", id="fleet")


def _row(one: Judged) -> Element:
    host, (word, kind) = one.host, one.state
    told = host["told"]
    report = None if told is None else told["report"]
    up, wanted = (0, 0) if report is None else up_of(report)
    runs = [] if told is None else told["runs"]
    last: Cell = "-"
    if runs:
        last = [name_of(runs[0]["mode"] or "?"), element("small", moment(runs[0]["time"]))]
    cells: t.Sequence[Cell] = (
        state(word, kind),
        element("a", name_of(host["name"]), href=f"#{one.anchor}"),
        "-" if report is None else f"{up} of {wanted}",
        (name_of(told["release"]) if told is not None else "") or "-",
        last,
        _rollout(told),
        moment(host["last_reached"], "never"),
    )
    return row(COLUMNS, cells, data_kind=kind)


def _rollout(told: t.Optional[HostTold]) -> Cell:
    record = None if told is None else told["rollout"]
    if record is None:
        return "-"
    if record["drained"]:
        return [f"drained by {name_of(record['drained'])}", element("small", moment(record["since"]))]
    return [record["step"], element("small", moment(record["sign"]))]


def host_details(one: Judged, hosts: int) -> Element:
    """Return all that is known of one host, folded up when it is one of many and well.

    Args:
        one: the host.
        hosts: how many there are on the page.
    """
    word, kind = one.state
    name = name_of(one.host["name"])
    inner = _inner(one, hosts)
    if hosts == 1:
        return extend(section(one.anchor, name, class_="host"), *inner)
    told = one.host["told"]
    report = None if told is None else told["report"]
    said: t.List[Child] = [element("h3", name), state(word, kind)]
    if report is not None:
        up, wanted = up_of(report)
        said.append(element("span", f"{up} of {count(wanted, 'service')} up", class_="quiet"))
    open_ = hosts <= UNFOLDED
    return fold(said, *inner, open_=open_, id=one.anchor, class_="host", data_kind=kind)


def _inner(one: Judged, hosts: int) -> t.List[Child]:
    host, told = one.host, one.host["told"]
    if told is None:
        return [_unreached(host)]
    report = told["report"]
    if report is None:
        error = told["error"]
        return [element("p", sentence("it has told nothing" if error is None else error["message"]), class_="why")]
    name = name_of(host["name"])
    reader = Reader(report["root"], host["by"], host["name"])
    notes = [
        element("p", f"note: {sentence(runnable(note, reader))}", class_="quiet") for note in report["notes"][:NOTES]
    ]
    return [
        _about(told),
        *notes,
        services_table(report, f"The services of {name}"),
        timers_table(report["timers"], f"The timers of {name}"),
        last_runs(told["runs"][: shown(hosts)], 3 if hosts == 1 else 4),
    ]


def _unreached(host: PageHost) -> Element:
    """Return what is known of a host that has not answered: never how it was when it last did."""
    pairs: t.List[t.Tuple[str, Cell]] = [("Why", sentence(host["why"] or "it has not answered"))]
    if not host["reached"]:
        pairs.append(("Not reached since", moment(host["lost_since"], "unknown")))
    pairs.append(("Last reached", moment(host["last_reached"], "never")))
    return facts(*pairs)


def _about(told: HostTold) -> Element:
    report = told["report"]
    pairs: t.List[t.Tuple[str, Cell]] = [("Looked at", moment(told["at"]))]
    if report is not None:
        place, at_work = report["generation"], report["run_at_work"]
        if report["address"]:
            pairs.append(("Address", name_of(report["address"])))
        pairs += [
            ("Root", element("code", name_of(report["root"]))),
            ("Logs", element("code", name_of(report["logs"]))),
        ]
        if place is not None:
            proved = "verified" if place["verified"] else "not verified"
            pairs.append(("Generation", [element("code", name_of(place["id"])[:SHORT]), f" {proved}"]))
        if at_work is not None:
            step = f", at its step {name_of(at_work['step'])}" if "step" in at_work else ""
            pairs.append(("At work", f"{name_of(at_work['verb'])} by {name_of(at_work['who'])}{step}"))
    pairs += [("Release", name_of(told["release"]))] if told["release"] else []
    pairs.append(("Engine", name_of(told["engine"])))
    watch = told["watch"]
    if watch is not None:
        ago = lasting(max(0.0, told["at"] - watch["at"]))
        incidents = count(len(watch["incidents"]), "incident")
        pairs.append(("Watcher", f"{watch['level']}, {incidents}, looked {ago} earlier"))
    return facts(*pairs)
