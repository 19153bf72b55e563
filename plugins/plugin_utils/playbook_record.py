# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import functools
import typing as t
from dataclasses import dataclass, field

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import (
    command_documents,
    cures,
    documents,
    outcome_documents,
    rollout_documents,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import (
    EXIT_CODES,
    EXIT_FAILED,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_UNREACHABLE,
    EXIT_WRONG_USE,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.show import steps
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.steps import Step
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.words import Reader
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import answers

if t.TYPE_CHECKING:
    AnyReport = t.Union[documents.Report, command_documents.DoctorDocument, command_documents.AcknowledgeDocument]

CODES = {**EXIT_CODES, "unreachable": EXIT_UNREACHABLE}
# With several hosts the worst counts: what was asked wrongly has to be asked anew everywhere; of a host that cannot be
# reached nothing is known; one that refused is as it was; of one that failed it is known what is wrong.
FROM_BEST_TO_WORST = (EXIT_OK, EXIT_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE, EXIT_WRONG_USE)
# Of the tasks of one step the one with most to tell counts.
FROM_LEAST_TO_MOST = (steps.NONE, steps.OK, steps.CHANGED, steps.FAILED)
# Where a result has what a command, or the Python of a module, wrote.
WORDS = ("stdout", "stderr", "module_stdout", "module_stderr")
# How a shell ends that finds no such program, or may not run it (POSIX.1-2017, 2.8.2).
NO_PROGRAM = (126, 127)
# How many last lines are kept of what a command wrote that has nothing to do with us.
TAIL = 5

Data = t.Mapping[str, t.Any]


def _known(value: t.Any, shape: t.Any) -> t.Any:
    """Return a value of a task's result when it is of this form; a module of others may have a key of that name."""
    try:
        return answers.admitted(value, shape)[0]
    except answers.Malformed:
        return None


@dataclass(frozen=True)
class TaskFailure:
    """A task that failed.

    Attributes:
        task: its name.
        result: what it returned.
        ours: whether it was to bring a report.
        host: the name of the host in the inventory.
    """

    task: str
    result: Data
    ours: bool = False
    host: str = ""

    @functools.cached_property
    def problems(self) -> t.Sequence[documents.ProblemData]:
        """The problems of the manifest, when it is those that it failed for."""
        known = _known(self.result.get("problems"), t.List[documents.ProblemData])
        return known if known is not None and self._error is None else []

    @functools.cached_property
    def _error(self) -> t.Optional[documents.ErrorData]:
        """The error of the engine or of a module of ours; None when it is another's."""
        return t.cast("t.Optional[documents.ErrorData]", _known(self.result.get("error"), documents.ErrorData))

    def _said(self) -> str:
        """Return why it failed: of a module that gave no answer what its Python said, and not that it gave none."""
        first = self._first
        lines = str(first.get("module_stderr") or first.get("module_stdout") or "").strip().splitlines()
        if lines:
            return f"the module did not run: {lines[-1].strip()}"
        return str(first.get("msg") or "it gave no reason; see above").strip()

    @property
    def _first(self) -> Data:
        """The result that tells why it failed: of a loop that of its first failed item, as the loop tells nothing."""
        items = self.result.get("results")
        failed = (item for item in (items if isinstance(items, list) else ()) if isinstance(item, dict))
        return next((item for item in failed if item.get("failed") and item.get("msg")), self.result)

    def as_error(self) -> documents.ErrorData:
        """Return why a host came to no verdict, in the form of the engine's errors."""
        result, told = self._first, self._error
        if told is not None:
            return told
        if self.problems:
            message = str(self.result.get("msg") or "The manifest has problems.")
            return error(message, "wrong_use", evidence={"problems": self.problems})
        said = self._said()
        words = [line for key in WORDS for line in str(result.get(key) or "").strip().splitlines()][-TAIL:]
        message = f"task '{self.task}': {said}"
        kind: documents.ErrorKind = "wrong_use" if self.ours else "failed"
        # Of a module that gave no answer: its Python is no program that runs there.
        lost = "module_stderr" in result and result.get("rc") in NO_PROGRAM
        remedies = [cures.working_python(self.host)] if lost else []
        return error(message, kind, evidence={"output": words} if words else None, remedies=remedies)


@dataclass
class HostRecord:
    """What is known of one host: the newest report of each of its stacks, and what went wrong last."""

    # By stack, and what it tells of: the one says nothing of what the other has seen.
    reports: t.Dict[t.Tuple[str, str], AnyReport] = field(default_factory=dict)
    failure: t.Optional[TaskFailure] = None
    unreachable: t.Optional[str] = None
    # Whether a run was begun that nobody has heard the end of: it goes on.
    lost_run: bool = False
    # When a task had the host's own command stop the stack, in seconds since the epoch; and whether one has failed, and
    # so has said itself how the stack is.
    stopped: t.Optional[float] = None
    told_itself: bool = False
    # Whether a task had the host's own command end something: who looks then has to be asked.
    touched_itself: bool = False
    # Whether nothing was to be done.
    check_mode: bool = False
    # Of an install: its steps before the run, by number; what the run has told of its own; and when tasks began.
    earlier: t.Dict[int, Step] = field(default_factory=dict)
    run: t.Sequence[Step] = ()
    began: t.Dict[str, float] = field(default_factory=dict)
    # What has become of a first install that failed, and whether it was taken back.
    ending: str = ""
    gone: bool = False
    # Why check mode could plan nothing.
    unplanned: str = ""
    # How cures for it are worded: the command that applies a manifest, and where all others are to be run.
    by: str = ""
    elsewhere: bool = False

    @property
    def why_unreachable(self) -> t.Optional[documents.ErrorData]:
        """Why the host could not be reached; None when it could."""
        if self.unreachable is None:
            return None
        return self.told(error(self.unreachable, "unreachable"))

    def told(self, why: documents.ErrorData) -> documents.ErrorData:
        """Return an error with how the stack is, unless it says so itself or that is told elsewhere."""
        left = self._standing(why) if why.get("standing") is None else None
        return why if left is None else {**why, "standing": left}

    def _standing(self, why: documents.ErrorData) -> t.Optional[documents.StandingData]:
        """Return how the stack is after what has ended this host's part; None where nothing is there that could be up.

        Only a run ends or starts anything. A report of one says it, and of a look each service.
        """
        if self.gone or self.ending or self.check_mode or self.told_itself:
            return None
        if self.stopped is not None:
            return _left("down", 0, since=self.stopped, command=cures.START)
        # An error of ours that has touched nothing is no failure by its kind.
        ours = self.failure is not None and self.failure.ours and why["kind"] == "failed"
        if why["kind"] == "unreachable" or self.lost_run or self.touched_itself or ours:
            return _left("unknown", command=cures.STATUS)
        verdicts = [report for report in self.reports.values() if tells_of(report) == "verdict"]
        if not verdicts:
            return _left("as_it_was")
        # One of another version may lack what ours has.
        services = verdicts[-1].get("services") if verdicts[-1].get("ok") else ()
        known = t.cast("t.Sequence[Data]", services or ())
        rows = [row.get("state") for row in known if row.get("kind") == "service"]
        running = rows.count("RUNNING")
        return _left("up", running, len(rows)) if running else None

    def reader(self, name: str, root: str = "") -> Reader:
        """Return how cures for this host, which the inventory calls ``name``, are written."""
        return Reader(root or self.root, self.by, name if self.elsewhere else "")

    @property
    def root(self) -> str:
        """The root of a stack of this host; empty when none has reported."""
        return next((str(report["root"]) for report in self.reports.values() if report.get("root")), "")

    @property
    def steps(self) -> t.List[documents.StepData]:
        """The twelve steps as data; none when this was no install."""
        return [step.as_dict() for step in steps.whole(self.earlier, self.run)] if self.earlier else []

    @property
    def ok(self) -> bool:
        """Whether every report that there is says ok."""
        return all(report.get("ok") for report in self.reports.values())

    @property
    def told_bad(self) -> bool:
        """Whether what went wrong is known already, from the task itself that was to report."""
        return not self.ok or (self.failure is not None and self.failure.ours)

    def keep(self, report: AnyReport) -> None:
        """Keep a report, in the place of an earlier one of the same stack."""
        self.reports[str(report.get("stack")), tells_of(report)] = report
        self.failure = None

    def count(self, number: int, state: str, seconds: t.Optional[float], task: str) -> None:
        """Add a task to the step that it is of."""
        before = self.earlier.get(number, Step(number, steps.NONE))
        took = before.seconds if seconds is None else (before.seconds or 0.0) + seconds
        worst = max(before.state, state, key=FROM_LEAST_TO_MOST.index)
        said = task.rpartition(" | ")[2] if state == steps.FAILED else before.said
        self.earlier[number] = Step(number, worst, took, said)


def _left(
    state: t.Any,
    running: t.Optional[int] = None,
    services: t.Optional[int] = None,
    *,
    since: t.Optional[float] = None,
    command: t.Optional[str] = None,
) -> documents.StandingData:
    return {"state": state, "running": running, "services": services, "since": since, "next": command}


def tells_of(report: AnyReport) -> str:
    """Return what a report tells of: ``findings``, what was ``acknowledged``, or a ``verdict``."""
    if "findings" in report:
        return "findings"
    return "acknowledged" if "exits" in report else "verdict"


@dataclass(frozen=True)
class Remainder:
    """What a playbook that has ended badly leaves to be done.

    Attributes:
        untouched: hosts that the play never came to.
        cut_short: hosts that it came to, and left without a verdict.
        again: how to come to all hosts that are not well.
    """

    untouched: t.Sequence[str] = ()
    cut_short: t.Sequence[str] = ()
    again: str = ""


@dataclass
class PlaybookRecord:
    """What is known of a whole playbook.

    Attributes:
        hosts: each host of which something is known.
        wanted: the hosts of all plays that are our business; the values mean nothing, a dict keeps the order.
        touched: hosts where anything was done.
        in_run: hosts on which a run was begun whose end is not known.
        check_mode: whether nothing is to be done.
        judging: whether a verdict is due.
        fatal: whether the play ends for all hosts when one fails.
        stopped_because: what the task said that ended the play before its next batch.
        lost: hosts whose part of the play a failed task has ended; known when the playbook has ended.
        rollout: how a rollout has ended, as the module rollout_result says it; empty for any other playbook.
        begun: whether a host was asked to run anything, or to write down that a rollout is there.
        stopped_rollout: the task that has ended a rollout before its end; it is about all hosts.
        fleet: the table of a fleet by host, as the module fleet_table makes it; empty for any other playbook.
    """

    hosts: t.Dict[str, HostRecord] = field(default_factory=dict)
    wanted: t.Dict[str, None] = field(default_factory=dict)
    touched: t.Dict[str, None] = field(default_factory=dict)
    in_run: t.Set[str] = field(default_factory=set)
    check_mode: bool = False
    judging: bool = False
    fatal: bool = False
    stopped_because: str = ""
    lost: t.Container[str] = ()
    rollout: Data = field(default_factory=dict)
    begun: bool = False
    stopped_rollout: t.Optional[TaskFailure] = None
    fleet: t.Mapping[str, rollout_documents.FleetHost] = field(default_factory=dict)

    def host(self, name: str) -> HostRecord:
        """Return what is known of a host, to be added to."""
        return self.hosts.setdefault(name, HostRecord(check_mode=self.check_mode))

    def failure(self, name: str) -> t.Optional[TaskFailure]:
        """Return the failure that ended the host's part of the play; None when there was none or it was rescued."""
        return self.hosts[name].failure if name in self.lost else None

    @property
    def rollout_failure(self) -> t.Optional[documents.ErrorData]:
        """Why a rollout came to no end; None when it did, or when the failure was rescued."""
        failure = self.stopped_rollout
        if failure is None or failure.host not in self.lost:
            return None
        why = failure.as_error()
        # An error of ours says so itself.
        untouched = [] if self.begun or "error" in failure.result else ["No host was touched."]
        return {**why, "message": "\n  ".join([why["message"], *untouched])}

    def is_bad(self, name: str) -> bool:
        """Return whether a host is not well, or has come to no verdict."""
        known = self.hosts[name]
        return known.unreachable is not None or self.failure(name) is not None or not known.ok

    def shows_steps(self, name: str) -> bool:
        """Return whether the steps of a host are worth their lines: of a fleet only those of who failed are."""
        known = self.hosts[name]
        planned = any(report.get("result") == "planned" for report in known.reports.values())
        if not known.steps or planned or known.unplanned:
            return False
        changed = any(step["state"] == steps.CHANGED for step in known.steps)
        return self.is_bad(name) or (changed and len(self.wanted) == 1)

    def remainder(self) -> Remainder:
        """Return what is left to be done; nothing when all is well."""
        bad = [name for name in self.hosts if self.is_bad(name)]
        if not bad and not self.stopped_because:
            return Remainder()
        judged = {name for name, known in self.hosts.items() if known.reports or known.unplanned}
        unknown = [name for name in self.wanted if name not in judged.union(bad)]
        untouched = [name for name in unknown if name not in self.touched]
        verdict_due = self.judging or self.fatal
        cut_short = [name for name in unknown if name in self.touched] if verdict_due else []
        again = [name for name in self.wanted if name in {*bad, *untouched, *cut_short}]
        return Remainder(untouched, cut_short, f"the same command with --limit {','.join(again)}")

    def outcome(self) -> outcome_documents.OutcomeDocument:
        """Return the outcome of all hosts as data."""
        rest = self.remainder()
        names = dict.fromkeys([*self.wanted, *self.touched, *self.hosts])
        hosts = {name: self._in_fleet(name, self._outcome_of(name, rest)) for name in names}
        if not hosts:
            reason = self.stopped_because or "No host was asked: none matched, or no task was to run."
            return {
                "ok": False,
                "exit_code": EXIT_WRONG_USE,
                "hosts": {},
                "error": error(reason, "wrong_use"),
            }
        code = self.rollout.get("exit_code", _worst(host["exit_code"] for host in hosts.values()))
        told: outcome_documents.OutcomeDocument = {"ok": code == EXIT_OK, "exit_code": code, "hosts": hosts}
        if self.fleet:
            told["fleet"] = dict(self.fleet)
        return told

    def _in_fleet(self, name: str, found: outcome_documents.HostOutcome) -> outcome_documents.HostOutcome:
        """Return the outcome of a host with what the table of the fleet says of it."""
        one = self.fleet.get(name)
        if one is None or one["well"] or found["error"] is not None:
            return found
        said = f"{one['verdict']}: {one['why'] or one['stopped'] or ', '.join(one['failing'])}".rstrip(": ")
        if one["drained"] or (one["rollout"] and one["rollout"]["at_work"]):
            said += ", and a rollout has not ended here"
        why = error(f"This host is not well: {said}.", "failed" if one["reached"] else "unreachable")
        return {**found, "ok": False, "exit_code": CODES.get(why["kind"], EXIT_FAILED), "error": why}

    def _outcome_of(self, name: str, rest: Remainder) -> outcome_documents.HostOutcome:
        known = self.hosts.get(name, HostRecord())
        reports = list(known.reports.values())
        why = self._error_of(name, rest)
        codes = [EXIT_OK if report.get("ok") else EXIT_FAILED for report in reports]
        if why is not None:
            codes.append(CODES.get(why["kind"], EXIT_FAILED))
        code = _worst(codes)
        found: outcome_documents.HostOutcome = {
            "ok": code == EXIT_OK,
            "exit_code": code,
            "reports": reports,
            "error": why,
        }
        if known.steps:
            found["steps"] = known.steps
        if known.ending:
            found["first_install"] = known.ending
        if known.unplanned:
            found["unplanned"] = known.unplanned
        return found

    def _error_of(self, name: str, rest: Remainder) -> t.Optional[documents.ErrorData]:
        """Return why there is no verdict for a host, or what went wrong beside it; None when nothing did."""
        known = self.hosts.get(name)
        if known is not None and known.why_unreachable is not None:
            return known.why_unreachable
        failure = self.failure(name) if known is not None else None
        if failure is not None:
            return self.hosts[name].told(failure.as_error())
        if name in rest.untouched:
            because = self.stopped_because or "The play ended before this host's turn."
            return self._unjudged(name, error(f"Not touched. {because}", "failed", remedies=[rest.again]))
        stopped = self.rollout_failure
        if stopped is not None and name in self.wanted and (known is None or known.ok):
            return stopped
        verdict_due = name in rest.cut_short or (self.judging and name in self.wanted)
        if verdict_due and (known is None or not (known.reports or known.unplanned)):
            remedies = [rest.again] if rest.again else []
            return self._unjudged(name, error("There is no verdict on this host.", "failed", remedies=remedies))
        return None

    def _unjudged(self, name: str, why: documents.ErrorData) -> documents.ErrorData:
        """Return an error about a host without a verdict, with how its stack is."""
        known = self.hosts.get(name, HostRecord(check_mode=self.check_mode))
        return dataclasses.replace(known, lost_run=known.lost_run or name in self.in_run).told(why)


def error(
    message: str, kind: documents.ErrorKind, *, evidence: t.Optional[Data] = None, remedies: t.Sequence[str] = ()
) -> documents.ErrorData:
    """Return an error in the form of the engine's own."""
    return {"message": message, "kind": kind, "evidence": dict(evidence or {}), "remedies": list(remedies)}


def _worst(codes: t.Iterable[int]) -> int:
    return max(codes, key=FROM_BEST_TO_WORST.index, default=EXIT_OK)
