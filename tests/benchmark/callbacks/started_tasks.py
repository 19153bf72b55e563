# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts how often Ansible starts a task for a host: each time is a fork, whether the task is skipped or not."""

from __future__ import annotations

import collections
import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core comes without types
    """Write to the file STARTED_TASKS how often each task was started, by its name."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "started_tasks"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        self._started: collections.Counter[str] = collections.Counter()

    def v2_runner_on_start(self, _host: Any, task: Any) -> None:
        """Count it."""
        self._started[task.get_name()] += 1

    def v2_playbook_on_stats(self, _stats: Any) -> None:
        """Write the counts."""
        Path(os.environ["STARTED_TASKS"]).write_text(json.dumps(self._started), encoding="utf-8")
