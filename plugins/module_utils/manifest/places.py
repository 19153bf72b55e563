# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Places of a manifest, and kinds of values, in words for people."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping, Sequence

# The keys and indexes that lead to a value.
Place = t.Tuple[t.Union[str, int], ...]

# Comparing names takes time, and a hostile document could make it long.
_COMPARED = 400
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}\Z")


def name_place(place: Place) -> str:
    """Return a place in words: ``stack.services.main_app.command[0]``."""
    text = ""
    for part in place:
        if isinstance(part, str) and _PLAIN_KEY.match(part):
            text += f".{part}" if text else part
        else:
            shown = "..." if isinstance(part, int) and part.bit_length() > 256 else ascii(part)
            text += f"[{shown if len(shown) <= 60 else shown[:56] + '...'}]"
    return text


def kind_of(value: t.Any) -> str:
    """Return the kind of a value in words, such as ``a mapping``."""
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "a mapping"
    if value is None:
        return "empty"
    return "a list" if is_list(value) else f"a value of type {type(value).__name__}"


def nearest(name: str, known: t.Iterable[str], most: int = 1) -> t.List[str]:
    """Return the known names that a misspelt one is most like, the nearest first; none when none is like it."""
    import difflib

    return difflib.get_close_matches(name, list(known)[:_COMPARED], most)


def similar(name: str, known: t.Iterable[str], most: int = 1) -> str:
    """Return a suggestion for a misspelt name, such as `` (did you mean port?)``; '' when no known name is like it."""
    close = nearest(name, known, most)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def is_list(value: t.Any) -> bool:
    """Return whether a value is a list, which text is not."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
