# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible loads this in every playbook of a test: it writes down each deprecation warning, with where it comes from."""

from __future__ import annotations

import functools
import json
import os
import sys
import typing as t

import ansible
from ansible.plugins.callback import CallbackBase
from ansible.utils.display import Display

# What is handed on and not where it was asked for: Ansible itself, and Python with what is installed into it.
_BETWEEN = (os.path.dirname(ansible.__file__), os.path.dirname(os.__file__), "<")

Record = t.Dict[str, t.Any]


def watch(patched: t.Callable[[str, t.Any], None], write: t.Callable[[Record], None]) -> None:
    """Have the display of Ansible hand over each deprecation before it is shown.

    Args:
        patched: sets an attribute of the display's class.
        write: takes what is known of it: `by`, who has declared it, and `files`, where it was asked for.
    """
    show = Display._deprecated_with_plugin_info

    @functools.wraps(show)
    def seen(self: t.Any, **told: t.Any) -> None:
        write({"by": _name(told.get("deprecator")), "files": _files(told.get("obj")), "message": str(told["msg"])})
        show(self, **told)

    patched(show.__name__, seen)


def _name(deprecator: t.Any) -> str:
    return str(getattr(deprecator, "resolved_name", None) or "")


def _files(found: t.Any) -> t.List[str]:
    """Return the file that a value is from; for a value of none, the file of the last code that is not Ansible's."""
    origin = next((tag for tag in _tags(found) if type(tag).__name__ == "Origin"), None)
    if origin is not None and origin.path:
        return [str(origin.path)]
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name != __file__ and not name.startswith(_BETWEEN):
            return [name]
        frame = frame.f_back  # type: ignore[assignment]  # the outermost has none
    return []


def _tags(found: t.Any) -> t.Iterable[t.Any]:
    mapping = getattr(found, "_ansible_tags_mapping", None)
    return mapping.values() if mapping else ()


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core comes without types
    """Append a JSON object in a line to the file DEPRECATIONS, for each of them."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "deprecations"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self, *arguments: t.Any, **options: t.Any) -> None:
        super().__init__(*arguments, **options)
        self._path = os.environ["DEPRECATIONS"]
        # A test may run Ansible as another user, who cannot write there, and does without.
        self._writes = os.access(os.path.dirname(self._path), os.W_OK | os.X_OK)
        # Each task runs in a fork of this process, which has it as well.
        watch(functools.partial(setattr, Display), self._write)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Write down what a task has brought from its host."""
        self._of_task(result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:  # noqa: ARG002
        """Write down what a failed task has brought."""
        self._of_task(result)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        """Write down what one item has brought."""
        self._of_task(result)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        """Write down what a failed item has brought."""
        self._of_task(result)

    def _of_task(self, result: t.Any) -> None:
        for told in result.deprecations:
            files = [str(result.task.get_path() or "").rpartition(":")[0]]
            known = {"by": _name(told.deprecator), "files": files, "message": told.event.msg}
            self._write({**known, "action": str(result.task.resolved_action or "")})

    def _write(self, record: Record) -> None:
        if self._writes:
            with open(self._path, "a", encoding="utf-8") as stream:
                stream.write(f"{json.dumps(record)}\n")
