# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What an import tells of the original: what is lost, changed, or should be looked at, and what needs nothing."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass

# A part of the original is gone, is in the manifest in another way, should be looked at, or needs nothing.
LOST = "lost"
CHANGED = "changed"
ADVICE = "advice"
MINOR = "minor"
KINDS = (LOST, CHANGED, ADVICE, MINOR)

# Characters of a place, and of what is said of it.
LONGEST_WORDS = 500
# Places that are named of those of which the same is true: in data, and for people who did not ask for all.
MOST_PLACES = 100
FEW_PLACES = 3


@dataclass(frozen=True)
class Note:
    """What became of a part of the original.

    Attributes:
        place: the place in the original, or several places of which the same is true.
        message: what became of it.
        cure: what to do about it.
        kind: ``lost``, ``changed``, ``advice`` when it was carried over and should be looked at, ``minor`` when there
            is nothing to do.
        places: the same places, one by one; empty when there is one.
    """

    place: str
    message: str
    cure: str
    kind: str = LOST
    places: t.Tuple[str, ...] = ()

    def as_dict(self) -> t.Dict[str, str]:
        """Return the note as data."""
        return {"place": self.place, "message": self.message, "cure": self.cure, "kind": self.kind}

    def few_places(self) -> str:
        """Return the first places, and how many more there are."""
        return _listed(self.places, FEW_PLACES) if self.places else self.place


class Notes:
    """The notes of one import. Those that differ only in their place become one."""

    def __init__(self) -> None:
        # What is there once, in order.
        self._places: t.Dict[t.Tuple[str, str, str], t.Dict[str, None]] = {}
        self._first: t.Set[t.Tuple[str, str, str]] = set()

    def add(self, kind: str, place: str, message: str, cure: str, *, first: bool = False) -> None:
        """Add a note.

        Args:
            kind: one of ``KINDS``.
            place: the place in the original.
            message: what became of it.
            cure: what to do about it.
            first: whether it stands before all others, as secrets and ports do.
        """
        key = (kind, short(message), cure)
        self._places.setdefault(key, {})[short(place)] = None
        if first:
            self._first.add(key)

    def listed(self) -> t.Tuple[Note, ...]:
        """Return the notes: secrets and ports first, then what is lost, changed, advice, and what needs nothing."""
        ordered = sorted(self._places.items(), key=lambda item: (item[0] not in self._first, KINDS.index(item[0][0])))
        return tuple(
            Note(_listed(places, MOST_PLACES), message, cure, kind, tuple(places))
            for (kind, message, cure), places in ordered
        )


def short(text: str) -> str:
    """Return what is told of the original, whose names may be of any length, in a length that people read."""
    return text if len(text) <= LONGEST_WORDS else f"{text[: LONGEST_WORDS - 1]}…"


def _listed(places: t.Collection[str], most: int) -> str:
    named = ", ".join(itertools.islice(places, most))
    return named if len(places) <= most else f"{named} and {len(places) - most} more"
