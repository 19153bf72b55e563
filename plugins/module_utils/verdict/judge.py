# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Makes a verdict: judges every check of a table by what was seen. Pure. Only a verdict says success."""

from __future__ import annotations

import itertools
import typing as t

from ..host.model import Identity
from ..manifest.model import Service, Stack
from ..ports.provenance import Holder
from ..state.stopped import WHOLE, Stopped, StoppedByHand
from ..supervisord.client import ProgramState
from .conditions import is_not_ready
from .observation import Observation, has_ended_well, in_order, stopped_by_hand

if t.TYPE_CHECKING:
    from ..base import documents
    from ..base.documents import Result
    from ..base.job_documents import TimerRow


# The code of a check that fails because somebody has stopped the stack.
STOPPED = "stopped"


class Expectation(t.NamedTuple):
    """What a run knows beyond what was seen.

    Attributes:
        before: pid and start of each service that had to be restarted, as they were before.
        first: pid and start of each service when it was first seen ready in this run.
        failed: services that did not come up, with the reason.
        blocked: failed services that were not started, each with the service that it depends on and that is not up.
        held: services that must stay down because something that they require is missing, with the reason.
        freed: the listeners on the port of each service that was removed.
        sockets: inodes of the sockets on which services of the stack listened.
        unfinished: what an install has left to do, for people; None where that is not judged.
        stopped: what somebody has stopped by hand.
        untouched: services that a run leaves alone; empty for a look.
        started: services that a run has started.
        timers: what is told of the timers; None where they are not judged.
    """

    before: t.Mapping[str, Identity] = {}
    first: t.Mapping[str, Identity] = {}
    failed: t.Mapping[str, str] = {}
    blocked: t.Mapping[str, str] = {}
    held: t.Mapping[str, str] = {}
    freed: t.Mapping[str, t.Sequence[Holder]] = {}
    sockets: t.Container[int] = ()
    unfinished: t.Optional[t.Sequence[str]] = None
    stopped: Stopped = {}
    untouched: t.Container[str] = ()
    started: t.Container[str] = ()
    timers: t.Optional[t.Sequence[TimerRow]] = None


class Case(t.NamedTuple):
    """What is judged: the manifest, what was seen of the stack, and what a run knows."""

    stack: Stack
    seen: Observation
    expected: Expectation = Expectation()

    def is_held(self, service: Service) -> bool:
        """Return whether a service must stay down, and has no process."""
        program = self.seen.programs.get(service.name)
        return service.name in self.expected.held and (program is None or not program.pid)

    def is_stopped(self, service: Service) -> bool:
        """Return whether a service is down because somebody has stopped it, or the whole stack."""
        return stopped_by_hand(service.name, self.expected.stopped, self.seen) is not None

    @property
    def whole_stopped(self) -> t.Optional[StoppedByHand]:
        """Who has stopped the whole stack, and when; None when nobody has, or a supervisord of it lives."""
        return None if self.seen.supervisords else self.expected.stopped.get(WHOLE)

    def program(self, service: Service) -> t.Optional[ProgramState]:
        """Return the program of a service when it is in the state that is wanted; None otherwise."""
        program = self.seen.programs.get(service.name)
        up = program is not None and in_order(service, program) and service.name not in self.seen.halted
        good = up and service.name not in self.expected.failed
        return program if good else None

    def has_ended_well(self, service: Service) -> bool:
        """Return whether a service that ends by design has done so: nothing is left of it to be judged."""
        program = self.seen.programs.get(service.name)
        return program is not None and has_ended_well(service, program)

    def with_tail(self, evidence: str, service: Service) -> str:
        """Return evidence with the last lines of the service's log, where it has written any."""
        log = self.seen.logs.get(service.name)
        tail = "" if log is None else log.tail.rstrip()
        return f"{evidence}\nlog since the run began:\n{tail}" if tail else evidence


class Proof(t.NamedTuple):
    """The outcome of one check for one subject.

    Attributes:
        evidence: what was seen, in one or several lines, for people.
        code: what is wrong, as a word for programs; empty when the check passed.
        next: the command or edit to try next.
        data: the evidence for programs.
    """

    evidence: str
    code: str = ""
    next: t.Optional[str] = None
    data: t.Mapping[str, t.Any] = {}


class CheckKind(t.NamedTuple):
    """One check of the verdict: an entry of the table.

    Attributes:
        name: of the check.
        condition: the one of the eight conditions that it proves; 0 for none.
        step: the one of the twelve steps of an install that it belongs to.
        passes_when: when it passes, for the documentation.
        codes: what can be wrong: each code and its meaning, for the documentation.
        subjects: returns what is judged, each with its name.
        judge: judges one subject; returns None when the check does not apply to it.
    """

    name: str
    condition: int
    step: int
    passes_when: str
    codes: t.Mapping[str, str]
    subjects: t.Callable[[Case], t.Sequence[t.Tuple[str, t.Any]]]
    judge: t.Callable[[Case, t.Any], t.Optional[Proof]]


class Check(t.NamedTuple):
    """One check of the verdict, judged.

    Attributes:
        kind: its entry of the table.
        subject: name of the service, the database or the stack.
        proof: its outcome.
    """

    kind: CheckKind
    subject: str
    proof: Proof

    @property
    def ok(self) -> bool:
        """Whether it passed."""
        return not self.proof.code

    def as_dict(self) -> documents.CheckData:
        """Return the check as data."""
        return {
            "name": self.kind.name,
            "subject": self.subject,
            "ok": self.ok,
            "code": self.proof.code or None,
            "evidence": self.proof.evidence,
            "next": self.proof.next,
            "data": dict(self.proof.data),
            "condition": self.kind.condition or None,
            "step": self.kind.step,
        }


def judge(kinds: t.Sequence[CheckKind], case: Case) -> t.List[Check]:
    """Return every check with its evidence, in the order of the table; the verdict is ok when all of them pass.

    Args:
        kinds: the table. Neighbours in it with the same subjects are judged subject by subject.
        case: what is judged.
    """
    found = []
    for subjects, neighbours in itertools.groupby(kinds, lambda kind: kind.subjects):
        of_each = list(neighbours)
        for name, subject in subjects(case):
            for kind in of_each:
                proof = kind.judge(case, subject)
                if proof is not None:
                    found.append(Check(kind, name, proof))
    return found


def result_of(checks: t.Iterable[Check]) -> Result:
    """Return the result: ``ok``; ``held`` when nothing failed and some services wait; else ``degraded``.

    ``stopped`` when nothing is wrong but that somebody has stopped the stack, and ``not_ready`` when nothing is but
    that services are alive and not ready.
    """
    failed = [check for check in checks if not check.ok]
    if not failed:
        return "ok"
    if all(check.proof.code == STOPPED for check in failed):
        return "stopped"
    if not all(check.kind.name == "held" or is_not_ready(check.kind.name, check.proof.code) for check in failed):
        return "degraded"
    return "held" if any(check.kind.name == "held" for check in failed) else "not_ready"
