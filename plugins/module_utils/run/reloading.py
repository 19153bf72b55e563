# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Has services read their files anew without a restart, and proves that they have come through it."""

from __future__ import annotations

import threading
import typing as t

from ..base.clock import Clock, Deadline
from ..host import processes
from ..host.model import Identity
from ..manifest.model import Reload, Service, Stack
from ..probes.answers import NoAnswer
from ..probes.health import HealthWatch, Owner
from ..supervisord.client import Client, ProgramState, await_exec
from ..verdict.observation import describe_state, identity

POLL = 0.05


class Reloaded(t.NamedTuple):
    """How a reload went.

    Attributes:
        first: by service that has come through, its process, which is the one from before.
        failed: by service that has not, the reason.
        proofs: by service that has come through what it has shown, in words.
    """

    first: t.Dict[str, Identity]
    failed: t.Dict[str, str]
    proofs: t.Dict[str, str]


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
        # Until when it is watched, from when it lacked nothing.
        self.watched: t.Optional[Deadline] = None
        self._reload = t.cast(Reload, service.reload)
        self._command: t.Optional[threading.Thread] = None
        self._refused: t.Optional[str] = None

    def begin_command(self) -> None:
        """Run its command, where it reloads by one, beside those of the others."""
        if self._reload.command:
            self._command = threading.Thread(target=self._run_command, daemon=True)
            self._command.start()

    def _run_command(self) -> None:
        from ..probes.program import run_program  # late: few services reload by a command

        try:
            run_program(self.stack, self.service, self._reload.command, self.deadline)
        except NoAnswer as exc:
            self._refused = str(exc)

    def lost(self) -> t.Optional[str]:
        """Return why it cannot come through any more: its process or its command has ended; None while it can."""
        if not processes.alive(self.own):
            return f"its process did not last the reload: pid {self.own[0]} is gone"
        return None if self._refused is None else f"not reloaded: its command: {self._refused}"

    def lacking(self) -> t.Optional[str]:
        """Return what it still lacks, None when nothing: new workers, and after that a good answer."""
        if self._command is not None and (self._command.is_alive() or self._refused is not None):
            return "its command has not ended well"
        if self._reload.workers:
            now = workers_of(self.own[0])
            old = now & self.workers
            if old or not now:
                return f"{len(old)} of its {len(now)} child processes are from before" if old else "it has no children"
        if self.watch is None:
            self.watch = HealthWatch(self.service.asked_when_started, owner=Owner(self.stack, self.service))
        return self.watch.lacking

    def shown(self) -> str:
        """Return in words what it has shown."""
        proofs = [f"pid {self.own[0]} is the one from before"]
        if self._command is not None:
            proofs.append("its command has ended well")
        if self._reload.workers:
            proofs.append(f"all {len(workers_of(self.own[0]))} child processes are new")
        if self.service.asked_when_started:
            proofs.append("its health was good after that")
        return ", ".join(proofs)

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
    and that its health is good when it is asked after that. Then it is watched for its `stable_for`: many programs act
    on what they have read only a moment later. The verdict asks for its health once more.

    Args:
        stack: the manifest; each of the services has a ``reload``.
        client: of the supervisord that runs them.
        names: the services.
        clock: of all deadlines.

    Raises:
        RollcallError: supervisord does not answer.
    """
    done = Reloaded({}, {}, {})
    waiting = _told(stack, client, names, done, clock)
    try:
        while waiting:
            for one in list(waiting):
                name, lost = one.service.name, one.lost()
                lacking = one.lacking() if lost is None else lost
                if lacking is None:
                    one.watched = one.watched or Deadline(one.service.stable_for, clock)
                    if not one.watched.expired:
                        continue
                    done.first[name] = one.own
                    done.proofs[name] = one.shown()
                elif lost is not None or one.deadline.expired:
                    done.failed[name] = f"not reloaded after {one.service.ready_timeout:g} s: {lacking}"
                    if lost is not None:
                        done.failed[name] = lost
                else:
                    one.watched = None
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
    """Have the services that run told to reload, and return what is waited for."""
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
        reload = t.cast(Reload, stack.service(name).reload)
        if not reload.command:
            by_signal.setdefault(reload.signal, []).append(name)
    for signal, told in by_signal.items():
        for name, fault in client.signal(told, signal).items():
            if fault is not None:
                del waiting[name]
                done.failed[name] = f"not reloaded: {fault}"
    for one in waiting.values():
        one.begin_command()
    return list(waiting.values())
