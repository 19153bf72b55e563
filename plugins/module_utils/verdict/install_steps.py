# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The twelve steps of an install."""

from __future__ import annotations

NAMES = (
    "environment",
    "user and directories",
    "dependencies",
    "database",
    "credentials",
    "supervisor config",
    "supervisord started",
    "supervisord answers",
    "services RUNNING",
    "web health",
    "database answers",
    "verdict",
)
# The numbers of those that a run takes itself; the ones before are the roles'.
CONFIG, STARTED, ANSWERS, RUNNING, HEALTH, DATABASE, VERDICT = range(6, 13)
