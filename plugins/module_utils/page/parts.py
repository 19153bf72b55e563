# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the sections of the page share: a state, a time, a command, evidence, a table. Pure."""

from __future__ import annotations

import re
import time
import typing as t

from ..base.text import count, one_line, span
from .elements import Child, Element, Value, element, extend

# Kinds of a state. Each has a colour and a shape of its own, and stands beside a word.
GOOD, BAD, WARN, IDLE = "good", "bad", "warn", "idle"
WORST = (BAD, WARN, IDLE, GOOD)

# Characters of a name, of a sentence, of a line of evidence, and lines of evidence. What others wrote has a measure.
NAME, SENTENCE, LINE, LINES = 120, 300, 240, 30
# Of evidence that has more lines its first ones are shown: they say what it is about. And its last ones, for a log ends
# with what went wrong.
FIRST_LINES = 8

# A word of a name, with what joins it to the next one.
_WORDS = re.compile(r"[^_.-]*[_.-]+|[^_.-]+")
# What stands where there is nothing to say. On a narrow screen such a cell is left out.
NOTHING = "-"
# Where the reader sees an ellipsis, something is left out.
LEFT_OUT = "…"


def state(word: str, kind: str, **attributes: Value) -> Element:
    """Return a word that says how something is, with the colour and the shape of its kind."""
    return element("b", word, class_=f"s {kind}", **attributes)


def name_of(text: str) -> str:
    """Return a name that others have given, in one line and not too long."""
    return one_line(text, NAME)


def breakable(text: str) -> t.List[Child]:
    """Return a name that may go on in the next line after a sign that joins words."""
    found: t.List[Child] = []
    for part in _WORDS.findall(name_of(text)):
        found += [element("wbr"), part] if found else [part]
    return found


def sentence(text: str) -> str:
    """Return the words of others as one line."""
    return one_line(text, SENTENCE)


def moment(seconds: t.Optional[float], otherwise: str = NOTHING) -> t.Union[Element, str]:
    """Return a time as people read it, with what a program needs to say how long ago that is.

    Args:
        seconds: since the epoch; None when it is not known.
        otherwise: what is said then.
    """
    local = None if seconds is None else _local(seconds)
    if local is None:
        return otherwise
    return element("time", time.strftime("%Y-%m-%d %H:%M:%S", local), datetime=_iso(local))


def _local(seconds: float) -> t.Optional[time.struct_time]:
    try:
        found = time.localtime(seconds)
    except (ValueError, OverflowError, OSError):
        # A year that no calendar has, as others may have written it.
        return None
    return found if 0 < found.tm_year < 10_000 else None


def _iso(local: time.struct_time) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + zone_of(local.tm_gmtoff)


def zone_of(seconds: int) -> str:
    """Return an offset from UTC as RFC 3339 writes it, such as +01:00."""
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"


def lasting(seconds: t.Optional[float], otherwise: str = NOTHING) -> str:
    """Return how long something took or has lasted, in its two largest units."""
    if seconds is None or not 0 <= seconds < 1e11:
        return otherwise
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else span(round(seconds))


def command(text: str) -> Element:
    """Return a command with a button that copies it, which a script brings to life."""
    copy = element("button", "Copy", type="button", class_="copy", hidden=True)
    return element("div", element("code", text), copy, class_="cmd")


def evidence(text: str, most: int = LINES) -> t.Optional[Element]:
    """Return what was seen, as it was written; of much of it the beginning and the end. None when there is nothing.

    Args:
        text: of one or several lines.
        most: how many lines of it are shown.
    """
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    lines = [line if len(line) <= LINE else line[:LINE] + LEFT_OUT for line in lines if line]
    if not lines:
        return None
    if len(lines) > most:
        first = min(FIRST_LINES, most // 2)
        between = f"{LEFT_OUT} {count(len(lines) - most, 'line')} more {LEFT_OUT}"
        lines = [*lines[:first], between, *lines[len(lines) - (most - first) :]]
    return element("pre", "\n".join(lines))


def facts(*pairs: t.Tuple[str, t.Union[Child, t.Sequence[Child]]]) -> Element:
    """Return what is known of something: words and what they stand for."""
    made = element("dl", class_="facts")
    for word, value in pairs:
        parts = value if isinstance(value, (list, tuple)) else (value,)
        made.append(element("div", element("dt", word), element("dd", *parts)))
    return made


class Heading(t.NamedTuple):
    """One column of a table.

    Attributes:
        head: its heading.
        number: whether it has numbers, which are aligned to the right.
        main: whether it names what the row is about.
    """

    head: str
    number: bool = False
    main: bool = False


# A cell: what is in it.
Cell = t.Union[Child, t.Sequence[Child]]


def table(label: str, columns: t.Sequence[Heading], rows: t.Iterable[Element], **attributes: Value) -> Element:
    """Return a table.

    Its parts have roles besides: on a narrow screen a row is shown as a card, and some browsers take a table for none
    when it is not laid out as one.

    Args:
        label: what it is of, for who cannot see it.
        columns: its columns.
        rows: as `row` returns them.
        attributes: of the table.
    """
    heads = element("tr", role="row")
    for column in columns:
        kind = "n" if column.number else None
        heads.append(element("th", column.head, scope="col", role="columnheader", class_=kind))
    body = element("tbody", role="rowgroup")
    body.extend(rows)
    head = element("thead", heads, role="rowgroup")
    return element("table", element("caption", label), head, body, role="table", **attributes)


def row(columns: t.Sequence[Heading], cells: t.Sequence[Cell], **attributes: Value) -> Element:
    """Return a row of a table, with a cell for each column."""
    made = element("tr", role="row", **attributes)
    for column, cell in zip(columns, cells):
        parts = cell if isinstance(cell, (list, tuple)) else (cell,)
        if column.main:
            made.append(element("th", *parts, scope="row", role="rowheader"))
        else:
            kinds = [*(["n"] if column.number else []), *(["e"] if parts == (NOTHING,) else [])]
            made.append(element("td", *parts, role="cell", class_=" ".join(kinds) or None))
    return made


def section(identity: str, title: str, *children: Child, **attributes: Value) -> Element:
    """Return a section with its heading."""
    heading = element("h2", title, id=identity)
    return element("section", heading, *children, aria_labelledby=identity, **attributes)


def fold(summary: t.Sequence[Child], *children: Child, open_: bool = False, **attributes: Value) -> Element:
    """Return what is shown when somebody wants to see it."""
    made = element("details", element("summary", *summary), open=open_, **attributes)
    return extend(made, *children)


def joined(parts: t.Sequence[Child], between: str = ", ") -> t.List[Child]:
    """Return parts with a text between each two of them."""
    found: t.List[Child] = []
    for part in parts:
        found += [between, part] if found else [part]
    return found
