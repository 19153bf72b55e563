# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Free the ports of a stack: who listens, may it be ended, end it, and prove by a bind that the port is free.

Everything is looked at and judged before the first signal. What a policy does not cover is refused as a whole, with
the evidence and the command that resolves it.
"""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t
from dataclasses import dataclass

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.errors import RollcallError
from ..host import processes, sockets
from ..host.processes import Ended, Identity, Process
from ..host.sockets import Listener
from ..manifest.model import Stack
from ..supervisord.client import CALL_TIMEOUT, DOWN, Client, wait_states
from .provenance import (
    ANY,
    DUPLICATE,
    FOREIGN,
    OWNED,
    POLICIES,
    REFUSE,
    SUPERVISED,
    UNKNOWN,
    Facts,
    Holder,
    Judgement,
    classify,
    may_end,
    publishes,
)

MAX_VICTIMS = 32
# Seconds from TERM to KILL, and after KILL.
GRACE = 5.0
KILL_GRACE = 2.0
SSH_PORT = 22
# How often a listener without a visible owner is looked at again: it may just be closing, or changing hands.
LOOKS = 3
# What is forked while its parent is being ended shares the socket; it is found by looking again, and not for ever.
ROUNDS = 4
POLL = 0.005
# How long the kernel remembers a closed connection (net/tcp.h, TCP_TIMEWAIT_LEN), and a moment.
TIME_WAIT = 61.0
# What may be brought back is waited for: supervisord looks once a second for what has ended and starts it a second
# later, systemd after 0.1 s; and then it has to come up.
RETURN = 3.0
SELDOM = 0.02
# What lets a run end a process that is not ours: on the controller, and on the host.
OVERRIDES = ("rollcall restart full --policy any", "ansible-playbook site.yml -e port_flush_policy=any")


@dataclass(frozen=True)
class Flushed:
    """What a flush has done, or would do.

    Attributes:
        changed: whether a process was ended, or would be.
        freed: ports that were held and a bind has proved free; in a dry run those that would be freed.
        ended: each process that was signalled; in a dry run those that would be, with the result ``planned``.
        kept: holders that were left alone because supervisord runs them.
        holders: everything that held one of the ports before.
    """

    changed: bool
    freed: t.Tuple[int, ...] = ()
    ended: t.Tuple[Ended, ...] = ()
    kept: t.Tuple[Holder, ...] = ()
    holders: t.Tuple[Holder, ...] = ()

    def as_dict(self) -> t.Dict[str, t.Any]:
        """Return it as data."""
        return {
            "changed": self.changed,
            "freed": list(self.freed),
            "ended": [entry.as_dict() for entry in self.ended],
            "kept": [holder.as_dict() for holder in self.kept],
            "holders": [holder.as_dict() for holder in self.holders],
        }


@dataclass(frozen=True)
class _Objection:
    """Why a port is not flushed: a sentence, the facts, and the commands that resolve it."""

    sentence: str
    evidence: t.Mapping[str, t.Any]
    remedies: t.Tuple[str, ...] = ()


# --- looking ------------------------------------------------------------------------------------------------------


def survey(
    stack: t.Optional[Stack],
    ports: t.Iterable[int],
    pids: t.Optional[t.Mapping[int, str]] = None,
    *,
    sharing: str = sockets.ONE,
    clock: Clock = SYSTEM,
) -> t.Dict[int, t.List[Holder]]:
    """Return who listens on each of the ports, and whose they are. Changes nothing.

    Args:
        stack: the stack they are judged for; None judges every process as foreign.
        ports: to look at.
        pids: pid and service of each process that the stack's supervisord reports. None: it is asked.
        sharing: how far to look for processes that share a socket, as for `sockets.owners`.
        clock: of the deadline for asking supervisord.

    Returns:
        Every port, with an empty list for those on which nothing listens.
    """
    return _survey(stack, ports, pids, sharing, clock)[0]


def _survey(
    stack: t.Optional[Stack],
    ports: t.Iterable[int],
    pids: t.Optional[t.Mapping[int, str]],
    sharing: str,
    clock: Clock,
) -> t.Tuple[t.Dict[int, t.List[Holder]], sockets.Owners]:
    """Return what `survey` does, and how far the search for the owners could look."""
    result: t.Dict[int, t.List[Holder]] = {port: [] for port in ports}
    found, owners, described = _look(result, pids or (), sharing)
    lineages = processes.lineages(described, described.values())
    facts = _facts(stack, lineages, described, pids, clock) if described else Facts()
    known = processes.recorded(stack.root) if described and stack is not None else {}
    for listener in found:
        holding = [pid for pid in owners.pids.get(listener.inode, ()) if pid in described]
        for pid in holding:
            own = processes.label(pid, described[pid].container) or known.get(described[pid].identity)
            judgement = classify(described[pid], lineages[pid], own, facts)
            place = owners.places.get((pid, listener.inode), "")
            result[listener.port].append(_holder(listener, described[pid], judgement, place, tuple(holding)))
        if not holding:
            judgement = classify(None, (), None, facts)
            reason = _unseen(listener, owners, judgement.reason)
            result[listener.port].append(Holder(listener, None, judgement.provenance, None, reason))
    return result, owners


def inspect(
    stack: t.Optional[Stack], ports: t.Optional[t.Iterable[int]] = None, *, clock: Clock = SYSTEM
) -> t.List[t.Dict[str, t.Any]]:
    """Return for each port whether it is free, why not, and all who hold it, as data. Changes nothing.

    Args:
        stack: the stack they are judged for, if there is one.
        ports: to look at, of the stack or not; None means the stack's.
        clock: of the deadline for asking supervisord.
    """
    services = {} if stack is None else {entry.port: entry.name for entry in stack.services if entry.port is not None}
    wanted = list(services) if ports is None else list(dict.fromkeys(ports))
    holders, owners = _survey(stack, wanted, None, sockets.EVERY, clock)
    return [{"port": port, "service": services.get(port), **_inspected(port, holders[port], owners)} for port in wanted]


def _inspected(port: int, holders: t.Sequence[Holder], owners: sockets.Owners) -> t.Dict[str, t.Any]:
    """Return what is to be said of a port: a bind judges, and a listener that a bind gets by holds it all the same."""
    reason = sockets.bindable(port)
    complete = not holders or not (owners.unreadable or owners.hidden)
    unreadable = owners.unreadable if holders else 0
    if any(holder.process is None for holder in holders):
        complete = False
    if holders and reason is None:
        reason = f"{holders[0].summary} listens on {holders[0].listener.place}"
    if reason is not None and not holders:
        traces = _traces(port)
        reason = "; ".join([reason, *traces.hints])
        complete, unreadable = traces.closing or traces.all_seen, traces.owners.unreadable
    return {
        "free": reason is None,
        "reason": reason,
        "complete": complete,
        "unreadable": unreadable,
        "holders": [_at_home(holder).as_dict() for holder in holders],
    }


def _at_home(holder: Holder) -> Holder:
    """Return the holder with its unit, whoever it is: a flush does not need it of what is ours, people do."""
    if holder.process is None or holder.unit is not None:
        return holder
    return dataclasses.replace(holder, unit=processes.unit(holder.process.pid))


@dataclass(frozen=True)
class _Traces:
    """What the kernel shows of a port on which nothing listens, and which cannot be bound all the same.

    Attributes:
        owners: of the sockets that use it.
        culprits: processes that use it without listening.
        remembered: how many closed connections the kernel still remembers.
        closing: whether nothing but connections that are closed already has the port: no process, and they pass.
    """

    owners: sockets.Owners
    culprits: t.Sequence[Process]
    remembered: int
    closing: bool

    @property
    def all_seen(self) -> bool:
        """Whether a process uses it, and none could not be looked into."""
        return bool(self.culprits) and not (self.owners.unreadable or self.owners.hidden)

    @property
    def hints(self) -> t.List[str]:
        """Each of them in words."""
        found = [f"{_described(process)} uses it without listening" for process in self.culprits]
        if self.remembered:
            found.append(
                f"the kernel still remembers {self.remembered} closed connections (TIME_WAIT), which pass in 60 s"
            )
        return found


def _traces(port: int) -> _Traces:
    users, remembered = sockets.users(port), sockets.remembered(port)
    owners = sockets.owners([user.inode for user in users], sharing=sockets.EVERY)
    pids = {pid for holding in owners.pids.values() for pid in holding}
    culprits = [process for process in map(processes.describe, sorted(pids)) if process is not None]
    # A connection that its process has closed has inode 0 until the other side has closed it too.
    closing = bool(remembered or users) and not any(user.inode for user in users)
    return _Traces(owners, culprits, remembered, closing)


def reported(stack: Stack, clock: Clock = SYSTEM) -> t.Tuple[t.Optional[int], t.Dict[int, str]]:
    """Return the pid of the supervisord that answers, and pid and service of each process it reports.

    None and nothing when none of the stack answers: its silence is a fact and no error here.
    """
    try:
        with Client(stack.paths.socket, timeout=CALL_TIMEOUT, clock=clock) as client:
            pid = client.pid()
            if not processes.supervisors(stack.paths.config, stack.root, [pid]):
                return None, {}
            return pid, {program.pid: name for name, program in client.programs().items() if program.pid}
    except RollcallError:
        # Without a report its processes are judged by their lineage.
        return None, {}


def _look(
    ports: t.Container[int], hints: t.Iterable[int], sharing: str
) -> t.Tuple[t.List[Listener], sockets.Owners, t.Dict[int, Process]]:
    """Return the listeners, their owners, and those described; looks again when one has no owner."""
    hints = list(hints)
    for _unused in range(LOOKS):
        found = sockets.listeners(ports)
        owners = sockets.owners([listener.inode for listener in found], hints, sharing)
        pids = {pid for holding in owners.pids.values() for pid in holding}
        looked_at = {pid: owners.described.get(pid) or processes.describe(pid) for pid in pids}
        described = {pid: process for pid, process in looked_at.items() if process is not None}
        seen = (any(pid in described for pid in owners.pids.get(listener.inode, ())) for listener in found)
        if all(seen):
            break
    return found, owners, described


def _facts(
    stack: t.Optional[Stack],
    lineages: t.Mapping[int, t.Sequence[int]],
    described: t.Mapping[int, Process],
    pids: t.Optional[t.Mapping[int, str]],
    clock: Clock,
) -> Facts:
    """Return what is known of the stack. Every process is looked at only when a supervisord is silent."""
    if stack is None:
        return Facts()
    uids = processes.trusted_uids(stack.root, stack.user)
    root = os.path.normpath(stack.root)
    if pids is not None and all(any(pid in pids for pid in lineage) for lineage in lineages.values()):
        return Facts(root, uids, pids)
    config = stack.paths.config
    above = {pid for lineage in lineages.values() for pid in lineage}
    daemons = {process.pid for process in processes.supervisors(config, stack.root, above, described)}
    if not daemons:
        return Facts(root, uids, pids or {})
    answering, known = (None, pids) if pids is not None else reported(stack, clock)
    if answering is None and known:
        above = {parent for lineage in processes.lineages(known).values() for parent in lineage}
        answering = next((process.pid for process in processes.supervisors(config, stack.root, above)), None)
    if answering is None:
        daemons = {process.pid for process in processes.supervisors(config, stack.root)}
    return Facts(root, uids, known or {}, frozenset(daemons), answering)


def _holder(listener: Listener, process: Process, judgement: Judgement, place: str, pids: t.Tuple[int, ...]) -> Holder:
    unit = _unit(process) if judgement.provenance == FOREIGN else None
    return Holder(listener, process, judgement.provenance, judgement.service, judgement.reason, unit, place, pids)


def _unit(process: Process) -> t.Optional[str]:
    """Return the name of the unit or container that a process runs in; a container has one in any case."""
    return processes.unit(process.pid) or (processes.namespace(process) if process.container else None)


def _unseen(listener: Listener, owners: sockets.Owners, reason: str) -> str:
    owner = f"; its user is {processes.user_name(listener.uid)}" if listener.uid >= 0 else ""
    if owners.complete:
        return f"{reason}: it is on its way between two processes, or the kernel's own{owner}"
    if owners.unreadable:
        return f"{reason}: it may be one of the {owners.unreadable} that may not be looked into{owner}"
    if owners.hidden:
        return f"{reason}: /proc hides the processes of other users (hidepid){owner}"
    return f"{reason}: it may run outside of the container, or pid namespace, that this runs in{owner}"


# --- judging ------------------------------------------------------------------------------------------------------


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
    clock: Clock = SYSTEM,
) -> Flushed:
    """End what holds ports of the stack and prove them free.

    Args:
        stack: the manifest.
        ports: assigned ports; None means all.
        policy: ``owned`` ends orphans and duplicates; ``refuse`` ends nothing; ``any`` ends foreign processes too.
        overrides: another policy for some of the stack's ports, by port.
        supervised: also stop what supervisord runs, by supervisord itself. Otherwise such a port stays as it is.
        grace: seconds between TERM and KILL.
        kill_grace: seconds to wait after KILL, and for a port to be free once its holder is gone.
        time_wait: seconds to wait for connections that the kernel still remembers, when they alone hold a port.
        max_victims: more processes than this are not ended.
        dry_run: look and judge the same way, and touch nothing.
        clock: of all deadlines.

    Raises:
        RollcallError: ``wrong_use`` for ports that are not the stack's and unknown policies, all of them at once;
            ``refused``, before any signal, when something holds a port that may not be ended; ``failed`` when it was
            tried and did not hold.
    """
    names = _assigned(stack, ports)
    policies = _policies(stack, policy, overrides or {})
    run = _Flush(stack, names, policies, supervised, (grace, kill_grace, time_wait), max_victims, clock)
    return run.dry() if dry_run else run.real()


def _policies(stack: Stack, policy: str, overrides: t.Mapping[t.Any, str]) -> t.Dict[int, str]:
    """Return the policy for each port of the stack.

    Raises:
        RollcallError: names every port and every policy that is none.
    """
    assigned = [service.port for service in stack.services if service.port is not None]
    given = {int(key) if str(key).isdecimal() else key: chosen for key, chosen in overrides.items()}
    strange = [str(port) for port in given if port not in assigned]
    unknown = {f"of port {port}": chosen for port, chosen in given.items() if chosen not in POLICIES}
    if policy not in POLICIES:
        unknown = {"": policy, **unknown}
    problems = [f"Unknown policy '{chosen}'{f' {place}' if place else ''}" for place, chosen in unknown.items()]
    if problems:
        problems[-1] += f": it is one of {', '.join(POLICIES)}"
    if strange:
        problems.append(
            f"Overrides are for ports of stack {stack.name}, and {', '.join(strange)} {_is(strange)} not among them: "
            f"{_listed(sorted(assigned)) or 'it has none'}"
        )
    if problems:
        evidence = {"policies": sorted({str(chosen) for chosen in unknown.values()}), "overrides": strange}
        raise RollcallError(". ".join(problems) + ".", kind="wrong_use", evidence=evidence)
    return {**dict.fromkeys(assigned, policy), **given}


def _assigned(stack: Stack, ports: t.Optional[t.Iterable[int]]) -> t.Dict[int, str]:
    """Return the ports to flush with their services.

    Raises:
        RollcallError: one is not assigned to the stack.
    """
    assigned = {service.port: service.name for service in stack.services if service.port is not None}
    wanted = list(assigned) if ports is None else list(dict.fromkeys(ports))
    strange = [port for port in wanted if port not in assigned]
    if strange:
        raise RollcallError(
            f"Only ports of stack {stack.name} are ever flushed, and {_listed(strange)} "
            f"{_is(strange)} not among them: {_listed(sorted(assigned)) or 'it has none'}.",
            kind="wrong_use",
            evidence={"ports": strange, "assigned": sorted(assigned)},
            remedies=[f"look who holds it: ss -ltnp 'sport = :{port}'" for port in strange],
        )
    return {port: assigned[port] for port in wanted}


def never_flushed(stack: Stack) -> t.Dict[int, str]:
    """Return the ports that are never flushed, whatever the manifest assigns, each with the reason."""
    never = dict.fromkeys(stack.ports.avoid, "it is on the avoid list")
    never.update((port, "it is protected") for port in stack.ports.protect)
    never[SSH_PORT] = "it is the port of SSH"
    # Client address, client port, server address, server port: sshd(8). The last is what this run came in by.
    connection = os.environ.get("SSH_CONNECTION", "").split()
    if len(connection) == 4 and connection[3].isdigit():
        never[int(connection[3])] = "this run came in by it"
    return never


class _Flush:
    """One flush: what it was asked for, and what it has seen and done so far."""

    def __init__(
        self,
        stack: Stack,
        names: t.Mapping[int, str],
        policies: t.Mapping[int, str],
        supervised: bool,
        patience: t.Tuple[float, float, float],
        max_victims: int,
        clock: Clock,
    ) -> None:
        self._stack = stack
        self._names = names
        self._policies = policies
        self._supervised = supervised
        self._grace, self._kill_grace, self._time_wait = patience
        self._max_victims = max_victims
        self._clock = clock
        self._ended: t.List[Ended] = []
        # Ports that nothing but closed connections holds.
        self._closing: t.Set[int] = set()

    def dry(self) -> Flushed:
        """Return what `real` would do."""
        holders, kept, victims = self._judged(sockets.EVERY)
        planned = tuple(
            Ended(process.pid, process.start, process.user, process.command, (), "planned", 0.0)
            for process in _processes(victims)
        )
        return Flushed(bool(planned), self._freed(victims, kept), planned, tuple(kept), tuple(holders))

    def real(self) -> Flushed:
        """End what may be ended and prove its ports free."""
        # Relatives are who shares a socket but for rare exceptions, and those are found when the socket is still there
        # after its first holders are gone.
        holders, kept, victims = self._judged(sockets.RELATIVES)
        if any(holder.provenance == FOREIGN for holder in victims):
            # A stranger may share it with whom it likes: systemd keeps the socket that it has handed to a service.
            holders, kept, victims = self._judged(sockets.EVERY)
        if victims:
            self._end(victims)
            self._watch(victims)
        if victims or self._closing:
            self._prove([port for port in self._names if port not in _ports(kept)])
        return Flushed(bool(self._ended), self._freed(victims, kept), tuple(self._ended), tuple(kept), tuple(holders))

    def _judged(self, sharing: str) -> t.Tuple[t.List[Holder], t.List[Holder], t.List[Holder]]:
        """Return all holders, those to leave alone and those to end.

        Raises:
            RollcallError: ``refused``; nothing was signalled.
        """
        holders = self._holders(sharing)
        kept = [holder for holder in holders if self._kept(holder)]
        victims = [holder for holder in holders if not self._kept(holder)]
        objections = [*self._objections(victims), *self._unlistened(set(self._names) - _ports(holders))]
        if objections:
            raise _error(objections, "refused", {"holders": [holder.as_dict() for holder in holders]})
        return holders, kept, victims

    def _holders(self, sharing: str) -> t.List[Holder]:
        seen = survey(self._stack, self._names, sharing=sharing, clock=self._clock)
        return [holder for port in self._names for holder in seen[port]]

    def _kept(self, holder: Holder) -> bool:
        return holder.provenance == SUPERVISED and not self._supervised

    def _freed(self, victims: t.Iterable[Holder], kept: t.Iterable[Holder]) -> t.Tuple[int, ...]:
        return tuple(sorted(_ports(victims) - _ports(kept)))

    def _objections(self, victims: t.Sequence[Holder]) -> t.List[_Objection]:
        """Return every reason against ending these holders."""
        found = {}
        never = never_flushed(self._stack)
        own = processes.kin()
        for holder in victims:
            key = (holder.listener.port, None if holder.process is None else holder.process.pid)
            if key not in found:
                objection = self._objection(holder, never, own)
                if objection is not None:
                    found[key] = objection
        count = len(_processes(victims))
        objections = list(found.values())
        if count > self._max_victims:
            sentence = (
                f"{count} processes hold the ports of stack {self._stack.name}, and at most {self._max_victims} are "
                "ended at once."
            )
            evidence = {"pids": [process.pid for process in _processes(victims)]}
            objections.append(_Objection(sentence, evidence, (f"set max_victims={count}",)))
        return objections

    def _objection(self, holder: Holder, never: t.Mapping[int, str], own: t.Container[int]) -> t.Optional[_Objection]:
        """Return why this one may not be ended; None when it may."""
        port, process = holder.listener.port, holder.process
        label = f"Port {port} ({self._names[port]})"
        if process is None:
            sentence = f"{label} is held, owner unknown: {holder.reason}."
            return _Objection(sentence, holder.as_dict(), _find_commands(port))
        if holder.provenance == SUPERVISED and holder.service is None:
            return self._nobody_to_ask(holder)
        untouchable = processes.untouchable(process, own)
        permitted = may_end(holder.provenance, self._policies[port], supervised=self._supervised)
        if untouchable is None and holder.provenance == FOREIGN and publishes(process):
            untouchable = "it holds the port for a container"
        if port not in never and untouchable is None and permitted and os.geteuid() in (0, process.uid):
            return None
        held, command, evidence = f"{label} is held by {_described(process)}", _end_command(holder), holder.as_dict()
        if port in never:
            sentence = f"{held}, and is never flushed: {never[port]}. End it yourself if you must: {command}."
            return _Objection(sentence, evidence, (command, f"give {self._names[port]} another port"))
        if untouchable is not None:
            return self._untouchable(holder, held, untouchable)
        if not permitted:
            return self._not_covered(holder, held, command)
        sentence = f"{held}, which only that user or root may end. End it with: sudo {command}."
        return _Objection(sentence, evidence, ("run the same command with sudo", f"sudo {command}"))

    def _nobody_to_ask(self, holder: Holder) -> _Objection:
        """Say of what is below a supervisord that does not answer for it: it would be started again."""
        process = t.cast(Process, holder.process)
        sentence = (
            f"Port {holder.listener.port} ({self._names[holder.listener.port]}) is held by {_described(process)}: "
            f"{holder.reason}, and would start it again."
        )
        return _Objection(sentence, holder.as_dict(), ("rollcall status", "rollcall restart emergency"))

    def _untouchable(self, holder: Holder, held: str, reason: str) -> _Objection:
        """Say of what is never ended what it holds the port for, where that can be known."""
        port, process = holder.listener.port, t.cast(Process, holder.process)
        other = f"give {self._names[port]} another port"
        if publishes(process):
            commands = _publisher_commands(process, port)
            sentence = f"{held}, which is never ended: {reason}{_in_unit(holder)}. Stop the container: {commands[0]}."
            return _Objection(sentence, holder.as_dict(), (*commands, other))
        home = processes.socket_unit(process, port)
        if home is None:
            return _Objection(f"{held}, which is never ended: {reason}.", holder.as_dict(), (other,))
        sentence = f"{held}, which is never ended: {reason}. It listens for {home.name}: stop that with {home.stop}."
        return _Objection(sentence, {**holder.as_dict(), "unit": home.name}, (home.stop, other))

    def _not_covered(self, holder: Holder, held: str, command: str) -> _Objection:
        evidence, port = holder.as_dict(), holder.listener.port
        if self._policies[port] == REFUSE:
            sentence = f"{held} ({holder.provenance}), and the policy is to refuse. End it with: {command}."
            return _Objection(sentence, evidence, (command, "the same command again without the policy to refuse"))
        sentence = f"{held}, which is not ours ({holder.reason}{_in_unit(holder)}). End it with: {command}."
        name = self._names[port]
        remedies = (command, *OVERRIDES, _override(port), f"give {name} another port in the manifest")
        return _Objection(sentence, evidence, remedies)

    def _unlistened(self, ports: t.Iterable[int]) -> t.List[_Objection]:
        """Return an objection for each port on which nothing listens and which cannot be bound all the same.

        Where only connections are left that have been closed, nobody is to blame: `_closing` gets the port.
        """
        self._closing.clear()
        objections = []
        for port, reason in sorted(self._unbindable(ports, Deadline(self._kill_grace, self._clock)).items()):
            traces = _traces(port)
            if traces.closing:
                self._closing.add(port)
            elif not self._comes_up(traces.culprits):
                objections.append(self._held_by_unknown(port, reason, traces))
        return objections

    def _comes_up(self, users: t.Sequence[Process]) -> bool:
        """Return whether a port is used by nobody but services of supervisord, between their bind and their listen."""
        described = {process.pid: process for process in users}
        lineages = processes.lineages(described, users)
        facts = _facts(self._stack, lineages, described, None, self._clock) if users else Facts()
        found = [
            classify(process, lineages[process.pid], processes.label(process.pid, process.container), facts)
            for process in users
        ]
        return bool(found) and not self._supervised and all(one.provenance == SUPERVISED for one in found)

    def _unbindable(self, ports: t.Iterable[int], deadline: Deadline, interval: float = POLL) -> t.Dict[int, str]:
        """Return the ports that cannot be bound up to the deadline, with the reason."""
        reasons: t.Dict[int, str] = {}
        pending = list(ports)

        def free() -> bool:
            answers = {port: sockets.bindable(port) for port in pending}
            reasons.clear()
            reasons.update((port, reason) for port, reason in answers.items() if reason is not None)
            pending[:] = reasons
            return not reasons

        deadline.poll(free, interval)
        return reasons

    def _held_by_unknown(self, port: int, reason: str, traces: _Traces) -> _Objection:
        """Say all that is certain of a port that no process listens on and that cannot be bound."""
        nobody = "no process that can be seen listens on it" if _blind() else "no process listens on it"
        sentence = f"Port {port} ({self._names[port]}) is held, owner unknown: {reason}, and {nobody}"
        evidence = {
            "port": port,
            "provenance": UNKNOWN,
            "reason": reason,
            "used_by": [process.as_dict() for process in traces.culprits],
            "time_wait": traces.remembered,
        }
        commands = tuple(f"kill {process.pid}" for process in traces.culprits) or _find_commands(port)
        return _Objection("; ".join([sentence, *traces.hints]) + ".", evidence, commands)

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
            victims = [holder for holder in self._holders(sockets.EVERY) if not self._kept(holder)]
            if not victims:
                return
            returned = [
                holder
                for holder in victims
                if holder.listener.inode not in known and self._is_new(holder, self._clock.monotonic() - began)
            ]
            objections = [self._respawned(holder) for holder in returned] or self._objections(victims)
            if objections:
                raise self._failed(objections)
        sentence = f"After {ROUNDS} rounds there are still new processes that share the sockets."
        raise self._failed([_Objection(sentence, victims[0].as_dict(), (_end_command(victims[0]),))])

    @staticmethod
    def _is_new(holder: Holder, seconds: float) -> bool:
        """Return whether a socket that was not seen before was made since the first signal."""
        if holder.listener.inode > 0 or holder.process is None:
            return True
        # There are no inodes here: a process that was there before has shared the socket, and is found only now.
        return processes.age(holder.process) < seconds

    def _stop_supervised(self, victims: t.Sequence[Holder]) -> None:
        """Let supervisord stop its own: it would start again what is ended behind its back."""
        services = sorted({holder.service for holder in victims if holder.service})
        if not services:
            return
        began = self._clock.monotonic()
        limit = max(self._stack.service(name).stop.timeout for name in services) + self._kill_grace
        with Client(self._stack.paths.socket, timeout=CALL_TIMEOUT, clock=self._clock) as client:
            client.stop(services)
            wait_states(client, services, DOWN, deadline=Deadline(limit, self._clock), interval=POLL)
        took = self._clock.monotonic() - began
        for process in _processes(victims):
            if not processes.alive(process.identity):
                entry = Ended(
                    process.pid, process.start, process.user, process.command, (), "ended", took, "by supervisord"
                )
                self._ended.append(entry)

    def _signal(self, victims: t.Sequence[Holder]) -> None:
        sockets_of: t.Dict[Identity, t.Dict[int, str]] = {}
        for holder in victims:
            if holder.process is not None:
                sockets_of.setdefault(holder.process.identity, {})[holder.listener.inode] = holder.place
        users = {process.identity: process.uid for process in _processes(victims)}

        def still_holds(process: Process) -> bool:
            return process.uid == users[process.identity] and any(
                sockets.holds(process.pid, *seen) for seen in sockets_of[process.identity].items()
            )

        ended = processes.end(
            # Masters before their workers, or they start new ones.
            [process.identity for process in _processes(victims)],
            known=_processes(victims),
            grace=self._grace,
            kill_grace=self._kill_grace,
            clock=self._clock,
            check=still_holds,
        )
        self._ended += [entry for entry in ended if entry.signals or entry.result in ("survived", "stuck")]
        objections = [self._not_ended(entry) for entry in ended if entry.result in ("survived", "stuck")]
        if objections:
            raise self._failed(objections)

    def _watch(self, victims: t.Sequence[Holder]) -> None:
        """Stay until what somebody may start again would have come back.

        Raises:
            RollcallError: it has come back.
        """
        own = processes.kin()
        if not any(_may_return(holder, own) for holder in victims):
            return
        ports = _ports(victims)
        returned: t.List[Holder] = []

        def come_back() -> bool:
            if sockets.listeners(ports):
                now = (holder for holder in self._holders(sockets.EVERY) if holder.listener.port in ports)
                returned[:] = [holder for holder in now if not self._kept(holder)]
            return bool(returned)

        if Deadline(RETURN, self._clock).poll(come_back, SELDOM):
            raise self._failed([self._respawned(holder) for holder in returned])

    def _prove(self, ports: t.Iterable[int]) -> None:
        """Judge by binding.

        Raises:
            RollcallError: a port cannot be bound.
        """
        objections = self._unlistened(ports)
        if not objections and self._closing:
            deadline = Deadline(self._time_wait, self._clock)
            left = self._unbindable(self._closing, deadline, SELDOM)
            objections = [self._still_closing(port, left[port]) for port in sorted(left)]
        if objections:
            raise self._failed(objections)

    def _still_closing(self, port: int, reason: str) -> _Objection:
        traces = _traces(port)
        sentence = (
            f"Port {port} ({self._names[port]}) is not free after {self._time_wait:g} s: {reason}. No process holds "
            f"it, but connections that are closed, {traces.remembered} of them in TIME_WAIT: the kernel remembers them "
            "for 60 s. There is nobody to end; wait and try again."
        )
        evidence = {"port": port, "provenance": UNKNOWN, "reason": reason, "time_wait": traces.remembered}
        return _Objection(sentence, evidence, (f"ss -tn state time-wait 'sport = :{port}'",))

    def _respawned(self, holder: Holder) -> _Objection:
        port, process = holder.listener.port, holder.process
        label = f"Port {port} ({self._names[port]})"
        if process is None:
            return _Objection(f"{label} was freed and is held again: {holder.reason}.", holder.as_dict())
        parent = processes.describe(process.ppid) if process.ppid > 1 else None
        home = _home(holder) or (processes.home(process.pid) if parent is None else None)
        origins = [] if home is None else [home.name]
        if parent is not None:
            origins.append(_described(parent))
        command = home.stop if home is not None else ""
        if not command:
            command = f"kill {parent.pid}" if parent is not None else _end_command(holder)
        sentence = (
            f"{label} was freed and taken again by {_described(process)}: "
            f"{', '.join(origins) or 'something that cannot be seen'} brings it back. Stop that first: {command}."
        )
        evidence = {**holder.as_dict(), "parent": None if parent is None else parent.as_dict()}
        return _Objection(sentence, evidence, (command,))

    def _not_ended(self, entry: Ended) -> _Objection:
        sent = ", ".join(entry.signals) or "no signal"
        sentence = (
            f"pid {entry.pid} of user {entry.user} did not end ({sent} in {entry.seconds:.1f} s): {entry.reason}."
        )
        return _Objection(sentence, entry.as_dict(), (f"kill -KILL {entry.pid}",))

    def _failed(self, objections: t.Sequence[_Objection]) -> RollcallError:
        return _error(objections, "failed", {"ended": [entry.as_dict() for entry in self._ended]})


# --- words --------------------------------------------------------------------------------------------------------


def _error(objections: t.Sequence[_Objection], kind: str, evidence: t.Mapping[str, t.Any]) -> RollcallError:
    remedies = dict.fromkeys(remedy for objection in objections for remedy in objection.remedies)
    return RollcallError(
        "\n".join(dict.fromkeys(objection.sentence for objection in objections)),
        kind=kind,
        evidence={**evidence, "objections": [dict(objection.evidence) for objection in objections]},
        remedies=list(remedies),
    )


def _described(process: Process) -> str:
    return f"pid {process.pid} '{process.shown}' of user {process.user} since {_since(process.started_at)}"


def _since(started_at: float) -> str:
    started = time.localtime(started_at)
    today = time.localtime()
    same_day = (started.tm_year, started.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M", started)


def _home(holder: Holder) -> t.Optional[processes.Home]:
    """Return what brings a foreign process back when it is ended: the container, supervisord or unit it belongs to."""
    process = holder.process
    if process is None or holder.provenance != FOREIGN:
        return None
    program = None if process.container else processes.program(process.pid)
    home = processes.home(process.pid) if program is None else None
    # What this run lives in itself is no answer: to stop it would end the run.
    return program or (home if home != processes.home(os.getpid()) else None)


def _may_return(holder: Holder, own: t.Container[int]) -> bool:
    """Return whether somebody is still there who may start again what was ended, and is not who runs this."""
    if holder.process is None or holder.provenance not in (FOREIGN, DUPLICATE):
        return False
    parent = processes.describe(holder.process.ppid)
    if parent is None or parent.state in "ZX":
        return False
    if processes.manages(parent):
        return holder.unit is not None
    return parent.pid not in own


def _end_command(holder: Holder) -> str:
    """Return the command that ends a holder for good: what would be brought back is stopped where it comes from."""
    if holder.process is None:
        return _find_commands(holder.listener.port)[0]
    home = _home(holder)
    return home.stop if home is not None and home.stop else f"kill {holder.process.pid}"


def _publisher_commands(process: Process, port: int) -> t.Tuple[str, ...]:
    """Return the commands that stop a container for which a port is held, or that find it."""
    home = processes.home(process.pid)
    if home is not None and home.name.startswith("container ") and home.stop:
        return (home.stop,)
    return (f"docker ps --filter publish={port}", f"podman ps | grep -w {port}")


def _in_unit(holder: Holder) -> str:
    return "" if holder.unit in (None, processes.unit(os.getpid())) else f", in {holder.unit}"


def _override(port: int) -> str:
    """Return what lets a flush end whatever holds this one port."""
    return f"end it all the same: rollcall.supervisor.port_flush with overrides: {{{port}: {ANY}}}"


def _find_commands(port: int) -> t.Tuple[str, ...]:
    if os.geteuid() == 0:
        return (f"ss -ltnp 'sport = :{port}'",)
    return ("run the same command with sudo", f"sudo ss -ltnp 'sport = :{port}'")


def _blind() -> bool:
    """Return whether there may be processes that this one cannot look into."""
    return os.geteuid() != 0 or not processes.in_first_namespace()


def _ports(holders: t.Iterable[Holder]) -> t.Set[int]:
    return {holder.listener.port for holder in holders}


def _processes(holders: t.Iterable[Holder]) -> t.List[Process]:
    """Return each process once, ancestors before their descendants."""
    found = {holder.process.identity: holder.process for holder in holders if holder.process is not None}
    return sorted(found.values(), key=lambda process: (process.start, process.pid))


def _listed(ports: t.Iterable[int]) -> str:
    return ", ".join(str(port) for port in ports)


def _is(things: t.Sized) -> str:
    return "is" if len(things) == 1 else "are"
