# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The eight conditions of success, by their numbers."""

from __future__ import annotations

import typing as t

CONDITIONS: t.Mapping[int, str] = {
    1: "files and directories exist",
    2: "dependencies are installed",
    3: "the database is configured and can be reached",
    4: "supervisord runs and answers",
    5: "every service runs",
    6: "web health endpoints answer",
    7: "the application's own database connection works",
    8: "no critical errors in the logs",
}
FILES, DEPENDENCIES, DATABASE, SUPERVISORD, SERVICES, HEALTH, CONNECTION, LOGS = CONDITIONS

# The code of a check that fails because a service is alive and not ready.
NOT_READY = "not_ready"
# The code of what was wrong before a run began, and which the run therefore does not undo.
EARLIER = "earlier"


def is_not_ready(name: str, code: t.Optional[str]) -> bool:
    """Return whether a check, by its name and code, fails by no more than that a service is alive and not ready."""
    return name == "ready" and code == NOT_READY
