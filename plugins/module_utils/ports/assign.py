# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Decide which port each service gets: a pure function over the manifest, the leases and what is free."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..manifest.model import Service

# Why a port cannot be had; None when it can.
Judge = t.Callable[[int], t.Optional[str]]


@dataclass(frozen=True)
class Failure:
    """A service that gets none of its ports.

    Attributes:
        service: its name.
        tried: each port with the reason why it cannot be had, in the order they were tried.
        untried: fallback ports that it may not take by itself.
    """

    service: str
    tried: t.Tuple[t.Tuple[int, str], ...]
    untried: t.Tuple[int, ...] = ()

    @property
    def sentence(self) -> str:
        """Say it for people."""
        tried = "; ".join(f"{port}: {reason}" for port, reason in self.tried)
        more = (
            f". It may not take {', '.join(map(str, self.untried))} by itself (auto_fallback)" if self.untried else ""
        )
        return f"{self.service} gets no port. {tried}{more}."


@dataclass(frozen=True)
class Assignment:
    """Which service gets which port.

    Attributes:
        ports: of every service that has one and could be given one.
        moved: those whose port is not the one they had, or not their own first one: from, to and why.
        failures: services that get none.
    """

    ports: t.Mapping[str, int] = field(default_factory=dict)
    moved: t.Mapping[str, t.Tuple[int, int, str]] = field(default_factory=dict)
    failures: t.Tuple[Failure, ...] = ()


def _unclaimed(_port: int) -> t.Optional[str]:
    return None


def assign(
    services: t.Iterable[Service],
    leases: t.Mapping[str, int],
    judge: Judge,
    *,
    claimed: Judge = _unclaimed,
    fallback: bool = False,
) -> Assignment:
    """Give each service a port: the one it has while that is good, else the first of its own that can be had.

    A service with one port has that, whoever holds it: freeing or refusing it is the restart's business. The order is
    the manifest's, so the same manifest gives the same ports on a host without leases.

    Args:
        services: in the order of the manifest.
        leases: the port that each has got before.
        judge: says of a port why it cannot be had.
        claimed: says of the port of a service that has but one whose else it is.
        fallback: also those with ``auto_fallback: false`` may take another port.
    """
    with_port = [service for service in services if service.own_port is not None]
    taken: t.Dict[int, str] = {}
    ports: t.Dict[str, int] = {}
    moved: t.Dict[str, t.Tuple[int, int, str]] = {}
    failures: t.List[Failure] = []
    lost: t.Dict[str, str] = {}

    def why_not(port: int) -> t.Optional[str]:
        return f"it is the port of {taken[port]}" if port in taken else judge(port)

    def take(service: Service, port: int) -> None:
        ports[service.name] = port
        taken[port] = service.name

    for service in with_port:
        if not service.fallback_ports:
            reason = claimed(_own(service))
            if reason is not None:
                failures.append(Failure(service.name, ((_own(service), reason),)))
            take(service, _own(service))
    movable = [service for service in with_port if service.fallback_ports]
    for service in movable:
        lease = leases.get(service.name)
        if lease is not None:
            known = lease in (service.own_port, *service.fallback_ports)
            reason = why_not(lease) if known else "it is none of its ports any more"
            if reason is None:
                take(service, lease)
            else:
                lost[service.name] = reason
    for service in movable:
        if service.name not in ports:
            others = service.fallback_ports if service.auto_fallback or fallback else ()
            tried = _first(service, (_own(service), *others), why_not, take)
            if service.name not in ports:
                failures.append(Failure(service.name, tried, () if others else service.fallback_ports))
                continue
            before = leases.get(service.name, _own(service))
            if ports[service.name] != before:
                moved[service.name] = (before, ports[service.name], lost.get(service.name) or tried[0][1])
    ordered = {service.name: ports[service.name] for service in with_port if service.name in ports}
    return Assignment(ordered, moved, tuple(failures))


def _own(service: Service) -> int:
    return t.cast(int, service.own_port)


def _first(
    service: Service, ports: t.Iterable[int], why_not: Judge, take: t.Callable[[Service, int], None]
) -> t.Tuple[t.Tuple[int, str], ...]:
    """Take the first port that can be had; return those before it, with the reasons."""
    tried: t.List[t.Tuple[int, str]] = []
    for port in ports:
        reason = why_not(port)
        if reason is None:
            take(service, port)
            break
        tried.append((port, reason))
    return tuple(tried)
