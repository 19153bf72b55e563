# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Who listens on the ports of a stack, and whose they are: looks, and changes nothing."""

from __future__ import annotations

import os
import typing as t

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.port_numbers import protocol_of
from ..host import bind, homes, listeners, processes, socket_owners
from ..host.accounts import user_name
from ..host.labels import label_of, trusted_uids
from ..host.model import Listener, Owners, Process
from ..host.ours import Belonging, Ownership, left_behind
from ..manifest.model import Stack
from ..supervisord.client import client_of
from ..supervisord.running import supervisords_of
from .provenance import FOREIGN, UNKNOWN, UNSEEN, Holder, Judgement, Supervision, classify
from .traces import traces

# How often a listener without a visible owner is looked at again: it may just be closing, or changing hands.
LOOKS = 3


def survey(
    stack: t.Optional[Stack],
    ports: t.Iterable[int],
    pids: t.Optional[t.Mapping[int, str]] = None,
    *,
    sharing: str = socket_owners.ONE,
    clock: Clock = SYSTEM,
) -> t.Dict[int, t.List[Holder]]:
    """Return who listens on each of the ports, and whose they are. Changes nothing.

    Args:
        stack: the stack they are judged for; None judges every process as foreign.
        ports: to look at.
        pids: pid and service of each process that the stack's supervisord reports. None: it is asked.
        sharing: how far to look for processes that share a socket, as for ``socket_owners.find_owners``.
        clock: of the deadline for asking supervisord.

    Returns:
        Every port, with an empty list for those on which nothing listens.
    """
    return _survey(stack, ports, pids, sharing, clock)[0]


def survey_with_others(
    stack: Stack, ports: t.Iterable[int], pids: t.Mapping[int, str]
) -> t.Tuple[t.Dict[int, t.List[Holder]], t.Mapping[int, t.Sequence[int]]]:
    """Return what `survey` does, looking at every process, and on the way whose the other listeners of the host are.

    The latter are by inode the pids that hold each socket, none where nobody can be seen; where nobody listens on the
    ports, it has no inode.
    """
    holders, owners = _survey(stack, ports, pids, socket_owners.EVERY, SYSTEM, others=True)
    return holders, owners.pids


def _survey(
    stack: t.Optional[Stack],
    ports: t.Iterable[int],
    pids: t.Optional[t.Mapping[int, str]],
    sharing: str,
    clock: Clock,
    *,
    units: bool = False,
    others: bool = False,
) -> t.Tuple[t.Dict[int, t.List[Holder]], Owners]:
    """Return what `survey` does, and how far the search for the owners could look.

    With ``units`` every holder has its unit, not only a foreign one. With ``others`` the owners have those of all
    listeners of the host, where any listens on the ports.
    """
    result: t.Dict[int, t.List[Holder]] = {port: [] for port in ports}
    found, owners, described = _look(result, pids or (), sharing, others=others)
    judged = judgements(stack, described, pids, clock=clock)
    for listener in found:
        holding = tuple(pid for pid in owners.pids.get(listener.inode, ()) if pid in described)
        for pid in holding:
            process, (provenance, service, reason, neighbour) = described[pid], judged[pid]
            unit = unit_of(process) if units or provenance == FOREIGN else None
            place = owners.places.get((pid, listener.inode), "")
            holder = Holder(listener, process, provenance, service, reason, unit, place, holding, neighbour)
            result[listener.port].append(holder)
        if not holding:
            result[listener.port].append(Holder(listener, None, UNKNOWN, None, _unseen(listener, owners)))
    return result, owners


def inspect(
    stack: t.Optional[Stack], ports: t.Optional[t.Iterable[int]] = None, *, clock: Clock = SYSTEM
) -> t.List[t.Dict[str, t.Any]]:
    """Return for each port whether it is free, why not, and all who have taken it, as data. Changes nothing.

    Args:
        stack: the stack they are judged for, if there is one.
        ports: to look at, of the stack or not; None means the stack's.
        clock: of the deadline for asking supervisord.
    """
    every = () if stack is None else stack.services
    services = {port: entry.name for entry in every for port in entry.all_ports.values()}
    wanted = list(services) if ports is None else list(dict.fromkeys(ports))
    holders, owners = _survey(stack, wanted, None, socket_owners.EVERY, clock, units=True)
    return [
        {
            "port": int(port),
            "protocol": protocol_of(port),
            "service": services.get(port),
            **_inspected(port, holders[port], owners),
        }
        for port in wanted
    ]


def _inspected(port: int, holders: t.Sequence[Holder], owners: Owners) -> t.Dict[str, t.Any]:
    """Return the state of a port: it is free when a bind succeeds and nobody listens there."""
    reason = bind.bindable(port)
    complete = not holders or not (owners.unreadable or owners.hidden)
    unreadable = owners.unreadable if holders else 0
    if any(holder.process is None for holder in holders):
        complete = False
    if holders and reason is None:
        reason = f"{holders[0].summary} listens on {holders[0].listener.place}"
    if reason is not None and not holders:
        seen = traces(port)
        reason = "; ".join([reason, *seen.hints])
        complete, unreadable = seen.closing or seen.all_seen, seen.owners.unreadable
    return {
        "free": reason is None,
        "reason": reason,
        "complete": complete,
        "unreadable": unreadable,
        "holders": [holder.as_dict() for holder in holders],
    }


def reported(stack: Stack, clock: Clock = SYSTEM) -> t.Tuple[t.Optional[int], t.Dict[int, str]]:
    """Return the pid of the supervisord that answers, and pid and service of each process it reports.

    None and nothing when none of the stack answers: its silence is a fact and no error here.
    """
    try:
        with client_of(stack, clock=clock) as client:
            pid = client.pid()
            if not supervisords_of(stack, [pid]):
                return None, {}
            return pid, {program.pid: name for name, program in client.programs().items() if program.pid}
    except RollcallError:
        # Without a report its processes are judged by their lineage.
        return None, {}


def _look(
    ports: t.Collection[int], hints: t.Iterable[int], sharing: str, *, others: bool
) -> t.Tuple[t.List[Listener], Owners, t.Dict[int, Process]]:
    """Return the listeners, their owners, and those described; looks again when one has no owner."""
    hints = list(hints)
    for _unused in range(LOOKS):
        every = listeners.find_listeners(None if others else ports)
        every += listeners.find_bound(ports) if others else ()
        found = [listener for listener in every if listener.port in ports]
        searched = every if others and found else found
        owners = socket_owners.find_owners([listener.inode for listener in searched], hints, sharing)
        if others:
            # Also those that nobody holds who can be seen.
            owners = owners._replace(pids={one.inode: owners.pids.get(one.inode, ()) for one in searched})
        pids = {pid for listener in found for pid in owners.pids.get(listener.inode, ())}
        looked_at = {pid: owners.described.get(pid) or processes.describe(pid) for pid in pids}
        described = {pid: process for pid, process in looked_at.items() if process is not None}
        seen = (any(pid in described for pid in owners.pids.get(listener.inode, ())) for listener in found)
        if all(seen):
            break
    return found, owners, described


def judgements(
    stack: t.Optional[Stack],
    found: t.Mapping[int, Process],
    pids: t.Optional[t.Mapping[int, str]] = None,
    *,
    clock: Clock = SYSTEM,
) -> t.Dict[int, Judgement]:
    """Return whose each process is, by pid.

    Args:
        stack: the stack they are judged for; None judges every process as foreign.
        found: the processes by pid.
        pids: pid and service of each process that the stack's supervisord reports. None: it is asked.
        clock: of the deadline for asking it.
    """
    if not found:
        return {}
    lineages = processes.lineages(found, found.values())
    supervision = _supervision(stack, lineages, found, pids, clock)
    ownership = None if stack is None else Ownership(stack.root, trusted_uids(stack.root, stack.user))

    def belonging(pid: int, process: Process) -> Belonging:
        if any(above in supervision.reported for above in lineages[pid]):
            return Belonging()
        if ownership is None:
            return Belonging("", label_of(pid, process.container), other=True)
        return ownership.of_lineage(process, lineages[pid])

    return {
        pid: classify(process, lineages[pid], belonging(pid, process), supervision) for pid, process in found.items()
    }


def _supervision(
    stack: t.Optional[Stack],
    lineages: t.Mapping[int, t.Sequence[int]],
    described: t.Mapping[int, Process],
    pids: t.Optional[t.Mapping[int, str]],
    clock: Clock,
) -> Supervision:
    """Return what is known of the stack's supervisords. All processes are searched only when one does not answer."""
    if stack is None:
        return Supervision()
    root = os.path.normpath(stack.root)
    if pids is not None and all(any(pid in pids for pid in lineage) for lineage in lineages.values()):
        return Supervision(root, pids)
    above = {pid for lineage in lineages.values() for pid in lineage}
    supervisords = {process.pid for process in supervisords_of(stack, above, described)}
    if not supervisords:
        return Supervision(root, pids or {})
    answering, known = (None, pids) if pids is not None else reported(stack, clock)
    if answering is None and known:
        above = {parent for lineage in processes.lineages(known).values() for parent in lineage}
        answering = next((process.pid for process in supervisords_of(stack, above)), None)
    if answering is None:
        supervisords = {process.pid for process in supervisords_of(stack)}
    pairs = {pair for lineage in lineages.values() for pair in zip(lineage, lineage[1:]) if pair[1] in supervisords}
    left = {
        child for child, parent in pairs if left_behind(child, parent, (known or {}) if parent == answering else None)
    }
    return Supervision(root, known or {}, frozenset(supervisords), answering, frozenset(left))


def unit_of(process: Process) -> t.Optional[str]:
    """Return the name of the unit or container that a process runs in; a container has one in any case."""
    return homes.home_name(process.pid) or (homes.describe_namespace(process) if process.container else None)


def _unseen(listener: Listener, owners: Owners) -> str:
    """Return why no process that holds a listener can be seen, as far as that is known."""
    owner = f"; its user is {user_name(listener.uid)}" if listener.uid >= 0 else ""
    if owners.complete:
        why = "it is on its way between two processes, or the kernel's own"
    elif owners.unreadable:
        why = f"it may be one of the {owners.unreadable} that may not be looked into"
    elif owners.hidden:
        why = "/proc hides the processes of other users (hidepid)"
    else:
        why = "it may run outside of the container, or pid namespace, that this runs in"
    return f"{UNSEEN}: {why}{owner}"
