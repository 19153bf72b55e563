# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Ends what runs: services in the reverse order of their dependencies, supervisords, and what is left over of them.

There are two ways. The careful one gives every service its own signal and time. The emergency gives everything the same
few seconds, then KILL, and does not wait for what does not answer.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ..base import cures
from ..base.clock import Clock, Deadline
from ..base.errors import RollcallError
from ..base.removing import remove
from ..host import ending, homes, processes
from ..host.ending import Ended
from ..host.labels import trusted_uids
from ..host.model import Identity, Process
from ..host.sweep import sweep
from ..manifest.model import Service, Stack
from ..state.waiting import waits_for, waits_no_more
from ..supervisord import client_errors, life
from ..supervisord.client import DOWN, Client, await_exec, client_of, wait_states
from ..supervisord.running import supervisords_of
from ..verdict.observation import Observation
from . import born
from .descent import POLL, STOP_MARGIN, Descent, ports_of
from .order import stopped_before

# What every process gets in an emergency, after its signal and before KILL.
EMERGENCY_GRACE = 3.0


class TakeDown:
    """Takes a stack down, in whole or in part.

    Args:
        stack: the manifest as it is wanted.
        installed: the installed manifest; it may have services that the wanted one does not have.
        before: what was seen before anything was done.
        grace: seconds from TERM to KILL for what is ended outside of supervisord.
        kill_grace: seconds to wait after KILL.
        clock: the clock of all deadlines.
        services: of which services what is left over is ended; None for everything of the stack.
        spared: by service that the run leaves alone its process: what that has put into the background is not ended.

    Attributes:
        ended: every process that was to be ended otherwise than by supervisord, and how that went.
        notes: what did not answer or refused, where that was no reason to stop.
        asked: by service that ran, when it was told to stop, in seconds of the clock.
    """

    def __init__(
        self,
        stack: Stack,
        installed: t.Optional[Stack],
        before: Observation,
        *,
        grace: float,
        kill_grace: float,
        clock: Clock,
        services: t.Optional[t.Container[str]] = None,
        spared: t.Optional[t.Mapping[str, Identity]] = None,
    ) -> None:
        self._stack = stack
        self._services = services
        self._spared = spared
        # Each service as the wanted and as the installed manifest have it.
        self._known: t.Dict[str, t.List[Service]] = {}
        for service in (*stack.services, *(() if installed is None else installed.services)):
            self._known.setdefault(service.name, []).append(service)
        self._before = before
        self._grace = grace
        self._kill_grace = kill_grace
        self._clock = clock
        self.ended: t.List[Ended] = []
        self.notes: t.List[str] = []
        self.asked: t.Dict[str, float] = {}

    # --- the careful way ----------------------------------------------------------------------------------------------

    def stop_services(self, names: t.Sequence[str], *, lost: bool, together: bool) -> None:
        """Stop services, each as soon as those that must go before it are down and their ports free.

        Args:
            names: the services.
            lost: whether it is no error that supervisord has lost track of one, because it is to end as well.
            together: whether nothing starts before all of them are down: then the slow ones are stopped first.

        Raises:
            RollcallError: one is still there after its own stop time, or what it left behind does not end.
        """
        services = self.services
        before = stopped_before(services, [name for name in names if name in services], together=together)
        descent = self.descent({**{name: set() for name in names}, **before}, lost=lost)
        with self._client() as client:
            while descent.busy:
                descent.step(client)
                waits_for(descent.waits())
                if descent.busy:
                    self._clock.sleep(descent.pause)
        waits_no_more()
        descent.refuse()

    def descent(
        self,
        before: t.Mapping[str, t.AbstractSet[str]],
        *,
        lost: bool,
        narrow: bool = False,
        told: t.Callable[[t.Sequence[str]], None] = lambda _names: None,
    ) -> Descent:
        """Return the way down of some services.

        Args:
            before: by service, those that must be down before it is told to stop.
            lost: whether it is no error that supervisord has lost track of one, because it is to end as well.
            narrow: whether others go on beside: then only what is left over of the services themselves is ended.
            told: told which are about to be told to stop.
        """
        return Descent(
            self._known,
            self._before.programs,
            before,
            sweep=lambda names: self.sweep(services=names if narrow else None),
            lost=lost,
            clock=self._clock,
            asked=self.asked,
            told=told,
        )

    def stop_seconds(self, name: str) -> float:
        """Return how long a service may take to stop: by the installed manifest, or by the wanted one."""
        return max((service.stop.timeout for service in self._known.get(name, ())), default=0.0)

    @property
    def services(self) -> t.Mapping[str, Service]:
        """Every service by its name: as it is wanted, or else as it is installed."""
        return {name: known[0] for name, known in self._known.items()}

    def ports_of(self, name: str) -> t.Set[int]:
        """Return the ports that a service has in the wanted and in the installed manifest."""
        return ports_of(self._known, name)

    def sockets_of(self, name: str) -> t.Set[str]:
        """Return the paths of the unix sockets that a service has in the wanted and in the installed manifest."""
        return {service.socket for service in self._known.get(name, ()) if service.socket}

    def end_supervisords(self) -> None:
        """End every supervisord of the stack: one that answers by its own shutdown, another one by TERM.

        Raises:
            RollcallError: one is still there after the stop times of all its services.
        """
        self.remember()
        # Its shutdown stops one program after the other. Most have been stopped before, all at once.
        limit = sum(map(self.stop_seconds, self._known)) + STOP_MARGIN
        answering = self._before.supervisord or self._shutting_down()
        if answering is not None:
            with self._client() as client:
                life.stop_supervisord(
                    client, answering.identity, timeout=limit, programs=self._before.programs, clock=self._clock
                )
        # Without a socket nothing makes its loop turn faster than once a second, and each turn stops one program.
        patience = limit + 1.5 * len(self._known)
        left = self._supervisords()
        others = [process for process in left if answering is None or process.pid != answering.pid]
        if others:
            self._end_supervisords(others, patience)
            left = self._supervisords()
        self._refuse_left(left, cures.EMERGENCY)

    def _shutting_down(self) -> t.Optional[Process]:
        """Return the only supervisord there is, when it is shutting down already: it still takes calls."""
        silence = self._before.silence
        if silence is None or silence.evidence.get("problem") != client_errors.SHUTTING_DOWN:
            return None
        return self._before.supervisords[0] if len(self._before.supervisords) == 1 else None

    # --- the emergency ------------------------------------------------------------------------------------------------

    def end_everything(self) -> None:
        """End everything of the stack within a few seconds, whatever hangs: ask, wait a little, KILL.

        Nothing is ended but supervisords of this stack, and what is of it.

        Raises:
            RollcallError: a process outlives KILL, or is started again.
        """
        self._grace = min(self._grace, EMERGENCY_GRACE)
        now = self._clock.monotonic()
        self.asked.update((name, now) for name, program in self._before.programs.items() if program.pid)
        supervisords = self._supervisords()
        self.remember()
        family = born.family_of(self._stack)
        answering = next((one for one in supervisords if self._is_answering(one)), None)
        if answering is not None:
            self._ask_to_stop(answering)
        self._end_supervisords([one for one in supervisords if processes.alive(one.identity)], self._grace)
        self._end_family(family)
        self._refuse_left(self._supervisords(), cures.DOCTOR)
        self.sweep(none_left=True)
        self._clear_socket()

    def _is_answering(self, process: Process) -> bool:
        return self._before.supervisord is not None and process.pid == self._before.supervisord.pid

    def _ask_to_stop(self, supervisord: Process) -> None:
        """Have a supervisord stop its programs and itself; one that does not do so in time is noted."""
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(self._client())
            try:
                up = [program for program in client.programs().values() if program.state not in DOWN]
                names = [program.name for program in up]
                await_exec(up, self._clock)
                client.stop(names)
                deadline = Deadline(self._grace, self._clock)
                wait_states(client, names, DOWN, deadline=deadline, interval=POLL)
                life.stop_supervisord(client, supervisord.identity, timeout=self._kill_grace, clock=self._clock)
            except RollcallError as exc:
                # What follows ends it by its pid.
                self.notes.append(exc.message)

    def _end_family(self, family: t.Sequence[Process]) -> None:
        """End what descended from the supervisords, the deepest first."""
        left = [process for process in reversed(family) if processes.alive(process.identity)]
        done = self._end([process.identity for process in left], known=left)
        self._refuse_survivors(done)

    def _clear_socket(self) -> None:
        """Remove the socket when it is still there after all of the stack has ended: then a stranger listens on it.

        It is in the stack's own private directory. The stranger is left alone; nobody can reach it any more.
        """
        path = self._stack.paths.socket
        if os.path.lexists(path) and not os.path.isdir(path):
            remove(path)
            self.notes.append(f"{path} was in the way although nothing of the stack ran any more; it was removed")

    # --- both ---------------------------------------------------------------------------------------------------------

    def remember(self) -> None:
        """Record what descends from the supervisords while they live: afterwards not all of it could be known as ours.

        Raises:
            OSError: it could not be recorded.
        """
        born.record_family(self._stack, {}, {})

    def _reported(self, supervisords: t.Sequence[int]) -> t.Optional[t.List[int]]:
        """Return the pids of the programs that the only supervisord reports; None when it does not answer."""
        if len(supervisords) != 1:
            return None
        try:
            with self._client() as client:
                return [program.pid for program in client.programs().values() if program.pid]
        except RollcallError:
            # All that is below it counts as held then.
            return None

    def sweep(
        self, *, none_left: bool = False, services: t.Optional[t.Iterable[str]] = None, nameless: bool = False
    ) -> None:
        """End the orphans of the stack; where no supervisord is left, remove its socket and pidfile.

        Args:
            none_left: whether a look at all processes has just shown that no supervisord is left.
            services: of these services only; None for all that the run is about.
            nameless: whether, in a run of the whole stack, also what no longer says of which service it is.

        Raises:
            RollcallError: an orphan does not end.
        """
        only = (
            self._services if services is None else {*services, *([""] if nameless and self._services is None else [])}
        )
        supervisords = [] if none_left else [process.pid for process in self._supervisords()]
        ended = sweep(
            self._stack.root,
            keep=supervisords,
            reported=self._reported(supervisords),
            uids=trusted_uids(self._stack.root, self._stack.user),
            services=only,
            spared=self._spared,
            grace=self._grace,
            kill_grace=self._kill_grace,
            clock=self._clock,
        )
        self.ended += ended
        self._refuse_survivors(ended)
        if not supervisords:
            life.remove_left_overs(self._stack.paths.socket, self._stack.paths.pidfile)

    def _client(self) -> Client:
        return client_of(self._stack, clock=self._clock)

    def _supervisords(self) -> t.List[Process]:
        return supervisords_of(self._stack)

    def _end_supervisords(self, supervisords: t.Sequence[Process], grace: float) -> None:
        if supervisords:
            self.ended += life.end_supervisords(
                [process.identity for process in supervisords],
                grace=grace,
                kill_grace=self._kill_grace,
                clock=self._clock,
            )

    def _end(self, identities: t.Sequence[Identity], known: t.Sequence[Process]) -> t.List[Ended]:
        done = ending.end(identities, known=known, grace=self._grace, kill_grace=self._kill_grace, clock=self._clock)
        self.ended += done
        return done

    def _refuse_survivors(self, ended: t.Iterable[Ended]) -> None:
        left = [entry for entry in ended if entry.result in ("survived", "stuck")]
        if left:
            named = ", ".join(f"pid {entry.pid} ({entry.result}: {entry.reason})" for entry in left)
            raise RollcallError(
                f"Left-over processes of stack {self._stack.name} did not end: {named}.",
                evidence={"processes": [entry.as_dict() for entry in left]},
                remedies=[*(cures.kill(entry.pid) for entry in left), cures.EMERGENCY],
            )

    def _refuse_left(self, left: t.Sequence[Process], remedy: str) -> None:
        if not left:
            return
        kept_by = {process.pid: homes.home_of(process.pid) for process in left}
        named = ", ".join(
            f"pid {process.pid}" + (f", in {home.name}" if home is not None else "")
            for process, home in ((process, kept_by[process.pid]) for process in left)
        )
        raise RollcallError(
            f"supervisord of stack {self._stack.name} did not end, or was started again by something: {named}.",
            evidence={"pids": [process.pid for process in left]},
            remedies=[
                *dict.fromkeys(home.stop for home in kept_by.values() if home is not None and home.stop),
                cures.kill(*(process.pid for process in left)),
                remedy,
            ],
        )
