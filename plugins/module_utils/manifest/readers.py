# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How a value of a manifest is read: put into its final form, or reported with what to write instead.

Text, numbers, words, lists and mappings are here; what has rules of its own is in values.py.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from . import corrections
from .document import WRONG
from .places import Place, is_list, name_place
from .problems import Problems

# Returns the value in its final form, or WRONG when it has a problem, which it adds.
Reader = t.Callable[[Problems, Place, t.Any], t.Any]


class ValueType(t.NamedTuple):
    """What may be written for a key.

    Attributes:
        words: its name on the reference page.
        read: checks and returns a value.
        keys: of a mapping whose keys are known; empty for anything else.
    """

    words: str
    read: Reader
    keys: t.Mapping[str, Key] = {}


class Words(str):
    """A default that is no value, as the reference page says it, such as ``none``."""


NONE = Words("none")
REQUIRED = Words("required")


class Key(t.NamedTuple):
    """One key of a mapping in a manifest: all that is declared of it besides its field in model.py.

    Attributes:
        type: what may be written.
        text: what it is, for the reference page.
        default: what holds without it, for the reference page. The value itself comes from the model.
        field: the field of the model that it becomes; empty: the field of the same name.
        null: whether null is a value, which says "none". For any other key, null is an unfinished line.
        shared: for a key of a service: whether ``defaults`` may have it, too.
        only: for a key of a health check: the kinds that have it; empty: all.
    """

    type: ValueType
    text: str
    default: t.Any = NONE
    field: str = ""
    null: bool = False
    shared: bool = True
    only: t.Tuple[str, ...] = ()


# --- text --------------------------------------------------------------------------------------------------------

# All control characters, Unicode's category Cc. A line's end could open another section of supervisord.conf.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def unwritable(text: str, control: t.Pattern[str] = _CONTROL) -> t.Optional[str]:
    """Return why ``text`` cannot be passed on as it is; None when it can."""
    found = control.search(text)
    return f"contains the control character {found.group()!r}" if found else _not_unicode(text)


def _not_unicode(text: str) -> t.Optional[str]:
    """Return why ``text`` is not Unicode: it has half a surrogate pair, which JSON can write. None when it is."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return None


def read_text(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read text of at least one character, none of them a control character."""
    if not isinstance(value, str):
        return problems.wrong_type(place, value, "text", corrections.TEXT)
    reason = "is empty text" if not value.strip() else unwritable(value)
    if reason:
        return problems.error(place, reason, corrections.ONE_LINE)
    return str(value)


def _folded_text(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read text that may have been folded over several lines, or be empty."""
    if not isinstance(value, str):
        return read_text(problems, place, value)
    text = " ".join(value.split())
    return read_text(problems, place, text) if text else ""


def _raw_text(problems: Problems, place: Place, value: t.Any) -> t.Any:
    """Read text that goes over a wire, where control characters are in order."""
    cure = corrections.DOUBLE_QUOTES
    if not isinstance(value, str):
        return problems.wrong_type(place, value, "text", cure)
    reason = _not_unicode(value) if value else "is empty text"
    return problems.error(place, reason, cure) if reason else str(value)


TEXT = ValueType("text", read_text)
FOLDED_TEXT = ValueType("text", _folded_text)
RAW_TEXT = ValueType("text", _raw_text)


def matching(words: str, pattern: str, what: str, cure: str) -> ValueType:
    """Return the type of text that a pattern matches as a whole.

    Args:
        words: its name on the reference page.
        pattern: a regular expression.
        what: its name in problems, such as ``a host``.
        cure: what to write instead of anything else.
    """
    whole_text = re.compile(pattern)

    def read(problems: Problems, place: Place, value: t.Any) -> t.Any:
        if not isinstance(value, str):
            return problems.wrong_type(place, value, what, cure)
        return str(value) if whole_text.fullmatch(value) else problems.error(place, f"is not {what}", cure)

    return ValueType(words, read)


# --- numbers and words ---------------------------------------------------------------------------------------------

# Larger numbers are not shown, and not turned into floats.
_HUGE = 10**15


def number(low: float, high: float, unit: str) -> ValueType:
    """Return the type of a number from ``low`` to ``high``."""

    def read(problems: Problems, place: Place, value: t.Any) -> t.Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return problems.wrong_type(place, value, f"a number of {unit}", corrections.a_number(max(low, 1)))
        if not low <= value <= high:
            shown = "far too large, not" if isinstance(value, int) and abs(value) >= _HUGE else f"{value:g}, not"
            return problems.error(place, f"is {shown} from {low:g} to {high:g} {unit}", corrections.IN_BETWEEN)
        return float(value)

    return ValueType(f"{low:g} to {high:g}", read)


def whole(low: int, high: int, what: str) -> ValueType:
    """Return the type of a whole number from ``low`` to ``high``."""

    def read(problems: Problems, place: Place, value: t.Any) -> t.Any:
        if isinstance(value, str) and re.match(r"\s*[0-9]{1,9}\s*\Z", value):
            return problems.wrong_type(place, value, what, corrections.without_quotes(int(value)))
        if isinstance(value, bool) or not isinstance(value, int):
            return problems.wrong_type(place, value, what, corrections.a_whole_number(low, high))
        if not low <= value <= high:
            shown = "far too large for" if abs(value) >= _HUGE else f"{int(value)}, not"
            return problems.error(place, f"is {shown} {what} from {low} to {high}", corrections.IN_BETWEEN)
        return int(value)

    return ValueType(f"{low} to {high}", read)


def choice(*words: str) -> ValueType:
    """Return the type of one of some words."""

    def read(problems: Problems, place: Place, value: t.Any) -> t.Any:
        if isinstance(value, str) and value in words:
            return str(value)
        cure = corrections.one_of(words)
        if not isinstance(value, str):
            return problems.wrong_type(place, value, "one of the words it may be", cure)
        return problems.error(place, f"is none of the words it may be{problems.similar(value, words)}", cure)

    return ValueType(", ".join(f"`{word}`" for word in words), read)


def _truth(problems: Problems, place: Place, value: t.Any) -> t.Any:
    if not isinstance(value, bool):
        return problems.wrong_type(place, value, "a truth value", corrections.TRUTH)
    return bool(value)


TRUTH = ValueType("`true` or `false`", _truth)

# --- lists and mappings --------------------------------------------------------------------------------------------


def list_of(words: str, item: ValueType, most: int, cure: str, *, repeats: bool = False) -> ValueType:
    """Return the type of a list of at most ``most`` items, read as a tuple.

    Args:
        words: the name of the items on the reference page.
        item: the type of each item.
        most: how many there may be.
        cure: what to write instead of anything else.
        repeats: whether an item that comes twice stays in the list twice.
    """

    def read(problems: Problems, place: Place, value: t.Any) -> t.Any:
        if not is_list(value):
            return problems.wrong_type(place, value, "a list", cure)
        if len(value) > most:
            return problems.error(place, f"has {len(value)} items, and {most} are the most", corrections.SHORTER)
        items = [item.read(problems, (*place, index), each) for index, each in enumerate(value)]
        if WRONG in items:
            return WRONG
        return tuple(items) if repeats else tuple(dict.fromkeys(items))

    return ValueType(f"{words}, {most} at most", read)


def mapping(what: str, keys: t.Mapping[str, Key], words: str = "mapping") -> ValueType:
    """Return the type of a mapping whose keys are known, read as what each value is, :data:`WRONG` included, by key.

    Args:
        what: its name in problems, such as ``a service``.
        keys: all that it may have.
        words: its name on the reference page.
    """

    def read(problems: Problems, place: Place, value: t.Any) -> t.Any:
        if not isinstance(value, Mapping):
            return problems.wrong_type(place, value, "a mapping", corrections.some_of(keys))
        parsed = {}
        for name, item in value.items():
            here = (*place, name)
            key = keys.get(name) if isinstance(name, str) else None
            if key is None:
                problems.unknown_key(here, keys, what)
            elif item is WRONG:
                parsed[name] = WRONG
            elif item is not None:
                parsed[name] = key.type.read(problems, here, item)
            elif key.null:
                parsed[name] = None
            else:
                parsed[name] = problems.error(here, "is empty", corrections.REMOVE_OR_VALUE)
        return parsed

    return ValueType(words, read, keys)


def named(words: str, good_name: t.Callable[[Problems, Place, t.Any], bool], item: Reader, cure: str) -> ValueType:
    """Return the type of a mapping whose keys are names that people choose.

    Args:
        words: its name on the reference page.
        good_name: whether a name can be used; adds a problem otherwise.
        item: reads each value.
        cure: what to write instead of anything else.
    """

    def read(problems: Problems, place: Place, value: t.Any) -> t.Any:
        if not isinstance(value, Mapping):
            return problems.wrong_type(place, value, "a mapping", cure)
        parsed = {}
        for name, each in value.items():
            if good_name(problems, (*place, name), name):
                parsed[name] = item(problems, (*place, name), each)
            else:
                parsed[name if isinstance(name, str) else name_place((name,))] = WRONG
        return parsed

    return ValueType(words, read)
