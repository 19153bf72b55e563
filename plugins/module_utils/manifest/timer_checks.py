# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a timer of a manifest must say, and what is of no use to one."""

from __future__ import annotations

from . import corrections
from .document import WRONG
from .model import TIMER
from .problems import value_of
from .written import Written

# Keys of what supervisord runs. A timer does without those of the defaults, and may have none of them itself.
OF_SERVICES_ONLY = (
    *("port", "ports", "socket", "fallback_ports", "auto_fallback", "instances", "update", "health", "depends_on"),
    *("requires_files", "requires_env", "reload", "start", "stable_for", "ready_timeout", "restart", "ends"),
    "detaches",
)
_OF_TIMERS_ONLY = ("every", "cron", "timeout")


def is_timer(written: Written, name: str) -> bool:
    """Return whether what a manifest has below this name is a timer."""
    return bool(value_of(written.merged[name], "kind") == TIMER)


def check_timers(written: Written) -> None:
    """Check that each timer says when its job runs, that nothing waits for it, and who has keys of the other kind."""
    timers = [name for name in written.own if is_timer(written, name)]
    if timers and len(timers) == len(value_of(written.fields, "services", {})):
        message = "there are only timers, and a stack has at least one service"
        written.problems.error(("services",), message, corrections.A_SERVICE)
    for name, own in written.own.items():
        if written.merged[name].get("kind") is WRONG:
            continue
        wrong = OF_SERVICES_ONLY if name in timers else _OF_TIMERS_ONLY
        for key in (key for key in wrong if own.get(key) not in (None, WRONG)):
            message = f"is of no use to a timer: {name} runs on a schedule" if name in timers else "is a timer's"
            cure = corrections.REMOVE if name in timers else corrections.REMOVE_OR_TIMER
            written.problems.error(("services", name, key), message, cure)
        for other in written.needs(name):
            if other in timers:
                place = ("services", name, "depends_on", other)
                message = f"{other} is a timer, which runs whenever its time has come"
                written.problems.error(place, message, corrections.REMOVE)
    for name in timers:
        _check_time(written, name)


def _check_time(written: Written, name: str) -> None:
    merged, place = written.merged[name], ("services", name)
    given = [key for key in ("every", "cron") if merged.get(key) is not None]
    if not given:
        written.problems.error(place, "is a timer, and does not say when its job runs", corrections.EVERY_OR_CRON)
    elif len(given) > 1:
        written.problems.error(written.place(name, "cron"), "stands beside every", corrections.REMOVE_ONE)
