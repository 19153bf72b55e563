# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The data in the text of a manifest, built of its events, with the line of every value and the problems of the text.

The usual loaders of YAML and JSON keep the last of two equal keys, forget the lines, expand aliases without a limit,
and take ``08080`` and ``yes`` for what nobody means by them. Here each of these is a problem. Nothing in a text is
executed: ``{{ }}`` is text, and a tag is refused.
"""

from __future__ import annotations

import re
import typing as t

from ..base.errors import Problem
from . import corrections
from .document import VARIABLE, is_inventory_file
from .events import DIGITS_LIMIT, OF_ANSIBLE, PLAIN, Event, Refused, tagged
from .legacy import KEYS as OLDER_KEYS
from .places import Place, name_place

DEPTH_LIMIT = 32
# Values and keys, those that aliases repeat included. A service takes some 20.
NODE_LIMIT = 40_000

_NULL = re.compile(r"(~|null|Null|NULL|)\Z")
_BOOLEAN = re.compile(r"(true|True|TRUE|false|False|FALSE)\Z")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?\Z")
# What YAML 1.1 reads as something else than text; YAML 1.2 and people read most of it in another way.
_TREACHEROUS: t.Sequence[t.Tuple[t.Pattern[str], str]] = (
    (re.compile(r"(yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF)\Z"), "a truth value"),
    (re.compile(r"[-+]?0[0-9_]+\Z"), "a number in base 8 or as text"),
    (re.compile(r"[-+]?0[xX][0-9a-fA-F_]+\Z"), "a number in base 16"),
    (re.compile(r"[-+]?0[bo][0-7_]+\Z"), "a number in another base or as text"),
    (re.compile(r"[-+]?[1-9][0-9]*_[0-9_]*\Z"), "a number without its underscores"),
    (re.compile(r"[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?\Z"), "a number in base 60"),
    (re.compile(r"[-+]?\.(inf|Inf|INF|nan|NaN|NAN)\Z"), "a number that is none"),
)


class _Open:
    """A mapping or list that is not finished."""

    def __init__(self, event: Event, place: Place, nodes: int) -> None:
        self.value: t.Any = {} if event.kind == "{" else []
        self.place = place
        self.anchor = event.anchor
        self.nodes_before = nodes
        self.key: t.Any = None
        self.has_key = False
        self.first_lines: t.Dict[t.Any, int] = {}


class Builder:
    """Builds plain data out of events, and remembers lines and problems."""

    def __init__(self) -> None:
        self.data: t.Any = None
        self.lines: t.Dict[Place, int] = {}
        self._flaws: t.List[t.Tuple[Place, t.Optional[int], str, str, str]] = []
        self._nodes = 0
        self._open: t.List[_Open] = []
        self._first_tag: t.Optional[Refused] = None
        self._anchors: t.Dict[str, t.Tuple[t.Any, int]] = {}

    def build(self, events: t.Iterable[Event]) -> None:
        """Build the data that ``events`` describe.

        Raises:
            Refused: the data is too large or too deep.
        """
        for event in events:
            if event.kind == "end":
                finished = self._open.pop()
                self._remember(finished.anchor, finished.value, finished.nodes_before)
            elif self._open and isinstance(self._open[-1].value, dict) and not self._open[-1].has_key:
                self._key(event)
            else:
                self._value(event)

    def refuse_tags(self) -> None:
        """Refuse the tags that only Ansible reads.

        Raises:
            Refused: there was one.
        """
        if self._first_tag is not None:
            raise self._first_tag

    def complete(self, text: str) -> None:
        """Warn of a YAML text that may have been cut off. A JSON text that was cut off is not JSON."""
        if not text.endswith("\n"):
            line = text.count("\n") + 1
            self.flaw((), line, "does not end with a line's end", corrections.WHOLE_LINE, "warning")

    def flaw(self, place: Place, line: t.Optional[int], message: str, cure: str, severity: str = "error") -> None:
        """Add a problem of the text."""
        self._flaws.append((place, line, message, cure, severity))

    def problems(self) -> t.List[Problem]:
        """Return the problems of the text, with places as the check names them."""
        return [
            Problem(
                (name_place(self._shown(place)) if place else "manifest") + (f" (line {line})" if line else ""),
                message,
                cure,
                severity,
            )
            for place, line, message, cure, severity in self._flaws
            # The other variables of an inventory are not ours to judge.
            if not (place and is_inventory_file(self.data) and place[0] != VARIABLE)
        ]

    def _shown(self, place: Place) -> Place:
        """Return a place as people are told it: a file may hold the content of ``stack`` alone."""
        alone = isinstance(self.data, dict) and not {"stack", VARIABLE} & self.data.keys()
        return ("stack", *place) if alone and place[0] not in OLDER_KEYS else place

    def _count(self, nodes: int, line: int) -> None:
        self._nodes += nodes
        if self._nodes > NODE_LIMIT:
            raise Refused(f"has more than {NODE_LIMIT} values, aliases resolved", corrections.SMALLER, line)

    def _place(self) -> Place:
        """Return the place of the value that comes next."""
        if not self._open:
            return ()
        parent = self._open[-1]
        return (*parent.place, parent.key if isinstance(parent.value, dict) else len(parent.value))

    def _key(self, event: Event) -> None:
        parent = self._open[-1]
        if event.kind != "scalar" or event.style in OF_ANSIBLE:
            raise Refused("has a key that is not a name", corrections.PLAIN_KEY, event.line)
        key = event.value
        if event.style == PLAIN:
            if key == "<<":
                where = f" in {name_place(parent.place)}" if parent.place else ""
                raise Refused(f"has a merge key (<<){where}", corrections.INTO_DEFAULTS, event.line)
            key = self._plain(key, (*parent.place, key), event.line)
        self._count(1, event.line)
        self._remember(event.anchor, key, self._nodes - 1)
        first = parent.first_lines.setdefault(key, event.line)
        if key in parent.value:
            self.flaw(
                (*parent.place, key),
                event.line,
                f"is there twice: first in line {first}",
                corrections.REMOVE_ONE,
            )
        parent.key, parent.has_key = key, True
        self.lines[(*parent.place, key)] = event.line

    def _value(self, event: Event) -> None:
        place = self._place()
        # A value that stands below its key has the line of the key.
        line = self.lines.setdefault(place, event.line)
        self._count(1, event.line)
        if event.kind == "alias":
            self._put(self._alias(event))
        elif event.kind == "scalar":
            if event.style in OF_ANSIBLE and self._first_tag is None:
                self._first_tag = tagged(event.style, line)
            value = self._plain(event.value, place, line) if event.style == PLAIN else event.value
            self._put(value)
            self._remember(event.anchor, value, self._nodes - 1)
        else:
            if len(self._open) == DEPTH_LIMIT:
                raise Refused(f"is nested deeper than {DEPTH_LIMIT} levels", corrections.FLATTER, event.line)
            opened = _Open(event, place, self._nodes - 1)
            self._anchors.pop(event.anchor or "", None)
            self._put(opened.value)
            self._open.append(opened)

    def _put(self, value: t.Any) -> None:
        """Put a value where it belongs."""
        if not self._open:
            self.data = value
            return
        parent = self._open[-1]
        if isinstance(parent.value, dict):
            parent.value[parent.key] = value
            parent.has_key = False
        else:
            parent.value.append(value)

    def _remember(self, anchor: t.Optional[str], value: t.Any, nodes_before: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, self._nodes - nodes_before)

    def _alias(self, event: Event) -> t.Any:
        """Return the value that an alias stands for. It must be finished, so it cannot contain the alias."""
        if event.value not in self._anchors:
            raise Refused("has an alias of what is not there, or not finished", corrections.ITSELF, event.line)
        value, nodes = self._anchors[event.value]
        self._count(nodes, event.line)
        return value

    def _plain(self, text: str, place: Place, line: int) -> t.Any:
        """Return the value of a YAML scalar without quotes: the cases of YAML 1.1 on which all agree, else text."""
        if _NULL.match(text):
            return None
        if _BOOLEAN.match(text):
            return text.lower() == "true"
        if _INTEGER.match(text):
            if len(text) <= DIGITS_LIMIT:
                return int(text)
            self.flaw(place, line, "is too large for a number", corrections.TEXT_IN_QUOTES)
        elif _FLOAT.match(text):
            return float(text)
        for pattern, meaning in _TREACHEROUS:
            if pattern.match(text):
                # A secret is not repeated, not even a wrong one.
                shown = "what is written" if "secrets" in place else f"'{text[:40]}'"
                self.flaw(place, line, f"{shown} without quotes may be read as {meaning}", _cure(text))
        return text


def _cure(text: str) -> str:
    """Return what to write instead of a treacherous scalar."""
    word = text.lower()
    if word in ("yes", "on", "no", "off"):
        return corrections.truth(word)
    return corrections.PLAIN_NUMBER
