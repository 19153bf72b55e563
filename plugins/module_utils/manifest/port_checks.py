# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which ports the services of a manifest may have."""

from __future__ import annotations

import typing as t

from ..base import cures
from . import corrections
from .host_limits import EPHEMERAL
from .model import HTTP, HTTPS, ROLLING, address_of
from .places import Place
from .problems import value_of
from .written import Written

# The Fetch standard's bad ports (https://fetch.spec.whatwg.org/#port-blocking) that need no root: a browser refuses
# http and https there, whoever listens.
REFUSED_BY_BROWSERS = frozenset(
    [1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080]
)


def check_port_lists(written: Written) -> None:
    """Check that no port is meant and excluded at once."""
    for port in written.rules.also:
        if port in written.rules.avoid or port in written.rules.protect:
            which = "protect" if port in written.rules.protect else "avoid"
            written.problems.error(
                ("ports", "also"), f"port {port} is on the list {which}, too", corrections.off_a_list(which)
            )


def check_ports(written: Written, name: str) -> None:
    """Check the ports that a service may have, those of each instance included."""
    merged, instances = written.merged[name], written.instances[name]
    place = written.port_place(name, instances[0].port_name)
    if None not in (value_of(written.own[name], "port"), value_of(written.own[name], "ports")):
        written.problems.error(("services", name, "ports"), "it has a port as well", corrections.ONE_WAY)
    fallbacks = value_of(merged, "fallback_ports", ())
    if merged.get("port") is None and fallbacks:
        written.problems.error(
            ("services", name, "fallback_ports"), "the service has no port of its own", corrections.PORT_FIRST
        )
    if len(instances) > 1 and value_of(merged, "kind") == "oneshot":
        written.problems.error(("services", name, "instances"), "a oneshot runs once", corrections.REMOVE)
    if len(instances) < 2 and value_of(merged, "update") == ROLLING:
        written.problems.warning(
            ("services", name, "update"),
            "only instances restart one after the other, and it has one",
            corrections.SEVERAL,
        )
    for instance in instances:
        if instance.own_port is not None:
            _port(written, name, place, instance.own_port)
        for other, port in (*instance.more_ports.items(), *instance.udp_ports.items()):
            _port(written, name, written.port_place(name, other), port)
        for index, port in enumerate(instance.fallback_ports):
            _port(written, name, ("services", name, "fallback_ports", index), port)
        if instance.port is not None and instance.port not in (instance.own_port, *instance.fallback_ports):
            written.problems.error(
                place,
                f"the host has leased port {instance.port} to {instance.name}, which is none of its ports",
                cures.AGAIN,
            )


def _port(written: Written, name: str, place: Place, port: int) -> None:
    rules, error = written.rules, written.problems.error
    # The lists of the stack are of numbers, and hold for both protocols.
    number = int(port)
    if number > 65535:
        error(place, f"its last instance would get port {port}", corrections.LOWER_PORT)
        return
    if number in rules.protect:
        error(place, f"port {port} is protected: the host itself needs it", corrections.another("port"))
        return
    if number in rules.avoid:
        error(place, f"port {port} is to be avoided", corrections.NOT_AVOIDED)
    elif number not in rules.also:
        _unlisted_port(written, place, number)
    as_root = written.host.as_root
    if port < written.host.unprivileged_from and not (
        as_root or (as_root is None and value_of(written.fields, "user") == "root")
    ):
        error(place, f"port {port} can be bound by root only", corrections.from_port(written.host.unprivileged_from))
    if port in REFUSED_BY_BROWSERS:
        _browser_port(written, name, place, port)


def reasons_to_list(port: int, low: int, high: int, ephemeral: t.Tuple[int, int] = EPHEMERAL) -> t.List[str]:
    """Return why a port must be in ``ports.also`` before a service may have it; none when it may have it anyway.

    Args:
        port: the port.
        low: first port of the stack's range.
        high: last port of that range.
        ephemeral: first and last port that the host's kernel gives to clients.
    """
    first, last = ephemeral
    reasons = []
    if not low <= port <= high:
        reasons.append(f"is outside the range {low}-{high}")
    if first <= port <= last:
        reasons.append(f"is one of those that the kernel gives to clients ({first}-{last})")
    return reasons


def _unlisted_port(written: Written, place: Place, port: int) -> None:
    reasons = reasons_to_list(port, written.rules.low, written.rules.high, written.host.ephemeral)
    if reasons:
        written.problems.error(
            place,
            f"port {port} {' and '.join(reasons)}",
            corrections.listed(port),
        )


def _browser_port(written: Written, name: str, place: Place, port: int) -> None:
    """Check a port that browsers refuse: an error where people are likely to open it and nobody says it is meant."""
    health = value_of(written.merged[name], "health")
    checks = health if isinstance(health, list) else [health]
    web = any(isinstance(check, dict) and {HTTP, HTTPS} & set(check) for check in checks)
    message = f"port {port} is refused by every browser"
    if web and port not in written.rules.also:
        written.problems.error(place, message, corrections.another("port"))
    else:
        written.problems.warning(place, message, corrections.NO_BROWSER)


def check_shared_ports(written: Written) -> None:
    """Check that no port is two services' own, nor one's own and another's fallback. Two may share a fallback."""
    holders: t.Dict[int, str] = {}
    clashes: t.List[t.Tuple[Place, int, str]] = []
    for name, instances in written.instances.items():
        for instance in instances:
            first = {} if instance.own_port is None else {instance.port_name: instance.own_port}
            for called, port in {**first, **instance.more_ports, **instance.udp_ports}.items():
                own = address_of(instance.name, called)
                other = holders.setdefault(port, own)
                if other != own:
                    clashes.append((written.port_place(name, called), port, other))
    for name, instances in written.instances.items():
        for instance in instances:
            for index, port in enumerate(instance.fallback_ports):
                if port in holders:
                    clashes.append((("services", name, "fallback_ports", index), port, holders[port]))
    for place, port, other in clashes:
        written.problems.error(place, f"port {port} is the port of {other}, too", corrections.GIVE_ANOTHER)
