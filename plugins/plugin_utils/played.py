# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What callbacks ask about a task that is played: whose it is, and whether the roll call tells of it."""

from __future__ import annotations

import typing as t

from ansible import constants

OURS = "rollcall.supervisor."
ROLL_CALL = f"{OURS}roll_call"
# A variable of the tasks that come when an install has failed.
ENDING = "__bootstrap_ending"


def action_of(task: t.Any) -> str:
    """Return the full name of a task's module, also where the playbook uses the short one."""
    return str(getattr(task, "resolved_action", None) or task.action)


def has_roll_call() -> bool:
    """Return whether the roll call is printed at the end: then nothing else has to tell why a task has failed."""
    return ROLL_CALL in (constants.CALLBACKS_ENABLED or ())
