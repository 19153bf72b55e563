# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Waits until every process has lived for its ``stable_for``, looks, and judges."""

from __future__ import annotations

import contextlib
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..host import processes
from ..host.model import Identity
from ..manifest.model import Paths, Stack
from ..ports.provenance import Holder
from ..ports.survey import survey
from ..state.generations import load_stack
from ..state.log_marks import LogMarks, saved_marks
from ..supervisord.client import CALL_TIMEOUT, Client, ProgramState
from . import fitness, limits, status
from .checks import CHECKS
from .judge import Case, Check, Expectation, judge
from .logs import read_logs
from .observation import Observation, identity
from .report import report

if t.TYPE_CHECKING:
    from ..base.documents import Report

POLL = 0.05


def wait_and_judge(
    stack: Stack,
    marks: LogMarks,
    expected: Expectation,
    *,
    began: t.Optional[LogMarks] = None,
    freed: t.Optional[t.Mapping[str, int]] = None,
    client: t.Optional[Client] = None,
    programs: t.Optional[t.Mapping[str, ProgramState]] = None,
    clock: Clock = SYSTEM,
) -> t.Tuple[Observation, t.List[Check]]:
    """Wait until each process has lived for its ``stable_for``, look, and judge.

    Args:
        stack: the manifest.
        marks: from which on the logs are judged.
        expected: what the run knows. A service that is not in its ``first`` is identified by the first look here. The
            listeners on the freed ports are looked up here.
        began: where the logs stood when the run began; None for a look.
        freed: the ports of services that were removed.
        client: a connected client; None makes one.
        programs: what supervisord reported of all programs a moment ago; used only when there is nothing to wait for.
        clock: of all deadlines.
    """
    client = client or Client(stack.paths.socket, timeout=CALL_TIMEOUT, clock=clock)
    lives: t.Mapping[str, Identity] = expected.first
    if not _all_old(stack, lives):
        programs = None
        # Where supervisord does not answer, the look below reports that as the check `supervisord`.
        with contextlib.suppress(RollcallError):
            lives = outlive(stack, client, dict(lives), clock)
    seen = status.observe(stack, clock=clock, client=client, programs=programs)
    seen = _with_backgrounded(stack, seen, expected.failed, clock)
    supervisords = [process.pid for process in seen.supervisords]
    seen = seen._replace(logs=read_logs(stack, marks, supervisords, began=began, clock=clock))
    expected = expected._replace(first=lives, freed=_holders(stack, freed or {}, clock))
    return seen, judge(CHECKS, Case(stack, seen, expected))


def _with_backgrounded(stack: Stack, seen: Observation, failed: t.Container[str], clock: Clock) -> Observation:
    """Return what was seen, with the processes of failed services that have put themselves into the background.

    Between the two forks of such a process one look may miss it, so this looks again for a moment.
    """
    ended = {
        name
        for name, program in seen.programs.items()
        if name in failed and not program.pid and program.exit_status == 0
    }
    supervisords = [process.pid for process in seen.supervisords]
    reported = [program.pid for program in seen.programs.values() if program.pid]
    found = list(seen.orphans)

    def all_found() -> bool:
        found[:] = status.orphans(stack, supervisords, reported)
        return ended <= {process.label.service for process in found if process.label is not None}

    if ended and not all_found():
        Deadline(limits.BACKGROUND, clock).poll(all_found, POLL)
    return seen._replace(orphans=found)


def _holders(stack: Stack, freed: t.Mapping[str, int], clock: Clock) -> t.Dict[str, t.Sequence[Holder]]:
    """Return the listeners on the port of each removed service."""
    found = survey(stack, list(freed.values()), clock=clock) if freed else {}
    return {name: found[port] for name, port in freed.items()}


def outlive(stack: Stack, client: Client, first: t.Dict[str, Identity], clock: Clock) -> t.Dict[str, Identity]:
    """Wait until every running service is older than its ``stable_for``, or was replaced by another process.

    The age is the boot clock minus the start that the kernel tells, so a jump of the wall clock changes nothing.

    Returns:
        The pid and start of each service: those of ``first``, or of the first look.

    Raises:
        RollcallError: supervisord does not answer.
    """
    services = [service for service in stack.services if service.kind == "service"]
    longest = max((service.stable_for for service in services), default=0.0)
    deadline = Deadline(longest + limits.SETTLE_MARGIN, clock)

    def settled() -> bool:
        programs = client.programs()
        young = []
        for service in services:
            program = programs.get(service.name)
            if program is None or program.state != "RUNNING":
                continue
            life = first.setdefault(service.name, identity(program))
            if life == identity(program) and not (program.born and program.age >= service.stable_for):
                young.append(service.name)
        return not young

    deadline.poll(settled, POLL)
    return first


def _all_old(stack: Stack, lives: t.Mapping[str, Identity]) -> bool:
    """Return whether the process of every service is known and was started at least ``stable_for`` ago."""
    return all(
        service.name in lives and processes.age(lives[service.name][1]) >= service.stable_for
        for service in stack.services
        if service.kind == "service"
    )


def verify(paths: Paths, *, clock: Clock = SYSTEM) -> Report:
    """Return the report of the installed stack, with what the logs say since their marks. Changes nothing.

    Raises:
        RollcallError: no stack is installed, or it cannot be read.
    """
    stack = load_stack(paths)
    held = fitness.held(stack)
    seen, checks = wait_and_judge(stack, saved_marks(stack), Expectation(held=held), clock=clock)
    return status.with_runs(report(stack, seen, checks, held=held, limit=limits.verify_limit(stack)), stack)
