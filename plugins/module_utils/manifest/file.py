# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Manifest files, YAML and JSON: read as plain data, with the line of every value, within bounds of size and time.

Both are read as a stream of events and built here, because YAML's and JSON's own loaders keep the last of two equal
keys, forget the lines, expand aliases without end, and take ``08080`` and ``yes`` for what nobody means by them.
Nothing in a file is executed: ``{{ }}`` is text, and a tag is refused.
"""

from __future__ import annotations

import json
import os
import re
import stat
import typing as t

from ..base.errors import Problem, RollcallError
from .check import Result, check
from .legacy import KEYS as OLDER_KEYS
from .legacy import Place
from .values import name_place

SIZE_LIMIT = 1024 * 1024
# Without its C library PyYAML reads some 50 kB in a second.
SIZE_LIMIT_SLOW = 32 * 1024
DEPTH_LIMIT = 32
# Values and keys, those that aliases repeat included. A service takes some 20.
NODE_LIMIT = 40_000

_DIGITS_LIMIT = 18


class Loaded(t.NamedTuple):
    """What a file holds.

    Attributes:
        data: None when it could not be read to its end.
        lines: the line of each value, from 1, by its place.
        problems: what was wrong with the text itself.
    """

    data: t.Any
    lines: t.Mapping[Place, int]
    problems: t.List[Problem]

    @property
    def failed(self) -> bool:
        """Whether the data is not to be used."""
        return any(problem.severity == "error" for problem in self.problems)


def load(path: str) -> t.Any:
    """Return the data in a manifest file.

    Raises:
        RollcallError: ``wrong_use`` with every problem, when it cannot be read or its text is not in order.
    """
    loaded = read(path)
    if loaded.failed:
        raise _as_error(path, loaded.problems)
    return loaded.data


def load_and_check(path: str, *, overlay: t.Any = None, **host: t.Any) -> Result:
    """Find all problems of a manifest file, those of its text included.

    Args:
        path: the file, YAML or JSON.
        overlay: data laid over it, as for :func:`manifest_check.check`.
        host: what is supposed of the hosts, as for :func:`manifest_check.check`.
    """
    loaded = read(path)
    found = list(loaded.problems)
    if loaded.data is None and loaded.failed:
        return Result(None, found)
    result = check(loaded.data, overlay=overlay, lines=loaded.lines, **host)
    # What a wrongly written value was taken for is not told on top of it.
    places = {problem.place for problem in found if problem.severity == "error"}
    found += [problem for problem in result.problems if problem.place not in places]
    return Result(None if loaded.failed else result.stack, found)


def read(path: str) -> Loaded:
    """Return what a file holds, and what is wrong with its text. Never raises for what is in or about the file."""
    try:
        content = _content(path)
    except (OSError, ValueError) as exc:  # a path with a zero byte in it is a ValueError
        reason = getattr(exc, "strerror", None) or exc
        return _unreadable(f"cannot be read: {reason}", "give the path of a manifest that you may read")
    except _Refused as exc:
        return _unreadable(exc.message, exc.cure)
    return parse(content, json_only=path.endswith(".json"))


def parse(content: bytes, *, json_only: bool = False) -> Loaded:
    """Return what the text of a manifest holds.

    Args:
        content: YAML or JSON, in UTF-8.
        json_only: not to try YAML.
    """
    builder = _Builder()
    try:
        text = _decode(content)
        if json_only or text.lstrip()[:1] in ("{", "["):
            try:
                builder.build(_json_events(text))
            except _NotJson as exc:
                if json_only:
                    raise
                try:
                    builder.build(_yaml_events(text))
                except _Refused:
                    raise exc from None
        else:
            builder.build(_yaml_events(text))
            builder.complete(text)
    except _Refused as exc:
        builder.flaw((), exc.line, exc.message, exc.cure)
        return Loaded(None, builder.lines, builder.problems())
    return Loaded(builder.data, builder.lines, builder.problems())


def _as_error(path: str, problems: t.Sequence[Problem]) -> RollcallError:
    return RollcallError(
        f"The manifest {path} cannot be used: "
        + "; ".join(f"{problem.place}: {problem.message}" for problem in problems)
        + ".",
        kind="wrong_use",
        evidence={"path": path, "problems": [problem.as_dict() for problem in problems]},
        remedies=list(dict.fromkeys(problem.cure for problem in problems)),
    )


# --- reading the bytes -------------------------------------------------------------------------------------------


class _Refused(Exception):
    """A text that is read no further."""

    def __init__(self, message: str, cure: str, line: t.Optional[int] = None) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure
        self.line = line


class _NotJson(_Refused):
    """A text that is not JSON; it may still be YAML."""


def _unreadable(message: str, cure: str) -> Loaded:
    return Loaded(None, {}, [Problem("manifest", message, cure)])


def _content(path: str) -> bytes:
    """Return the bytes of a regular file; a named pipe would be waited for, a device would have no end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _Refused("is not a regular file", "give the path of a file")
        content = stream.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT:
        raise _Refused(
            f"is larger than {SIZE_LIMIT // 1024} KiB, which no manifest needs", "give the path of a manifest"
        )
    return content


def _decode(content: bytes) -> str:
    if len(content) > SIZE_LIMIT:
        raise _Refused(f"is larger than {SIZE_LIMIT // 1024} KiB, which no manifest needs", "make it smaller")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise _Refused("is not UTF-8 text", "save it in UTF-8", line) from exc
    if not text.strip():
        raise _Refused("is empty", "write a manifest, or restore the file: was it written whole?")
    return text


# --- events ------------------------------------------------------------------------------------------------------

# What a scalar was written as.
PLAIN = "plain"  # YAML without quotes: what it is, is for _Scalar to say
QUOTED = "quoted"
READY = "ready"  # JSON other than a string: it is what it is


class _Event(t.NamedTuple):
    """One step through a document: ``scalar``, ``alias``, ``{``, ``[`` or ``end``.

    Attributes:
        value: of a scalar; the name of an alias.
        anchor: name that aliases may call it by.
    """

    kind: str
    line: int
    value: t.Any = None
    style: str = READY
    anchor: t.Optional[str] = None


# A string is taken as a whole first, so that no bracket in it counts.
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]|[^\s"{}\[\],:]+')


def _json_events(text: str) -> t.Iterator[_Event]:
    """Walk through a JSON text.

    Raises:
        _NotJson: it is none.
    """

    def refuse(name: str) -> t.NoReturn:
        raise ValueError(name)

    def number(digits: str) -> int:
        # Python takes quadratic time for long ones.
        return int(digits) if len(digits) <= _DIGITS_LIMIT else refuse(digits)

    cure = "correct it, or restore the file: was it written whole?"
    try:
        json.loads(text, parse_constant=refuse, parse_int=number)
    except json.JSONDecodeError as exc:
        raise _NotJson(f"is not JSON: {exc.msg}, column {exc.colno}", cure, exc.lineno) from exc
    except (ValueError, RecursionError) as exc:
        what = "is nested too deep" if isinstance(exc, RecursionError) else "has a number that is none or far too large"
        raise _Refused(what, "correct it") from exc
    line, end = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line += text.count("\n", end, token.start())
        end = token.start()
        word = token.group()
        if word in "{[":
            yield _Event(word, line)
        elif word in "}]":
            yield _Event("end", line)
        else:
            yield _Event("scalar", line, json.loads(word))


_NOT_IN_YAML = (
    # Thousands of %TAG directives take libyaml seconds before its first event.
    (re.compile(r"^%", re.MULTILINE), "has a directive, a line that begins with %", "remove it, or indent the line"),
    (re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"), "has a control character", "remove it: is this a text file?"),
)


def _yaml_events(text: str) -> t.Iterator[_Event]:
    """Walk through a YAML text.

    Raises:
        _Refused: it is none, it uses what a manifest has no need of, or PyYAML is not there.
    """
    try:
        import yaml
    except ImportError as exc:
        raise _Refused(
            "is YAML, and this Python has no PyYAML", "install it, or write the manifest as JSON in a .json file"
        ) from exc
    loader: t.Any = getattr(yaml, "CSafeLoader", None)
    if loader is None:
        loader = yaml.SafeLoader
        if len(text) > SIZE_LIMIT_SLOW:
            raise _Refused(
                f"is larger than {SIZE_LIMIT_SLOW // 1024} KiB, too much for a PyYAML without its C library",
                "install a PyYAML that has it, or write the manifest as JSON in a .json file",
            )
    for pattern, what, cure in _NOT_IN_YAML:
        found = pattern.search(text)
        if found:
            raise _Refused(what, cure, text.count("\n", 0, found.start()) + 1)
    documents = 0
    try:
        events: t.Iterable[t.Any] = yaml.parse(text, Loader=loader)
        for event in events:
            if type(event).__name__ == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    raise _Refused("has more than one document", "remove all but one", event.start_mark.line + 1)
            else:
                step = _yaml_event(event)
                if step is not None:
                    yield step
    except yaml.YAMLError as exc:
        raise _not_yaml(exc) from exc


def _yaml_event(event: t.Any) -> t.Optional[_Event]:
    name = type(event).__name__
    line = event.start_mark.line + 1
    if getattr(event, "tag", None) is not None:
        # Where Ansible reads YAML it would decrypt a !vault; here it would be text like any other.
        raise _Refused(
            f"has the tag {event.tag[:40]!r}, and only plain data is read",
            "write the value itself; for a secret, lay it over this file from the inventory",
            line,
        )
    if name == "ScalarEvent":
        style = PLAIN if event.implicit[0] and not event.style else QUOTED
        return _Event("scalar", line, event.value, style, event.anchor)
    if name == "AliasEvent":
        return _Event("alias", line, event.anchor)
    if name in ("MappingStartEvent", "SequenceStartEvent"):
        return _Event("{" if name[0] == "M" else "[", line, anchor=event.anchor)
    return _Event("end", line) if name in ("MappingEndEvent", "SequenceEndEvent") else None


def _not_yaml(exc: t.Any) -> _Refused:
    """Return the refusal of what PyYAML cannot read, in its words but without the text around it: it may be secret."""
    mark = getattr(exc, "problem_mark", None)
    words = getattr(exc, "problem", None) or getattr(exc, "reason", None) or "it cannot be read"
    where = "" if mark is None else f", column {mark.column + 1}"
    return _Refused(
        f"is not YAML: {words}{where}",
        "correct it, or restore the file: was it written whole?",
        None if mark is None else mark.line + 1,
    )


# --- building ----------------------------------------------------------------------------------------------------

_NULL = re.compile(r"(~|null|Null|NULL|)\Z")
_BOOLEAN = re.compile(r"(true|True|TRUE|false|False|FALSE)\Z")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?\Z")
# What YAML 1.1 reads as something else than what is written; YAML 1.2 and people read most of it otherwise.
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

    def __init__(self, event: _Event, place: Place, nodes: int) -> None:
        self.value: t.Any = {} if event.kind == "{" else []
        self.place = place
        self.anchor = event.anchor
        self.nodes_before = nodes
        self.key: t.Any = None
        self.has_key = False
        self.first_lines: t.Dict[t.Any, int] = {}


class _Builder:
    """Builds plain data out of events, and keeps lines and problems."""

    def __init__(self) -> None:
        self.data: t.Any = None
        self.lines: t.Dict[Place, int] = {}
        self._flaws: t.List[t.Tuple[Place, t.Optional[int], str, str, str]] = []
        self._nodes = 0
        self._open: t.List[_Open] = []
        self._anchors: t.Dict[str, t.Tuple[t.Any, int]] = {}

    def build(self, events: t.Iterable[_Event]) -> None:
        """Build the data that ``events`` describe.

        Raises:
            _Refused: it is too large or too deep to go on.
        """
        for event in events:
            if event.kind == "end":
                finished = self._open.pop()
                self._remember(finished.anchor, finished.value, finished.nodes_before)
            elif self._open and isinstance(self._open[-1].value, dict) and not self._open[-1].has_key:
                self._key(event)
            else:
                self._value(event)

    def complete(self, text: str) -> None:
        """Warn of a YAML text that may have been cut off; a JSON text shows that by itself."""
        if not text.endswith("\n"):
            line = text.count("\n") + 1
            self.flaw((), line, "does not end with a line's end", "was it written whole? If so, add it", "warning")

    def flaw(self, place: Place, line: t.Optional[int], message: str, cure: str, severity: str = "error") -> None:
        """Add something wrong with the text."""
        self._flaws.append((place, line, message, cure, severity))

    def problems(self) -> t.List[Problem]:
        """Return what is wrong with the text, at the places that the check will call by the same names."""
        return [
            Problem(
                (name_place(self._shown(place)) if place else "manifest") + (f" (line {line})" if line else ""),
                message,
                cure,
                severity,
            )
            for place, line, message, cure, severity in self._flaws
        ]

    def _shown(self, place: Place) -> Place:
        """Return a place as people are told it: a file may hold the content of ``stack`` alone."""
        alone = isinstance(self.data, dict) and "stack" not in self.data and place[0] not in OLDER_KEYS
        return ("stack", *place) if alone else place

    def _count(self, nodes: int, line: int) -> None:
        self._nodes += nodes
        if self._nodes > NODE_LIMIT:
            raise _Refused(f"has more than {NODE_LIMIT} values, aliases resolved", "make it smaller", line)

    def _place(self) -> Place:
        """Return the place of the value that comes next."""
        if not self._open:
            return ()
        parent = self._open[-1]
        return (*parent.place, parent.key if isinstance(parent.value, dict) else len(parent.value))

    def _key(self, event: _Event) -> None:
        parent = self._open[-1]
        if event.kind != "scalar":
            raise _Refused("has a key that is not a name", "write the key as plain text", event.line)
        key = event.value
        if event.style == PLAIN:
            if key == "<<":
                raise _Refused("has a merge key (<<)", "put what is common into defaults", event.line)
            key = self._plain(key, (*parent.place, key), event.line)
        self._count(1, event.line)
        self._remember(event.anchor, key, self._nodes - 1)
        first = parent.first_lines.setdefault(key, event.line)
        if key in parent.value:
            self.flaw(
                (*parent.place, key),
                event.line,
                f"is there twice: first in line {first}",
                "remove one of the two; no rule says which one counts",
            )
        parent.key, parent.has_key = key, True
        self.lines[(*parent.place, key)] = event.line

    def _value(self, event: _Event) -> None:
        place = self._place()
        # A value below its key is looked for where the key is.
        line = self.lines.setdefault(place, event.line)
        self._count(1, event.line)
        if event.kind == "alias":
            self._put(self._alias(event))
        elif event.kind == "scalar":
            value = self._plain(event.value, place, line) if event.style == PLAIN else event.value
            self._put(value)
            self._remember(event.anchor, value, self._nodes - 1)
        else:
            if len(self._open) == DEPTH_LIMIT:
                raise _Refused(f"is nested deeper than {DEPTH_LIMIT} levels", "make it flatter", event.line)
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

    def _alias(self, event: _Event) -> t.Any:
        """Return what an alias stands for. What contains the alias itself is not finished, so it is not known yet."""
        if event.value not in self._anchors:
            raise _Refused("has an alias of what is not there, or not finished", "write the value itself", event.line)
        value, nodes = self._anchors[event.value]
        self._count(nodes, event.line)
        return value

    def _plain(self, text: str, place: Place, line: int) -> t.Any:
        """Return what a YAML scalar without quotes is: the plain cases of YAML 1.1 that people agree on."""
        if _NULL.match(text):
            return None
        if _BOOLEAN.match(text):
            return text.lower() == "true"
        if _INTEGER.match(text):
            if len(text) <= _DIGITS_LIMIT:
                return int(text)
            self.flaw(place, line, "is too large for a number", "write it in quotes if it is text")
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
        return f"write {'true' if word in ('yes', 'on') else 'false'}, or put it in quotes if it is text"
    return "write a plain number without leading zeros, or put it in quotes if it is text"
