# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a page remembers for the next one: when each host was last reached. It stands in the page itself. Pure."""

from __future__ import annotations

import json
import math
import typing as t
from html.parser import HTMLParser

from ..base.files import NOT_AS_EXPECTED

# The names of the elements by which a page is known as ours, and that has what it remembers.
MARK, REMEMBERED = "generator", "rollcall-reached"
GENERATOR = "Rollcall"


class Reached(t.NamedTuple):
    """What is remembered of one host.

    Attributes:
        last: when it last answered, in seconds since the epoch; None when it never did.
        lost: when it first did not answer any more; None when it has answered.
    """

    last: t.Optional[float] = None
    lost: t.Optional[float] = None


class _Reader(HTMLParser):
    """Reads the ``meta`` elements of a page, the first of each name."""

    def __init__(self) -> None:
        super().__init__()
        self.found: t.Dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: t.Sequence[t.Tuple[str, t.Optional[str]]]) -> None:
        """Keep the content of a ``meta``."""
        known = dict(attrs)
        if tag == "meta" and known.get("name"):
            self.found.setdefault(str(known["name"]), known.get("content") or "")


def is_ours(text: str) -> bool:
    """Return whether a file is a page that was written here."""
    return _read(text).get(MARK, "").split(" ")[0] == GENERATOR


def remembered(text: str) -> t.Dict[str, Reached]:
    """Return what a page remembers, by host; what is damaged is not remembered."""
    try:
        told = json.loads(_read(text).get(REMEMBERED) or "{}")
        return {str(host): Reached(_time(one[0]), _time(one[1])) for host, one in told.items()}
    except NOT_AS_EXPECTED:
        return {}


def _read(text: str) -> t.Dict[str, str]:
    reader = _Reader()
    reader.feed(text)
    return reader.found


def _time(value: t.Any) -> t.Optional[float]:
    if value is None:
        return None
    seconds = float(value)
    if not math.isfinite(seconds):
        raise ValueError("that is no time")
    return seconds


def as_text(known: t.Mapping[str, Reached]) -> str:
    """Return what is remembered as a page has it."""
    return json.dumps({host: [one.last, one.lost] for host, one in known.items()}, separators=(",", ":"))


def refreshed(before: Reached, reached: bool, now: float) -> Reached:
    """Return what is remembered of a host that was asked now."""
    if reached:
        return Reached(now)
    # A page that was made before the host was known says nothing of since when it is lost.
    return Reached(before.last, now if before.lost is None else before.lost)
