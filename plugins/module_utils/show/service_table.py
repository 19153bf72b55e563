# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The table of the roll call: one line a service. Pure."""

from __future__ import annotations

import os
import typing as t

from ..base.text import printable, readable_time
from .words import Painter, duration

if t.TYPE_CHECKING:
    from ..base.documents import ServiceRow

# Below this a name says nothing any more; a narrower terminal wraps instead.
SHORTEST_NAME = 12
# Services that are told below the table to have ended, where it has no room for that.
MOST_ENDED = 6


class Column(t.NamedTuple):
    """One column of the table.

    Attributes:
        head: its heading.
        cell: what stands in it, from a service's row of the report and the word for its verdict.
        right: whether it is aligned to the right.
        spare: whether it is left out on a narrow terminal; the last of those goes first.
        cut: whether its cells are cut when the terminal is narrower than the other columns.
        judged: whether it is shown only where there is a verdict.
        kind: how a cell is painted, from the same two: good, bad, warn, or empty for not at all.
    """

    head: str
    cell: t.Callable[[ServiceRow, str], str]
    right: bool = False
    spare: bool = False
    cut: bool = False
    judged: bool = False
    kind: t.Callable[[ServiceRow, str], str] = lambda _service, _word: ""


def _number(key: t.Literal["pid"]) -> t.Callable[[ServiceRow, str], str]:
    return lambda service, _word: "-" if service[key] is None else str(service[key])


def _ports(service: ServiceRow, _word: str) -> str:
    udp = service["udp"]
    shown = [f"{port}/udp" if name in udp else str(port) for name, port in service["ports"].items()]
    shown = shown or ([] if service["port"] is None else [str(service["port"])])
    # All of a path would push the rest off a terminal; `rollcall ports show-config` has it.
    shown += [printable(os.path.basename(service["socket"]))] if service["socket"] else []
    return ",".join(shown) or "-"


def _latency(service: ServiceRow, _word: str) -> str:
    latency = service["latency_ms"]
    return "-" if latency is None else duration(latency / 1000)


def _uptime(service: ServiceRow, _word: str) -> str:
    """Return an uptime in its two largest units."""
    seconds = service["uptime"]
    if seconds is None:
        return "-"
    whole = int(seconds)
    for size, unit, smaller, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {small_unit}"
    return f"{whole // 60} min" if whole >= 120 else f"{whole} s"


def _last_exit(service: ServiceRow, _word: str) -> str:
    """Return how often a service has ended by itself, and how long ago that was for the last time."""
    last = service["last_exit"]
    if last is None:
        return "-"
    how = last["signal"] or ("unseen" if last["code"] is None else f"code {last['code']}")
    return f"{service['exits']}, {how} {readable_time(last['at'])[5:16]}"


def _downtime(service: ServiceRow, _word: str) -> str:
    """Return for how long a run has taken a service away."""
    return "-" if service["downtime"] is None else duration(service["downtime"])


def _state_kind(service: ServiceRow, word: str) -> str:
    return "" if service["state"] == "RUNNING" else "warn" if word == "ok" else "bad"


_HEALTH = {"none": "-", "not_ready": "not ready"}
_HEALTH_KINDS = {"failed": "bad", "not_ready": "warn"}
_WORDS = {"ok": "good", "-": "quiet"}

EXITS = Column("exits", _last_exit, spare=True, kind=lambda service, _: "warn" if service["exits"] else "")
COLUMNS = (
    Column("", lambda _, word: word, judged=True, kind=lambda _, word: _WORDS.get(word, "bad")),
    Column("service", lambda service, _: printable(service["name"]), cut=True),
    Column("state", lambda service, _: "stopped" if service["stopped"] else service["state"], kind=_state_kind),
    Column("pid", _number("pid"), right=True),
    Column("port", _ports, right=True),
    Column(
        "health",
        lambda service, _: _HEALTH.get(service["health"], service["health"]),
        kind=lambda service, _: _HEALTH_KINDS.get(service["health"], ""),
    ),
    EXITS,
    Column("away", _downtime, right=True, spare=True),
    Column("latency", _latency, right=True, spare=True),
    Column("uptime", _uptime, right=True, spare=True),
)


def service_table(
    services: t.Sequence[ServiceRow],
    words: t.Mapping[str, str],
    width: int,
    paint: Painter,
    *,
    narrow: t.Sequence[str] = (),
) -> str:
    """Return a line of headings and one line a service.

    Args:
        services: their rows of the report.
        words: for the verdict of each, by its name: ok, HELD or FAILED, or - for one that somebody has stopped; empty
            where nothing was judged.
        width: columns of the terminal.
        paint: colours a text.
        narrow: headings of columns that are left out as well where the terminal has no room for them.
    """
    empty = {
        "exits": not any(service["exits"] for service in services),
        "away": all(service["downtime"] is None for service in services),
    }
    shown = [column for column in COLUMNS if (words or not column.judged) and not empty.get(column.head)]
    rows = [(service, words.get(service["name"], "ok")) for service in services]
    cells = [[column.cell(*row) for column in shown] for row in rows]
    widths = [max(map(len, each)) for each in zip([column.head for column in shown], *cells)]
    while _total(widths) > width:
        spare = [place for place, column in enumerate(shown) if column.spare or column.head in narrow]
        if not spare:
            break
        last = spare[-1]
        del shown[last], widths[last]
        cells = [row[:last] + row[last + 1 :] for row in cells]
    told = (
        _ended(services) if not narrow and any(service["exits"] for service in services) and EXITS not in shown else []
    )
    over = _total(widths) - width
    if over > 0:
        widths = [
            max(min(SHORTEST_NAME, size), size - over) if column.cut else size for column, size in zip(shown, widths)
        ]
    # Padded before it is coloured: escape codes have a length and no width.
    heads = paint("  ".join(map(_fitted, [column.head for column in shown], shown, widths)).rstrip(), "quiet")
    lines = [
        "  ".join(
            paint(_fitted(text, column, size), column.kind(*row)) for text, column, size in zip(line, shown, widths)
        ).rstrip()
        for row, line in zip(rows, cells)
    ]
    return "\n".join([heads, *lines, *told])


def _ended(services: t.Sequence[ServiceRow]) -> t.List[str]:
    """Return the services that have ended by themselves, in lines for a terminal that has no room for the column."""
    those = [service for service in services if service["exits"]]
    lines = [f"{printable(service['name'])} has ended: {_last_exit(service, '')}" for service in those[:MOST_ENDED]]
    return [*lines, f"{len(those) - MOST_ENDED} more have ended"] if len(those) > MOST_ENDED else lines


def _total(widths: t.Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _fitted(text: str, column: Column, width: int) -> str:
    """Return a cell of this width, cut in the middle: names of one family differ at their ends."""
    if len(text) > width:
        tail = (width - 1) // 2
        text = f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"
    return text.rjust(width) if column.right else text.ljust(width)
