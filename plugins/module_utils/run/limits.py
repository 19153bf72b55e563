# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How long a run takes at the longest, whatever hangs: the sum of the deadlines of all its waits."""

from __future__ import annotations

import typing as t

from ..host.sweep import ROUNDS
from ..manifest.graph import levels
from ..manifest.model import Service, Stack
from ..ports import flush
from ..supervisord.client import batch_seconds
from ..verdict.limits import FILES, look_limit, verify_limit
from . import holder, preflight, takedown
from .modes import NOTHING, Mode

SUPERVISORD_START = 15.0


def run_limit(stack: Stack, mode: Mode, *, grace: float, kill_grace: float, soak: float = 0.0) -> float:
    """Return the seconds that a run takes at the longest.

    Args:
        stack: the manifest.
        mode: of the run.
        grace: seconds from TERM to KILL for what is not ended by supervisord.
        kill_grace: seconds to wait after KILL.
        soak: seconds that each service must have lived before the verdict.
    """
    # What is looked at besides: files and space, what is held, and the files that services were started with.
    prove = preflight.PARSE_BACK_TIMEOUT + look_limit(stack) + 4 * FILES + kill_grace
    if mode.kills:
        prove += holder.PATIENCE + grace + kill_grace
    ending = grace + kill_grace
    free = flush.ROUNDS * ending + flush.RETURN + flush.TIME_WAIT + kill_grace
    if mode.stops == NOTHING:
        return prove + free
    down = ROUNDS * ending + (_emergency(stack, ending) if mode.kills else _careful(stack, kill_grace))
    if not mode.starts:
        return prove + down + look_limit(stack)
    up = (
        SUPERVISORD_START + batch_seconds(len(stack.services)) + _by_level(stack, lambda service: service.ready_timeout)
    )
    return prove + down + (free if mode.frees_ports else 0.0) + up + verify_limit(stack, soak)


def _careful(stack: Stack, kill_grace: float) -> float:
    one_by_one = sum(service.stop.timeout for service in stack.services)
    services = _by_level(stack, lambda service: service.stop.timeout + takedown.STOP_MARGIN + takedown.PORT_MARGIN)
    services += batch_seconds(len(stack.services))
    # Supervisord stops its services one after the other: that which answers, and then the rivals.
    supervisord = one_by_one + takedown.STOP_MARGIN
    return services + 2 * supervisord + 1.5 * len(stack.services) + kill_grace


def _emergency(stack: Stack, ending: float) -> float:
    # Supervisords are asked to stop, then ended by pid, then their descendants are ended.
    return batch_seconds(len(stack.services)) + 3 * ending


def _by_level(stack: Stack, seconds: t.Callable[[Service], float]) -> float:
    """Return the sum of the longest wait of each level: services of one level are waited for together."""
    return sum(max(seconds(stack.service(name)) for name in level) for level in levels(stack))
