# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Looks at a stack as it is now, and judges it. Changes nothing."""

from __future__ import annotations

import functools
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..host import ours, processes, socket_owners
from ..host.labels import trusted_uids
from ..host.model import Process
from ..manifest.model import Paths, Stack
from ..ports.survey import survey
from ..probes import health
from ..probes.answers import DatabaseAnswer, HealthAnswer
from ..state.generations import describe_current, load_stack
from ..state.lock import locked_by
from ..state.memory import last_failure
from ..state.runs import unfinished_run
from ..supervisord import client_errors
from ..supervisord.client import CALL_TIMEOUT, Client, ProgramState
from ..supervisord.running import program_of, supervisords_over
from . import fitness, release_use
from .checks import CHECKS
from .judge import Case, Expectation, judge
from .limits import look_limit
from .observation import Observation
from .report import report

if t.TYPE_CHECKING:
    from ..base.documents import Report, RunAtWork


def observe(
    stack: Stack,
    *,
    clock: Clock = SYSTEM,
    client: t.Optional[Client] = None,
    programs: t.Optional[t.Mapping[str, ProgramState]] = None,
) -> Observation:
    """Return what can be seen of the stack: its supervisord, programs, listeners, health, databases, orphans.

    A supervisord that does not answer is part of the observation, not an error.

    Args:
        stack: the manifest.
        clock: of all deadlines.
        client: a client that is already connected; None makes one.
        programs: what supervisord reported of all programs a moment ago; None asks it.
    """
    client = client or Client(stack.paths.socket, timeout=CALL_TIMEOUT, clock=clock)
    supervisords = supervisords_over(stack.paths.config, stack.root)
    supervisord, version, silence = None, None, None
    try:
        supervisord = _own(stack, client.pid())
        if programs is None or not _still_live(programs):
            programs = client.programs()
        version = client.version()
    except RollcallError as exc:
        silence, programs = exc, {}
    pids = {program.pid: name for name, program in programs.items() if program.pid}
    ports = [service.port for service in stack.services if service.port is not None]
    # First the listener, then the answer: so the answer comes from the process whose socket was just seen, and all who
    # hold it: one that has left its service would answer in its place.
    holders = survey(stack, ports, pids, sharing=socket_owners.EVERY)
    answers, replies = _ask(stack, programs)
    left = orphans(stack, [process.pid for process in supervisords], None if supervisord is None else pids)
    return Observation(
        supervisords=supervisords,
        supervisord=supervisord,
        version=version,
        silence=silence,
        programs=programs,
        holders=holders,
        health=answers,
        files=fitness.files(stack),
        dependencies=fitness.dependencies(stack),
        orphans=left,
        keepers=_keepers(left),
        databases=replies,
        wanted_user="" if supervisord is None else fitness.wanted_user(stack, supervisord.uid),
        other_releases=release_use.other_releases(stack, pids),
    )


def _keepers(left: t.Iterable[Process]) -> t.Dict[int, str]:
    """Return of which program of another supervisord each left-over is, by pid."""
    kept = ((process.pid, program_of(process.pid)) for process in left)
    return {pid: home.name for pid, home in kept if home is not None}


def _still_live(programs: t.Mapping[str, ProgramState]) -> bool:
    """Return whether every process that supervisord has named is still that very process, by the kernel's word."""
    return all(processes.alive((program.pid, program.born)) for program in programs.values() if program.pid)


def _ask(
    stack: Stack, programs: t.Mapping[str, ProgramState]
) -> t.Tuple[t.Dict[str, HealthAnswer], t.Dict[str, DatabaseAnswer]]:
    """Return the health answers of the services that run, and those of the databases; asks all at the same time."""
    questions: t.Dict[t.Tuple[str, str], t.Callable[[], HealthAnswer]] = {
        ("health", service.name): functools.partial(health.probe, service.health)
        for service in stack.services
        if service.health is not None and service.name in programs and programs[service.name].pid
    }
    if stack.checks.databases:
        # Late import: most stacks have no database to ask.
        from ..probes import databases

        for check in stack.checks.databases:
            questions["database", check.kind] = functools.partial(databases.ask, stack, check)
    answers = health.at_once(questions)
    return (
        {name: answer for (_what, name), answer in answers.items() if not isinstance(answer, DatabaseAnswer)},
        {kind: answer for (_what, kind), answer in answers.items() if isinstance(answer, DatabaseAnswer)},
    )


def _own(stack: Stack, pid: int) -> t.Optional[Process]:
    """Return the supervisord with this pid, which answers on the stack's socket.

    Raises:
        RollcallError: it is another stack's, whose config names the same socket.
    """
    found = supervisords_over(stack.paths.config, stack.root, [pid])
    if found:
        return found[0]
    other = processes.describe(pid)
    who = "" if other is None else f" '{other.shown}' of user {other.user}"
    raise RollcallError(
        f"pid {pid}{who} answers on the socket {stack.paths.socket}, and is no supervisord of stack {stack.name}",
        kind="refused",
        evidence={"problem": client_errors.STRANGER, "socket": stack.paths.socket, "pid": pid},
        remedies=[cures.process(pid), cures.EMERGENCY],
    )


def orphans(
    stack: Stack, supervisords: t.Sequence[int], reported: t.Optional[t.Collection[int]] = None
) -> t.List[Process]:
    """Return the processes of this stack that no supervisord of it holds.

    Args:
        stack: the manifest.
        supervisords: the pids of the supervisords over it.
        reported: the pids of the programs that they report; None when none of them answers.
    """
    return ours.left_over(stack.root, trusted_uids(stack.root, stack.user), supervisords, reported)


def status(paths: Paths, *, clock: Clock = SYSTEM) -> Report:
    """Return the report of the installed stack as it is now. Changes nothing.

    Raises:
        RollcallError: no stack is installed, or it cannot be read.
    """
    stack = load_stack(paths)
    seen = observe(stack, clock=clock)
    held = fitness.held(stack)
    checks = judge(CHECKS, Case(stack, seen, Expectation(held=held)))
    return with_runs(report(stack, seen, checks, held=held, limit=look_limit(stack)), stack)


def with_runs(looked: Report, stack: Stack) -> Report:
    """Return the report of a look with the generation in place, the run at work, and what runs before it left."""
    unfinished = unfinished_run(stack.paths.state)
    note = locked_by(stack.paths.state)
    if note and unfinished is not None and unfinished["run"] == note.get("run"):
        note, unfinished = {**note, "step": unfinished["step"]}, None
    return {
        **looked,
        "unfinished_run": unfinished,
        "last_failure": last_failure(stack.paths.state, note.get("run")),
        "run_at_work": t.cast("RunAtWork", note) if note else None,
        "generation": describe_current(stack.paths, stack.root),
    }
