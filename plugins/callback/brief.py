# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: brief
type: stdout
short_description: Print one line for what a task of this collection has changed
version_added: 0.2.0
description:
  - Of the tasks of this collection it prints one line where something was changed or has failed, and nothing where all
    is as it should be or was skipped. Why one has failed is told once, by the callback
    P(rollcall.supervisor.roll_call#callback) at the end.
  - All other tasks, and with C(-v) all tasks, are printed as P(ansible.builtin.default#callback) prints them. So is a
    failure that the roll call does not tell, and every task where the roll call is not enabled.
extends_documentation_fragment:
  - ansible.builtin.default_callback
  - ansible.builtin.result_format_callback
requirements:
  - Set it with C(stdout_callback = rollcall.supervisor.brief) in the C([defaults]) of C(ansible.cfg), and enable the
    roll call there with C(callbacks_enabled = rollcall.supervisor.roll_call).
author:
  - Rollcall authors (@rollcall)
"""

import os
import typing as t

from ansible import constants
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as Default

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.played import ENDING, OURS, action_of, has_roll_call
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.progress import Display, allow_place

# What of the collection has tasks; a checkout has others beside them, such as those of the tests.
_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
_PLACES = (os.path.join(_HOME, "roles", ""), os.path.join(_HOME, "playbooks", ""), os.path.join(_HOME, "site.yml"))
_SAYS = "debug"
_FAILS = "fail"


class CallbackModule(Default):  # type: ignore[misc]  # ansible-core comes without types
    """Prints the tasks of this collection in a line each, and all others as the default callback does."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "rollcall.supervisor.brief"

    def __init__(self) -> None:
        super().__init__()
        if not self._is_verbose():
            # What the roll call shows in place makes way for what is printed here.
            self._display: t.Any = Display(self._display)
            allow_place()
        self._told = has_roll_call()
        # Whether the roll call has something to tell by now.
        self._concerned = False
        self._several = False
        # Whether a play has had hosts, and whether the one at hand has none and is not shown.
        self._played = self._nobody = False
        self._ours: t.Dict[str, bool] = {}

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """Note whether a line has to say which host it is about."""
        variables = play.get_variable_manager().get_vars(play=play)
        # Ansible counts all hosts where it is to play for a list without one.
        hosts = len(variables["ansible_play_hosts_all"]) if play.hosts else 0
        self._several = hosts > 1
        # Plays of ours come one after the other, each for those for whom there is something to do.
        self._nobody = not hosts and self._played and not self._is_verbose() and _is_in_collection(_path(play))
        self._played = self._played or hosts > 0
        if not self._nobody:
            super().v2_playbook_on_play_start(play)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Print that a play has no hosts, where that is news."""
        if not self._nobody:
            super().v2_playbook_on_no_hosts_matched()

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        """Print the heading of a task of others."""
        self._concerned = self._concerned or action_of(task).startswith(OURS)
        if self._is_brief(task):
            # The default keeps the name of the task before for its heading.
            self._last_task_name = None
        else:
            super().v2_playbook_on_task_start(task, is_conditional)

    def v2_playbook_on_include(self, included_file: t.Any) -> None:
        """Print what others have included."""
        named = str(included_file._filename)
        # Of a role its name stands there.
        if self._is_verbose() or not (named.startswith(OURS) or _is_in_collection(named)):
            super().v2_playbook_on_include(included_file)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Print what was changed, and what is said to people."""
        task, found = result.task, result.result
        says = action_of(task).rpartition(".")[2] == _SAYS
        told = found.get("warnings") or found.get("deprecations") or (says and "msg" not in found)
        if not self._is_brief(task) or told:
            super().v2_runner_on_ok(result)
        elif says:
            said = found["msg"]
            text = "\n".join(map(str, said)) if isinstance(said, list) else str(said)
            self._line(result, text, constants.COLOR_OK, of_all=bool(task.run_once))
        elif found.get("changed") and not isinstance(task, TaskInclude):
            self._line(result, f"changed: {_name(task)}", constants.COLOR_CHANGED)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        """Print what others have skipped."""
        if not self._is_brief(result.task):
            super().v2_runner_on_skipped(result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Print which task has failed; the roll call tells why."""
        if not self._is_brief(result.task) or ignore_errors or not (self._told and self._concerned):
            super().v2_runner_on_failed(result, ignore_errors)
        elif ENDING not in result.task.get_vars():
            of_all = bool(result.task.run_once)
            self._line(result, f"failed: {_name(result.task)}", constants.COLOR_ERROR, of_all=of_all)
        elif action_of(result.task).rpartition(".")[2] != _FAILS:
            # The roll call tells what came before the end, and not what has failed within it.
            super().v2_runner_on_failed(result, ignore_errors)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Print which host could not be reached; the roll call tells why."""
        if not self._is_brief(result.task) or not (self._told and self._concerned):
            super().v2_runner_on_unreachable(result)
        else:
            self._line(result, f"unreachable: {_name(result.task)}", constants.COLOR_UNREACHABLE)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        """Print an item of others: of one of ours the task has a line."""
        if not self._is_brief(result.task):
            super().v2_runner_item_on_ok(result)

    def v2_runner_item_on_skipped(self, result: t.Any) -> None:
        """Print an item of others that was skipped."""
        if not self._is_brief(result.task):
            super().v2_runner_item_on_skipped(result)

    def v2_on_file_diff(self, result: t.Any) -> None:
        """Print what differs, below the name of the task."""
        if self._is_brief(result.task):
            # No heading: the line that says what was changed follows.
            self._last_task_banner = result.task._uuid
        super().v2_on_file_diff(result)

    def _line(self, result: t.Any, text: str, colour: str, *, of_all: bool = False) -> None:
        # Several lines, such as a list of commands, stay below each other.
        where = f"[{_whose(result) or self.host_label(result)}] " if self._several and not of_all else ""
        self._display.display(f"{where}{text}", color=colour)

    def _is_brief(self, task: t.Any) -> bool:
        """Return whether a task is told in a line at most."""
        known = self._ours.get(task._uuid)
        if known is None:
            known = action_of(task).startswith(OURS) or _is_in_collection(_path(task))
            self._ours[task._uuid] = known
        return known and not self._is_verbose()

    def _is_verbose(self) -> bool:
        return bool(self._display.verbosity > 0)


def _path(part: t.Any) -> str:
    """Return the file that a play or a task is from; empty when that is not known."""
    return str(part.get_path() or "").rpartition(":")[0]


def _is_in_collection(path: str) -> bool:
    return os.path.realpath(path).startswith(_PLACES)


def _whose(result: t.Any) -> str:
    """Return the host of a loop over hosts that the task is delegated to: each item has another; empty for others."""
    looped = result.task.loop is not None and result.task.delegate_to
    return str(result.host.get_name()) if looped else ""


def _name(task: t.Any) -> str:
    return str(task.name or task.get_name()).strip()
