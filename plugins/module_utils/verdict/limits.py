# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How long a verb takes at the longest: the sum of the deadlines of all its waits, whatever hangs."""

from __future__ import annotations

from ..host import halted
from ..manifest.model import Stack
from ..supervisord.client import CALL_TIMEOUT
from .lives import PATIENCE

# Seconds beyond the longest `stable_for` in which supervisord may start a service again before its state counts.
SETTLE_MARGIN = 1.0
# Seconds in which a service that ended with code 0 at its start is looked for in the background.
BACKGROUND = 0.5
# Seconds for looking at the files of the services, which may be on any file system. What has not answered then hangs.
FILES = 5.0
# Seconds in which the workers of a service must have died again and again to be told.
WORKERS = 6.0
# Seconds for reading and judging the logs of all services. What has not ended then hangs.
LOGS = 10.0
# Seconds for reading /proc, sockets and files on a busy machine, which have no deadline of their own.
SLACK = 5.0


def look_limit(stack: Stack) -> float:
    """Return the seconds that a status takes at the longest."""
    # Services and databases are asked at the same time; services again, where the first answer is good.
    services = (2 * check.timeout for service in stack.services for check in service.all_health)
    answers = max((*services, *(check.timeout for check in stack.checks.databases)), default=0.0)
    # getPID, getAllProcessInfo and the version, and after the answers a poke, the programs and their config; where one
    # is not answered, no other is asked.
    return 6 * CALL_TIMEOUT + answers + halted.LONG + WORKERS + 2 * FILES + SLACK


def verify_limit(stack: Stack, soak: float = 0.0) -> float:
    """Return the seconds that a verdict takes at the longest.

    Args:
        stack: the manifest.
        soak: how many seconds each service must have lived at the least.
    """
    window = max((service.stable_for for service in stack.services), default=0.0)
    calls = 3 * CALL_TIMEOUT
    return window + SETTLE_MARGIN + max(PATIENCE, soak) + BACKGROUND + calls + look_limit(stack) + LOGS
