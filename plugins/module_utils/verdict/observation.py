# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What was seen of a stack, and what that says of one service. Pure."""

from __future__ import annotations

import typing as t

from ..base.errors import Problem, RollcallError
from ..host.model import Identity, Listener, Process
from ..manifest.model import EXPECTED, Service
from ..ports.provenance import SUPERVISED, Holder
from ..ports.unix_sockets import SocketSeen
from ..probes.answers import DatabaseAnswer, HealthAnswer
from ..state.lives import Book, Lives
from ..state.log_marks import LogMark
from ..state.stopped import WHOLE, Stopped, StoppedByHand
from ..supervisord.client import ProgramState
from .limits import WORKERS
from .lives import LOOP, RECOVERING, Standing, probation, standing

if t.TYPE_CHECKING:
    from ..host.turnover import DyingChildren


class LogSeen(t.NamedTuple):
    """What a service's log says since its mark.

    Attributes:
        critical: the critical lines.
        gaps: which parts of it cannot be judged, and why.
        tail: its last lines.
        mark: its end, up to where it was read.
        earlier: whether all that is wrong was written before the run began.
        unfit: the path of what is in the place of the log and is not read, a link, say, and why; else empty.
        in_use: of a service without a port, the lines that say that an address is in use already.
        lost: whether supervisord writes, if the service runs, to another file than has the name of the log.
    """

    critical: t.Sequence[str] = ()
    gaps: t.Sequence[str] = ()
    tail: str = ""
    mark: LogMark = LogMark()
    earlier: bool = False
    unfit: t.Sequence[str] = ()
    in_use: t.Sequence[str] = ()
    lost: bool = False


class Observation(t.NamedTuple):
    """What was seen of a stack at one moment.

    Attributes:
        supervisords: every live supervisord over this stack's config.
        supervisord: the one that answers on the stack's socket; None when none does.
        version: of supervisor, as that supervisord reports it.
        silence: why no supervisord answers; None when one does.
        programs: what supervisord reports of each program.
        holders: the listeners of each port.
        sockets: what stands at the path of each unix socket of a service, and who listens there.
        health: the last answer to each health check: by service, or as ``web.ready`` where the check has a name.
        files: directories of the stack and its services that are missing or cannot be used.
        dependencies: programs of the services that are missing or cannot be used.
        orphans: processes of the stack that no supervisord of it holds.
        detached: processes that services have put into the background in their present lives; those of a service that
            does not say so are orphans as well.
        keepers: orphans that are a program of another supervisord: their pid, and that program.
        databases: the answer of each database that is checked, by its kind.
        logs: what the log of each service says; empty when none was read.
        wanted_user: the user who must run supervisord, where it runs as another one; else empty.
        other_releases: by service the releases, besides that of the manifest, that its processes work in or have open.
        elsewhere: by service the sockets on which it listens and whose port no service of the manifest has.
        halted: by service a process of it that does nothing.
        dying: by service the children of a process of it that end again and again.
        altered: by program why supervisord does not run it by the installed config.
        edited: why the installed config, or the settings of supervisord itself, are not what a run has installed.
        book: the lives of the services.
        at: when it was seen, in seconds since the epoch.
    """

    supervisords: t.Sequence[Process] = ()
    supervisord: t.Optional[Process] = None
    version: t.Optional[str] = None
    silence: t.Optional[RollcallError] = None
    programs: t.Mapping[str, ProgramState] = {}
    holders: t.Mapping[int, t.Sequence[Holder]] = {}
    sockets: t.Mapping[str, SocketSeen] = {}
    health: t.Mapping[str, HealthAnswer] = {}
    files: t.Sequence[Problem] = ()
    dependencies: t.Sequence[Problem] = ()
    orphans: t.Sequence[Process] = ()
    detached: t.Sequence[Process] = ()
    keepers: t.Mapping[int, str] = {}
    databases: t.Mapping[str, DatabaseAnswer] = {}
    logs: t.Mapping[str, LogSeen] = {}
    wanted_user: str = ""
    other_releases: t.Mapping[str, t.Sequence[str]] = {}
    elsewhere: t.Mapping[str, t.Sequence[Listener]] = {}
    halted: t.Mapping[str, Halted] = {}
    dying: t.Mapping[str, DyingChildren] = {}
    altered: t.Mapping[str, str] = {}
    edited: t.Sequence[str] = ()
    book: Book = Book()
    at: float = 0.0

    @property
    def rivals(self) -> t.List[Process]:
        """The supervisords over this stack besides the one that answers on its socket."""
        answering = None if self.supervisord is None else self.supervisord.pid
        return [process for process in self.supervisords if process.pid != answering]

    def standing(self, service: Service) -> t.Optional[Standing]:
        """Return how a service stands by its lives; None for one that runs to its end, and when nothing is known."""
        program = self.programs.get(service.name)
        lives = self.book.lives.get(service.name)
        if program is None or lives is None or service.kind != "service" or has_ended_well(service, program):
            return None
        return standing(service, lives, program.age, self.at)

    def young(self, services: t.Iterable[Service]) -> t.List[str]:
        """Return which of the services that run have not lived for long yet at their revision, ever."""
        return [
            service.name
            for service in services
            if service.kind == "service"
            and service.name in self.programs
            and self.programs[service.name].pid
            and self.book.lives.get(service.name, Lives()).longest < probation(service)
        ]

    def loops(self, services: t.Iterable[Service]) -> t.List[str]:
        """Return which of the services keep ending."""
        return self._standing_so(LOOP, services)

    def recovering(self, services: t.Iterable[Service]) -> t.List[str]:
        """Return which of the services have ended once and not lived for long since."""
        return self._standing_so(RECOVERING, services)

    def _standing_so(self, word: str, services: t.Iterable[Service]) -> t.List[str]:
        stands = {service.name: self.standing(service) for service in services}
        return [name for name, one in stands.items() if one is not None and one.word == word]


class Halted(t.NamedTuple):
    """A process of a service that does nothing, and the letter of its state; Z when it has ended."""

    pid: int
    state: str

    @property
    def text(self) -> str:
        """What is the matter, for people."""
        return f"pid {self.pid} {_HALTED.get(self.state, 'is stopped')}"


_HALTED: t.Mapping[str, str] = {
    "T": "is stopped by a signal (SIGSTOP): it is there and does nothing",
    "t": "is stopped by a debugger: it is there and does nothing",
    "D": "hangs in the kernel (state D)",
    "Z": "has ended, and supervisord has not noticed it yet",
}


def identity(program: ProgramState) -> Identity:
    """Return the pid of a program and its start in clock ticks after boot; together they are never used again."""
    return (program.pid, program.born)


def stopped_by_hand(name: str, stopped: Stopped, seen: Observation) -> t.Optional[StoppedByHand]:
    """Return who has stopped a service, or the whole stack, where that is why it is down; else None.

    What was started since by something else than Rollcall, and has ended, has ended by itself.
    """
    by = stopped.get(name, None if seen.supervisords else stopped.get(WHOLE))
    program = seen.programs.get(name)
    if by is None or (program is not None and (program.pid or program.start > by.at)):
        return None
    return by


def completed(program: ProgramState) -> bool:
    """Return whether a oneshot has ended with exit code 0."""
    return program.state == "EXITED" and program.exit_status == 0


def has_ended_well(service: Service, program: ProgramState) -> bool:
    """Return whether a service that ends by design has ended by itself, with exit code 0."""
    return service.ends == EXPECTED and completed(program)


def in_order(service: Service, program: ProgramState) -> bool:
    """Return whether supervisord reports the wanted state: RUNNING, or EXITED with code 0 for what is to end."""
    if has_ended_well(service, program):
        return True
    return completed(program) if service.kind == "oneshot" else program.state == "RUNNING" and program.pid > 0


def listener_of(service: Service, seen: Observation, port: t.Optional[int]) -> t.Optional[Holder]:
    """Return a listener on a port of the service, its own process first; None when there is none."""
    holders = () if port is None else seen.holders.get(port, ())
    return next((holder for holder in holders if owns(service, holder)), next(iter(holders), None))


def owns(service: Service, holder: Holder) -> bool:
    """Return whether the listener is the process that supervisord reports for this service, or a child of it."""
    return holder.provenance == SUPERVISED and holder.service == service.name


def dying_text(found: DyingChildren) -> str:
    """Return in words that the children of a process end again and again."""
    # Late import: hardly ever is there one.
    from ..host.turnover import MOMENT

    return (
        f"pid {found.parent} lives, and what it starts of itself ends at once: {found.ends} of its children within "
        f"{WORKERS:g} s, the last with {found.last}, and none has lived for {MOMENT:g} s"
    )


def describe_state(program: ProgramState) -> str:
    """Return supervisord's state with its spawn error or exit status."""
    if program.state == "EXITED":
        return f"EXITED with status {program.exit_status}"
    if program.spawn_error:
        return f"{program.state}: {program.spawn_error}"
    return program.state
