# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stdout callback that prints each event as a line of JSON, as `ansible.posix.jsonl` does."""

from __future__ import annotations

import json
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: jsonl
type: stdout
short_description: One line of JSON an event
description: For tests.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core comes without types
    """Prints what happens as data."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "jsonl"

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:  # noqa: ARG002  ansible's signature
        """Print that a task begins."""
        self._print(event="task", name=task.get_name())

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Print what has come of it."""
        self._print(event="ok", host=result.host.get_name(), result=result.result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Print why it failed."""
        self._print(event="failed", host=result.host.get_name(), result=result.result, ignored=ignore_errors)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Print how all of it ended."""
        self._print(event="stats", hosts={host: stats.summarize(host) for host in stats.processed})

    def _print(self, **event: t.Any) -> None:
        self._display.display(json.dumps(event, default=str))
