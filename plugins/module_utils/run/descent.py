# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Stops services side by side: each is told to stop as soon as those that must go before it are down."""

from __future__ import annotations

import itertools
import typing as t

from ..base import cures
from ..base.clock import Clock, Deadline
from ..base.errors import RollcallError
from ..host import ending, halted, listeners, processes
from ..manifest.model import Service, Stop
from ..state.waiting import PORT, STOP, Wait
from ..supervisord.client import DOWN, Client, ProgramState, await_exec

# Beyond a service's own stop time: supervisord's turn, the KILL it sends itself, and the reaping.
STOP_MARGIN = 5.0
# Seconds between two looks at those that are stopping. One that takes long is looked at less often:
# a worker may drain for hours, and each look costs supervisord a turn of its loop.
POLL = 0.005
SLOWEST_POLL = 0.25
# How long a port may stay taken after its service has stopped; then what listens there counts as left over.
PORT_MARGIN = 0.5
# UNKNOWN: supervisord could not signal it, and waiting does not change that.
_SETTLED = DOWN | {"UNKNOWN"}
# What supervisord does not call a program that it has told to stop.
_UP = frozenset({"STARTING", "RUNNING", "BACKOFF"})

Known = t.Mapping[str, t.Sequence[Service]]


def ports_of(known: Known, name: str) -> t.Set[int]:
    """Return the ports that a service has in the wanted and in the installed manifest."""
    return {port for service in known.get(name, ()) for port in service.all_ports.values()}


class Descent:
    """Some services on their way down.

    A service is down when supervisord says that it has stopped and nothing listens on its ports. When one does not
    stop, nothing that must go after it is told to: it runs on.

    Args:
        known: by service its entry in the wanted and in the installed manifest.
        programs: what supervisord said of all programs before.
        before: by service to stop, those that must be down before.
        sweep: ends what is left over of some services.
        lost: whether it is no error that supervisord has lost track of one, because it is to end as well.
        clock: of all deadlines.
        asked: takes by service when it was told to stop for the first time, in seconds of the clock.
        told: told which services are about to be told to stop.

    Attributes:
        down: the services that are down.
        stuck: those that did not stop, and those that were therefore not told to.
    """

    def __init__(
        self,
        known: Known,
        programs: t.Mapping[str, ProgramState],
        before: t.Mapping[str, t.AbstractSet[str]],
        *,
        sweep: t.Callable[[t.AbstractSet[str]], None],
        lost: bool,
        clock: Clock,
        asked: t.Dict[str, float],
        told: t.Callable[[t.Sequence[str]], None] = lambda _names: None,
    ) -> None:
        self._known = known
        self._programs = programs
        self._before = dict(before)
        self._sweep = sweep
        self._lost = lost
        self._clock = clock
        self._waiting = set(before)
        self._stopping: t.Dict[str, Deadline] = {}
        # Those that have stopped, and whose ports may still be taken.
        self._closing: t.Dict[str, Deadline] = {}
        # Those that had ended by themselves at the last look: supervisord may start them again in its next turn.
        self._ended: t.Set[str] = set()
        self._left: t.Dict[str, str] = {}
        self._limit = 0.0
        self.down: t.Set[str] = set()
        self.stuck: t.Set[str] = set()
        self._asked = asked
        self._told = told
        self._latest = 0.0
        self._woken: t.Set[str] = set()
        # By service the signals that are still to come (stop.signals), and when: supervisord knows the first alone.
        self._later: t.Dict[str, t.List[t.Tuple[Deadline, str]]] = {}

    @property
    def busy(self) -> bool:
        """Whether there is something to wait for."""
        return bool(self._stopping or self._closing or self._waiting)

    def waits(self) -> t.List[Wait]:
        """Return what is waited for: those that are stopping, and those whose ports are still taken."""
        return [*(Wait(name, STOP) for name in self._stopping), *(Wait(name, PORT) for name in self._closing)]

    @property
    def pause(self) -> float:
        """Seconds until the next step is worth while."""
        since = self._clock.monotonic() - self._latest
        return min(SLOWEST_POLL, max(POLL, since / 50))

    def step(self, client: Client, may: t.Callable[[str], bool] = lambda _name: True) -> None:
        """Tell those to stop whose turn it is, and note which have.

        Args:
            client: of supervisord.
            may: whether a service may be stopped by now, for all that the other stops say.

        Raises:
            RollcallError: supervisord does not answer, or what a service left behind does not end.
        """
        self._order(client, may)
        if self._stopping:
            self._look(client)
        self._close()

    def _order(self, client: Client, may: t.Callable[[str], bool]) -> None:
        while True:
            behind = {name for name in self._waiting if self._before[name] & self.stuck}
            self._waiting -= behind
            self.stuck |= behind
            if not behind:
                break
        names = [name for name in self._before if name in self._waiting and self._before[name] <= self.down]
        names = [name for name in names if may(name)]
        if not names:
            return
        self._told(names)
        self._tell(client, names, self._programs)
        now = self._latest = self._clock.monotonic()
        for name in names:
            self._waiting.discard(name)
            self._asked.setdefault(name, now)
            self._stopping[name] = Deadline(self._timeout(name) + STOP_MARGIN, self._clock)
            self._later[name] = self._later_signals(name)

    def _tell(self, client: Client, names: t.Sequence[str], programs: t.Mapping[str, ProgramState]) -> None:
        await_exec([programs[name] for name in names if name in programs], self._clock)
        client.stop(names)

    def _later_signals(self, name: str) -> t.List[t.Tuple[Deadline, str]]:
        steps = self._as_running(name).signals
        waits = itertools.accumulate(step.wait for step in steps)
        return [(Deadline(passed, self._clock), step.signal) for passed, step in zip(waits, steps[1:])]

    def _as_running(self, name: str) -> Stop:
        """Return how a service is stopped by the manifest that it was started by."""
        known = self._known.get(name, ())
        return known[-1].stop if known else Stop()

    def _wake(self, program: ProgramState) -> None:
        """Let a process go on, once, that a signal has stopped: it takes the one that is to end it only then."""
        name = program.name
        if name in self._woken or not program.pid or self._clock.monotonic() - self._asked[name] < halted.MOMENT:
            return
        activity = processes.reader.activity(program.pid)
        if activity is not None and activity.state == halted.STOPPED:
            self._woken.add(name)
            self._send(program, "CONT")

    def _signal_further(self, program: ProgramState) -> None:
        """Send a service that is still stopping the signals whose time has come."""
        later = self._later.get(program.name, [])
        while later and later[0][0].expired:
            _deadline, signal = later.pop(0)
            if program.pid:
                self._send(program, signal)

    def _send(self, program: ProgramState, signal: str) -> None:
        group = self._as_running(program.name).scope == "group"
        ending.send_further((program.pid, program.born), signal, group=group)

    def _timeout(self, name: str) -> float:
        return max((service.stop.timeout for service in self._known.get(name, ())), default=0.0)

    def give_up(self, name: str) -> None:
        """Do not stop a service after all, unless it has been told to already."""
        if name in self._waiting:
            self._waiting.discard(name)
            self.stuck.add(name)

    def _look(self, client: Client) -> None:
        programs = client.programs()
        # It had just ended by itself when it was told to stop, so supervisord refused that, and has started it again.
        again = [name for name in self._stopping if name in programs and programs[name].state in _UP]
        if again:
            self._tell(client, again, programs)
        ended, self._ended = self._ended, {name for name, one in programs.items() if one.state == "EXITED"}
        for name, deadline in list(self._stopping.items()):
            # One that supervisord does not know is not waited for.
            state = programs[name].state if name in programs else "STOPPED"
            if state == "UNKNOWN" and not self._lost:
                self._leave(name, state)
            elif state in _SETTLED and (state != "EXITED" or name in ended):
                self._closing[name] = Deadline(PORT_MARGIN, self._clock)
            elif deadline.expired:
                self._leave(name, state)
                self._limit = max(self._limit, deadline.seconds)
            else:
                self._wake(programs[name])
                self._signal_further(programs[name])
                continue
            del self._stopping[name]

    def _leave(self, name: str, state: str) -> None:
        self._left[name] = state
        self.stuck.add(name)

    def _close(self) -> None:
        """Note which have stopped for good: a child that has outlived its service may still listen on its port.

        Listeners of others are left to the flush.
        """
        ports = {name: ports_of(self._known, name) for name in self._closing}
        wanted = {port for each in ports.values() for port in each}
        taken = {listener.port for listener in listeners.find_listeners(wanted)} if wanted else set()
        late = set()
        for name, deadline in list(self._closing.items()):
            if not taken & ports[name]:
                self.down.add(name)
            elif deadline.expired:
                late.add(name)
            else:
                continue
            del self._closing[name]
        if late:
            self._sweep(late)
            self.down |= late

    def refuse(self) -> None:
        """Raise where one has not stopped.

        Raises:
            RollcallError: which, and its state.
        """
        unknown = [name for name, state in self._left.items() if state == "UNKNOWN"]
        if unknown:
            raise RollcallError(
                f"supervisord has lost track of {', '.join(unknown)} (UNKNOWN): only a new supervisord gets it back.",
                evidence={"services": unknown},
                remedies=[cures.FULL],
            )
        if self._left:
            named = ", ".join(f"{name} is {state}" for name, state in self._left.items())
            raise RollcallError(
                f"Not stopped after {self._limit:g} s: {named}.",
                evidence={"states": dict(self._left)},
                remedies=[cures.EMERGENCY],
            )
