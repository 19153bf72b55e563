# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""By when a verb has ended at the latest: the sum of the deadlines of all its waits, whatever hangs."""

from __future__ import annotations

from ..manifest.model import Stack
from ..supervisord.client import CALL_TIMEOUT

# How long a service that supervisord is just bringing back may take before its state is what it is.
SETTLE_MARGIN = 1.0
# How long the process of a service that ended well right after its start is looked for elsewhere.
BACKGROUND = 0.5
# Reading /proc, sockets and files on a machine that is busy; none of it waits for anybody.
SLACK = 5.0


def look_limit(stack: Stack) -> float:
    """Return the seconds that a status takes at the longest."""
    # Services and databases are asked all at once.
    services = (service.health.timeout for service in stack.services if service.health is not None)
    answers = max((*services, *(check.timeout for check in stack.checks.databases)), default=0.0)
    # getPID and getAllProcessInfo; when the first is silent the second is not asked.
    return 2 * CALL_TIMEOUT + answers + SLACK


def verify_limit(stack: Stack) -> float:
    """Return the seconds that a verdict takes at the longest."""
    window = max((service.stable_for for service in stack.services), default=0.0)
    return window + SETTLE_MARGIN + BACKGROUND + CALL_TIMEOUT + look_limit(stack)
