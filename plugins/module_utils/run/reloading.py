# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Has services read their files anew without a restart, and proves that they have come through it."""

from __future__ import annotations

import typing as t

from ..base.clock import Clock, Deadline
from ..host import processes
from ..host.model import Identity
from ..manifest.model import Reload, Service, Stack
from ..probes.health import HealthWatch, Owner
from ..supervisord.client import Client, ProgramState, await_exec
from ..verdict.observation import describe_state, identity

POLL = 0.05


class Reloaded(t.NamedTuple):
    """How a reload went.

    Attributes:
        first: by service that has come through, its process, which is the one from before.
        failed: by service that has not, the reason.
    """

    first: t.Dict[str, Identity]
    failed: t.Dict[str, str]


class _Waiting:
    """One service that was told to reload, and what it must still show."""

    def __init__(
        self, stack: Stack, service: Service, own: Identity, workers: t.FrozenSet[Identity], clock: Clock
    ) -> None:
        self.stack = stack
        self.service = service
        self.own = own
        self.workers = workers
        self.deadline = Deadline(service.ready_timeout, clock)
        self.watch: t.Optional[HealthWatch] = None

    def lost(self) -> t.Optional[str]:
        """Return that its process has ended; None while it lives."""
        if processes.alive(self.own):
            return None
        return f"its process did not last the reload: pid {self.own[0]} is gone"

    def lacking(self) -> t.Optional[str]:
        """Return what it still lacks, None when nothing: new workers, and after that a good answer."""
        reload = t.cast(Reload, self.service.reload)
        if reload.workers:
            now = workers_of(self.own[0])
            old = now & self.workers
            if old or not now:
                return f"{len(old)} of its {len(now)} child processes are from before" if old else "it has no children"
        if self.service.health is None:
            return None
        if self.watch is None:
            targets = {self.service.name: self.service.health}
            self.watch = HealthWatch(targets, owner=Owner(self.stack, self.service))
        answer = self.watch.answer(self.service.name)
        if answer is not None and answer.ok:
            return None
        return f"its health is {'not answered yet' if answer is None else answer.detail}"

    def end(self) -> None:
        """Ask for its health no more."""
        if self.watch is not None:
            self.watch.stop()


def workers_of(pid: int) -> t.FrozenSet[Identity]:
    """Return the living child processes of a process."""
    return frozenset((child, processes.start_time(child)) for child in processes.children(pid))


def reload_services(stack: Stack, client: Client, names: t.Sequence[str], clock: Clock) -> Reloaded:
    """Tell services to reload, and wait until each has shown what its manifest promises, or its time is over.

    A service shows that its process is the same one; that its child processes are all new, where its manifest says so;
    and that its health is good when it is asked after that.

    Args:
        stack: the manifest; each of the services has a ``reload``.
        client: of the supervisord that runs them.
        names: the services.
        clock: of all deadlines.

    Raises:
        RollcallError: supervisord does not answer.
    """
    done = Reloaded({}, {})
    waiting = _told(stack, client, names, done, clock)
    try:
        while waiting:
            for one in list(waiting):
                name, lost = one.service.name, one.lost()
                lacking = one.lacking() if lost is None else lost
                if lacking is None:
                    done.first[name] = one.own
                elif lost is not None or one.deadline.expired:
                    done.failed[name] = f"not reloaded after {one.service.ready_timeout:g} s: {lacking}"
                    if lost is not None:
                        done.failed[name] = lost
                else:
                    continue
                one.end()
                waiting.remove(one)
            if waiting:
                clock.sleep(POLL)
    finally:
        for one in waiting:
            one.end()
    return done


def _told(stack: Stack, client: Client, names: t.Sequence[str], done: Reloaded, clock: Clock) -> t.List[_Waiting]:
    """Signal the services that run, and return what is waited for."""
    programs = client.programs()
    up: t.Dict[str, ProgramState] = {}
    for name in names:
        program = programs.get(name)
        if program is None or program.state != "RUNNING" or not program.born:
            state = "unknown to supervisord" if program is None else describe_state(program)
            done.failed[name] = f"not reloaded: it is {state}"
        else:
            up[name] = program
    await_exec(up.values(), clock)
    waiting = {
        name: _Waiting(stack, stack.service(name), identity(program), workers_of(program.pid), clock)
        for name, program in up.items()
    }
    by_signal: t.Dict[str, t.List[str]] = {}
    for name in up:
        by_signal.setdefault(t.cast(Reload, stack.service(name).reload).signal, []).append(name)
    for signal, told in by_signal.items():
        for name, fault in client.signal(told, signal).items():
            if fault is not None:
                del waiting[name]
                done.failed[name] = f"not reloaded: {fault}"
    return list(waiting.values())
