# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The restart budget: how often programs may restart a stack within a time. People are never refused.

The times are of the monotonic clock, so a jump of the wall clock changes nothing. A boot begins a new budget.
"""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.files import read_record, write_record
from ..host import processes
from ..manifest.model import Stack


def path(stack: Stack) -> str:
    """Return the file with the automatic restarts of a stack."""
    return os.path.join(stack.paths.state, "budget.json")


def spent(stack: Stack, *, clock: Clock = SYSTEM) -> t.List[float]:
    """Return how many seconds ago each automatic restart was that still counts, the latest last.

    Raises:
        RollcallError: the file cannot be read.
    """
    now = clock.monotonic()
    return [now - moment for moment in _load(stack) if 0 <= now - moment < stack.restart_budget.within]


def spend(stack: Stack, *, clock: Clock = SYSTEM) -> None:
    """Record one automatic restart before it begins. The stack must be locked.

    Raises:
        RollcallError: ``refused``: the budget is used up; or the file cannot be read.
        OSError: it could not be written, so the restart must not begin.
    """
    used, rules = spent(stack, clock=clock), stack.restart_budget
    if len(used) >= rules.restarts:
        free_in = rules.within - used[-rules.restarts]
        raise RollcallError(
            f"Stack {stack.name} was restarted automatically {len(used)} times within {rules.within:g} s, which is "
            "all that its restart_budget allows: something is wrong that a restart does not cure. Nothing was touched. "
            f"The next automatic restart may be in {free_in:.0f} s; people may at any time.",
            kind="refused",
            evidence={"restarts": len(used), "allowed": rules.restarts, "within": rules.within, "free_in": free_in},
            remedies=[cures.HISTORY, cures.FULL],
        )
    now = clock.monotonic()
    moments = [now - ago for ago in used] + [now]
    write_record(path(stack), {"boot": processes.boot_id(), "restarts": moments})


def _load(stack: Stack) -> t.List[float]:
    def parse(data: t.Any) -> t.List[float]:
        return [float(moment) for moment in data["restarts"]] if data["boot"] == processes.boot_id() else []

    remedies = [cures.remove(path(stack))]
    return read_record(path(stack), parse, [], "The budget of automatic restarts", remedies)
