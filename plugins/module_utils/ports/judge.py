# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which listeners of a stack's ports may be ended: by the policy, and by what is never ended. Changes nothing."""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..host import ending, processes
from ..host.model import Process
from ..manifest.model import Stack
from . import objections
from .objections import Objection
from .policies import POLICIES
from .provenance import FOREIGN, SUPERVISED, Holder, may_end, publishes

SSH_PORT = 22


def services_by_port(stack: Stack) -> t.Dict[int, str]:
    """Return the ports that are assigned to the services of a stack, with the services."""
    return {port: service.name for service in stack.services for port in service.all_ports.values()}


def policies(stack: Stack, policy: str, overrides: t.Mapping[t.Any, str]) -> t.Dict[int, str]:
    """Return the policy for each port of the stack.

    Args:
        stack: the manifest.
        policy: for all ports; one of POLICIES.
        overrides: another policy for some ports. A port may be a text, as JSON and command lines have it.

    Raises:
        RollcallError: ``wrong_use``; names every port that is not the stack's and every policy that is none.
    """
    known = services_by_port(stack)
    given = {int(key) if str(key).isdecimal() else key: chosen for key, chosen in overrides.items()}
    strange = [str(port) for port in given if port not in known]
    unknown = {f"of port {port}": chosen for port, chosen in given.items() if chosen not in POLICIES}
    if policy not in POLICIES:
        unknown = {"": policy, **unknown}
    problems = [f"Unknown policy '{chosen}'{f' {place}' if place else ''}" for place, chosen in unknown.items()]
    if problems:
        problems[-1] += f": it is one of {', '.join(POLICIES)}"
    if strange:
        problems.append(f"Overrides are for ports of stack {stack.name}, and {_not_among(strange, known)}")
    if problems:
        evidence = {"policies": sorted({str(chosen) for chosen in unknown.values()}), "overrides": strange}
        raise RollcallError(". ".join(problems) + ".", kind="wrong_use", evidence=evidence)
    return {**dict.fromkeys(known, policy), **given}


def assigned(stack: Stack, ports: t.Optional[t.Iterable[int]]) -> t.Dict[int, str]:
    """Return the ports to free, all of the stack's by default, with their services.

    Raises:
        RollcallError: ``wrong_use``: one is not assigned to the stack.
    """
    known = services_by_port(stack)
    wanted = list(known) if ports is None else list(dict.fromkeys(ports))
    strange = [port for port in wanted if port not in known]
    if strange:
        raise RollcallError(
            f"Only ports of stack {stack.name} are ever flushed, and {_not_among(map(str, strange), known)}.",
            kind="wrong_use",
            evidence={"ports": strange, "assigned": sorted(known)},
            remedies=[cures.listener(port) for port in strange],
        )
    return {port: known[port] for port in wanted}


def _not_among(strange: t.Iterable[str], known: t.Iterable[int]) -> str:
    ports = list(strange)
    listed = ", ".join(map(str, sorted(known))) or "it has none"
    return f"{', '.join(ports)} {'is' if len(ports) == 1 else 'are'} not among them: {listed}"


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


class Judge:
    """What a flush was asked for, and by that which listeners it may end.

    Args:
        stack: the manifest.
        services: the services whose ports are to be freed, by port.
        policy_of: the policy for each port.
        supervised: whether what supervisord runs is ended, too; otherwise it is left alone.
        max_victims: how many processes may be ended at once.
        force: how the caller is told to end what is not ours.
    """

    def __init__(
        self,
        stack: Stack,
        services: t.Mapping[int, str],
        policy_of: t.Mapping[int, str],
        *,
        supervised: bool,
        max_victims: int,
        force: str,
    ) -> None:
        self._stack = stack
        self._services = services
        self.policy_of = policy_of
        self.supervised = supervised
        self._max_victims = max_victims
        self._force = force

    def keeps(self, holder: Holder) -> bool:
        """Return whether a holder is left alone because supervisord runs it."""
        return holder.provenance == SUPERVISED and not self.supervised

    def objections(self, victims: t.Sequence[Holder]) -> t.List[Objection]:
        """Return every reason against ending these holders."""
        never, own = never_flushed(self._stack), processes.own_lineage()
        found: t.Dict[t.Tuple[int, t.Optional[int]], Objection] = {}
        for holder in victims:
            # A process may hold a socket of each family: one sentence is enough.
            key = (holder.listener.port, None if holder.process is None else holder.process.pid)
            objection = None if key in found else self._objection(holder, never, own)
            if objection is not None:
                found[key] = objection
        ended = processes_of(victims)
        if len(ended) > self._max_victims:
            return [*found.values(), objections.too_many(ended, self._max_victims, self._stack.name)]
        return list(found.values())

    def _objection(self, holder: Holder, never: t.Mapping[int, str], own: t.Container[int]) -> t.Optional[Objection]:
        """Return why this one may not be ended; None when it may."""
        port, process, service = holder.listener.port, holder.process, self._services[holder.listener.port]
        if process is None:
            return objections.unseen(holder, service)
        if holder.provenance == SUPERVISED and holder.service is None:
            return objections.not_answered_for(holder, service)
        if port in never:
            return objections.never_flushed(holder, service, never[port])
        untouchable = ending.why_untouchable(process, own)
        if untouchable is None and holder.provenance == FOREIGN and publishes(process):
            untouchable = "it listens for a container"
        if untouchable is not None:
            return objections.untouchable(holder, service, untouchable)
        if not may_end(holder.provenance, self.policy_of[port], supervised=self.supervised):
            return objections.not_covered(holder, service, self.policy_of[port], self._force)
        if os.geteuid() not in (0, process.uid):
            return objections.not_permitted(holder, service)
        return None


def processes_of(holders: t.Iterable[Holder]) -> t.List[Process]:
    """Return the process of each holder once, ancestors before their descendants."""
    found = {holder.process.identity: holder.process for holder in holders if holder.process is not None}
    return sorted(found.values(), key=lambda process: (process.start, process.pid))
