# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The lives of the services: which process each has, and which of its lives ended without an order.

Three witnesses tell of them: the log of supervisord, the kernel's start times, and the record that each run leaves
here. The record keeps what the log had, so a log that is rotated or deleted takes nothing away. Where the
log is silent and a service has another process than the record says, that process itself is the proof of an exit that
nobody saw.
See docs/design/0008-lives.md.
"""

from __future__ import annotations

import os
import signal
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock
from ..base.files import read_record, write_record
from ..host import processes
from ..host.accounts import readable_by
from ..host.model import Identity
from ..manifest.model import Stack
from ..supervisord import life_log
from ..supervisord.client import ProgramState
from ..supervisord.life_log import LifeEvent, Mark
from ..supervisord.places import supervisord_log

# How many exits of a service the record keeps with their times; of earlier ones only the number.
KEPT = 20
# Seconds within which what was signalled together has ended, and is logged.
_AT_ONCE = 2.0
NOBODY: Identity = (0, 0)
# Time zones differ by multiples of this. What the kernel and the log say of one birth differs by much less.
_QUARTER = 900.0


class Exit(t.NamedTuple):
    """The end of a life that nobody ordered.

    Attributes:
        at: when, in seconds since the epoch; of one that nobody saw, when the next life began.
        lived: seconds of that life; None where its begin is not known.
        code: the exit code; None where a signal ended it, or nobody saw it.
        signal: the name of that signal; empty otherwise.
        expected: whether supervisord expects such an end: exit code 0 after the start seconds.
    """

    at: float
    lived: t.Optional[float] = None
    code: t.Optional[int] = None
    signal: str = ""
    expected: bool = False


class Lives(t.NamedTuple):
    """What is known of the lives of one service at its revision.

    Attributes:
        revision: at which it was started; empty where no run has recorded it.
        exits: the last exits, the latest last.
        earlier: how many exits there were before those.
        life: the process that it has, or had last; `NOBODY` after an end.
        since: when that life began, in seconds since the epoch; 0 where that is not known.
        longest: seconds of its longest life so far.
    """

    revision: str = ""
    exits: t.Tuple[Exit, ...] = ()
    earlier: int = 0
    life: Identity = NOBODY
    since: float = 0.0
    longest: float = 0.0


class Book(t.NamedTuple):
    """The lives of all services of a stack, as far as its log was read.

    Attributes:
        supervisord: the one that had these processes.
        mark: where its log ends that was read.
        lives: by service.
        proved: by program the process of which it was proved that supervisord runs it by the installed config. That
            stays so for as long as the process lives: supervisord takes over another config for what has ended only.
        generation: id of the generation by whose config that was proved.
        silent: whether that supervisord has logged neither its own start nor any birth: it runs by other settings.
    """

    supervisord: Identity = NOBODY
    mark: Mark = life_log.NOTHING
    lives: t.Mapping[str, Lives] = {}
    proved: t.Mapping[str, Identity] = {}
    generation: str = ""
    silent: bool = False


# --- what has happened since (pure) -------------------------------------------------------------------------------


def followed(
    book: Book,
    events: t.Sequence[LifeEvent],
    mark: Mark,
    programs: t.Mapping[str, t.Optional[ProgramState]],
    supervisord: Identity,
    now: float,
) -> Book:
    """Return a book that has what was logged since, and the processes that there are now.

    Args:
        book: as it was.
        events: what supervisord has logged since.
        mark: where its log ends.
        programs: by service that is to keep running what supervisord reports of it; None where nothing is reported.
        supervisord: the one that reports it.
        now: seconds since the epoch.
    """
    lives = {}
    shift = _shift(events, programs, now)
    events = [event._replace(at=event.at - shift) for event in events]
    for name, program in programs.items():
        before = book.lives.get(name, Lives())
        seen, pids = _logged(before, [event for event in events if event.program in (name, "")])
        if program is not None and program.born:
            missing = supervisord == book.supervisord and before.life != NOBODY and program.pid not in pids
            seen = _living(seen, program, now, unseen=missing)
        lives[name] = seen
    another = NOBODY not in (supervisord, book.supervisord) and supervisord != book.supervisord
    tells = (life_log.STARTED, life_log.BORN)
    silent = not any(event.kind in tells for event in events) if another else book.silent
    who = book.supervisord if supervisord == NOBODY else supervisord
    return Book(who, mark, {**book.lives, **lives}, book.proved, book.generation, silent)


def _shift(events: t.Sequence[LifeEvent], programs: t.Mapping[str, t.Optional[ProgramState]], now: float) -> float:
    """Return by how many seconds the clock of the log is ahead of ours.

    supervisord logs in the time zone that it was started in, and by the clock of then. The kernel knows when a process
    that lives was born, whatever has become of both since.
    """
    for event in reversed(events):
        program = programs.get(event.program)
        if event.kind == life_log.BORN and program is not None and program.born and program.pid == event.pid:
            return round((event.at - now + program.age) / _QUARTER) * _QUARTER
    return 0.0


def _logged(lives: Lives, events: t.Sequence[LifeEvent]) -> t.Tuple[Lives, t.Set[int]]:
    """Return the lives after the events of one service, and the pids that it is known to have had."""
    pids = {lives.life[0]}
    exits = list(lives.exits)
    leaving = False
    life, since, longest = lives.life, lives.since, lives.longest
    for event in events:
        if event.kind == life_log.BORN:
            # A supervisord that is about to leave starts nothing.
            leaving = False
            life, since = (event.pid, 0), event.at
            pids.add(event.pid)
            continue
        if event.kind == life_log.LEAVING:
            leaving = True
            exits = [one for one in exits if not _told_as_well(one, event)]
            continue
        lived = max(0.0, event.at - since) if since and life != NOBODY else None
        longest = max(longest, lived or 0.0)
        if event.kind == life_log.EXITED and not leaving:
            exits.append(Exit(event.at, lived, event.code, event.signal, event.expected))
        elif event.kind != life_log.EXITED and not lives.revision:
            # Nobody knows at which revision it lived: what was before an order is not held against what came after.
            exits.clear()
        leaving = leaving and event.kind != life_log.STARTED
        life, since = NOBODY, 0.0
    return lives._replace(exits=tuple(exits), life=life, since=since, longest=longest), pids


def _told_as_well(one: Exit, leaving: LifeEvent) -> bool:
    """Return whether a service has ended by the signal that supervisord was told to leave by.

    A host that goes down sends it to all processes at once, as does whoever ends a session or a control group.
    supervisord logs first which of its programs have ended, then that it was told.
    """
    number = getattr(signal, leaving.signal, 0)
    return 0 <= leaving.at - one.at < _AT_ONCE and (
        one.signal == leaving.signal or (not one.signal and one.code in (0, 128 + number))
    )


def _living(lives: Lives, program: ProgramState, now: float, *, unseen: bool) -> Lives:
    """Return the lives with the process that there is now.

    Args:
        lives: by record and log.
        program: as supervisord reports it.
        now: seconds since the epoch.
        unseen: whether neither record nor log has this process, though they should.
    """
    life, born = (program.pid, program.born), now - program.age
    # The same pid with another start is another process; the log tells no start.
    unseen = unseen or (lives.life[0] == program.pid and lives.life[1] not in (0, program.born))
    exits = (*lives.exits, Exit(born)) if unseen else lives.exits
    return lives._replace(exits=exits, life=life, since=born, longest=max(lives.longest, program.age))


def started_anew(book: Book, revisions: t.Mapping[str, str]) -> Book:
    """Return a book for services that are about to be started: their processes have ended by an order.

    Args:
        book: as it was.
        revisions: of each its revision. At another one than before, it has no past.
    """
    lives = dict(book.lives)
    for name, revision in revisions.items():
        before = lives.get(name, Lives())
        now = before if before.revision == revision else Lives(revision)
        lives[name] = now._replace(life=NOBODY, since=0.0)
    return book._replace(lives=lives)


def forgiven(book: Book) -> Book:
    """Return a book without exits: somebody has acknowledged them."""
    return book._replace(lives={name: each._replace(exits=(), earlier=0) for name, each in book.lives.items()})


def with_revisions(book: Book, revisions: t.Mapping[str, str]) -> Book:
    """Return a book in which each service without a revision has the one that it runs at."""
    lives = {
        name: each if each.revision else each._replace(revision=revisions.get(name, ""))
        for name, each in book.lives.items()
    }
    return book._replace(lives=lives)


# --- the record ---------------------------------------------------------------------------------------------------


def read_book(
    stack: Stack, programs: t.Mapping[str, ProgramState], supervisord: Identity, *, clock: Clock = SYSTEM
) -> Book:
    """Return all that is known of the lives of a stack's services until now. Changes nothing.

    Args:
        stack: the manifest.
        programs: what supervisord has just reported.
        supervisord: the one that did.
        clock: of the wall's time, in which supervisord logs.

    Raises:
        RollcallError: the record is there and cannot be read.
    """
    book = _load(stack)
    events, mark = life_log.read_events(supervisord_log(stack), book.mark, supervisord[0], readable_by(stack.user))
    services = {one.name: programs.get(one.name) for one in stack.services if one.kind == "service"}
    return followed(book, events, mark, services, supervisord, clock.wall())


def save_book(stack: Stack, book: Book) -> None:
    """Keep what is known for the next look.

    Raises:
        OSError: it could not be written; the record is as it was.
    """
    names = {service.name for service in stack.services}
    rows = {name: _row(lives) for name, lives in sorted(book.lives.items()) if name in names}
    data = {"boot": processes.boot_id(), **book._asdict(), "lives": rows}
    write_record(path(stack), data)


def path(stack: Stack) -> str:
    """Return the file with the record."""
    return os.path.join(stack.paths.state, "lives.json")


def _row(lives: Lives) -> t.Dict[str, t.Any]:
    dropped = max(0, len(lives.exits) - KEPT)
    return {**lives._asdict(), "exits": lives.exits[dropped:], "earlier": lives.earlier + dropped}


def _load(stack: Stack) -> Book:
    def parse(data: t.Any) -> Book:
        lives = {name: _lives(row) for name, row in data["lives"].items()}
        if data["boot"] != processes.boot_id():
            # Their processes went with the host, by nobody's fault.
            lives = {name: each._replace(life=NOBODY, since=0.0) for name, each in lives.items()}
        inode, offset = data["mark"]
        proved = {name: _identity(one) for name, one in data["proved"].items()}
        generation, silent = str(data.get("generation", "")), bool(data.get("silent"))
        mark = (int(inode), int(offset))
        return Book(_identity(data["supervisord"]), mark, lives, proved, generation, silent)

    remedies = [cures.remove(path(stack))]
    return read_record(path(stack), parse, Book(), "The record of the lives of the services", remedies)


def _lives(row: t.Mapping[str, t.Any]) -> Lives:
    exits = tuple(_exit(*each) for each in row["exits"])
    since, longest = float(row["since"]), float(row["longest"])
    return Lives(str(row["revision"]), exits, int(row["earlier"]), _identity(row["life"]), since, longest)


def _exit(at: t.Any, lived: t.Any = None, code: t.Any = None, signal_name: t.Any = "", expected: t.Any = False) -> Exit:
    return Exit(
        float(at),
        None if lived is None else float(lived),
        None if code is None else int(code),
        str(signal_name),
        bool(expected),
    )


def _identity(pair: t.Any) -> Identity:
    pid, born = pair
    return int(pid), int(born)
