# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Free the ports of a stack: look, judge, end what may be ended, and prove by a bind that the ports are free.

Everything is looked at and judged before the first signal. What a policy does not cover is refused as a whole, with
the evidence and the command that puts it right.
"""

from __future__ import annotations

import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..host import ending, homes, listeners, processes, socket_owners
from ..host.ending import Ended
from ..host.model import Identity, Process
from ..manifest.model import Stack
from ..supervisord.client import DOWN, client_of, wait_states
from . import objections
from .judge import Judge, assigned, policies, processes_of
from .needs import Need, in_the_way, needs, why_unbindable
from .objections import Objection
from .policies import ANY, OWNED
from .provenance import DUPLICATE, FOREIGN, SUPERVISED, Holder
from .survey import judgements, survey
from .traces import traces

if t.TYPE_CHECKING:
    from ..base import command_documents

MAX_VICTIMS = 32
# Seconds from TERM to KILL, and after KILL.
GRACE = 5.0
KILL_GRACE = 2.0
# What is forked while its parent is being ended shares the socket; it is found by looking again, and not for ever.
ROUNDS = 4
POLL = 0.005
# How long the kernel remembers a closed connection (net/tcp.h, TCP_TIMEWAIT_LEN), and a moment.
TIME_WAIT = 61.0
# What may be brought back is waited for: supervisord looks once a second for what has ended and starts it a second
# later, systemd after 0.1 s; and then it has to come up.
RETURN = 3.0
SLOW_POLL = 0.02


class Flushed(t.NamedTuple):
    """What a flush has done, or would do.

    Attributes:
        changed: whether a process was ended, or would be.
        freed: ports that were taken and that a bind has proved free; in a dry run those that would be freed.
        ended: each process that was signalled; in a dry run those that would be, with the result ``planned``.
        kept: holders that were left alone because supervisord runs them.
        holders: everything that had taken one of the ports before.
    """

    changed: bool
    freed: t.Tuple[int, ...] = ()
    ended: t.Tuple[Ended, ...] = ()
    kept: t.Tuple[Holder, ...] = ()
    holders: t.Tuple[Holder, ...] = ()

    def as_dict(self) -> command_documents.FlushedData:
        """Return it as data."""
        return {
            "changed": self.changed,
            "freed": list(self.freed),
            "ended": [entry.as_dict() for entry in self.ended],
            "kept": [holder.as_dict() for holder in self.kept],
            "holders": [holder.as_dict() for holder in self.holders],
        }


class _Patience(t.NamedTuple):
    """Seconds: from TERM to KILL, after KILL, and for the kernel to forget closed connections."""

    grace: float
    kill_grace: float
    time_wait: float


def flush(
    stack: Stack,
    ports: t.Optional[t.Iterable[int]] = None,
    *,
    policy: str = OWNED,
    overrides: t.Optional[t.Mapping[t.Any, str]] = None,
    supervised: bool = False,
    grace: float = GRACE,
    kill_grace: float = KILL_GRACE,
    time_wait: float = TIME_WAIT,
    max_victims: int = MAX_VICTIMS,
    dry_run: bool = False,
    force: str = "",
    needed: t.Optional[t.Mapping[int, t.Sequence[Need]]] = None,
    clock: Clock = SYSTEM,
) -> Flushed:
    """End what holds ports of the stack and prove them free.

    Who is not of the stack and listens on another address than the service needs is left alone, unless the policy is
    to end those, too.

    Args:
        stack: the manifest.
        ports: assigned ports; None means all.
        policy: ``owned`` ends orphans and duplicates; ``refuse`` ends nothing; ``any`` ends foreign processes too.
        overrides: another policy for some of the stack's ports, by port.
        supervised: also stop what supervisord runs, by supervisord itself. Otherwise such a port stays as it is.
        grace: seconds between TERM and KILL.
        kill_grace: seconds to wait after KILL, and for a port to be free once its holder is gone.
        time_wait: seconds to wait for connections that the kernel still remembers, when only they keep a port taken.
        max_victims: more processes than this are not ended.
        dry_run: look and judge the same way, and touch nothing.
        force: how the caller is told to end what is not ours; empty for the caller of the module.
        needed: where each port is needed, as seen while its service ran; None has it judged by who listens now.
        clock: of all deadlines.

    Raises:
        RollcallError: ``wrong_use`` for ports that are not the stack's and unknown policies, all of them at once;
            ``refused``, before any signal, when a port is taken by what may not be ended; ``failed`` when it was
            tried and a port is still not free.
    """
    services = assigned(stack, ports)
    policy_of = policies(stack, policy, overrides or {})
    judge = Judge(stack, services, policy_of, supervised=supervised, max_victims=max_victims, force=force)
    run = _Flush(stack, services, judge, _Patience(grace, kill_grace, time_wait), needed or {}, clock)
    return run.plan() if dry_run else run.carry_out()


class _JudgedHolders(t.NamedTuple):
    """All holders of the ports, those that are left alone, those to end, and ports of closed connections alone."""

    holders: t.List[Holder]
    kept: t.List[Holder]
    victims: t.List[Holder]
    closing: t.Set[int]

    @property
    def freed(self) -> t.Tuple[int, ...]:
        """The ports that are free once the victims have ended."""
        return tuple(sorted(_ports(self.victims) - _ports(self.kept)))


class _Flush:
    """One flush: what it was asked for, and what it has done so far."""

    def __init__(
        self,
        stack: Stack,
        services: t.Mapping[int, str],
        judge: Judge,
        patience: _Patience,
        needed: t.Mapping[int, t.Sequence[Need]],
        clock: Clock,
    ) -> None:
        self._stack = stack
        self._services = services
        self._judge = judge
        self._patience = patience
        self._needed = dict(needed)
        self._clock = clock
        self._ended: t.List[Ended] = []

    def plan(self) -> Flushed:
        """Return what `carry_out` would do."""
        judged = self._judged(socket_owners.EVERY)
        planned = tuple(
            Ended(process.pid, process.start, process.user, process.command, (), "planned", 0.0)
            for process in processes_of(judged.victims)
        )
        return Flushed(bool(planned), judged.freed, planned, tuple(judged.kept), tuple(judged.holders))

    def carry_out(self) -> Flushed:
        """End what may be ended and prove its ports free."""
        # Relatives are who shares a socket but for rare exceptions, and those are found when the socket is still there
        # after its first holders are gone.
        judged = self._judged(socket_owners.RELATIVES)
        if any(holder.provenance == FOREIGN for holder in judged.victims):
            # A stranger may share it with whom it likes: systemd keeps the socket that it has handed to a service.
            judged = self._judged(socket_owners.EVERY)
        if judged.victims:
            self._end(judged.victims)
            self._watch(judged.victims)
        if judged.victims or judged.closing:
            self._prove(set(self._services) - _ports(judged.kept))
        return Flushed(bool(self._ended), judged.freed, tuple(self._ended), tuple(judged.kept), tuple(judged.holders))

    # --- judging --------------------------------------------------------------------------------------------------

    def _judged(self, sharing: str) -> _JudgedHolders:
        """Return by whom the ports are taken, judged.

        Raises:
            RollcallError: ``refused``; nothing was signalled.
        """
        holders = self._holders(sharing)
        victims = [holder for holder in holders if not self._judge.keeps(holder)]
        unlistened, closing = self._unlistened(set(self._services) - _ports(holders))
        found = [*self._judge.objections(victims), *unlistened]
        if found:
            raise objections.error(found, "refused", {"holders": [holder.as_dict() for holder in holders]})
        return _JudgedHolders(holders, [holder for holder in holders if self._judge.keeps(holder)], victims, closing)

    def _holders(self, sharing: str) -> t.List[Holder]:
        """Return who is in the way on the ports; where each is needed, the first look tells if nobody has before."""
        seen = survey(self._stack, self._services, sharing=sharing, clock=self._clock)
        for port, name in self._services.items():
            self._needed[port] = self._needed.get(port) or needs(self._stack.service(name), seen[port])
        return [holder for port in self._services for holder in seen[port] if self._is_in_the_way(holder)]

    def _is_in_the_way(self, holder: Holder) -> bool:
        port = holder.listener.port
        return self._judge.policy_of[port] == ANY or in_the_way(holder, self._needed[port])

    def _unlistened(self, ports: t.Iterable[int]) -> t.Tuple[t.List[Objection], t.Set[int]]:
        """Return what is against the ports on which nothing listens and which cannot be bound all the same.

        Also those among them that only closed connections have: nobody is to blame, and they pass.
        """
        found, closing = [], set()
        unbindable = self._unbindable(ports, Deadline(self._patience.kill_grace, self._clock))
        for port, reason in sorted(unbindable.items()):
            seen = traces(port)
            if seen.closing:
                closing.add(port)
            elif not self._comes_up(seen.users):
                found.append(objections.unbindable(port, self._services[port], reason, seen))
        return found, closing

    def _comes_up(self, users: t.Sequence[Process]) -> bool:
        """Return whether a port is used by nobody but services of supervisord, between their bind and their listen."""
        if not users or self._judge.supervised:
            return False
        judged = judgements(self._stack, {process.pid: process for process in users}, clock=self._clock)
        return all(judgement.provenance == SUPERVISED for judgement in judged.values())

    def _unbindable(self, ports: t.Iterable[int], deadline: Deadline, interval: float = POLL) -> t.Dict[int, str]:
        """Return the ports that cannot be bound up to the deadline, with the reason."""
        reasons: t.Dict[int, str] = {}
        pending = list(ports)

        def free() -> bool:
            answers = {port: why_unbindable(port, self._needed.get(port, ())) for port in pending}
            reasons.clear()
            reasons.update((port, reason) for port, reason in answers.items() if reason is not None)
            pending[:] = reasons
            return not reasons

        deadline.poll(free, interval)
        return reasons

    # --- acting ---------------------------------------------------------------------------------------------------

    def _end(self, victims: t.List[Holder]) -> None:
        """End the victims and whoever turns out to share their sockets.

        Raises:
            RollcallError: one does not end, or something takes a port again.
        """
        known = {holder.listener.inode for holder in victims}
        began = self._clock.monotonic()
        for _unused in range(ROUNDS):
            self._stop_supervised([holder for holder in victims if holder.provenance == SUPERVISED])
            self._signal(victims)
            victims = [holder for holder in self._holders(socket_owners.EVERY) if not self._judge.keeps(holder)]
            if not victims:
                return
            returned = [
                holder
                for holder in victims
                if holder.listener.inode not in known and _is_new(holder, self._clock.monotonic() - began)
            ]
            found = self._taken_again(returned) or self._judge.objections(victims)
            if found:
                raise self._failed(found)
        raise self._failed([objections.still_shared(victims[0], ROUNDS)])

    def _stop_supervised(self, victims: t.Sequence[Holder]) -> None:
        """Let supervisord stop its own: it would start again what is ended behind its back."""
        services = sorted({holder.service for holder in victims if holder.service})
        if not services:
            return
        began = self._clock.monotonic()
        limit = max(self._stack.service(name).stop.timeout for name in services) + self._patience.kill_grace
        with client_of(self._stack, clock=self._clock) as client:
            client.stop(services)
            wait_states(client, services, DOWN, deadline=Deadline(limit, self._clock), interval=POLL)
        took = self._clock.monotonic() - began
        for process in processes_of(victims):
            if not processes.alive(process.identity):
                entry = Ended(
                    process.pid, process.start, process.user, process.command, (), "ended", took, "by supervisord"
                )
                self._ended.append(entry)

    def _signal(self, victims: t.Sequence[Holder]) -> None:
        """Signal the victims and wait for their end.

        Raises:
            RollcallError: one of them does not end.
        """
        sockets_of: t.Dict[Identity, t.Dict[int, str]] = {}
        for holder in victims:
            if holder.process is not None:
                sockets_of.setdefault(holder.process.identity, {})[holder.listener.inode] = holder.place
        # Masters come before their workers, or they start new ones.
        to_end = processes_of(victims)
        users = {process.identity: process.uid for process in to_end}

        def still_holds(process: Process) -> bool:
            return process.uid == users[process.identity] and any(
                socket_owners.holds(process.pid, *seen) for seen in sockets_of[process.identity].items()
            )

        ended = ending.end(
            [process.identity for process in to_end],
            known=to_end,
            grace=self._patience.grace,
            kill_grace=self._patience.kill_grace,
            clock=self._clock,
            check=still_holds,
        )
        alive = [entry for entry in ended if entry.result in ("survived", "stuck")]
        self._ended += [entry for entry in ended if entry.signals or entry in alive]
        if alive:
            raise self._failed([objections.not_ended(entry) for entry in alive])

    def _watch(self, victims: t.Sequence[Holder]) -> None:
        """Stay until what somebody may start again would have come back.

        Raises:
            RollcallError: it has come back.
        """
        own = processes.own_lineage()
        if not any(_may_return(holder, own) for holder in victims):
            return
        ports = _ports(victims)
        returned: t.List[Holder] = []

        def come_back() -> bool:
            if listeners.find_listeners(ports):
                now = (holder for holder in self._holders(socket_owners.EVERY) if holder.listener.port in ports)
                returned[:] = [holder for holder in now if not self._judge.keeps(holder)]
            return bool(returned)

        if Deadline(RETURN, self._clock).poll(come_back, SLOW_POLL):
            raise self._failed(self._taken_again(returned))

    def _prove(self, ports: t.Iterable[int]) -> None:
        """Judge by binding.

        Raises:
            RollcallError: a port cannot be bound.
        """
        found, closing = self._unlistened(ports)
        if not found and closing:
            seconds = self._patience.time_wait
            left = self._unbindable(closing, Deadline(seconds, self._clock), SLOW_POLL)
            found = [
                objections.still_closing(port, self._services[port], reason, traces(port).remembered, seconds)
                for port, reason in sorted(left.items())
            ]
        if found:
            raise self._failed(found)

    def _taken_again(self, holders: t.Sequence[Holder]) -> t.List[Objection]:
        return [objections.taken_again(holder, self._services[holder.listener.port]) for holder in holders]

    def _failed(self, found: t.Sequence[Objection]) -> RollcallError:
        return objections.error(found, "failed", {"ended": [entry.as_dict() for entry in self._ended]})


def _is_new(holder: Holder, seconds: float) -> bool:
    """Return whether a socket that was not seen before was made since the first signal, ``seconds`` ago."""
    if holder.listener.inode > 0 or holder.process is None:
        return True
    # There are no inodes here: a process that was there before has shared the socket, and is found only now.
    return processes.age(holder.process.start) < seconds


def _may_return(holder: Holder, own: t.Container[int]) -> bool:
    """Return whether somebody is still there who may start again what was ended, and is not who runs this."""
    if holder.process is None or holder.provenance not in (FOREIGN, DUPLICATE):
        return False
    parent = processes.describe(holder.process.ppid)
    if parent is None or parent.state in "ZX":
        return False
    if homes.starts_units(parent):
        return holder.unit is not None
    return parent.pid not in own


def _ports(holders: t.Iterable[Holder]) -> t.Set[int]:
    return {holder.listener.port for holder in holders}
