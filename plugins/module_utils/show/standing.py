# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How a run that did not end well has left the stack, in one line. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import readable_time
from .words import Painter, Reader, runnable

if t.TYPE_CHECKING:
    from ..base.documents import StandingData


def standing_text(standing: StandingData, reader: Reader, paint: Painter) -> str:
    """Return whether the stack is up, and where it is not, since when and what to type."""
    state, command = standing["state"], runnable(standing["next"] or "", reader)
    if state == "as_it_was":
        return f"the stack is as it was{_as_it_is(standing, paint)}"
    if state == "up" and not standing["services"]:
        # Only oneshots were looked at.
        return "the stack is up"
    if state == "up":
        return f"the stack is up: {standing['running']} of {standing['services']} services run"
    if state == "unknown":
        return f"whether the stack is up is not known: type: {command}"
    since = "" if standing["since"] is None else f" since {readable_time(standing['since'])}"
    return f"the stack is {paint('DOWN', 'bad')}{since}: type: {command}"


def _as_it_is(standing: StandingData, paint: Painter) -> str:
    if not standing["services"]:
        return ""
    if not standing["running"]:
        return f": {paint('DOWN', 'bad')}, no service runs"
    return f": {standing['running']} of {standing['services']} services run"
