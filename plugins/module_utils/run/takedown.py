# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The end of what runs: services in the order of their dependencies, supervisords, and what is left over of them.

Two ways down. The careful one gives every service its own signal and time. The emergency gives everything the same few
seconds and then KILL, and goes on over whatever does not answer.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ..base.clock import Clock, Deadline
from ..base.errors import RollcallError
from ..host import ending, homes, listeners, processes
from ..host.ending import Ended
from ..host.labels import trusted_uids
from ..host.model import Identity, Process
from ..host.sweep import sweep
from ..manifest.model import Service, Stack
from ..supervisord import client_errors, life
from ..supervisord.client import CALL_TIMEOUT, DOWN, Client, await_exec, wait_states
from ..supervisord.running import supervisords_over
from ..verdict.observation import Observation
from . import plan

# Beyond a service's own stop time: supervisord's turn, the KILL it sends itself, and the reaping.
STOP_MARGIN = 5.0
POLL = 0.005
# How long a port may stay held after its service has stopped before what holds it counts as left over.
PORT_MARGIN = 0.5
# What everything gets in an emergency, after its signal and before KILL.
EMERGENCY_GRACE = 3.0
# UNKNOWN: it could not be signalled, and no waiting changes that.
_SETTLED = DOWN | {"UNKNOWN"}


class TakeDown:
    """Takes a stack down, in whole or in part.

    Args:
        stack: the manifest as it is wanted.
        installed: the manifest that is installed, which may know services that the wanted one does not.
        before: what was seen before anything was done.
        grace: seconds from TERM to KILL for what is ended outside of supervisord.
        kill_grace: seconds to wait after KILL.
        clock: the clock of all deadlines.

    Attributes:
        ended: every process outside of supervisord's own care that was to be ended, and how that went.
        notes: what did not answer or refused on the way, where the way went on all the same.
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
    ) -> None:
        self._stack = stack
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

    # --- with care ----------------------------------------------------------------------------------------------------

    def services(self, names: t.Sequence[str], *, lost: bool) -> None:
        """Stop services, those that depend on others first; the next ones when these are STOPPED and their ports free.

        Args:
            names: the services.
            lost: whether to go on over those that supervisord has lost track of, because it is to end as well.

        Raises:
            RollcallError: one is still there after its own stop time, or what it left behind does not end.
        """
        with self._client() as client:
            for batch in plan.stop_batches(self._stack, names):
                self.together(client, batch, lost=lost)

    def together(self, client: Client, names: t.Sequence[str], *, lost: bool = False) -> None:
        """Stop services at once, wait for all of them, and see their ports free; arguments and errors as `services`."""
        await_exec([program for name, program in self._before.programs.items() if name in names], self._clock)
        client.stop(names)
        limit = max((self._stop_timeout(name) for name in names), default=0.0) + STOP_MARGIN
        deadline = Deadline(limit, self._clock)
        last = wait_states(client, names, _SETTLED, deadline=deadline, interval=POLL)
        unknown = [name for name, program in last.items() if program.state == "UNKNOWN"]
        if unknown and not lost:
            raise RollcallError(
                f"supervisord has lost track of {', '.join(unknown)} (UNKNOWN): only a new supervisord gets it back.",
                evidence={"services": unknown},
                remedies=["rollcall restart full"],
            )
        late = {name: program for name, program in last.items() if program.state not in _SETTLED}
        if late:
            named = ", ".join(f"{name} is {program.state}" for name, program in late.items())
            raise RollcallError(
                f"Not stopped after {limit:g} s: {named}.",
                evidence={"states": {name: program.state for name, program in late.items()}},
                remedies=["rollcall restart emergency", "rollcall status"],
            )
        known = [service for name in names for service in self._known.get(name, ())]
        ports = {service.port for service in known if service.port is not None}
        if not Deadline(PORT_MARGIN, self._clock).poll(lambda: not listeners.find_listeners(ports), POLL):
            # A child that outlived its service. Others' listeners are the flush's to judge.
            self.sweep()

    def _stop_timeout(self, name: str) -> float:
        return max((service.stop.timeout for service in self._known.get(name, ())), default=0.0)

    def daemons(self) -> None:
        """End every supervisord of the stack: by its own shutdown where it answers, by TERM where it does not.

        Raises:
            RollcallError: one is still there after the stop times of all its services.
        """
        # Its own shutdown stops one program after the other; mostly they have been stopped before, all at once.
        limit = sum(service.stop.timeout for service in self._stack.services) + STOP_MARGIN
        answering = self._before.supervisord or self._shutting_down()
        if answering is not None:
            with self._client() as client:
                life.stop_supervisord(client, answering.identity, timeout=limit, clock=self._clock)
        # Each turn of its loop takes up to a second and stops one program: it cannot be poked without a socket.
        patience = limit + 1.5 * len(self._stack.services)
        others = [process for process in self._supervisors() if answering is None or process.pid != answering.pid]
        self._end_daemons(others, patience)
        self._none_left("rollcall restart emergency")

    def _shutting_down(self) -> t.Optional[Process]:
        """Return the one supervisord there is, when it has been told to shut down already: it can still be poked."""
        silence = self._before.silence
        if silence is None or silence.evidence.get("problem") != client_errors.SHUTTING_DOWN:
            return None
        return self._before.supervisords[0] if len(self._before.supervisords) == 1 else None

    # --- in an emergency ----------------------------------------------------------------------------------------------

    def at_once(self) -> None:
        """End everything of the stack within a few seconds, whatever hangs: ask, wait a little, KILL.

        Nothing is ended but supervisords of this stack, what descends from them, and what carries its label.

        Raises:
            RollcallError: something outlives even KILL, or is brought back.
        """
        self._grace = min(self._grace, EMERGENCY_GRACE)
        daemons = self._supervisors()
        # Asked for while their parents live: afterwards nothing but a label would tell whose they were. Below a
        # supervisord that is pid 1 of a container is everything, so being there proves nothing.
        family = processes.descendants([process.pid for process in daemons if process.pid > 1])
        answering = next((one for one in daemons if self._is_answering(one)), None)
        if answering is not None:
            self._ask_to_go(answering)
        self._end_daemons([one for one in daemons if processes.alive(one.identity)], self._grace)
        self._end_family(family)
        self._none_left("rollcall doctor")
        self.sweep()
        self._clear_socket()

    def _is_answering(self, process: Process) -> bool:
        return self._before.supervisord is not None and process.pid == self._before.supervisord.pid

    def _ask_to_go(self, daemon: Process) -> None:
        """Have a supervisord stop its programs and itself, as far as it does so in time."""
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(self._client())
            try:
                up = [program for program in client.programs().values() if program.state not in DOWN]
                names = [program.name for program in up]
                await_exec(up, self._clock)
                client.stop(names)
                deadline = Deadline(self._grace, self._clock)
                wait_states(client, names, DOWN, deadline=deadline, interval=POLL)
                life.stop_supervisord(client, daemon.identity, timeout=self._kill_grace, clock=self._clock)
            except RollcallError as exc:
                # It has had its chance; what follows does not ask.
                self.notes.append(exc.message)

    def _end_family(self, family: t.Mapping[int, Process]) -> None:
        """End what descended from the supervisords, the deepest first."""
        left = [process for process in reversed(list(family.values())) if processes.alive(process.identity)]
        done = self._end([process.identity for process in left], known=left)
        self._refuse_survivors(done)

    def _clear_socket(self) -> None:
        """Remove the socket's path when, with all of the stack gone, a stranger still listens on it.

        The path is in the stack's own private directory. Whoever listens is left alone, and cannot be reached any more.
        """
        path = self._stack.paths.socket
        if os.path.lexists(path) and not os.path.isdir(path):
            os.unlink(path)
            self.notes.append(f"{path} was in the way although nothing of the stack ran any more; it was removed")

    # --- what both need -----------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """End what carries this stack's label and no live supervisord of it holds, and clean up after those gone.

        Raises:
            RollcallError: something does not end.
        """
        daemons = [process.pid for process in self._supervisors()]
        ended = sweep(
            self._stack.root,
            keep=daemons,
            uids=trusted_uids(self._stack.root, self._stack.user),
            grace=self._grace,
            kill_grace=self._kill_grace,
            clock=self._clock,
        )
        self.ended += ended
        self._refuse_survivors(ended)
        if not daemons:
            life.remove_left_overs(self._stack.paths.socket, self._stack.paths.pidfile)

    def _client(self) -> Client:
        return Client(self._stack.paths.socket, timeout=CALL_TIMEOUT, clock=self._clock)

    def _supervisors(self) -> t.List[Process]:
        return supervisords_over(self._stack.paths.config, self._stack.root)

    def _end_daemons(self, daemons: t.Sequence[Process], grace: float) -> None:
        if daemons:
            self.ended += life.end_supervisords(
                [process.identity for process in daemons], grace=grace, kill_grace=self._kill_grace, clock=self._clock
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
                remedies=[*(f"kill -KILL {entry.pid}" for entry in left), "rollcall restart emergency"],
            )

    def _none_left(self, remedy: str) -> None:
        left = self._supervisors()
        if not left:
            return
        pids = " ".join(str(process.pid) for process in left)
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
                f"kill -KILL {pids}",
                remedy,
            ],
        )
