# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Waits until every process has lived as long as it must, looks, and judges."""

from __future__ import annotations

import contextlib
import functools
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..host import processes
from ..host.apart import apart_each, in_turn
from ..host.model import Identity
from ..manifest.model import Paths, Stack
from ..manifest.selection import narrowed
from ..ports.provenance import Holder
from ..ports.survey import survey
from ..state.generations import load_stack
from ..state.lives import Lives, read_book
from ..state.log_marks import LogMarks, saved_marks
from ..state.waiting import STABLE, Wait, waits_for, waits_no_more
from ..supervisord.client import Client, ProgramState, client_of
from . import fitness, limits, places, status
from .checks import CHECKS
from .judge import Case, Check, Expectation, judge
from .lives import PATIENCE, standing
from .logs import log_works, logs_of
from .observation import Observation, completed, has_ended_well, identity, in_order
from .remarks import notes_of, remarks
from .report import report, young_notes

if t.TYPE_CHECKING:
    from ..base.documents import Report

# Is told for how many seconds each of some services must live on, where its past or a `soak` asks for that.
Told = t.Callable[[t.Mapping[str, float]], None]

POLL = 0.05
# A wait that is shorter is not worth a word.
SHORT = 3.0
# The same once every `stable_for` is over, and a life is to last for longer.
SLOW_POLL = 0.25
# How often a health check must be answered well for a verdict. Where half of the answers are wrong, and other clients
# get some of them, two that are good are no rarity.
ANSWERS = 4


def wait_and_judge(
    stack: Stack,
    marks: LogMarks,
    expected: Expectation,
    *,
    began: t.Optional[LogMarks] = None,
    freed: t.Optional[t.Mapping[str, int]] = None,
    client: t.Optional[Client] = None,
    programs: t.Optional[t.Mapping[str, ProgramState]] = None,
    seen: t.Optional[Observation] = None,
    config_read: bool = False,
    soak: float = 0.0,
    only: t.Optional[t.Container[str]] = None,
    waits: t.Optional[Told] = None,
    clock: Clock = SYSTEM,
) -> t.Tuple[Observation, t.List[Check]]:
    """Wait until each process has lived as long as it must, look, and judge.

    It must live for its ``stable_for``, for ``soak``, and as long as its earlier lives ask for, where a minute will do.

    Args:
        stack, marks: the manifest, and from which on the logs are judged.
        expected: what the run knows. A service that is not in its ``first`` is identified by the first look here. The
            listeners on the freed ports are looked up here.
        began: where the logs stood when the run began; None for a look.
        freed: the ports of services that were removed.
        client: a connected client; None makes one.
        programs: what supervisord reported of all programs a moment ago; used only when there is nothing to wait for.
        seen: what was seen of the stack a moment ago, where nothing was done since; used in the same way.
        config_read: whether supervisord has just been made to take over the installed config.
        soak: how many seconds each service must have lived at the least.
        only: the services that are judged; None for all.
        waits, clock: called before a wait for longer than `SHORT` beyond each ``stable_for``; of all deadlines.
    """
    part, client = narrowed(stack, only), client or client_of(stack, clock=clock)
    lives = expected.first
    if seen is not None:
        programs, lives = seen.programs, {name: identity(one) for name, one in seen.programs.items() if one.pid}
    least = _least(part, client, programs, soak, clock)
    if not _all_old(least, lives):
        programs = seen = None
        lives = _outlived(part, client, lives, least, soak, waits, clock)
    fit_known = seen is not None
    if seen is None:
        look = functools.partial(status.observe, stack, client=client, programs=programs, answers=ANSWERS)
        seen = look(config_read=config_read, fit=fitness.none, only=only, clock=clock)
    seen = _looked_into(part, _backgrounded(stack, seen, expected.failed, only, clock), marks, began, fit_known, clock)
    expected = expected._replace(first=lives, freed=_holders(stack, freed or {}, clock))
    return seen, judge(CHECKS, Case(part, seen, expected))


def _looked_into(
    stack: Stack, seen: Observation, marks: LogMarks, began: t.Optional[LogMarks], fit_known: bool, clock: Clock
) -> Observation:
    """Return what was seen, with what the logs say; with what is unfit, too, where that was not looked at."""
    reading = log_works(stack, marks, [process.pid for process in seen.supervisords], began=began)
    if fit_known:
        return seen._replace(logs=logs_of(stack, marks, apart_each(*reading, clock=clock)))
    fit, logs = in_turn(fitness.fit_works(stack), reading, clock=clock)
    files, dependencies = fitness.fit_of(stack, fit)
    return seen._replace(files=files, dependencies=dependencies, logs=logs_of(stack, marks, logs))


def _outlived(
    stack: Stack,
    client: Client,
    first: t.Mapping[str, Identity],
    least: t.Mapping[str, float],
    soak: float,
    waits: t.Optional[Told],
    clock: Clock,
) -> t.Mapping[str, Identity]:
    """Return what `outlive` does; where supervisord does not answer, the next look reports that."""
    with contextlib.suppress(RollcallError):
        first = outlive(stack, client, dict(first), least, soak, clock, waits=waits)
    waits_no_more()
    return first


def _backgrounded(
    stack: Stack, seen: Observation, failed: t.Container[str], only: t.Optional[t.Container[str]], clock: Clock
) -> Observation:
    """Return what was seen, with the processes of failed services that have put themselves into the background.

    Between the two forks of such a process one look may miss it, so this looks again for a moment.
    """
    ended = ended_to_background(narrowed(stack, only), seen.programs, failed)
    supervisords = [process.pid for process in seen.supervisords]
    found = list(seen.orphans)

    def all_found() -> bool:
        found[:] = status.left_overs(stack, supervisords, seen.programs)[0]
        return ended <= {process.label.service for process in found if process.label is not None}

    if ended and not all_found():
        Deadline(limits.BACKGROUND, clock).poll(all_found, POLL)
    return seen._replace(orphans=status.those_of(found, only))


def ended_to_background(stack: Stack, programs: t.Mapping[str, ProgramState], failed: t.Container[str]) -> t.Set[str]:
    """Return which services have ended with code 0 although they are to stay: they may be in the background.

    One that the run saw running has not failed to start: with ``start.seconds: 0`` supervisord reports it as RUNNING
    first.
    """
    judged = [(service, programs[service.name]) for service in stack.services if service.name in programs]
    return {
        service.name
        for service, program in judged
        if not program.pid
        and program.exit_status == 0
        and (service.name in failed or (completed(program) and not in_order(service, program)))
    }


def _holders(stack: Stack, freed: t.Mapping[str, int], clock: Clock) -> t.Dict[str, t.Sequence[Holder]]:
    """Return the listeners on the port of each removed service."""
    found = survey(stack, list(freed.values()), clock=clock) if freed else {}
    return {name: found[port] for name, port in freed.items()}


def _least(
    stack: Stack, client: Client, programs: t.Optional[t.Mapping[str, ProgramState]], soak: float, clock: Clock
) -> t.Dict[str, float]:
    """Return by service how many seconds it must have lived, as far as that is worth waiting for.

    Where its past asks for more than another minute, the verdict does not wait for it: it says when to look again.
    """
    services = [service for service in stack.services if service.kind == "service"]
    least = {service.name: max(service.stable_for, soak) for service in services}
    # Where supervisord does not answer, there is nothing to wait for, and the look reports that.
    with contextlib.suppress(RollcallError):
        pid = client.pid()
        programs = client.programs() if programs is None else programs
        book = read_book(stack, programs, (pid, processes.start_time(pid)), clock=clock)
        for service in services:
            program = programs.get(service.name)
            age = 0.0 if program is None or not program.born else processes.age(program.born)
            asks = standing(service, book.lives.get(service.name, Lives()), age, clock.wall()).asks
            if asks - age <= PATIENCE:
                least[service.name] = max(least[service.name], asks)
    return least


def outlive(
    stack: Stack,
    client: Client,
    first: t.Dict[str, Identity],
    least: t.Mapping[str, float],
    soak: float,
    clock: Clock,
    *,
    waits: t.Optional[Told] = None,
) -> t.Dict[str, Identity]:
    """Wait until every running service has lived as long as it must, or was replaced by another process.

    Once one has ended the verdict fails, and nobody waits for longer than each ``stable_for``. The age is the boot
    clock minus the start that the kernel tells, so a jump of the wall clock changes nothing.

    Args:
        stack: the manifest.
        client: of supervisord.
        first: the pid and start of services, as they were first seen ready.
        least: by service how many seconds it must live.
        soak: the same for all, which may be more than is waited for otherwise.
        clock: of the deadline.
        waits: as for `wait_and_judge`.

    Returns:
        The pid and start of each service: those of ``first``, or of the first look.

    Raises:
        RollcallError: supervisord does not answer.
    """
    stable = {service.name: service.stable_for for service in stack.services if service.name in least}

    def settled(least: t.Mapping[str, float], *, together: bool) -> bool:
        if _only_time_passes(client, first, least):
            return False
        young, lost = _young_and_lost(stack, client.programs(), first, least)
        return not young or (together and bool(lost))

    longest = max(stable.values(), default=0.0)
    Deadline(longest + limits.SETTLE_MARGIN, clock).poll(lambda: settled(stable, together=False), POLL)
    if least != stable:
        if waits is not None:
            _tell(waits, first, least)
        Deadline(max(PATIENCE, soak), clock).poll(lambda: settled(least, together=True), SLOW_POLL)
    return first


def _young_and_lost(
    stack: Stack,
    programs: t.Mapping[str, ProgramState],
    first: t.Dict[str, Identity],
    least: t.Mapping[str, float],
) -> t.Tuple[t.List[str], t.List[str]]:
    """Return which services have not lived as long as they must, and which have not the process that they had first."""
    young: t.List[str] = []
    lost: t.List[str] = []
    for name, seconds in least.items():
        program = programs.get(name)
        if program is not None and has_ended_well(stack.service(name), program):
            continue
        own = None if program is None or program.state != "RUNNING" else identity(program)
        if program is None or own is None or first.setdefault(name, own) != own:
            lost.append(name)
        elif not (program.born and program.age > seconds):
            young.append(name)
    return young, lost


def _tell(waits: Told, lives: t.Mapping[str, Identity], least: t.Mapping[str, float]) -> None:
    """Tell for how long each of the services that live must live on, where that is worth a word."""
    left = {name: least[name] - processes.age(lives[name][1]) for name in least if name in lives}
    long = {name: seconds for name, seconds in left.items() if seconds > SHORT}
    if long:
        waits(long)


def _only_time_passes(client: Client, lives: t.Mapping[str, Identity], least: t.Mapping[str, float]) -> bool:
    """Return whether the process of every service lives, and one of them has not lived as long as it must.

    Then nothing can have happened, by the kernel's word. That supervisord answers is asked all the same.
    """
    known = [lives.get(name) for name in least]
    if not all(one is not None and processes.alive(one) for one in known) or _all_old(least, lives):
        return False
    waits_for(Wait(name, STABLE) for name in least if processes.age(lives[name][1]) <= least[name])
    client.poke()
    return True


def _all_old(least: t.Mapping[str, float], lives: t.Mapping[str, Identity]) -> bool:
    """Return whether the process of every service is known and has lived as long as it must."""
    return all(name in lives and processes.age(lives[name][1]) > seconds for name, seconds in least.items())


def verify(
    paths: Paths,
    *,
    soak: float = 0.0,
    services: t.Sequence[str] = (),
    waits: t.Optional[Told] = None,
    clock: Clock = SYSTEM,
) -> Report:
    """Return the report of the installed stack, with what the logs say since their marks. Changes nothing.

    Args:
        paths: of the stack.
        soak: how many seconds each service must have lived at the least.
        services: which services are judged, as `selected` takes them; none for all.
        waits: as for `wait_and_judge`.
        clock: of all deadlines.

    Raises:
        RollcallError: no stack is installed, or it cannot be read; or ``wrong_use``: there is no such service.
    """
    stack = load_stack(paths)
    only = status.chosen(stack, services)
    expected = status.expectation(stack, only)
    part = narrowed(stack, only)
    seen, checks = wait_and_judge(stack, saved_marks(stack), expected, soak=soak, only=only, waits=waits, clock=clock)
    found = report(
        part,
        seen,
        checks,
        held=expected.held,
        stopped=expected.stopped,
        limit=limits.verify_limit(part, soak),
        whole=only is None,
        timers=expected.timers or (),
    )
    young = young_notes(part.services, seen, soak) if found["ok"] else []
    found["notes"] = [*places.notes(stack), *notes_of(remarks(part, seen)), *young]
    return status.with_runs(found, stack)
