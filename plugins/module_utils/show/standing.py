# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How a run that did not end well has left the stack, and which manifest, in one line each. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import readable_time
from ..verdict.conditions import EARLIER
from .words import Painter, Reader, runnable

if t.TYPE_CHECKING:
    from ..base.documents import Report, StandingData

_WAS_SO = "what failed was so before this run"
# The action of a run that has put a new generation in place, and the modes that bring no manifest.
_INSTALL, _NO_MANIFEST = "install", ("rollback", "stop", "flush", "rerun")


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


def manifest_text(report: Report) -> str:
    """Return whether the new manifest is in place after a run that did not end well; empty where that is no question.

    Of a run that has gone back the verdict says it.
    """
    place, mode = report["generation"], report["mode"]
    if report["ok"] or report["result"] in ("planned", "stopped") or report["rolled_back"] is not None:
        return ""
    if place is None or mode is None or mode in _NO_MANIFEST or not report["whole"]:
        return ""
    before = all(check["ok"] or check["code"] == EARLIER for check in report["checks"])
    if not any(action["action"] == _INSTALL for action in report["actions"]):
        return f"the manifest runs as before: generation {place['id']}; {_WAS_SO}" if before else ""
    if before:
        return f"the new manifest runs: generation {place['id']}; {_WAS_SO}"
    return f"the new manifest is in place: generation {place['id']}"
