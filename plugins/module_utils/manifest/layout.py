# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where everything stands in the text of a manifest, and how one value of it becomes another.

Everything but the one value stays as it is, byte for byte. That is why a text is not read and written again as a
whole: not even ruamel.yaml keeps two blanks before a value, an indentation that differs within the file, or CRLF.
"""

from __future__ import annotations

import abc
import dataclasses
import re
import typing as t

from ..base.errors import RollcallError
from . import corrections
from .places import name_place

# The keys that lead to a value of a text.
Keys = t.Tuple[str, ...]

# In the place of a value: there is none, or is to be none.
GONE: t.Any = object()


@dataclasses.dataclass
class Node:
    """A value or key in a text.

    Attributes:
        kind: ``{``, ``[``, ``scalar`` or ``alias``.
        start: index of its first character, its tag and its anchor included.
        end: index behind its last character.
        flow: for a mapping or list: whether it stands in brackets. Otherwise indentation holds it together.
        text: for a scalar: its text.
        quote: for a scalar: ``'``, ``"``, ``|``, ``>`` or ''.
        keys: for a mapping: its keys.
        values: for a mapping or list: its values.
    """

    kind: str
    start: int
    end: int
    flow: bool = True
    text: str = ""
    quote: str = ""
    keys: t.List[Node] = dataclasses.field(default_factory=list)
    values: t.List[Node] = dataclasses.field(default_factory=list)

    @property
    def collection(self) -> bool:
        """Whether it is a mapping or a list."""
        return self.kind in ("{", "[")

    @property
    def block(self) -> bool:
        """Whether it is a mapping or list that indentation holds together."""
        return self.collection and not self.flow

    def names(self) -> t.List[t.Optional[str]]:
        """Return the keys of a mapping, None for one that is not a scalar; no keys for anything else."""
        return [key.text if key.kind == "scalar" else None for key in self.keys]

    def secrets(self, secret: bool = False) -> t.Iterator[Node]:
        """Find all scalars below a key ``secrets``."""
        if self.kind == "scalar" and secret:
            yield self
        names = self.names() if self.keys else [None] * len(self.values)
        for name, value in zip(names, self.values):
            yield from value.secrets(secret or name == "secrets")


class Layout(abc.ABC):
    """Where everything stands in a text, and how values are written in its language.

    Attributes:
        text: the whole text.
        root: its one value.
        gap: the characters between a key and its value.
    """

    text: str
    root: Node
    gap = ": "

    @abc.abstractmethod
    def written(self, value: t.Any, in_flow: bool, like: t.Optional[Node]) -> str:
        """Return a value as text. A line's end comes first when the value stands below its key.

        Args:
            value: plain data.
            in_flow: whether it stands within brackets.
            like: the old value, or a neighbour, whose style it gets.
        """

    def plain_text(self) -> str:
        """Return the text without tags, and with merge keys in quotes, for a reader of plain data."""
        return self.text

    def find(self, place: Keys) -> t.Optional[Node]:
        """Return the value at a place; None when there is none, or an alias or merge key gives it."""
        node = self.root
        for key in place:
            names = node.names()
            if key not in names:
                return None
            node = node.values[names.index(key)]
        return node

    def shown(self) -> str:
        """Return the text with asterisks for the values of secrets."""
        text = self.text
        for node in sorted(self.root.secrets(), key=lambda node: -node.start):
            text = f"{text[: node.start]}********{text[node.end :]}"
        return text

    def changed(self, place: Keys, value: t.Any) -> str:
        """Return the text with another value at a place, :data:`GONE` for none; missing keys on the way are made.

        Raises:
            RollcallError: ``refused``: an alias or a merge key gives the value or one around it. ``wrong_use``: a key
                on the way is there twice.
        """
        parent: t.Optional[Node] = None
        index = 0
        node = self.root
        for number, key in enumerate(place):
            names = node.names()
            if node.kind == "alias" or (value is GONE and key not in names):
                raise shared(name_place(place))
            if not node.collection and parent is not None:
                # The value is empty: a mapping takes its place.
                return _replaced(self, parent, index, _around(place[number:], value))
            if names.count(key) > 1:
                raise RollcallError(
                    f"{name_place(place[: number + 1])} is in the manifest twice, and no rule says which one counts.",
                    kind="wrong_use",
                    evidence={"place": list(place)},
                    remedies=[corrections.REMOVE_ONE],
                )
            if key not in names:
                return _inserted(self, node, key, _around(place[number + 1 :], value))
            parent, index = node, names.index(key)
            node = parent.values[index]
        if parent is None:
            raise ValueError("a manifest as a whole is no place in it")
        if value is not GONE:
            return _replaced(self, parent, index, value)
        above = self.find(place[:-2])
        if len(parent.keys) == 1 and parent.block and above is not None and len(place) > 1:
            # Without its last key, nothing would be left of a mapping without brackets.
            return _replaced(self, above, above.names().index(place[-2]), {})
        return _removed(self, parent, index)


def shared(where: str) -> RollcallError:
    """Return the error that a change was refused because it would also change, or not change, the place ``where``."""
    return RollcallError(
        f"The manifest was left as it is: {where} would not be as asked for. An alias (*), an anchor (&) or a merge "
        "key (<<) ties places to each other there.",
        kind="refused",
        evidence={"place": where},
        remedies=[corrections.NO_ALIAS],
    )


def nested(value: t.Any) -> bool:
    """Return whether a mapping or list has others in it."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(isinstance(item, (dict, list)) and item for item in items)


# --- the text ----------------------------------------------------------------------------------------------------


def _around(keys: Keys, value: t.Any) -> t.Any:
    """Return a value with mappings around it."""
    for key in reversed(keys):
        value = {key: value}
    return value


def _replaced(layout: Layout, mapping: Node, index: int, value: t.Any) -> str:
    """Return the text with another value for a key."""
    text, key, old = layout.text, mapping.keys[index], mapping.values[index]
    written = layout.written(value, mapping.flow, old)
    below = written.startswith("\n")
    if below:
        written = _indented(written, " " * column_of(text, key.start))
    else:
        written = _indented(written, _margin(text, key.start))
    if not below and not old.block:
        glue = "" if old.start < old.end else " " if ":" in text[key.end : old.start] else ": "
        # An anchor stays, because aliases may name it. That their values change is noticed later.
        anchor = _ANCHOR.match(text, old.start, old.end)
        return _put(text, anchor.end() if anchor else old.start, old.end, glue + written)
    colon = text.index(":", key.end) + 1
    # A value below its key is replaced together with the line's end before it; a comment behind the key stays.
    start = _before_line_end(text, text.rfind("\n", colon, old.start)) if old.block else colon
    start = len(text[: old.start].rstrip(" ")) if start < colon else start
    if old.block and below:
        return _put(text, start, old.end, written)
    if old.block:
        return _put(_put(text, start, old.end, ""), colon, colon, f" {written}")
    line_end = _line_end(text, old.end)
    rest = text[old.end : line_end].rstrip(" ")
    return _put(text, colon, line_end, rest + written)


def _inserted(layout: Layout, mapping: Node, key: str, value: t.Any) -> str:
    """Return the text with one more key behind the last one of a mapping."""
    text = layout.text
    kind = "{" if isinstance(value, dict) else "["
    like = next((node for node in reversed(mapping.values) if node.kind == kind), None)
    written = layout.written(value, mapping.flow, like if isinstance(value, (dict, list)) else None)
    name = layout.written(key, mapping.flow, None)
    entry = name + (":" if written.startswith("\n") else layout.gap) + written
    if mapping.block:
        column = column_of(text, mapping.keys[0].start)
        at = _behind(text, mapping.values[-1].end, column)
        return _put(text, at, at, _indented(f"\n{entry}", " " * column))
    if not mapping.keys:
        at = text.index("{", mapping.start) + 1
        return _put(text, at, at, _indented(entry, _margin(text, at)))
    first, last = mapping.keys[-1], mapping.values[-1]
    margin = _margin(text, first.start)
    entry = _indented(entry, margin)
    if not _begins_line(text, first.start):
        gap = text[mapping.values[-2].end : first.start] if len(mapping.keys) > 1 else ""
        comma = gap if re.fullmatch(r"\s*,[ \t]*", gap) else "," if layout.gap == ":" else ", "
        return _put(text, last.end, last.end, comma + entry)
    own = _OWN_LINE.match(text, last.end)
    if own is None:
        return _put(text, last.end, last.end, f",\n{margin}{entry}")
    end = _before_line_end(text, own.end())
    entry = f"\n{margin}{entry}{own['comma']}"
    return _put(_put(text, end, end, entry), last.end, last.end, "" if own["comma"] else ",")


def _removed(layout: Layout, mapping: Node, index: int) -> str:
    """Return the text without a key and its value. A comment stays unless it is in that value or behind it."""
    text, key, old = layout.text, mapping.keys[index], mapping.values[index]
    if len(mapping.keys) == 1 and mapping.flow:
        return _put(text, text.index("{", mapping.start) + 1, mapping.end - 1, "")
    own = _OWN_LINE.match(text, old.end)
    if mapping.block or (own is not None and _begins_line(text, key.start)):
        end = _behind(text, old.end, column_of(text, key.start)) if mapping.block else _line_end(text, old.end)
        text = _without_lines(text, text.rfind("\n", 0, key.start) + 1, end)
        if mapping.block or index < len(mapping.keys) - 1 or (own is not None and own["comma"]):
            return text
        # It was the last one: the comma of the one before it must go.
        comma = text.index(",", mapping.values[index - 1].end)
        return _put(text, comma, comma + 1, "")
    if index:
        return _put(text, mapping.values[index - 1].end, old.end, "")
    return _put(text, key.start, mapping.keys[1].start, "")


_ANCHOR = re.compile(r"&[^\s,\[\]{}]+[ \t]+")
# The rest of a line whose last part is a value: a comma and a comment at most.
_OWN_LINE = re.compile(r"[ \t]*(?P<comma>,?)[ \t]*(?:#[^\n]*)?(?=\r?\n)")


def _put(text: str, start: int, end: int, new: str) -> str:
    """Return the text with another part from ``start`` to ``end``, its lines ended as the others are."""
    return text[:start] + (new.replace("\n", "\r\n") if "\r\n" in text else new) + text[end:]


def _indented(text: str, margin: str) -> str:
    return text.replace("\n", f"\n{margin}")


def column_of(text: str, at: int) -> int:
    """Return how many characters stand before a place in its line."""
    return at - text.rfind("\n", 0, at) - 1


def _margin(text: str, at: int) -> str:
    """Return the indentation of the line of a place."""
    line = text[text.rfind("\n", 0, at) + 1 :]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _begins_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _before_line_end(text: str, at: int) -> int:
    """Return where a line's end begins whose last character is at ``at``: it may be CRLF."""
    return at - 1 if text[at - 1 : at] == "\r" else at


def _line_end(text: str, at: int) -> int:
    """Return where the line of a place ends."""
    end = text.find("\n", at)
    return len(text) if end < 0 else _before_line_end(text, end)


def _behind(text: str, at: int, column: int) -> int:
    """Return the end of a value's last line, with the comments below it that are indented deeper than ``column``."""
    deeper = re.compile(rf"[^\n]*(?:\n {{{column + 1},}}#[^\n]*)*").match(text, at)
    end = at if deeper is None else deeper.end()
    return end if end == len(text) else _before_line_end(text, end)


def _without_lines(text: str, start: int, end: int) -> str:
    """Return the text without some lines. When the text had no line's end at its end, it still has none."""
    following = text.find("\n", end)
    if following >= 0:
        return text[:start] + text[following + 1 :]
    return text[: _before_line_end(text, start - 1)]
