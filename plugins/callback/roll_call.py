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
    command, and then the verdict. Of M(rollcall.supervisor.stack_doctor) the verdict alone.
  - Hosts that failed come last, so that they are on the screen when the output stops. With more than one host a line
    for each of them follows.
  - Of an install it prints the twelve steps of each host with how each ended and the seconds it took, where something
    failed, or where it is the only host and something changed.
  - Names the hosts that could not be reached and those where another task failed.
  - When a playbook has ended early, names the hosts that it never came to and those that it left without a verdict,
    and says for which hosts the same command has to be run again.
  - Prints nothing when no task of this collection ran.
options:
  outcome:
    description:
      - File that takes the outcome as JSON, with the keys C(ok), C(exit_code) and C(hosts). What is in it is replaced.
      - Each host has C(ok), C(exit_code), its C(reports), and C(error), which is null or says why there is no verdict.
        Of an install it has the twelve C(steps), too, and of a first install that failed C(first_install), which says
        what has become of it.
      - The exit codes are those of the command C(rollcall), and 4 for a host that could not be reached. The outcome's
        own is the worst of all hosts', and the worst is 2, then 4, 3 and 1.
    type: str
    env:
      - name: ROLLCALL_OUTCOME
requirements:
  - Enable it with C(callbacks_enabled = rollcall.supervisor.roll_call) in the C([defaults]) of C(ansible.cfg).
author:
  - Rollcall authors (@rollcall)
"""

import json
import sys
import time
import typing as t
from dataclasses import dataclass, field

from ansible.plugins.callback import CallbackBase
from ansible.utils.color import ANSIBLE_COLOR

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import (
    EXIT_CODES,
    EXIT_FAILED,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_UNREACHABLE,
    EXIT_WRONG_USE,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.show import steps
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import error_text, problems_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.roll_call import roll_call, verdict_line
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.steps import Step, steps_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.words import terminal

OURS = "rollcall.supervisor."
RUN = f"{OURS}stack_restart"
REMOVE = f"{OURS}stack_remove"
JUDGING = (RUN, f"{OURS}stack_verify", f"{OURS}stack_info", f"{OURS}stack_doctor")
REPORTING = (*JUDGING, f"{OURS}port_assign")
CODES = {**EXIT_CODES, "unreachable": EXIT_UNREACHABLE}
# With several hosts the worst counts: what was asked wrongly has to be asked anew everywhere; of a host that cannot be
# reached nothing is known; one that refused is as it was; of one that failed it is known what is wrong.
FROM_BEST_TO_WORST = (EXIT_OK, EXIT_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE, EXIT_WRONG_USE)
# Of the tasks of one step the one with most to tell counts.
FROM_LEAST_TO_MOST = (steps.NONE, steps.OK, steps.CHANGED, steps.FAILED)
# What the tasks are called that come when an install has failed.
ENDING = "Failed | "
# How much is shown of what a command wrote that has nothing to do with us.
TAIL = 5

Data = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class _Failure:
    """A task that failed.

    Attributes:
        task: its name.
        result: what it returned.
        ours: whether it was to bring a report.
    """

    task: str
    result: Data
    ours: bool = False


@dataclass
class _Host:
    """What is known of one host: the newest report of each of its stacks, and what went wrong last."""

    # By stack, and whether it is a doctor's: the one says nothing of what the other has seen.
    reports: t.Dict[t.Tuple[str, bool], Data] = field(default_factory=dict)
    failure: t.Optional[_Failure] = None
    unreachable: t.Optional[str] = None
    # Of an install: its steps before the run, by number; what the run has told of its own; and when tasks began.
    earlier: t.Dict[int, Step] = field(default_factory=dict)
    run: t.Sequence[Step] = ()
    began: t.Dict[str, float] = field(default_factory=dict)
    # What has become of a first install that failed, and whether it was taken back.
    ending: str = ""
    gone: bool = False

    @property
    def steps(self) -> t.List[t.Dict[str, t.Any]]:
        """The twelve steps as data; none when this was no install."""
        return [step.as_dict() for step in steps.whole(self.earlier, self.run)] if self.earlier else []

    @property
    def told_bad(self) -> bool:
        """Whether what went wrong is known already, from the task itself that was to report."""
        by_task = self.failure is not None and self.failure.ours
        return by_task or not all(data.get("ok") for data in self.reports.values())


@dataclass(frozen=True)
class _Rest:
    """What a run that has ended badly leaves to be done.

    Attributes:
        untouched: hosts that the play never came to.
        cut_short: hosts that it came to, and left without a verdict.
        again: how to come to all hosts that are not well.
    """

    untouched: t.Sequence[str] = ()
    cut_short: t.Sequence[str] = ()
    again: str = ""


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
        # Whether a verdict is due, and whether the play ends for all hosts when one fails.
        self._judging = False
        self._fatal = False
        # Hosts of the play that runs, hosts of all plays that are our business, and hosts where anything was done; the
        # values mean nothing, a dict keeps the order.
        self._of_play: t.Dict[str, None] = {}
        self._wanted: t.Dict[str, None] = {}
        self._touched: t.Dict[str, None] = {}
        self._stopped_because = ""

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """Note all hosts of the play, those of later batches included."""
        variables = play.get_variable_manager().get_vars(play=play)
        self._of_play = dict.fromkeys(variables["ansible_play_hosts_all"])
        self._fatal = bool(play.any_errors_fatal)

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:  # noqa: ARG002  ansible's signature
        """Note whether this playbook is any business of ours."""
        action = _action(task)
        if action.startswith(OURS):
            self._concerned = True
            self._wanted.update(self._of_play)
        self._judging = self._judging or action in JUDGING

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        """Note when a task of one of the twelve steps begins on a host."""
        if steps.number(str(task.name)) is not None:
            self._hosts.setdefault(host.get_name(), _Host()).began[task._uuid] = time.monotonic()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Collect the report of a task that held, or that a playbook lets pass in order to fail in words of its own."""
        self._touch(result)
        self._collect(result)
        self._count(result, steps.CHANGED if result.result.get("changed") else steps.OK)
        if _action(result.task) == REMOVE and result.result.get("changed"):
            self._host(result).gone = True

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        """Note that the play came to this host."""
        self._touch(result)
        self._count(result, steps.NONE)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Collect the report of a verdict that did not hold, or why there is none."""
        if _guards(result.task) and not ignore_errors and result.host.get_name() not in self._touched:
            # It speaks of the hosts before this one, and nothing has been done here.
            self._stopped_because = str(result.result.get("msg") or "").strip()
            return
        self._touch(result)
        if str(result.task.name).startswith(ENDING):
            # What failed is known: these tell of it, on every host that the play ends for.
            if str(result.task.name).startswith(f"{ENDING}Say "):
                self._host(result).ending = str(result.result.get("msg") or "").strip()
            return
        self._count(result, steps.OK if ignore_errors else steps.FAILED)
        if self._collect(result) or ignore_errors:
            return
        known = self._host(result)
        # The task that ends the play because of what was collected has nothing to add to it.
        if not known.told_bad:
            known.failure = _Failure(result.task.get_name(), result.result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Note a host that could not be reached."""
        self._touch(result)
        self._count(result, steps.FAILED)
        self._host(result).unreachable = str(result.result.get("msg") or "no reason given").strip()

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Print what was collected, and write it where it is wanted."""
        rest = self._rest(stats)
        self._print(stats, rest)
        path = self.get_option("outcome")
        if not path:
            return
        try:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(json.dumps(self._outcome(stats, rest), indent=2) + "\n")
        except OSError as exc:
            self._display.warning(f"The outcome cannot be written: {exc}")

    def _print(self, stats: t.Any, rest: _Rest) -> None:
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
        for line in self._rest_text(rest):
            self._display.display(line)

    def _touch(self, result: t.Any) -> None:
        if not _guards(result.task):
            self._touched[result.host.get_name()] = None

    def _count(self, result: t.Any, state: str) -> None:
        """Add a task to the step that it is of."""
        task = result.task
        number = steps.number(str(task.name))
        if number is None:
            return
        known = self._host(result)
        began = known.began.pop(task._uuid, None)
        if number == steps.LAST:
            # It repeats what the run has said.
            return
        if _action(task) == RUN:
            known.run = _steps_of_run(result.result)
            if known.run:
                return
        before = known.earlier.get(number, Step(number, steps.NONE))
        seconds = before.seconds if began is None else (before.seconds or 0.0) + time.monotonic() - began
        worst = max(before.state, state, key=FROM_LEAST_TO_MOST.index)
        said = str(task.name).rpartition(" | ")[2] if state == steps.FAILED else before.said
        known.earlier[number] = Step(number, worst, seconds, said)

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
            self._host(result).reports[(str(data.get("stack")), "findings" in data)] = data
            self._host(result).failure = None
        # With a mere message the engine was not asked: the task's options are wrong, or could not be worked out.
        said = isinstance(result.result.get("error"), dict) or (
            "msg" in result.result and "results" not in result.result
        )
        if not reports and said:
            self._host(result).failure = _Failure(result.task.get_name(), result.result, ours=True)
        return bool(reports) or said

    def _failure(self, name: str, stats: t.Any) -> t.Optional[_Failure]:
        """Return the failure that ended the host's part of the play; None when there was none or it was rescued."""
        return self._hosts[name].failure if stats.summarize(name)["failures"] else None

    def _rest(self, stats: t.Any) -> _Rest:
        bad = [name for name in self._hosts if self._bad(name, stats)]
        if not bad and not self._stopped_because:
            return _Rest()
        judged = {name for name, known in self._hosts.items() if known.reports}
        unknown = [name for name in self._wanted if name not in judged.union(bad)]
        untouched = [name for name in unknown if name not in self._touched]
        verdict_due = self._judging or self._fatal
        cut_short = [name for name in unknown if name in self._touched] if verdict_due else []
        again = [name for name in self._wanted if name in {*bad, *untouched, *cut_short}]
        return _Rest(untouched, cut_short, f"the same command with --limit {','.join(again)}")

    def _rest_text(self, rest: _Rest) -> t.List[str]:
        because = f" ({self._stopped_because})" if self._stopped_because else ""
        lines = [f"not touched: {', '.join(rest.untouched)}{because}"] if rest.untouched else []
        lines += [f"cut short: {', '.join(rest.cut_short)}"] if rest.cut_short else []
        return ["", *lines, f"  next  {rest.again}"] if lines else []

    # --- the outcome as data ------------------------------------------------------------------------------------------

    def _outcome(self, stats: t.Any, rest: _Rest) -> t.Dict[str, t.Any]:
        """Return the outcome of all hosts."""
        names = dict.fromkeys([*self._wanted, *self._touched, *self._hosts])
        hosts = {name: self._outcome_of(name, stats, rest) for name in names}
        if not hosts:
            reason = self._stopped_because or "No host was asked: none matched, or no task was to run."
            error = _error(reason, "wrong_use")
            return {"ok": False, "exit_code": EXIT_WRONG_USE, "hosts": {}, "error": error}
        code = _worst(host["exit_code"] for host in hosts.values())
        return {"ok": code == EXIT_OK, "exit_code": code, "hosts": hosts}

    def _outcome_of(self, name: str, stats: t.Any, rest: _Rest) -> t.Dict[str, t.Any]:
        known = self._hosts.get(name, _Host())
        reports = list(known.reports.values())
        error = self._error_of(name, stats, rest)
        codes = [EXIT_OK if data.get("ok") else EXIT_FAILED for data in reports]
        if error is not None:
            codes.append(CODES.get(error["kind"], EXIT_FAILED))
        code = _worst(codes)
        found = {"ok": code == EXIT_OK, "exit_code": code, "reports": reports, "error": error}
        if known.steps:
            found["steps"] = known.steps
        if known.ending:
            found["first_install"] = known.ending
        return found

    def _error_of(self, name: str, stats: t.Any, rest: _Rest) -> t.Optional[t.Dict[str, t.Any]]:
        """Return why there is no verdict for a host, or what went wrong beside it; None when nothing did."""
        known = self._hosts.get(name)
        if known is not None and known.unreachable is not None:
            return _error(known.unreachable, "unreachable")
        failure = self._failure(name, stats) if known is not None else None
        if failure is not None:
            return _as_error(failure)
        if name in rest.untouched:
            because = self._stopped_because or "The play ended before this host's turn."
            return _error(f"Not touched. {because}", "failed", remedies=[rest.again])
        verdict_due = name in rest.cut_short or (self._judging and name in self._wanted)
        if verdict_due and (known is None or not known.reports):
            remedies = [rest.again] if rest.again else []
            return _error("There is no verdict on this host.", "failed", remedies=remedies)
        return None

    # --- the text of a host -------------------------------------------------------------------------------------------

    def _bad(self, name: str, stats: t.Any) -> bool:
        known = self._hosts[name]
        lost = known.unreachable is not None or self._failure(name, stats) is not None
        return lost or not all(data.get("ok") for data in known.reports.values())

    def _text(self, name: str, known: _Host, stats: t.Any) -> str:
        look = {**terminal(sys.stdout), "colour": bool(ANSIBLE_COLOR)}
        blocks = [steps_text(known.steps, colour=look["colour"])] if self._shows_steps(name, stats) else []
        blocks += [f"note: {known.ending}"] if known.ending else []
        blocks += [self._roll_call(name, data, look) for data in known.reports.values()]
        failure = self._failure(name, stats)
        if failure is not None:
            blocks.append(_failure_text(name, failure, colour=look["colour"]))
        if known.unreachable is not None:
            blocks.append(_unreachable_text(name, known.unreachable, colour=look["colour"]))
        return "\n\n".join(blocks)

    def _shows_steps(self, name: str, stats: t.Any) -> bool:
        """Return whether the steps of a host are worth their lines: of a fleet only those of who failed are."""
        known = self._hosts[name]
        planned = any(data.get("result") == "planned" for data in known.reports.values())
        if not known.steps or planned:
            return False
        changed = any(step["state"] == steps.CHANGED for step in known.steps)
        return self._bad(name, stats) or (changed and len(self._wanted) == 1)

    def _roll_call(self, name: str, data: Data, look: t.Mapping[str, t.Any]) -> str:
        """Return one stack's roll call; the name is the inventory's, which is what the next command needs."""
        try:
            if "findings" in data:
                # Every other playbook would pay for what only this one needs.
                from ansible_collections.rollcall.supervisor.plugins.module_utils.show.findings import findings_text

                # The findings themselves are the playbook's to show.
                return findings_text({**data, "host": name}).splitlines()[-1]
            return roll_call({**data, "host": name, "gone": self._hosts[name].gone}, **look)
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
            if "findings" in data:
                # A line is all that stands above, too.
                continue
            try:
                lines.append(verdict_line({**data, "host": name}, colour=colour))
            except (KeyError, TypeError, ValueError, AttributeError):
                # Told with its reason above, where the whole roll call should have been.
                lines.append(f"{data.get('stack')} on {name}: {'OK' if data.get('ok') else 'FAILED'}")
        failure = self._failure(name, stats)
        if failure is not None:
            lines.append(_failure_text(name, failure, colour=colour).splitlines()[0])
        if known.unreachable is not None:
            lines.append(_unreachable_text(name, known.unreachable, colour=colour).splitlines()[0])
        return lines


def _action(task: t.Any) -> str:
    """Return the full name of a task's module, also where the playbook uses the short one."""
    return str(getattr(task, "resolved_action", None) or task.action)


def _steps_of_run(result: Data) -> t.List[Step]:
    """Return the steps that the run itself has told; none when it told nothing, as in check mode without one."""
    if isinstance(result.get("report"), dict):
        try:
            return steps.of_report(result["report"])
        except (KeyError, TypeError, ValueError, AttributeError):
            # The engine of the host is of another version; its roll call says that it cannot be printed.
            return []
    return steps.of_error(result["error"]) if isinstance(result.get("error"), dict) else []


def _guards(task: t.Any) -> bool:
    """Return whether a task asks, once for all hosts, if the play may go on."""
    return bool(getattr(task, "run_once", False)) and _action(task) == "ansible.builtin.assert"


def _worst(codes: t.Iterable[int]) -> int:
    return max(codes, key=FROM_BEST_TO_WORST.index, default=EXIT_OK)


def _error(
    message: str, kind: str, *, evidence: t.Optional[Data] = None, remedies: t.Sequence[str] = ()
) -> t.Dict[str, t.Any]:
    """Return an error as the engine's own are given."""
    return {"message": message, "kind": kind, "evidence": dict(evidence or {}), "remedies": list(remedies)}


def _as_error(failure: _Failure) -> t.Dict[str, t.Any]:
    """Return why a host came to no verdict."""
    result = failure.result
    if isinstance(result.get("error"), dict):
        return dict(result["error"])
    if result.get("problems"):
        message = str(result.get("msg") or "The manifest has problems.")
        return _error(message, "wrong_use", evidence={"problems": list(result["problems"])})
    said = result.get("msg") or result.get("module_stderr") or "it gave no reason; see above"
    words = str(result.get("stderr") or result.get("stdout") or "").splitlines()[-TAIL:]
    message = f"task '{failure.task}': {str(said).strip()}"
    return _error(message, "wrong_use" if failure.ours else "failed", evidence={"output": words} if words else None)


def _failure_text(name: str, failure: _Failure, *, colour: bool) -> str:
    """Return why a host came to no verdict, for people."""
    problems = failure.result.get("problems")
    if problems and not isinstance(failure.result.get("error"), dict):
        return problems_text(problems, subject=f"manifest of {name}", colour=colour)
    return error_text(_as_error(failure), subject=name, colour=colour)


def _unreachable_text(name: str, reason: str, *, colour: bool) -> str:
    return error_text(_error(reason, "unreachable"), subject=name, colour=colour)
