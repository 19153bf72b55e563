# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Decide which port each service gets: a pure function over the manifest, the leases and what is taken."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..manifest.model import Service, address_of

# Returns why a port cannot be had; None when it can.
Obstacle = t.Callable[[int], t.Optional[str]]


@dataclass(frozen=True)
class NoPort:
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


class Move(t.NamedTuple):
    """A service that gets another port than it had, or than its own first one."""

    old: int
    new: int
    reason: str


@dataclass(frozen=True)
class Assignment:
    """Which service gets which port.

    Attributes:
        ports: by service, of all that have a port and could be given one.
        moved: by service, of those that get another port than before.
        failures: services that get none.
    """

    ports: t.Mapping[str, int] = field(default_factory=dict)
    moved: t.Mapping[str, Move] = field(default_factory=dict)
    failures: t.Tuple[NoPort, ...] = ()


def _no_obstacle(_port: int) -> t.Optional[str]:
    return None


def assign(
    services: t.Iterable[Service],
    leases: t.Mapping[str, int],
    obstacle: Obstacle,
    *,
    claimed: Obstacle = _no_obstacle,
    fallback: bool = False,
    home: bool = False,
) -> Assignment:
    """Give each service a port: the one it has while that can be had, else the first of its own that can.

    A service with one port has that, whoever listens there: freeing or refusing it is the restart's business. The order
    is the manifest's, so the same manifest gives the same ports on a host without leases.

    Args:
        services: in the order of the manifest.
        leases: the port that each has had before.
        obstacle: of a port of a service that has several.
        claimed: of the port of a service that has but one: whose else it is.
        fallback: also those with ``auto_fallback: false`` may take another port.
        home: each gets its own port again where that can be had, whatever it has had before.
    """
    with_port = [service for service in services if service.own_port is not None]
    movable = [service for service in with_port if service.fallback_ports]
    given = _Given(obstacle)
    failures = list(given.only_ports([service for service in with_port if not service.fallback_ports], claimed))
    failures += given.other_ports(services, claimed)
    lost = {} if home else given.leases(movable, leases)
    moved: t.Dict[str, Move] = {}
    for service in movable:
        if service.name in given.ports:
            continue
        own, others = _own(service), service.fallback_ports if service.auto_fallback or fallback else ()
        tried = given.first(service, (own, *others))
        port, before = given.ports.get(service.name), leases.get(service.name, own)
        if port is None:
            failures.append(NoPort(service.name, tried, () if others else service.fallback_ports))
        elif port != before:
            reason = lost.get(service.name) or (tried[0][1] if tried else "it can be had again")
            moved[service.name] = Move(before, port, reason)
    ordered = {service.name: given.ports[service.name] for service in with_port if service.name in given.ports}
    return Assignment(ordered, moved, tuple(failures))


class _Given:
    """The ports that are given so far."""

    def __init__(self, obstacle: Obstacle) -> None:
        self.ports: t.Dict[str, int] = {}
        self._services: t.Dict[int, str] = {}
        self._obstacle = obstacle

    def only_ports(self, services: t.Iterable[Service], claimed: Obstacle) -> t.Iterator[NoPort]:
        """Give services with one port that one; yield those whose port is another's."""
        for service in services:
            reason = claimed(_own(service))
            if reason is not None:
                yield NoPort(service.name, ((_own(service), reason),))
            self._give(service, _own(service))

    def other_ports(self, services: t.Iterable[Service], claimed: Obstacle) -> t.Iterator[NoPort]:
        """Keep the other ports of services that have several from the rest; yield those whose port is another's."""
        for service in services:
            for called, port in service.other_ports.items():
                reason, name = claimed(port), address_of(service.name, called)
                if reason is not None:
                    yield NoPort(name, ((port, reason),))
                self._services[port] = name

    def leases(self, services: t.Iterable[Service], leases: t.Mapping[str, int]) -> t.Dict[str, str]:
        """Give services the ports that they have; return those that lose theirs, with the reason."""
        lost: t.Dict[str, str] = {}
        for service in services:
            port = leases.get(service.name)
            if port is None:
                continue
            known = port in (service.own_port, *service.fallback_ports)
            reason = self._why_not(port) if known else "it is none of its ports any more"
            if reason is None:
                self._give(service, port)
            else:
                lost[service.name] = reason
        return lost

    def first(self, service: Service, ports: t.Iterable[int]) -> t.Tuple[t.Tuple[int, str], ...]:
        """Give a service the first port that can be had; return those before it, with the reasons."""
        tried: t.List[t.Tuple[int, str]] = []
        for port in ports:
            reason = self._why_not(port)
            if reason is None:
                self._give(service, port)
                break
            tried.append((port, reason))
        return tuple(tried)

    def _why_not(self, port: int) -> t.Optional[str]:
        return f"it is the port of {self._services[port]}" if port in self._services else self._obstacle(port)

    def _give(self, service: Service, port: int) -> None:
        self.ports[service.name] = port
        self._services[port] = service.name


def _own(service: Service) -> int:
    return t.cast(int, service.own_port)
