# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible loads this in every playbook of a test: it writes down what the collection's modules return."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.plugins.callback import CallbackBase

COLLECTION = "rollcall.supervisor."
# Ansible takes the key `failed` out of the result before it calls a callback.
OK, FAILED = "ok", "failed"


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core comes without types
    """Append module, ending and result of each task to the file MODULE_RESULTS, one JSON list in a line."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "module_results"
    CALLBACK_NEEDS_ENABLED = False

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Write down a result, and those of a loop."""
        self._write(result, OK)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:  # noqa: ARG002
        """Write down a failure, whether or not the play goes on."""
        self._write(result, FAILED)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        """Write down the result of one item."""
        self._write(result, OK)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        """Write down the failure of one item."""
        self._write(result, FAILED)

    def _write(self, result: t.Any, ending: str) -> None:
        module = str(result.task.resolved_action or "")
        found = result.result
        # A loop as a whole has the results of its items, which came by themselves.
        if not module.startswith(COLLECTION) or "censored" in found or "results" in found:
            return
        of_ansible = ("_ansible_no_log", "_ansible_item_label", "ansible_loop_var", found.get("ansible_loop_var"))
        returned = {key: value for key, value in found.items() if key not in of_ansible}
        line = json.dumps([module[len(COLLECTION) :], ending, returned], default=str)
        with open(os.environ["MODULE_RESULTS"], "a", encoding="utf-8") as stream:
            stream.write(f"{line}\n")
