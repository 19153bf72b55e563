# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Starts services: each as soon as what it depends on is ready."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.port_numbers import nobody_on
from ..host import processes
from ..host.model import Identity
from ..host.socket_files import MISSING
from ..manifest.model import Service, Stack
from ..ports.provenance import Holder
from ..ports.survey import survey
from ..ports.unix_sockets import SocketSeen, look_at_sockets
from ..probes.health import HealthWatch, Owner
from ..state.waiting import END, HEALTH, PORT, START, Wait, waits_for, waits_no_more
from ..supervisord.client import Client, ProgramState
from ..verdict.observation import completed, describe_state, has_ended_well, identity, in_order, owns

if t.TYPE_CHECKING:
    from .turnover import Turnover

# Seconds between two looks. The loop of supervisord turns with each call, or else once a second: asking makes it fast.
POLL = 0.02
# The same while only start seconds pass: often enough to notice a crash, which the kernel tells. The last look at the
# programs comes a moment after all start seconds are over.
IDLE_POLL = 0.1
MOMENT = 0.002
# By so many seconds a process may be younger than the kernel says, which counts its start in hundredths.
AGE_ERROR = 0.01
# The pause between two looks is at least so many times as long as the last look took, so that looking does not slow
# down a machine that is busy with starting things.
REST = 3.0
# Seconds for which only services are started that others wait for, or that answer somebody. This does not delay the
# end: the waiting ones still have all of their start seconds to go.
HEAD_START = 0.3


@dataclass
class StartOutcome:
    """How the start of some services went.

    Attributes:
        first: by service that came up, the pid and start of its process.
        failed: by service that did not, the reason.
        blocked: those of them that were not started, with the service that each depends on and that is not up.
        seconds: from the beginning until the last service was ``running``, and until the last one was ``healthy``, of
            those that have a health check; the two go on side by side.
        programs: what supervisord said of all programs in the last look; None when there was none.
        proofs: by service that was reloaded what it has shown, in words.
        ready: by service when it was first ready to do its work, in seconds of the clock: healthy, where it has a port
            or a health check, else running.
    """

    first: t.Dict[str, Identity] = field(default_factory=dict)
    failed: t.Dict[str, str] = field(default_factory=dict)
    blocked: t.Dict[str, str] = field(default_factory=dict)
    seconds: t.Dict[str, float] = field(default_factory=dict)
    programs: t.Optional[t.Mapping[str, ProgramState]] = None
    ready: t.Dict[str, float] = field(default_factory=dict)
    proofs: t.Dict[str, str] = field(default_factory=dict)


class Listening(t.NamedTuple):
    """Who listens on ports, and on unix sockets by their paths."""

    ports: t.Mapping[int, t.Sequence[Holder]] = {}
    sockets: t.Mapping[str, SocketSeen] = {}


class _Start:
    """One service on its way up."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self.service = service
        self.deadline = Deadline(service.ready_timeout, clock)
        # When its start seconds are over; set anew by the age of its process when supervisord has started it.
        self.due = Deadline(service.start.seconds, clock)
        self.identity: t.Optional[Identity] = None
        self.last = "start was asked for"
        # What it is waited for, of those of `waiting`.
        self.what = START
        self.watch: t.Optional[HealthWatch] = None

    def begin_watch(self, stack: Stack) -> None:
        """Ask for its health already during its start seconds: it is often healthy before it is RUNNING."""
        if self.service.asked_when_started:
            self.watch = HealthWatch(self.service.asked_when_started, owner=Owner(stack, self.service))

    def end_watch(self) -> None:
        """Stop asking for its health."""
        if self.watch is not None:
            self.watch.stop()
            self.watch = None


class BringUp:
    """The start of some services of a stack by a supervisord that answers.

    Args:
        stack: the manifest.
        client: a client of the stack's supervisord, which knows all programs.
        names: the services to start; what else they depend on is taken to be up.
        clock: the clock of all deadlines.
        born: told the process of each service that supervisord has just started.
        turnover: the stops that go on beside, and what they leave no way to start yet; None where all are down.
        begins: told the services that are about to start.
    """

    def __init__(
        self,
        stack: Stack,
        client: Client,
        names: t.Iterable[str],
        clock: Clock = SYSTEM,
        born: t.Optional[t.Callable[[t.Mapping[str, Identity]], None]] = None,
        turnover: t.Optional[Turnover] = None,
        begins: t.Optional[t.Callable[[t.Sequence[str]], None]] = None,
    ) -> None:
        self._turnover = turnover
        # What depends on one of these does without it for a while: another instance is up.
        self._rolling = frozenset() if turnover is None else turnover.rolling
        self._stack = stack
        self._client = client
        self._clock = clock
        self._wanted = frozenset(names)
        self._waiting = [service for service in stack.services if service.name in self._wanted]
        self._starting: t.Dict[str, _Start] = {}
        self._reached: t.Dict[str, t.Set[str]] = {}
        self._outcome = StartOutcome()
        self._head_start = Deadline(HEAD_START, clock)
        # What supervisord has said of all programs in its answer to the last order to start some.
        self._told: t.Optional[t.Mapping[str, ProgramState]] = None
        self._born = born
        self._begins = begins
        self._began = clock.monotonic()

    def run(self) -> StartOutcome:
        """Start them all and wait until each is ready, has failed, or has used up its time.

        Raises:
            RollcallError: supervisord stopped answering.
        """
        try:
            while self._waiting or self._starting or self._stopping:
                if self._turnover is not None:
                    self._turnover.step(self._outcome.first, self._outcome.failed)
                self._start_what_can()
                began = self._clock.monotonic()
                if self._starting and not self._only_time_passes():
                    self._look()
                waits_for(self._waits())
                self._rest(self._clock.monotonic() - began)
        finally:
            waits_no_more()
            for start in self._starting.values():
                start.end_watch()
        return self._outcome

    def _waits(self) -> t.Iterator[Wait]:
        for name, start in self._starting.items():
            yield Wait(name, start.what, start.last)
        if self._turnover is not None:
            yield from self._turnover.waits()

    @property
    def _stopping(self) -> bool:
        return self._turnover is not None and self._turnover.busy

    def _rest(self, look: float) -> None:
        """Sleep until something may have happened, on the way up or on the way down."""
        pauses = [self._pause(look)] if self._starting else []
        if self._turnover is not None and self._turnover.busy:
            pauses.append(self._turnover.pause)
            # What was seen of the others is no longer so.
            self._outcome.programs = None
        if pauses:
            self._clock.sleep(min(pauses))

    def _pause(self, look: float) -> float:
        """Return the seconds until something may have happened that is worth asking for.

        Args:
            look: seconds that the last look took.
        """
        rest = REST * look
        if self._waiting or any("healthy" not in self._reached.get(name, ()) for name in self._starting):
            return max(POLL, rest)
        due = max((start.due.remaining() for start in self._starting.values()), default=0.0)
        if due <= 0:
            return max(POLL, rest)
        idle = max(IDLE_POLL, rest)
        # A look that is under way when the last start seconds end sees them not yet over, and costs another one.
        return idle if idle + look < due else due + MOMENT

    def _start_what_can(self) -> None:
        """Start, in one call, each waiting service whose dependencies are ready; give up those with one that failed."""
        batch = []
        for service in list(self._waiting):
            blocker = next(
                (name for name in service.depends_on if name in self._outcome.failed and name not in self._rolling),
                None,
            )
            if self._turnover is not None and service.name in self._turnover.failed:
                self._waiting.remove(service)
                self._outcome.failed[service.name] = self._turnover.failed[service.name]
            elif blocker is not None:
                self._waiting.remove(service)
                self._outcome.blocked[service.name] = blocker
                self._outcome.failed[service.name] = f"not started: it depends on {blocker}, which is not up"
            elif all(self._met(name, level) for name, level in service.depends_on.items()) and self._may_start(service):
                batch.append(service)
        batch = self._needed_first(batch)
        if batch and self._turnover is not None:
            batch = self._turnover.prepare(batch)
        for service in batch:
            self._waiting.remove(service)
            self._starting[service.name] = _Start(service, self._clock)
        if batch:
            self._start(batch)

    def _may_start(self, service: Service) -> bool:
        return self._turnover is None or self._turnover.may_start(service.name)

    def _needed_first(self, batch: t.List[Service]) -> t.List[Service]:
        """Return those of ``batch`` to start now: for a moment only those that somebody waits for.

        That is another service, or who asks a service that has a port or a health check.
        """
        if self._head_start.expired:
            return batch
        awaited = {
            name
            for service in self._waiting
            for name, level in service.depends_on.items()
            if not self._met(name, level) and level != "started"
        }
        if awaited.isdisjoint((*self._starting, *(service.name for service in batch))):
            return batch
        return [service for service in batch if service.name in awaited or service.shows_ready]

    def _start(self, batch: t.Sequence[Service]) -> None:
        names = [service.name for service in batch]
        if self._begins is not None:
            self._begins(names)
        faults, programs = self._client.start_and_look(names)
        self._told = programs
        for name, fault in faults.items():
            start = self._starting[name]
            if fault is None:
                self._reached[name] = {"started"}
                start.begin_watch(self._stack)
                age = max(0.0, programs[name].age - AGE_ERROR) if name in programs else 0.0
                start.due = Deadline(max(0.0, start.service.start.seconds - age), self._clock)
            else:
                # The error itself is in the program's state, which is read next.
                start.last = fault
        if self._born is not None:
            # While their start seconds pass it costs no time.
            self._born({name: identity(one) for name, one in programs.items() if name in faults and one.pid})

    def _met(self, name: str, level: str) -> bool:
        return name not in self._wanted or name in self._rolling or level in self._reached.get(name, ())

    def _fail(self, start: _Start, reason: str) -> None:
        start.end_watch()
        del self._starting[start.service.name]
        self._outcome.failed[start.service.name] = reason

    def _ready(self, start: _Start, program: ProgramState) -> None:
        start.end_watch()
        del self._starting[start.service.name]
        self._outcome.first[start.service.name] = start.identity or identity(program)

    def _only_time_passes(self) -> bool:
        """Return whether nothing can have happened that a look at the programs would show.

        Each service that is starting has been healthy and counts its start seconds, and its process lives, by the
        kernel's word. That supervisord answers is asked all the same; its programs, of which it tells much, are not.
        """
        if self._waiting or not self._starting:
            return False
        for name, start in self._starting.items():
            if start.due.expired or start.deadline.expired or "healthy" not in self._reached.get(name, ()):
                return False
            if start.identity is None or not processes.alive(start.identity):
                return False
        self._client.poke()
        return True

    def _look(self) -> None:
        """Look once at every service that is starting, and note how far each has come."""
        programs = self._outcome.programs = self._programs()
        for start in list(self._starting.values()):
            program = programs.get(start.service.name)
            if program is None:
                self._fail(start, "supervisord does not know it")
            elif start.identity is None and program.pid:
                start.identity = identity(program)
        holders, sockets = self._holders(programs)
        for start in list(self._starting.values()):
            self._look_at(start, programs[start.service.name], Listening(holders, sockets))

    def _programs(self) -> t.Mapping[str, ProgramState]:
        """Return all programs as they are now; right after an order to start some, as its answer had them."""
        told, self._told = self._told, None
        if told is not None:
            return told
        if any(start.due.expired for start in self._starting.values()):
            # supervisord answers a call before it looks whether start seconds are over: without this call the answer
            # would not tell.
            self._client.poke()
        return self._client.programs()

    def _holders(
        self, programs: t.Mapping[str, ProgramState]
    ) -> t.Tuple[t.Mapping[int, t.Sequence[Holder]], t.Mapping[str, SocketSeen]]:
        """Return by port, and by path of a unix socket, who listens there, for the services that need a look.

        Many ports cost little more than one.
        """
        looked_at = {
            name: start
            for name, start in self._starting.items()
            if (start.service.all_ports or start.service.socket)
            and start.identity is not None
            and not self._only_counted(programs[name])
        }
        pids = {start.identity[0]: name for name, start in looked_at.items() if start.identity is not None}
        services = [start.service for start in looked_at.values()]
        ports = [port for service in services for port in service.all_ports.values()]
        # Each path was cleared before the start.
        every = {program.pid: name for name, program in programs.items() if program.pid}
        sockets = look_at_sockets(self._stack, services, every, fresh=True)
        return survey(self._stack, ports, pids) if ports else {}, sockets

    def _only_counted(self, program: ProgramState) -> bool:
        """Return whether a service is healthy and only its start seconds still pass."""
        return "healthy" in self._reached.get(program.name, ()) and program.state != "RUNNING"

    def _look_at(self, start: _Start, program: ProgramState, listening: Listening) -> None:
        """Note how far one service has come: it is ready, has failed, or is still starting."""
        end = self._dead_end(start, program)
        if end is not None:
            self._fail(start, end)
        elif start.service.kind == "oneshot" or has_ended_well(start.service, program):
            self._look_at_oneshot(start, program)
        else:
            self._look_at_service(start, program, listening)
        if start.service.name in self._starting and start.deadline.expired:
            self._fail(start, f"not ready after {start.service.ready_timeout:g} s: {start.last}")

    def _look_at_oneshot(self, start: _Start, program: ProgramState) -> None:
        if completed(program):
            self._reached[start.service.name] = {"started", "running", "completed"}
            self._ready(start, program)
        else:
            start.last, start.what = describe_state(program), END

    def _look_at_service(self, start: _Start, program: ProgramState, listening: Listening) -> None:
        """Note how far a service has come: it is ready when it is RUNNING and healthy, whichever comes first."""
        reached = self._reached.setdefault(start.service.name, {"started"})
        # A healthy one is looked at again only when it is RUNNING.
        lacking = None if self._only_counted(program) else self._lacking(start, listening)
        if lacking is None:
            self._reach(start.service, "healthy", timed=bool(start.service.asked_when_started))
        if program.state == "RUNNING":
            self._reach(start.service, "running")
        start.last = describe_state(program) + ("" if lacking is None else f", but {lacking}")
        start.what = START if lacking is None else start.what
        if reached.issuperset(("running", "healthy")) and lacking is None:
            self._ready(start, program)

    def _reach(self, service: Service, level: str, *, timed: bool = True) -> None:
        """Note that a service has reached a level, and when it did so for the first time."""
        reached = self._reached[service.name]
        if level == ("healthy" if service.shows_ready else "running"):
            self._outcome.ready.setdefault(service.name, self._clock.monotonic())
        if timed and level not in reached:
            self._outcome.seconds[level] = round(self._clock.monotonic() - self._began, 4)
        reached.add(level)

    def _dead_end(self, start: _Start, program: ProgramState) -> t.Optional[str]:
        """Return why a service will not come up any more; None when it may."""
        if start.identity is not None and program.born and identity(program) != start.identity:
            return f"its process did not last: pid {start.identity[0]} is gone, now pid {program.pid}"
        if program.state in ("BACKOFF", "FATAL", "UNKNOWN"):
            return describe_state(program)
        if program.state in ("STOPPED", "STOPPING"):
            return f"{describe_state(program)} right after the start ({start.last})"
        if program.state == "EXITED" and not in_order(start.service, program):
            return describe_state(program)
        return None

    def _lacking(self, start: _Start, listening: Listening) -> t.Optional[str]:
        """Return what a service still lacks to be healthy: its listener, or a good answer; None when nothing."""
        service = start.service
        start.what = PORT
        for port in service.all_ports.values() if start.identity is not None else ():
            found = listening.ports.get(port, ())
            if not found:
                return f"{nobody_on(port)} yet"
            if not any(owns(service, holder) for holder in found):
                return f"port {port} is taken by {found[0].summary}"
        if service.socket and start.identity is not None:
            seen = listening.sockets.get(service.socket, SocketSeen(service.socket))
            why = seen.why_not(service)
            if why:
                return f"{why} yet" if seen.state == MISSING else why
        start.what = HEALTH
        return None if start.watch is None else start.watch.lacking
