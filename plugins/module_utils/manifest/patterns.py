# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Regular expressions that others write: read without compiling them, which may take long."""

from __future__ import annotations

import typing as t

# Characters of one pattern. No search of a log needs a longer one.
LONGEST_PATTERN = 500
# What the sets of one pattern may cost. One set with all of the Basic Multilingual Plane takes about 20 ms to compile.
MOST_IN_SETS = 70_000
# A set is kept as a small table while its characters are of Latin-1, and its size means nothing then. A larger one
# costs as much as its ranges have characters, at least as much as the first number, and never more than the second.
_LATIN_1, _LEAST, _MOST = 0xFF, 1_000, 65_536


def parsed(pattern: str) -> t.Iterable[t.Tuple[t.Any, t.Any]]:
    """Return the parts of a pattern as Python's own parser has them.

    Raises:
        re.error, OverflowError or RecursionError: it is not a regular expression.
    """
    try:
        from re import _parser as parser  # type: ignore[attr-defined]  # since Python 3.11
    except ImportError:
        import sre_parse as parser
    return t.cast("t.Iterable[t.Tuple[t.Any, t.Any]]", parser.parse(pattern))


def cost_of_sets(pattern: str) -> int:
    """Return how much work the sets of a pattern are to a compiler, such as ``[a-z]``. Errors as `parsed`."""
    cost = 0
    waiting: t.List[t.Any] = [parsed(pattern)]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple) and len(part) == 2 and str(part[0]) == "IN":
            cost += _cost_of(part[1])
        elif not isinstance(part, (int, str)) and hasattr(part, "__iter__"):
            waiting += part
        elif hasattr(part, "__getitem__") and not isinstance(part, str):
            # The parser's own lists have no iterator.
            waiting += [part[number] for number in range(len(part))]
    return cost


def _cost_of(members: t.Iterable[t.Tuple[t.Any, t.Any]]) -> int:
    ranges = [_ends(str(kind), value) for kind, value in members]
    if max((last for _first, last in ranges), default=0) <= _LATIN_1:
        return 0
    return min(max(sum(last - first + 1 for first, last in ranges), _LEAST), _MOST)


def _ends(kind: str, value: t.Any) -> t.Tuple[int, int]:
    """Return the first and the last character of a part of a set; a class such as ``\\w`` has none, and is free."""
    if kind == "RANGE":
        return int(value[0]), int(value[1])
    return (value, value) if kind == "LITERAL" else (0, -1)
