# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: roll_call
type: aggregate
short_description: Print the roll call at the end of a playbook
version_added: 0.1.0
description:
  - At the end of a playbook prints what M(rollcall.supervisor.stack_restart), M(rollcall.supervisor.stack_verify) and
    M(rollcall.supervisor.stack_info) found on each host. One line a service, for what failed the evidence and the next
    command, and then the verdict.
  - Hosts that failed come last, so that they are on the screen when the output stops. With more than one host a line
    for each of them follows.
  - Names the hosts that could not be reached and those where another task failed.
  - Prints nothing when no task of this collection ran.
requirements:
  - Enable it with C(callbacks_enabled = rollcall.supervisor.roll_call) in the C([defaults]) of C(ansible.cfg).
author:
  - Rollcall authors (@rollcall)
"""

import sys
import typing as t
from dataclasses import dataclass, field

from ansible.plugins.callback import CallbackBase
from ansible.utils.color import ANSIBLE_COLOR

from ansible_collections.rollcall.supervisor.plugins.module_utils import report

OURS = "rollcall.supervisor."
REPORTING = (f"{OURS}stack_restart", f"{OURS}stack_verify", f"{OURS}stack_info", f"{OURS}port_assign")
# How much is shown of what a command wrote that has nothing to do with us.
TAIL = 5

Data = t.Mapping[str, t.Any]


@dataclass
class _Host:
    """What is known of one host: the newest report of each of its stacks, and what went wrong last."""

    reports: t.Dict[str, Data] = field(default_factory=dict)
    failure: t.Optional[t.Tuple[str, Data]] = None
    unreachable: t.Optional[str] = None

    @property
    def told_bad(self) -> bool:
        """Whether what went wrong is known already, from the engine itself."""
        by_engine = self.failure is not None and isinstance(self.failure[1].get("error"), dict)
        return by_engine or not all(data.get("ok") for data in self.reports.values())


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core comes without types
    """Collects reports while the playbook runs and prints them when it has ended."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "rollcall.supervisor.roll_call"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._hosts: t.Dict[str, _Host] = {}
        self._concerned = False

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:  # noqa: ARG002  ansible's signature
        """Note whether this playbook is any business of ours."""
        self._concerned = self._concerned or _action(task).startswith(OURS)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Collect the report of a task that held, or that a playbook lets pass in order to fail in words of its own."""
        self._collect(result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Collect the report of a verdict that did not hold, or why there is none."""
        if self._collect(result) or ignore_errors:
            return
        known = self._host(result)
        # The task that ends the play because of what was collected has nothing to add to it.
        if not known.told_bad:
            known.failure = (result.task.get_name(), result.result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Note a host that could not be reached."""
        self._host(result).unreachable = str(result.result.get("msg") or "no reason given").strip()

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Print what was collected."""
        if not self._concerned or not self._hosts:
            return
        texts = {name: self._text(name, known, stats) for name, known in self._hosts.items()}
        shown = sorted((name for name in texts if texts[name]), key=lambda name: self._bad(name, stats))
        if not shown:
            return
        self._display.banner("ROLL CALL")
        for number, name in enumerate(shown):
            if number:
                self._display.display("")
            self._display.display(texts[name])
        if len(shown) > 1:
            self._display.display("")
            for name in shown:
                for line in self._summary(name, stats):
                    self._display.display(line)

    def _host(self, result: t.Any) -> _Host:
        return self._hosts.setdefault(result.host.get_name(), _Host())

    def _collect(self, result: t.Any) -> bool:
        """Keep the reports in a task's result; return whether there was one."""
        if _action(result.task) not in REPORTING:
            return False
        # A task in a loop has one result for each item.
        found = [item.get("report") for item in (result.result, *(result.result.get("results") or ()))]
        reports = [data for data in found if isinstance(data, dict)]
        for data in reports:
            self._host(result).reports[str(data.get("stack"))] = data
        if not reports and isinstance(result.result.get("error"), dict):
            self._host(result).failure = (result.task.get_name(), result.result)
            return True
        return bool(reports)

    def _failure(self, name: str, stats: t.Any) -> t.Optional[t.Tuple[str, Data]]:
        """Return the failure that ended the host's part of the play; None when there was none or it was rescued."""
        return self._hosts[name].failure if stats.summarize(name)["failures"] else None

    def _bad(self, name: str, stats: t.Any) -> bool:
        known = self._hosts[name]
        lost = known.unreachable is not None or self._failure(name, stats) is not None
        return lost or not all(data.get("ok") for data in known.reports.values())

    def _text(self, name: str, known: _Host, stats: t.Any) -> str:
        look = {**report.terminal(sys.stdout), "colour": bool(ANSIBLE_COLOR)}
        blocks = [self._roll_call(name, data, look) for data in known.reports.values()]
        failure = self._failure(name, stats)
        if failure is not None:
            blocks.append(_failure_text(name, *failure, colour=look["colour"]))
        if known.unreachable is not None:
            blocks.append(_unreachable_text(name, known.unreachable, colour=look["colour"]))
        return "\n\n".join(blocks)

    def _roll_call(self, name: str, data: Data, look: t.Mapping[str, t.Any]) -> str:
        """Return one stack's roll call; the name is the inventory's, which is what the next command needs."""
        try:
            return report.roll_call({**data, "host": name}, **look)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            # A host with an engine of another version must not take the roll calls of all others with it.
            self._display.warning(f"The report of {name} is not one this version can print: {exc!r}")
            return (
                f"{data.get('stack')} on {name}: {'OK' if data.get('ok') else 'FAILED'}, its report cannot be printed"
            )

    def _summary(self, name: str, stats: t.Any) -> t.List[str]:
        known, colour = self._hosts[name], bool(ANSIBLE_COLOR)
        lines = []
        for data in known.reports.values():
            try:
                lines.append(report.summary({**data, "host": name}, colour=colour))
            except (KeyError, TypeError, ValueError, AttributeError):
                # Told with its reason above, where the whole roll call should have been.
                lines.append(f"{data.get('stack')} on {name}: {'OK' if data.get('ok') else 'FAILED'}")
        failure = self._failure(name, stats)
        if failure is not None:
            lines.append(_failure_text(name, *failure, colour=colour).splitlines()[0])
        if known.unreachable is not None:
            lines.append(_unreachable_text(name, known.unreachable, colour=colour).splitlines()[0])
        return lines


def _action(task: t.Any) -> str:
    """Return the full name of a task's module, also where the playbook uses the short one."""
    return str(getattr(task, "resolved_action", None) or task.action)


def _failure_text(name: str, task: str, result: Data, *, colour: bool) -> str:
    """Return why a host came to no verdict."""
    if isinstance(result.get("error"), dict):
        return report.error(result["error"], subject=name, colour=colour)
    if result.get("problems"):
        return report.problems(result["problems"], subject=f"manifest of {name}", colour=colour)
    said = result.get("msg") or result.get("module_stderr") or "it gave no reason; see above"
    words = str(result.get("stderr") or result.get("stdout") or "").splitlines()[-TAIL:]
    message = f"task '{task}': {str(said).strip()}"
    return report.error({"message": message, "evidence": {"output": words}}, subject=name, colour=colour)


def _unreachable_text(name: str, reason: str, *, colour: bool) -> str:
    return report.error({"message": reason, "kind": "unreachable"}, subject=name, colour=colour)
