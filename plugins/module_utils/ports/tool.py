# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The port tool: see who has taken which port, give services their ports, free one, find one, put conflicts right."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..host import bind, listeners, ours, processes, socket_owners
from ..host.labels import label_of, trusted_uids
from ..host.trust import Trust
from ..manifest.model import Paths, Stack, address_of
from ..state.generations import load_stack
from ..supervisord.running import supervisords_of, supervisords_over
from . import leases
from .assign import NoPort, Obstacle, assign
from .flush import Flushed, flush
from .leases import Neighbours
from .needs import all_needs, in_the_way, needs, why_unbindable
from .provenance import DUPLICATE, ORPHAN, SUPERVISED, Holder
from .survey import inspect, judgements, survey
from .unix_sockets import sockets_by_pid

# What is the stack's own: a port it holds can be had, for the restart ends what is left over.
OURS = (SUPERVISED, ORPHAN, DUPLICATE)


# --- giving ports -------------------------------------------------------------------------------------------------


def give(
    stack: Stack, *, dry_run: bool = False, fallback: bool = False, home: bool = False, clock: Clock = SYSTEM
) -> t.Dict[str, t.Any]:
    """Give every service of a manifest its port on this host, and remember it.

    Args:
        stack: the manifest as it is wanted, with the services' own ports.
        dry_run: look and decide the same way, and write nothing.
        fallback: also services with ``auto_fallback: false`` may get another port.
        home: services that have moved get their own ports again where these can be had.
        clock: of all deadlines.

    Returns:
        ``changed``, ``ports`` by service, ``moved`` (service, from, to, reason) and ``notes``.

    Raises:
        RollcallError: ``refused``: some service gets none; nothing was changed.
        OSError: the lease could not be written.
    """
    place = leases.directory()
    # Looking takes no lock: in check mode not even the lock's file may be made.
    with leases.locked(None if dry_run else place, clock=clock):
        before = leases.load(stack.paths.state)
        others = leases.neighbours(place, stack.root)
        decided = assign(
            stack.services,
            before,
            _obstacle(stack, others, clock),
            claimed=lambda port: _claimed(others, port),
            fallback=fallback,
            home=home,
        )
        if decided.failures:
            raise _no_port(stack, decided.failures)
        movable = {service.name for service in stack.services if service.fallback_ports}
        after = {name: port for name, port in decided.ports.items() if name in movable}
        if not dry_run and after != before:
            leases.save(stack.paths.state, after)
        if not dry_run:
            leases.register(place, stack.root)
    return {
        "changed": after != before,
        "ports": dict(decided.ports),
        "moved": [
            {"service": name, "from": move.old, "to": move.new, "reason": move.reason}
            for name, move in decided.moved.items()
        ],
        "notes": list(others.unread),
    }


def _obstacle(stack: Stack, others: Neighbours, clock: Clock) -> Obstacle:
    """Return what says of a port why a service cannot have it."""
    candidates = {
        port: service
        for service in stack.services
        if service.fallback_ports and service.own_port is not None
        for port in (service.own_port, *service.fallback_ports)
    }
    holders = survey(stack, sorted(candidates), clock=clock)

    def obstacle(port: int) -> t.Optional[str]:
        needed = needs(candidates[port], holders[port])
        strangers = [one for one in holders[port] if one.provenance not in OURS and in_the_way(one, needed)]
        if strangers:
            return f"it is taken by {strangers[0].summary}"
        if port in others.ports:
            return f"it is leased to {others.ports[port].summary}"
        # What our own processes hold is freed before the start; a bind would only say that they are there.
        return None if any(one.provenance in OURS for one in holders[port]) else why_unbindable(port, needed)

    return obstacle


def _claimed(others: Neighbours, port: int) -> t.Optional[str]:
    """Return which other stack has a port and runs: it would take the port back at any time."""
    neighbour = others.ports.get(port)
    if neighbour is None or not _runs(neighbour.root):
        return None
    return f"it is the port of {neighbour.summary}, which runs on this host"


def _runs(root: str) -> bool:
    """Return whether the stack at a root has a supervisord; a stranger's, over the same config, is none."""
    paths = Paths.of(root)
    try:
        stack: t.Optional[Stack] = load_stack(paths)
    except RollcallError:
        # It has leases alone, or this user may not read it. Who owns its directories tells who may run it.
        stack = None
    trust = Trust(root) if stack is None else Trust(root, stack.user, (stack.paths.run, stack.paths.state))
    return bool(supervisords_over(paths.config, root, trust=trust))


def _no_port(stack: Stack, failures: t.Sequence[NoPort]) -> RollcallError:
    tried = [port for failure in failures for port, _reason in failure.tried]
    remedies = [cures.check_port(port) for port in tried]
    remedies += [cures.AUTO_FIX] if any(failure.untried for failure in failures) else []
    names = ", ".join(failure.service for failure in failures)
    remedies += [cures.FREE_PORT, cures.then(f"give {names} the port it names as a fallback port")]
    return RollcallError(
        "\n".join(failure.sentence for failure in failures) + "\nNothing was stopped or changed.",
        kind="refused",
        evidence={
            "stack": stack.name,
            "services": [
                {
                    "service": failure.service,
                    "tried": [{"port": port, "reason": reason} for port, reason in failure.tried],
                    "untried": list(failure.untried),
                }
                for failure in failures
            ],
        },
        remedies=list(dict.fromkeys(remedies)),
    )


# --- looking ------------------------------------------------------------------------------------------------------


def check(stack: Stack, port: int, *, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Return whether a port is free, and by whom it is taken; ``ok`` is that it is free. Changes nothing."""
    found = inspect(stack, [port], clock=clock)[0]
    neighbour = leases.neighbours(leases.directory(), stack.root).ports.get(port)
    return {**found, "ok": found["free"], "leased_to": None if neighbour is None else neighbour.summary}


def find_available(stack: Stack, start: t.Optional[int] = None) -> int:
    """Return the first port that a bind proves free, within the range, not avoided and nobody's.

    Args:
        stack: the manifest.
        start: where to begin; None means the first of the range.

    Raises:
        RollcallError: ``wrong_use``: it begins outside of the range; ``failed``: there is none.
    """
    rules = stack.ports
    first = rules.low if start is None else start
    if not rules.low <= first <= rules.high:
        raise RollcallError(
            f"{first} is outside the range of stack {stack.name}, {rules.low}-{rules.high}.",
            kind="wrong_use",
            evidence={"start": first, "range": [rules.low, rules.high]},
            remedies=[cures.FREE_PORT, cures.then("change ports.range in the manifest")],
        )
    given = {
        port
        for service in stack.services
        for port in (service.own_port, *service.all_ports.values(), *service.fallback_ports)
    }
    given |= {*rules.avoid, *rules.protect, *leases.neighbours(leases.directory(), stack.root).ports}
    for port in range(first, rules.high + 1):
        # A listener on another address than the wildcard's would still be in a service's way, and a bind tells of it.
        if port not in given and bind.bindable(port) is None:
            return port
    raise RollcallError(
        f"No port from {first} to {rules.high} is free and nobody's.",
        evidence={"start": first, "range": [rules.low, rules.high], "given": sorted(port for port in given if port)},
        remedies=[cures.PORTS, cures.then("widen ports.range in the manifest")],
    )


def process_rows(stack: Stack, *, clock: Clock = SYSTEM) -> t.List[t.Dict[str, t.Any]]:
    """Return every process of a stack, wherever it came from: supervisord, what it runs, and what is left over."""
    supervisords = {process.pid: process for process in supervisords_of(stack)}
    found = {**supervisords, **processes.descendants(supervisords)}
    for process in ours.find(stack.root, trusted_uids(stack.root, stack.user)):
        found.setdefault(process.pid, process)
    judged = judgements(stack, found, clock=clock)
    ports, sockets = _ports_by_pid(found), sockets_by_pid(stack, found)
    rows = []
    for pid, process in sorted(found.items(), key=lambda entry: (entry[1].start, entry[0])):
        label = label_of(pid, process.container)
        row = {
            **process.as_dict(),
            "provenance": "supervisord" if pid in supervisords else judged[pid].provenance,
            "service": judged[pid].service or (label.service if label is not None and label.service else None),
            "ports": sorted(ports.get(pid, ())),
            "sockets": sorted(sockets.get(pid, ())),
        }
        rows.append(row)
    return rows


def _ports_by_pid(pids: t.Iterable[int]) -> t.Dict[int, t.Set[int]]:
    listening = listeners.find_listeners()
    owners = socket_owners.find_owners([listener.inode for listener in listening], pids)
    found: t.Dict[int, t.Set[int]] = {}
    for listener in listening:
        for pid in owners.pids.get(listener.inode, ()):
            found.setdefault(pid, set()).add(listener.port)
    return found


# --- putting right ------------------------------------------------------------------------------------------------


def auto_fix(stack: Stack, *, dry_run: bool = False, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Resolve every conflict over an assigned port: end what is ours, and move a service from what is not.

    A move is a lease; the config follows when the manifest is applied again.

    Args:
        stack: the installed manifest.
        dry_run: say what would be done.
        clock: of all deadlines.

    Returns:
        ``ok``: nothing is left to do; ``changed``; ``freed``, ``moved`` and ``unresolved``, each with words; ``next``.
    """
    ports = [port for service in stack.services for port in service.all_ports.values()]
    holders = survey(stack, ports, sharing=socket_owners.EVERY, clock=clock)
    needed = all_needs(stack, holders)
    foreign = {
        port
        for port in ports
        if any(one.provenance not in OURS and in_the_way(one, needed[port]) for one in holders[port])
    }
    leftover = [port for port in ports if port not in foreign and _has_leftovers(holders[port])]
    done = flush(stack, leftover, dry_run=dry_run, clock=clock) if leftover else Flushed(False)
    stuck = _stuck(stack, foreign)
    movable = {service.name for service in stack.services if service.fallback_ports}
    moved: t.List[t.Dict[str, t.Any]] = []
    unresolved = [
        f"{name} keeps port {port}, which {holders[port][0].summary} holds, and has no fallback port"
        for name, port in stuck.items()
        if name not in movable
    ]
    if any(name in movable for name in stuck):
        try:
            moved = give(stack, dry_run=dry_run, fallback=True, clock=clock)["moved"]
        except RollcallError as exc:
            unresolved.append(exc.message)
    commands = [_brings(stack)] if moved else []
    commands += [cures.check_port(port) for name, port in stuck.items() if name not in movable]
    return {
        "ok": not unresolved and not moved,
        "changed": bool(done.ended or moved),
        "freed": [f"port {port}, which a process left over from this stack held" for port in done.freed],
        "moved": [f"{entry['service']} from {entry['from']} to {entry['to']}: {entry['reason']}" for entry in moved],
        "unresolved": unresolved,
        "next": commands,
    }


def _stuck(stack: Stack, foreign: t.Container[int]) -> t.Dict[str, int]:
    """Return those of ``foreign`` by what has them: the first of a service by its name, others as web.metrics."""
    ports = {service.name: service.port for service in stack.services}
    for service in stack.services:
        ports.update({address_of(service.name, called): port for called, port in service.other_ports.items()})
    return {name: port for name, port in ports.items() if port is not None and port in foreign}


def go_home(stack: Stack, *, dry_run: bool = False, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Give services that have moved their own ports again, where these can be had; answer as auto_fix does."""
    moved = give(stack, dry_run=dry_run, home=True, clock=clock)["moved"]
    own = {service.name: service.own_port for service in stack.services if service.fallback_ports}
    given = {entry["service"]: entry["to"] for entry in moved}
    away = [
        f"{service.name} stays on port {given.get(service.name, service.port)}: {own[service.name]} is taken"
        for service in stack.services
        if service.name in own and given.get(service.name, service.port) != own[service.name]
    ]
    return {
        "ok": not away and not moved,
        "changed": bool(moved),
        "freed": [],
        "moved": [f"{entry['service']} from {entry['from']} to {entry['to']}: {entry['reason']}" for entry in moved],
        "unresolved": away,
        "next": [_brings(stack)] if moved else [],
    }


def _brings(stack: Stack) -> str:
    """Return the command that brings config and services to their new ports."""
    return cures.INSTALL if stack.written is None else cures.START


def _has_leftovers(holders: t.Iterable[Holder]) -> bool:
    return any(holder.provenance in (ORPHAN, DUPLICATE) for holder in holders)
