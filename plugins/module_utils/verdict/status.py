# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Looks at a stack as it is now, and judges it. Changes nothing."""

from __future__ import annotations

import functools
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..host import ours, processes, socket_owners
from ..host.detached import detached_by
from ..host.halted import ENDED, STOPPED, find_halted
from ..host.labels import trusted_uids
from ..host.listeners import find_bound, find_listeners
from ..host.model import Listener, Process
from ..manifest.model import Paths, Stack, address_of
from ..manifest.selection import narrowed, selected
from ..manifest.watch_model import AS_EVER
from ..ports.provenance import Holder
from ..ports.survey import survey, survey_with_others
from ..ports.unix_sockets import SocketSeen, look_at_sockets
from ..probes import health
from ..probes.answers import DatabaseAnswer, HealthAnswer
from ..state import jobs, last_steps
from ..state.generations import current_id, describe_current, is_edited, load_stack
from ..state.lives import Book, read_book
from ..state.lock import locked_by
from ..state.memory import last_failure
from ..state.runs import unfinished_run
from ..state.stopped import read_stopped
from ..state.waiting import told_waits
from ..state.watching import watcher_of
from ..supervisord import client_errors
from ..supervisord.client import Client, ProgramState, client_of
from ..supervisord.places import supervisord_log
from ..supervisord.running import program_of, supervisords_of
from . import fitness, places, release_use
from .checks import CHECKS
from .elsewhere import listening_elsewhere, named_ports
from .judge import Case, Expectation, judge
from .limits import WORKERS, look_limit
from .lives import LOOP
from .observation import Halted, Observation, completed, identity
from .remarks import notes_of, remarks
from .report import report

if t.TYPE_CHECKING:
    from ..base.documents import Report, RunAtWork, UnfinishedRun, WatcherData
    from ..base.job_documents import TimerRow
    from ..host.turnover import DyingChildren


_T = t.TypeVar("_T")

# States that stay until something is ordered, or a process ends.
_LASTING = frozenset({"RUNNING", "STOPPED", "FATAL"})

# Seconds for which what a service has started in the background may do its work, and how often it is looked at.
HELPER = 1.0
_POLL = 0.05

# How often a health check must be answered well in a look. One worker of two that is ill gives every second answer.
TWICE = 2

# What a report has of the note in the lock.
_AT_WORK = ("who", "verb", "pid", "since", "run", "start", "step", "waits")


def observe(
    stack: Stack,
    *,
    clock: Clock = SYSTEM,
    client: t.Optional[Client] = None,
    programs: t.Optional[t.Mapping[str, ProgramState]] = None,
    config_read: bool = False,
    fit: t.Optional[fitness.Look] = None,
    only: t.Optional[t.Container[str]] = None,
    answers: int = TWICE,
) -> Observation:
    """Return what can be seen of the stack; a supervisord that does not answer is a part of that, not an error.

    Args:
        stack, clock, client: the manifest, the clock of all deadlines, and a connected client; None makes one.
        programs: what supervisord reported of all programs a moment ago; None asks it.
        config_read: whether supervisord has just been made to take over the installed config.
        fit: returns what is unfit, as it is seen meanwhile or was seen a moment ago, and may refuse it; None looks.
        only, answers: the services that are looked at, None for all; how often each health check must be answered well.
    """
    fit, client = fit or fitness.begin_fit(narrowed(stack, only)), client or client_of(stack, clock=clock)
    supervisords = supervisords_of(stack)
    supervisord, version, silence, programs = _said(stack, client, programs)
    holders, known, sockets, answered, replies = _asked(stack, only, programs, answers)
    silence, programs, book, altered = _said_again(stack, client, silence, programs, config_read, clock)
    holders, sockets, found = _listening_still(stack, holders, sockets, programs)
    left, detached = _left_for_good(stack, supervisords, None if supervisord is None else programs, clock)
    files, dependencies = fit()
    seen = Observation(
        supervisords=supervisords,
        supervisord=supervisord,
        version=version,
        silence=silence,
        programs=programs,
        holders=holders,
        sockets=sockets,
        health=answered,
        files=files,
        dependencies=dependencies,
        orphans=those_of(left, only),
        detached=those_of(detached, only),
        keepers=_keepers(left, supervisords),
        databases=replies,
        altered=_among(altered, only),
        edited=() if silence is not None else _edited(stack, book),
        book=book,
        at=clock.wall(),
        wanted_user="" if supervisord is None else fitness.wanted_user(stack, supervisord.uid),
    )
    return _with_families(stack, seen, found, known, only, clock)


def _pids(programs: t.Mapping[str, ProgramState]) -> t.Dict[int, str]:
    """Return the name of each program by the pid of its process."""
    return {program.pid: name for name, program in programs.items() if program.pid}


def _said(
    stack: Stack, client: Client, programs: t.Optional[t.Mapping[str, ProgramState]]
) -> t.Tuple[t.Optional[Process], t.Optional[str], t.Optional[RollcallError], t.Mapping[str, ProgramState]]:
    """Return the supervisord that answers, its version, why none does, and its programs."""
    supervisord = None
    try:
        supervisord = _own(stack, client.pid())
        if programs is None or not _still_live(programs):
            programs = client.programs()
        return supervisord, client.version(), None, programs
    except RollcallError as exc:
        return supervisord, None, exc, {}


def _keepers(left: t.Sequence[Process], supervisords: t.Sequence[Process]) -> t.Dict[int, str]:
    """Return which orphans are a program of another supervisord, by pid, and that program.

    What a service has left behind is a child of our own, which does not start it again.
    """
    own = {process.pid for process in supervisords}
    others = [process for process in left if own.isdisjoint(processes.ancestors(process.pid))]
    kept = [(process, program_of(process.pid)) for process in others]
    return {process.pid: home.name for process, home in kept if home is not None}


def _still_live(programs: t.Mapping[str, ProgramState]) -> bool:
    """Return whether every process that supervisord has named is still that very process, by the kernel's word."""
    return not _ended(programs) and all(one.born for one in programs.values() if one.pid)


def _ended(programs: t.Mapping[str, ProgramState]) -> t.List[str]:
    """Return the programs of which the process that supervisord has named is no more, as far as that can be seen."""
    return [name for name, one in programs.items() if one.born and not processes.alive((one.pid, one.born))]


def _said_again(
    stack: Stack,
    client: Client,
    silence: t.Optional[RollcallError],
    programs: t.Mapping[str, ProgramState],
    config_read: bool,
    clock: Clock,
) -> t.Tuple[t.Optional[RollcallError], t.Mapping[str, ProgramState], Book, t.Dict[str, str]]:
    """Return why supervisord does not answer any more, its programs as they are now, their lives, and what is altered.

    It is asked for its programs only when it has to be: not while each process lives, by the kernel's word, and no
    state is one of those that soon pass. And for their config only when that was not proved of these processes before.
    """
    if silence is not None:
        return silence, programs, Book(), {}
    try:
        if _ended(programs) or not all(one.state in _LASTING or completed(one) for one in programs.values()):
            # A call is answered before supervisord looks which processes have ended.
            client.poke()
            programs = client.programs()
        pid = client.pid()
        book = read_book(stack, programs, (pid, processes.start_time(pid)), clock=clock)
        seen = {name: identity(one) for name, one in programs.items()}
        generation = current_id(stack.paths) or ""
        known = config_read or (book.proved, book.generation) == (seen, generation)
        altered = {} if known else _altered(stack, client, programs)
        return None, programs, book._replace(proved={} if altered else seen, generation=generation), altered
    except RollcallError as exc:
        if exc.evidence.get("problem") is None:
            # It is not about supervisord: the record cannot be read.
            raise
        return exc, {}, Book(), {}


def _altered(stack: Stack, client: Client, programs: t.Mapping[str, ProgramState]) -> t.Dict[str, str]:
    """Return by program why supervisord does not run it by the installed config."""
    from ..supervisord.active import altered_programs  # late: mostly that was proved of these processes before

    return altered_programs(stack, client, programs, edited=is_edited(stack.paths, stack.root))


def _edited(stack: Stack, book: Book) -> t.List[str]:
    """Return why the installed config, or the settings of supervisord itself, are not what a run has installed."""
    found = []
    if is_edited(stack.paths, stack.root):
        found.append(f"what is installed in {stack.paths.etc} was edited by hand since")
    found += release_use.links_that_lead_elsewhere(stack)
    if book.silent:
        log = supervisord_log(stack)
        found.append(f"supervisord has not logged in {log} that it was started: it was, by hand, with other settings")
    return found


def _with_families(
    stack: Stack,
    seen: Observation,
    found: t.Sequence[Listener],
    known: t.Mapping[int, t.Sequence[int]],
    only: t.Optional[t.Container[str]],
    clock: Clock,
) -> Observation:
    """Return what was seen, with what is seen of the process of each service and of all that descends from it.

    Args:
        stack: the manifest.
        seen: what was seen up to now.
        found: every listener of the host.
        known: by inode the pids that hold a socket, as far as that was seen.
        only: the services that are looked at; None for all.
        clock: of the time between two looks.
    """
    programs = {name: program for name, program in _among(seen.programs, only).items() if program.pid}
    families = {name: [program.pid, *processes.below(program.pid)] for name, program in programs.items()}
    return seen._replace(
        halted=_halted(_among(seen.programs, only), families, clock),
        dying=_dying(families, clock),
        other_releases=release_use.other_releases(stack, families),
        elsewhere=listening_elsewhere(stack, families, found, known),
    )


def _listening_still(
    stack: Stack,
    holders: t.Dict[int, t.List[Holder]],
    sockets: t.Mapping[str, SocketSeen],
    programs: t.Mapping[str, ProgramState],
) -> t.Tuple[t.Dict[int, t.List[Holder]], t.Mapping[str, SocketSeen], t.Sequence[Listener]]:
    """Return who listens on the ports and on the unix sockets now, and all listeners of the host.

    The sockets are compared, which is cheap, and only other ones are looked at again.
    """
    found = [*find_listeners(), *find_bound(holders)]
    sockets = _sockets_still(stack, sockets, programs)
    before = {holder.listener.inode for one in holders.values() for holder in one}
    if before == {listener.inode for listener in found if listener.port in holders}:
        return holders, sockets, found
    return survey(stack, holders, _pids(programs), sharing=socket_owners.EVERY), sockets, found


def _sockets_still(
    stack: Stack, sockets: t.Mapping[str, SocketSeen], programs: t.Mapping[str, ProgramState]
) -> t.Mapping[str, SocketSeen]:
    """Return who listens on the unix sockets after the answers: where that changed meanwhile, who does now."""
    services = [service for service in stack.services if service.socket in sockets]
    now = look_at_sockets(stack, services, _pids(programs))
    sure = {path: one for path, one in now.items() if _inodes(one) == _inodes(sockets[path])}
    return {path: sockets[path] if path in sure else one for path, one in now.items()}


def _inodes(seen: SocketSeen) -> t.Tuple[str, t.FrozenSet[int]]:
    return seen.state, frozenset(holder.listener.inode for holder in seen.holders)


def _dying(families: t.Mapping[str, t.Sequence[int]], clock: Clock) -> t.Mapping[str, DyingChildren]:
    """Return by service the children of a process of it that die for ever; most services have no children."""
    with_children = {name: family for name, family in families.items() if len(family) > 1}
    if not with_children:
        return {}
    # Late import: it costs what a look at a service costs.
    from ..host.turnover import find_dying

    return find_dying(with_children, WORKERS, clock=clock)


def _halted(
    programs: t.Mapping[str, ProgramState], families: t.Mapping[str, t.Sequence[int]], clock: Clock
) -> t.Dict[str, Halted]:
    """Return by service a process of it that does nothing.

    That is its own process, or a descendant that a signal has stopped: a wrapper lives on while its program is stopped.
    """
    found = {name: Halted(programs[name].pid, ENDED) for name in _ended(programs)}
    halted = find_halted([pid for family in families.values() for pid in family], clock=clock)
    for name, (own, *others) in families.items() if halted else ():
        stopped = [pid for pid in others if halted.get(pid) == STOPPED]
        for pid in ([own] if own in halted else stopped)[:1]:
            found.setdefault(name, Halted(pid, halted[pid]))
    return found


def _asked(
    stack: Stack, only: t.Optional[t.Container[str]], programs: t.Mapping[str, ProgramState], times: int
) -> t.Tuple[
    t.Dict[int, t.List[Holder]],
    t.Mapping[int, t.Sequence[int]],
    t.Mapping[str, SocketSeen],
    t.Dict[str, HealthAnswer],
    t.Dict[str, DatabaseAnswer],
]:
    """Return who listens, also on unix sockets, whose every listener of the host is, and what is answered; as `_ask`.

    An answer may take seconds: what may have changed meanwhile is looked at after it.
    """
    part = narrowed(stack, only)
    # First the listener, then the answer, which then is its own; all who hold the socket, for each of them may answer.
    holders, known = survey_with_others(part, named_ports(part), _pids(programs))
    sockets = look_at_sockets(stack, part.services, _pids(programs), sharing=socket_owners.EVERY)
    return holders, known, sockets, *_ask(stack, part, programs, times)


def _ask(
    stack: Stack, part: Stack, programs: t.Mapping[str, ProgramState], times: int
) -> t.Tuple[t.Dict[str, HealthAnswer], t.Dict[str, DatabaseAnswer]]:
    """Return the health answers of the services that run, and those of the databases; asks all at the same time.

    Args:
        stack: the manifest, with every service that one of the asked may depend on.
        part: the services and databases that are asked.
        programs: what supervisord says of them.
        times: how often each health check must be answered well.
    """
    questions: t.Dict[t.Tuple[str, str], t.Callable[[], HealthAnswer]] = {
        ("health", address_of(service.name, check.name)): functools.partial(
            health.probe_often, check, times, owner=health.Owner(stack, service)
        )
        for service in part.services
        if service.name in programs and programs[service.name].pid
        for check in service.all_health
    }
    if part.checks.databases:
        # Late import: most stacks have no database to ask.
        from ..probes import databases

        for check in part.checks.databases:
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
    found = supervisords_of(stack, [pid])
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


def left_overs(
    stack: Stack, supervisords: t.Sequence[int], programs: t.Optional[t.Mapping[str, ProgramState]] = None
) -> t.Tuple[t.List[Process], t.List[Process]]:
    """Return the processes of this stack that no supervisord of it holds: orphans, and what services have detached.

    Args:
        stack: the manifest.
        supervisords: the pids of the supervisords over it.
        programs: what they report; None when none of them answers.
    """
    pids = None if programs is None else _pids(programs)
    found = ours.left_over(stack.root, trusted_uids(stack.root, stack.user), supervisords, pids)
    lives = {name: identity(program) for name, program in (programs or {}).items() if program.pid and program.born}
    detached = detached_by(found, lives, supervisords) if found else []
    meant = {service.name for service in stack.services if service.detaches}
    left = [one for one in found if one not in detached or one.label is None or one.label.service not in meant]
    return left, detached


def _among(found: t.Mapping[str, _T], only: t.Optional[t.Container[str]]) -> t.Dict[str, _T]:
    """Return the entries of these services; all for None."""
    return {name: one for name, one in found.items() if only is None or name in only}


def those_of(found: t.Sequence[Process], only: t.Optional[t.Container[str]]) -> t.Sequence[Process]:
    """Return which of some processes are of these services; all of them for None."""
    return found if only is None else [one for one in found if one.label and one.label.service in only]


def _left_for_good(
    stack: Stack,
    supervisords: t.Sequence[Process],
    programs: t.Optional[t.Mapping[str, ProgramState]],
    clock: Clock,
) -> t.Tuple[t.List[Process], t.List[Process]]:
    """Return what `left_overs` does; when all orphans are new, only if one was there at each look of a second.

    A service may start a helper in the background (``sh -c 'work &'``), which nobody holds until it has done its work.
    """
    pids = [process.pid for process in supervisords]
    found, detached = left_overs(stack, pids, programs)

    def settled() -> bool:
        nonlocal found, detached
        found, detached = left_overs(stack, pids, programs)
        return not found or any(processes.age(process.start) > HELPER for process in found)

    if found and all(processes.age(process.start) <= HELPER for process in found):
        Deadline(HELPER, clock).poll(settled, _POLL)
    return found, detached


def timer_rows(stack: Stack, clock: Clock = SYSTEM) -> t.List[TimerRow]:
    """Return what is told of the timers of a stack.

    Raises:
        RollcallError: a record cannot be read.
    """
    now = clock.wall()
    return jobs.rows(stack, now, now - processes.age(0)) if stack.timers else []


def expectation(stack: Stack, only: t.Optional[t.Container[str]] = None) -> Expectation:
    """Return what is known for a look beyond what it sees.

    Args:
        stack: the manifest.
        only: the services that are looked at; None for all, and for the timers as well.

    Raises:
        RollcallError, OSError: a record cannot be read.
    """
    return Expectation(
        held=fitness.held(stack),
        unfinished=last_steps.missing(stack),
        stopped=read_stopped(stack),
        timers=timer_rows(stack) if only is None else None,
    )


class Looked(t.NamedTuple):
    """A look at a stack: what was seen, and the report of it."""

    seen: Observation
    report: Report


def status(paths: Paths, *, services: t.Sequence[str] = (), clock: Clock = SYSTEM) -> Report:
    """Return the report of the installed stack as it is now. Changes nothing.

    Args:
        paths: of the stack.
        services: which services are looked at, as `selected` takes them; none for all.
        clock: of all deadlines.

    Raises:
        RollcallError: no stack is installed, or it cannot be read; or ``wrong_use``: there is no such service.
    """
    return look(load_stack(paths), services=services, clock=clock).report


def look(stack: Stack, *, services: t.Sequence[str] = (), clock: Clock = SYSTEM) -> Looked:
    """Return the report of a stack whose manifest is known, and what was seen; arguments and errors as `status`."""
    only = chosen(stack, services)
    part = narrowed(stack, only)
    seen = observe(stack, clock=clock, only=only)
    expected = expectation(stack, only)
    checks = judge(CHECKS, Case(part, seen, expected))
    looked = report(
        part,
        seen,
        checks,
        held=expected.held,
        stopped=expected.stopped,
        limit=look_limit(part),
        whole=only is None,
        timers=expected.timers or (),
    )
    watcher = watcher_of(stack.paths.state, clock.wall(), look_limit(stack))
    notes = [*places.notes(stack), *notes_of(remarks(part, seen)), *_unwatched(stack, watcher)]
    return Looked(seen, with_runs({**looked, "notes": notes, "watcher": watcher}, stack))


def _unwatched(stack: Stack, watcher: t.Optional[WatcherData]) -> t.List[str]:
    """Return that the manifest says how the stack is watched, and nobody does."""
    if watcher is not None or stack.watch == AS_EVER:
        return []
    return [f"the manifest says how the stack is watched, and nobody watches it. To have it watched: {cures.WATCHED}"]


def chosen(stack: Stack, services: t.Sequence[str]) -> t.Optional[t.FrozenSet[str]]:
    """Return the names of the services that are looked at; None for all.

    Raises:
        RollcallError: ``wrong_use``: there is no such service.
    """
    return frozenset(selected(stack, services)) if services else None


def with_runs(looked: Report, stack: Stack) -> Report:
    """Return the report of a look with the generation in place, the run at work, and what runs before it left."""
    unfinished, note = _runs_now(stack.paths.state)
    if note and unfinished is not None and unfinished["run"] == note.get("run"):
        waits = told_waits(stack.paths.state, unfinished["run"])
        note, unfinished = {**note, "step": unfinished["step"], "waits": waits}, None
    generation = describe_current(stack.paths, stack.root)
    if generation is not None and any(check["code"] == LOOP for check in looked["checks"]):
        generation = {**generation, "verified": False}
    return {
        **looked,
        "unfinished_run": unfinished,
        "last_failure": last_failure(stack.paths.state, note.get("run")),
        "run_at_work": t.cast("RunAtWork", {key: note[key] for key in _AT_WORK if key in note}) if note else None,
        "generation": generation,
    }


def _runs_now(state: str) -> t.Tuple[t.Optional[UnfinishedRun], t.Dict[str, t.Any]]:
    """Return the newest run where it has no end, and the note of the run at work; empty where none is."""
    unfinished, note = unfinished_run(state), locked_by(state)
    if unfinished is not None and unfinished["run"] != note.get("run"):
        # It may have ended between these two. One that was cut off has no end afterwards either.
        again = unfinished_run(state)
        unfinished = again if again is not None and again["run"] in (unfinished["run"], note.get("run")) else None
    return unfinished, note
