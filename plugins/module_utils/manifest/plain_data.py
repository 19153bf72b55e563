# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Plain data, as JSON and YAML have it: compared, copied, and changed at a place."""

from __future__ import annotations

import typing as t

from .layout import GONE, Keys


def copied(data: t.Any) -> t.Any:
    """Return a copy that shares nothing; aliases of YAML are the same mapping or list in several places."""
    if isinstance(data, dict):
        return {key: copied(value) for key, value in data.items()}
    return [copied(item) for item in data] if isinstance(data, list) else data


def same(one: t.Any, other: t.Any) -> bool:
    """Return whether two values are the same as data. 1, 1.0 and true are three different values."""
    return difference(one, other) is None


def difference(one: t.Any, other: t.Any) -> t.Optional[t.Tuple[t.Any, ...]]:
    """Return the first place where two pieces of plain data differ; None when they do not."""
    if type(one) is not type(other):
        return ()
    if isinstance(one, list):
        one, other = dict(enumerate(one)), dict(enumerate(other))
    if not isinstance(one, dict):
        return None if one == other else ()
    for key in dict.fromkeys([*one, *other]):
        below = difference(one.get(key, GONE), other.get(key, GONE))
        if below is not None:
            return (key, *below)
    return None


def value_at(data: t.Any, place: Keys) -> t.Any:
    """Return the value at a place of plain data; :data:`GONE` when there is none."""
    for key in place:
        data = data.get(key, GONE) if isinstance(data, dict) else GONE
    return data


def put(data: t.Dict[t.Any, t.Any], place: Keys, value: t.Any) -> None:
    """Put a value at a place, :data:`GONE` to remove the value there; mappings on the way are made."""
    for key in place[:-1]:
        if data.get(key) is None:
            data[key] = {}
        data = data[key]
    if value is GONE:
        del data[place[-1]]
    else:
        data[place[-1]] = copied(value)
