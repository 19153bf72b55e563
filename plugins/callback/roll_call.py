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
    command, and then the verdict. Of M(rollcall.supervisor.stack_doctor) the verdict alone, of
    M(rollcall.supervisor.stack_acknowledge) whether there was anything to acknowledge.
  - Hosts that failed come last, so that they are on the screen when the output stops. With more than one host a line
    for each of them follows.
  - Of an install it prints the twelve steps of each host with how each ended and the seconds it took, where something
    failed, or where it is the only host and something changed.
  - Names the hosts that could not be reached and those where another task failed.
  - When a playbook has ended early, names the hosts that it never came to and those that it left without a verdict,
    and says for which hosts the same command has to be run again.
  - Says of a task of this collection that takes more than a moment that it is under way, and for how long. Of a run it
    says for each host at which step it is, what it waits for, and for how long. With the callback
    P(rollcall.supervisor.brief#callback) and without C(-v) that is one line a host, renewed in place on a terminal;
    elsewhere a line after some seconds, and less and less often, up to every half minute. Where standard output has
    another format than P(ansible.builtin.default#callback) has, it goes to the error output.
  - Prints nothing when no task of this collection ran.
  - Where C(ansible.posix.json) or C(ansible.posix.jsonl) prints the tasks, all of it goes to the error output.
options:
  outcome:
    description:
      - File that takes the outcome as JSON, with the keys C(ok), C(exit_code) and C(hosts).
      - It is removed when a playbook begins and written when it has ended, so one that was interrupted leaves none.
        What ends C(ansible-playbook) before that, such as a broken inventory, leaves the file as it was. The exit code
        of C(ansible-playbook) is never 0 then.
      - Each host has C(ok), C(exit_code), its C(reports), and C(error), which is null or says why there is no verdict.
        Of an install it has the twelve C(steps), too, and of a first install that failed C(first_install), which says
        what has become of it.
      - Of the playbook C(rollcall.supervisor.fleet) the outcome has its table as well, by host in C(fleet).
      - The exit codes are those of the command C(rollcall), and 4 for a host that could not be reached. The outcome's
        own is the worst of all hosts', and the worst is 2, then 4, 3 and 1.
    type: str
    env:
      - name: ROLLCALL_OUTCOME
  progress:
    description:
      - After how many seconds a host says how far it is with a run, and how often it does so again. With very many
        hosts each does so less often.
      - With V(0) it is not asked, and its whole run is one call.
    type: float
    default: 5
    env:
      - name: ROLLCALL_PROGRESS
    ini:
      - section: rollcall
        key: progress
    version_added: 0.2.0
requirements:
  - Enable it with C(callbacks_enabled = rollcall.supervisor.roll_call) in the C([defaults]) of C(ansible.cfg).
author:
  - Rollcall authors (@rollcall)
"""

import contextlib
import gc
import json
import os
import sys
import threading
import time
import typing as t

from ansible import constants, context
from ansible.plugins.callback import CallbackBase
from ansible.utils.color import ANSIBLE_COLOR

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.cures import TAKE_OFF
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.show import steps
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.steps import Step
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.words import terminal
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import progress
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.invocation import (
    apply_command,
    is_local,
    playbook_command,
    same_command,
)
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.playbook_record import (
    HostRecord,
    PlaybookRecord,
    TaskFailure,
)
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.playbook_text import NOT_OURS, playbook_text
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.played import ENDING, OURS, action_of

if t.TYPE_CHECKING:
    from ansible_collections.rollcall.supervisor.plugins.plugin_utils.playbook_record import AnyReport

APPLY = f"{OURS}stack_apply"
RUNS = (f"{OURS}stack_restart", APPLY)
REMOVE = f"{OURS}stack_remove"
JUDGING = (*RUNS, f"{OURS}stack_verify", f"{OURS}stack_info", f"{OURS}stack_doctor")
ROLLOUT = f"{OURS}rollout_"
ROLLED_OUT = f"{ROLLOUT}result"
# Of a rollout what has a host do or write down anything.
BEGINS = (APPLY, f"{ROLLOUT}step")
FLEET = f"{OURS}fleet_table"
REPORTING = (*JUDGING, f"{OURS}stack_acknowledge", f"{OURS}port_assign")
# A variable of those of the tasks with ENDING that say what has become of an install.
STATEMENT = "__bootstrap_ending_told"
# Variables of tasks that call the host's own command, and that have it stop the stack, or end something.
STOPS = "__rollcall_stops"
TOUCHES = "__rollcall_touches"
# A variable of every play whose failures are told here.
TELLS = "__rollcall_tells"
# A variable of a play on the controller that only sees to other hosts.
ASIDE = "__rollcall_aside"
# After how many seconds it is said which task is waited for, and how often that is said again.
PATIENCE = 3.0
AGAIN = 30.0
TICK = 1.0
# What prints the tasks as documents, of the collection ansible.posix.
DATA = ("json", "jsonl")

Data = t.Mapping[str, t.Any]


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core comes without types
    """Collects reports while the playbook runs and prints them when it has ended."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "rollcall.supervisor.roll_call"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._record = PlaybookRecord()
        self._concerned = False
        self._applies = False
        self._patience: t.Optional[threading.Timer] = None
        self._waits_for: t.Any = None
        self._since = self._due = self._pause = 0.0
        self._is_told = False
        # What hosts have said of the run that they are at, and which are at the task.
        self._news: t.Dict[str, progress.News] = {}
        self._at_work: t.Set[str] = set()
        self._aside = False
        # Hosts of the play that runs; the values mean nothing, a dict keeps the order.
        self._of_play: t.Dict[str, None] = {}

    def v2_playbook_on_start(self, playbook: t.Any) -> None:  # noqa: ARG002  ansible's signature
        """Remove the outcome of an earlier playbook: one that is interrupted writes none."""
        path = self.get_option("outcome")
        if not path or _is_stream(path) or not os.path.isfile(path):
            return
        try:
            _forget(path)
        except (OSError, RollcallError) as exc:
            self._display.warning(f"The outcome of an earlier playbook cannot be removed: {exc}")

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """Note all hosts of the play, those of later batches included."""
        # Ansible forks for each task and host. The collector of each fork would go through all that is loaded by now,
        # and so have the kernel copy it: a tenth of what a playbook with nothing to do costs.
        gc.freeze()
        # By this the tasks know that it is told here why they fail. That it is enabled does not say so: a collection
        # that is installed by an earlier play comes too late for its callbacks.
        play.vars = {**play.vars, TELLS: True}
        progress.open_channel(self.get_option("progress"))
        variables = play.get_variable_manager().get_vars(play=play)
        self._of_play = dict.fromkeys(variables["ansible_play_hosts_all"])
        self._aside = ASIDE in play.vars
        # What another play does after it is not in the table.
        self._record.fleet = {}
        self._record.check_mode = bool(context.CLIARGS.get("check"))
        self._record.fatal = bool(play.any_errors_fatal)

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:  # noqa: ARG002  ansible's signature
        """Note whether this playbook is any business of ours."""
        action = action_of(task)
        if action.startswith(OURS):
            self._concerned = True
            self._record.wanted.update({} if self._aside else self._of_play)
        self._record.judging = self._record.judging or action in JUDGING
        self._record.begun = self._record.begun or action in BEGINS
        self._applies = self._applies or action == APPLY
        self._end_patience()
        if action.startswith(OURS) or steps.number(str(task.name)) is not None:
            self._be_patient(task)

    def _be_patient(self, task: t.Any) -> None:
        """Say after some seconds that a task is waited for, unless it has ended by then, and later again.

        Hosts that have said how far they are with a run are told instead, each in a line.
        """
        self._waits_for, self._since = task, time.monotonic()
        self._due = self._since + PATIENCE
        self._pause, self._is_told = PATIENCE, False
        self._look_again(task)

    def _look_again(self, task: t.Any) -> None:
        self._patience = threading.Timer(self._until_next(), self._tell, (task,))
        self._patience.daemon = True
        # A machine that has no thread left has worse to tell of.
        with contextlib.suppress(RuntimeError):
            self._patience.start()

    def _until_next(self) -> float:
        left = self._due - time.monotonic()
        return min(TICK, left) if left > 0 else TICK

    def _tell(self, task: t.Any) -> None:
        if self._waits_for is not task:
            return
        now = time.monotonic()
        self._news.update((host, news) for host, news in progress.heard() if host in self._at_work)
        lines = progress.progress_lines(self._news, now)
        at_end = progress.place()
        if at_end is not None and lines:
            at_end.draw(lines, terminal(sys.stdout)["width"])
        elif now >= self._due or (lines and not self._is_told):
            self._is_told = bool(lines)
            waited = now - self._since
            so_far = f", for {waited:.0f} s" if waited >= PATIENCE + TICK / 2 else ""
            for line in lines or [f"... still at {task.name}{so_far}"]:
                self._display.display(line, **({} if _is_for_people() else {"stderr": True}))
            self._pause = min(AGAIN, self._pause * 2) if lines else AGAIN
            self._due = now + self._pause
        self._look_again(task)

    def _end_patience(self) -> None:
        self._waits_for = None
        self._news.clear()
        if self._patience is not None:
            self._patience.cancel()
        for place in progress.area:
            place.clear()

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        """Note when a task of one of the twelve steps begins on a host."""
        if action_of(task) in RUNS:
            self._record.in_run.add(host.get_name())
            self._at_work.add(host.get_name())
        if steps.number(str(task.name)) is not None:
            self._record.host(host.get_name()).began[task._uuid] = time.monotonic()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Collect the report of a task that succeeded, or that a playbook lets pass to fail in words of its own."""
        if self._aside:
            self._keep_rollout(result)
            return
        if action_of(result.task) == FLEET:
            self._record.fleet = result.result["hosts"]
        self._touch(result)
        self._collect(result)
        self._count(result, steps.CHANGED if result.result.get("changed") else steps.OK)
        if action_of(result.task) == REMOVE and result.result.get("changed"):
            self._host(result).gone = True
        marks = result.task.get_vars()
        if STOPS in marks:
            self._host(result).stopped = time.time()
        if TOUCHES in marks and result.result.get("changed"):
            self._host(result).touched_itself = True

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        """Note that the play came to this host."""
        self._touch(result)
        self._count(result, steps.NONE)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Collect the report of a verdict that failed, or why there is none."""
        if _is_of_rollout(result) and not ignore_errors:
            # It is about all hosts, and Ansible has it on one of them.
            host = result.host.get_name()
            self._record.stopped_rollout = TaskFailure(result.task.get_name(), result.result, ours=True, host=host)
            return
        if self._aside:
            self._keep_rollout(result)
            return
        if self._record.fleet:
            # It ends the playbook because of what the table has.
            return
        if _guards(result.task) and not ignore_errors and result.host.get_name() not in self._record.touched:
            # It speaks of the hosts before this one, and nothing has been done here.
            self._record.stopped_because = str(result.result.get("msg") or "").strip()
            return
        self._touch(result)
        marks = result.task.get_vars()
        if ENDING in marks:
            # What failed is known: these tell of it, on every host that the play ends for.
            if STATEMENT in marks:
                said = str(result.result.get("msg") or "").strip()
                # Without a limit it would take the stack off the hosts on which it is well.
                off = playbook_command("remove", limit=self._limit(result.host.get_name()))
                self._host(result).ending = said.replace(TAKE_OFF, off)
            return
        if STOPS in marks:
            self._host(result).told_itself = True
        self._count(result, steps.OK if ignore_errors else steps.FAILED)
        if self._collect(result) or ignore_errors:
            return
        known = self._host(result)
        # The task that ends the play because of what was collected has nothing to add to it.
        if not known.told_bad:
            known.failure = TaskFailure(result.task.get_name(), result.result, host=result.host.get_name())

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Note a host that could not be reached."""
        self._touch(result)
        known = self._host(result)
        if action_of(result.task) in RUNS:
            # The run goes on without its controller: nobody knows here how far it has come.
            known.run = steps.unknown("the connection was lost; ask the host: rollcall status")
            known.lost_run = True
        else:
            self._count(result, steps.FAILED)
        known.unreachable = str(result.result.get("msg") or "no reason given").strip()

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Print what was collected, and write it where it is wanted."""
        self._end_patience()
        stopped = self._record.stopped_rollout
        names = [*self._record.hosts, *([] if stopped is None else [stopped.host])]
        self._record.lost = {name for name in names if stats.summarize(name)["failures"]}
        if self._concerned:
            # A rollout is about all hosts: it goes on with those that are not done.
            rollout = bool(self._record.rollout or stopped)
            for name, known in self._record.hosts.items():
                limit = self._limit(name)
                known.by = same_command() if rollout else apply_command(applies=self._applies, limit=limit, again=True)
            look = terminal(sys.stderr) if _is_data() else {**terminal(sys.stdout), "colour": bool(ANSIBLE_COLOR)}
            text = playbook_text(self._record, warn=self._display.warning, **look)
            if text is not None:
                self._print_at_end(text)
        path = self.get_option("outcome")
        if not path:
            return
        try:
            # What a caller has opened for it may be a file with more in it, as standard output is.
            with open(path, "a" if _is_stream(path) else "w", encoding="utf-8") as stream:
                stream.write(json.dumps(self._record.outcome(), indent=2) + "\n")
        except OSError as exc:
            self._display.warning(f"The outcome cannot be written: {exc}")

    def _print_at_end(self, text: str) -> None:
        if _is_data():
            self._display.display(text, stderr=True)
            return
        self._display.banner("ROLL CALL")
        self._display.display(text)

    def _limit(self, host: str) -> str:
        """Return what limits a command to one host; empty where it is the only one of the inventory."""
        return host if len(self._record.wanted) > 1 or context.CLIARGS.get("subset") else ""

    def _host(self, result: t.Any) -> HostRecord:
        known = self._record.host(result.host.get_name())
        known.elsewhere = not is_local(result.host)
        return known

    def _keep_rollout(self, result: t.Any) -> None:
        """Keep how a rollout has ended."""
        if action_of(result.task) == ROLLED_OUT and "hosts" in result.result:
            self._record.rollout = result.result

    def _touch(self, result: t.Any) -> None:
        if not _guards(result.task):
            self._record.touched[result.host.get_name()] = None
        self._record.in_run.discard(result.host.get_name())
        self._at_work.discard(result.host.get_name())
        self._news.pop(result.host.get_name(), None)

    def _count(self, result: t.Any, state: str) -> None:
        """Add a task to the step that it is of."""
        task = result.task
        number = steps.number(str(task.name))
        # The task that runs the services comes again to a host that it has found not to be prepared.
        if number is None or result.result.get("unprepared"):
            return
        known = self._host(result)
        began = known.began.pop(task._uuid, None)
        if number == steps.LAST:
            # It repeats what the run has said.
            return
        if action_of(task) in RUNS:
            known.run = _steps_of_run(result.result)
            if known.run:
                return
        known.count(number, state, None if began is None else time.monotonic() - began, str(task.name))

    def _collect(self, result: t.Any) -> bool:
        """Keep the reports in a task's result; return whether there was one."""
        if action_of(result.task) not in REPORTING:
            return False
        if result.result.get("unplanned"):
            self._host(result).unplanned = str(result.result["unplanned"])
            return True
        # A task in a loop has one result for each item.
        found = [item.get("report") for item in (result.result, *(result.result.get("results") or ()))]
        reports = [report for report in found if isinstance(report, dict)]
        for report in reports:
            self._host(result).keep(t.cast("AnyReport", report))
        # With a mere message the engine was not asked: the task's options are wrong, or could not be worked out.
        said = isinstance(result.result.get("error"), dict) or (
            "msg" in result.result and "results" not in result.result
        )
        if not reports and said:
            told = TaskFailure(result.task.get_name(), result.result, ours=True, host=result.host.get_name())
            self._host(result).failure = told
        return bool(reports) or said


def _printer() -> str:
    """Return the name of what prints the tasks, without its collection."""
    return str(constants.DEFAULT_STDOUT_CALLBACK).rpartition(".")[2]


def _is_for_people() -> bool:
    """Return whether what prints the tasks is known to be for people, who do not mind another line among its own."""
    return _printer() in ("brief", "default")


def _is_data() -> bool:
    """Return whether what prints the tasks is known to be for programs, which take nothing else."""
    return _printer() in DATA


def _is_stream(path: str) -> bool:
    """Return whether a path names an open file of the caller, such as /dev/stdout or /dev/fd/3."""
    return os.path.abspath(path).startswith(("/dev/fd/", "/dev/std", "/proc/"))


def _forget(path: str) -> None:
    """Remove the outcome of an earlier playbook; of one whose directory is closed to us, what it says.

    Raises:
        OSError: neither can be done.
        RollcallError: it is a mount.
    """
    if not os.path.islink(path):
        # Late: the loader of collections compiles what it imports, every time, and mostly nothing is to be removed.
        from ansible_collections.rollcall.supervisor.plugins.module_utils.base.removing import remove

        try:
            remove(path, missing_ok=True)
            return
        except (PermissionError, RollcallError):
            pass
    # A link stays, for somebody has made it.
    os.truncate(path, 0)


def _steps_of_run(result: Data) -> t.List[Step]:
    """Return the steps that the run itself has told; none when it told nothing, as in check mode without one."""
    if isinstance(result.get("report"), dict):
        try:
            return steps.of_report(result["report"])
        except NOT_OURS:
            # The engine of the host is of another version; its roll call says that it cannot be printed.
            return []
    return steps.of_error(result["error"]) if isinstance(result.get("error"), dict) else []


def _is_of_rollout(result: t.Any) -> bool:
    """Return whether a task is one that decides something once for a whole rollout; not the one that tells its end."""
    action = action_of(result.task)
    tells = action == ROLLED_OUT and "hosts" in result.result
    return bool(getattr(result.task, "run_once", False)) and action.startswith(ROLLOUT) and not tells


def _guards(task: t.Any) -> bool:
    """Return whether a task asks, once for all hosts, if the play may go on."""
    return bool(getattr(task, "run_once", False)) and action_of(task) == "ansible.builtin.assert"
