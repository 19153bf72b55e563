# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The text of a manifest, YAML or JSON, as a stream of events: each scalar, alias, beginning and end with its line."""

from __future__ import annotations

import json
import re
import typing as t
from json.decoder import scanstring  # type: ignore[attr-defined]  # written in C, which its types leave out

from . import corrections

# Without its C library PyYAML reads some 50 kB in a second.
SIZE_LIMIT_SLOW = 32 * 1024
# Python takes quadratic time for longer numbers.
DIGITS_LIMIT = 18


class Refused(Exception):
    """A text cannot be read to its end."""

    def __init__(self, message: str, cure: str, line: t.Optional[int] = None) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure
        self.line = line


class NotJson(Refused):
    """A text is not JSON. It may still be YAML."""


# Tags that Ansible reads: it would decrypt the one, and take no template in the other for one.
OF_ANSIBLE = ("!vault", "!unsafe")


class Encrypted(str):
    """Text with a tag that only Ansible reads."""

    __slots__ = ()


def tagged(tag: str, line: int) -> Refused:
    """Return the refusal of a tag. Ansible would decrypt a !vault; here it would be text like any other."""
    return Refused(
        f"has the tag {tag[:40]!r}, and only plain data is read",
        corrections.ITSELF_OR_INVENTORY,
        line,
    )


# How a scalar was written.
PLAIN = "plain"  # YAML without quotes: builder.py says what it is
QUOTED = "quoted"
READY = "ready"  # JSON: its value is final
# Or it has one of the tags of Ansible, which is its style then.


class Event(t.NamedTuple):
    """One step through a document: ``scalar``, ``alias``, ``{``, ``[`` or ``end``.

    Attributes:
        value: the value of a scalar, or the name of an alias.
        anchor: the name by which aliases may call it.
    """

    kind: str
    line: int
    value: t.Any = None
    style: str = READY
    anchor: t.Optional[str] = None


_JSON_TOKEN = re.compile(r'["{}\[\]]|[^\s"{}\[\],:]+')


def json_events(text: str) -> t.Iterator[Event]:
    """Yield the events of a JSON text.

    Raises:
        NotJson: it is not JSON.
        Refused: it is nested too deep, or has a number that is too large.
    """

    def refuse(name: str) -> t.NoReturn:
        raise ValueError(name)

    def number(digits: str) -> int:
        return int(digits) if len(digits) <= DIGITS_LIMIT else refuse(digits)

    cure = corrections.RESTORE
    try:
        json.loads(text, parse_constant=refuse, parse_int=number)
    except json.JSONDecodeError as exc:
        raise NotJson(f"is not JSON: {exc.msg}, column {exc.colno}", cure, exc.lineno) from exc
    except (ValueError, RecursionError) as exc:
        what = "is nested too deep" if isinstance(exc, RecursionError) else "has a number that is none or far too large"
        raise Refused(what, corrections.NUMBERS) from exc
    line, seen, token = 1, 0, _JSON_TOKEN.search(text)
    while token:
        line += text.count("\n", seen, token.start())
        seen, end, word = token.start(), token.end(), token.group()
        if word == '"':
            # No pattern takes a whole string: of a long one it remembers every sign, which takes 60 times its size.
            value, end = scanstring(text, end)
            yield Event("scalar", line, value)
        elif word in "{[":
            yield Event(word, line)
        elif word in "}]":
            yield Event("end", line)
        else:
            yield Event("scalar", line, json.loads(word))
        token = _JSON_TOKEN.search(text, end)


_NOT_IN_YAML = (
    # Thousands of %TAG directives take libyaml seconds before its first event.
    (re.compile(r"^%", re.MULTILINE), "has a directive, a line that begins with %", corrections.REMOVE_DIRECTIVE),
    (re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"), "has a control character", corrections.REMOVE_CONTROL),
)


def yaml_events(text: str) -> t.Iterator[Event]:
    """Yield the events of a YAML text.

    Raises:
        Refused: it is not YAML, it uses a part of YAML that no manifest needs, or PyYAML is missing.
    """
    try:
        import yaml
    except ImportError as exc:
        raise Refused("is YAML, and this Python has no PyYAML", corrections.JSON_OR_YAML) from exc
    loader: t.Any = getattr(yaml, "CSafeLoader", None)
    if loader is None:
        loader = yaml.SafeLoader
        if len(text) > SIZE_LIMIT_SLOW:
            raise Refused(
                f"is larger than {SIZE_LIMIT_SLOW // 1024} KiB, too much for a PyYAML without its C library",
                corrections.JSON_OR_LIBRARY,
            )
    for pattern, what, cure in _NOT_IN_YAML:
        found = pattern.search(text)
        if found:
            raise Refused(what, cure, text.count("\n", 0, found.start()) + 1)
    documents = 0
    try:
        events: t.Iterable[t.Any] = yaml.parse(text, Loader=loader)
        for event in events:
            if type(event).__name__ == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    raise Refused("has more than one document", corrections.REMOVE_DOCUMENTS, event.start_mark.line + 1)
            else:
                step = _yaml_event(event)
                if step is not None:
                    yield step
    except yaml.YAMLError as exc:
        raise _not_yaml(exc, text) from exc


def _yaml_event(event: t.Any) -> t.Optional[Event]:
    name = type(event).__name__
    line = event.start_mark.line + 1
    tag = getattr(event, "tag", None)
    if tag in OF_ANSIBLE and name == "ScalarEvent":
        return Event("scalar", line, Encrypted(event.value), tag, event.anchor)
    if tag is not None:
        raise tagged(tag, line)
    if name == "ScalarEvent":
        style = PLAIN if event.implicit[0] and not event.style else QUOTED
        return Event("scalar", line, event.value, style, event.anchor)
    if name == "AliasEvent":
        return Event("alias", line, event.anchor)
    if name in ("MappingStartEvent", "SequenceStartEvent"):
        return Event("{" if name[0] == "M" else "[", line, anchor=event.anchor)
    return Event("end", line) if name in ("MappingEndEvent", "SequenceEndEvent") else None


def _not_yaml(exc: t.Any, text: str) -> Refused:
    """Return the refusal of a text that PyYAML cannot read, in its words; the text itself may be secret."""
    mark = getattr(exc, "problem_mark", None)
    words = getattr(exc, "problem", None) or getattr(exc, "reason", None) or "it cannot be read"
    if mark is None:
        return Refused(f"is not YAML: {words}", corrections.RESTORE, None)
    line = mark.line + 1
    before = text.split("\n", line)[mark.line : line]
    if before and re.match(r"[ \t]*\t", before[0]) and not before[0][: mark.column].strip():
        return Refused("is not YAML: a tab indents the line, and only spaces may", corrections.TAB, line)
    return Refused(f"is not YAML: {words}, column {mark.column + 1}", corrections.RESTORE, line)
