# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Waits until every process has lived for its ``stable_for``, looks, and judges."""

from __future__ import annotations

import contextlib
import re
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..host import processes
from ..host.model import Identity
from ..manifest.model import Paths, Stack
from ..ports.provenance import Holder
from ..ports.survey import survey
from ..state.generations import load_stack
from ..state.log_marks import LogMarks, saved_marks, written_since
from ..supervisord.client import CALL_TIMEOUT, Client, ProgramState
from ..supervisord.places import log_file
from . import fitness, limits, status
from .checks import CHECKS
from .judge import Case, Check, Expectation, judge
from .observation import Observation, identity
from .report import report

if t.TYPE_CHECKING:
    from ..base.documents import Report

TAIL_LINES = 12
CRITICAL_LINES = 20
# Frames of a long traceback that are shown: the first ones, and the last ones, which tell what went wrong.
FRAMES_FIRST, FRAMES_LAST = 2, 6
POLL = 0.05


def wait_and_judge(
    stack: Stack,
    marks: LogMarks,
    expected: Expectation,
    *,
    freed: t.Optional[t.Mapping[str, int]] = None,
    client: t.Optional[Client] = None,
    programs: t.Optional[t.Mapping[str, ProgramState]] = None,
    clock: Clock = SYSTEM,
) -> t.Tuple[Observation, t.List[Check]]:
    """Wait until each process has lived for its ``stable_for``, look, and judge.

    Args:
        stack: the manifest.
        marks: where the logs stood when the run began.
        expected: what the run knows. A service that is not in its ``first`` is identified by the first look here. The
            logs and the listeners on the freed ports are read here.
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
    written = {name: written_since(log_file(stack, name), mark) for name, mark in marks.items()}
    expected = expected._replace(
        first=lives,
        freed=_holders(stack, freed or {}, clock),
        critical={name: critical_lines(stack, text) for name, text in written.items()},
        tails={name: "\n".join(text.splitlines()[-TAIL_LINES:]) for name, text in written.items()},
        logs=True,
    )
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


def critical_lines(stack: Stack, text: str) -> t.List[str]:
    """Return the lines of a log that the manifest calls critical; a traceback with its frames."""
    patterns = [re.compile(pattern) for pattern in stack.checks.log_critical]
    found: t.List[str] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if any(pattern.search(line) for pattern in patterns):
            found += [line, *_traceback_after(lines, number)]
        if len(found) >= CRITICAL_LINES:
            break
    return found[:CRITICAL_LINES]


def _traceback_after(lines: t.Sequence[str], number: int) -> t.List[str]:
    """Return the frames below a Python traceback's first line, and the exception. Leaves out frames in the middle."""
    if not lines[number].startswith("Traceback "):
        return []
    end = number + 1
    while end < len(lines) and lines[end].startswith((" ", "\t")):
        end += 1
    frames, closing = lines[number + 1 : end], lines[end : end + 1]
    if len(frames) > FRAMES_FIRST + FRAMES_LAST:
        left_out = f"  ... {len(frames) - FRAMES_FIRST - FRAMES_LAST} lines ..."
        frames = [*frames[:FRAMES_FIRST], left_out, *frames[-FRAMES_LAST:]]
    return [*frames, *closing]


def verify(paths: Paths, *, clock: Clock = SYSTEM) -> Report:
    """Return the report of the installed stack, with what the logs say since the last run began. Changes nothing.

    Raises:
        RollcallError: no stack is installed, or it cannot be read.
    """
    stack = load_stack(paths)
    held = fitness.held(stack)
    seen, checks = wait_and_judge(stack, saved_marks(stack), Expectation(held=held), clock=clock)
    return status.with_runs(report(stack, seen, checks, held=held, limit=limits.verify_limit(stack)), stack)
