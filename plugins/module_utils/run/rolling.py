# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Services whose instances are restarted one after the other, so that the service itself is never away. Pure."""

from __future__ import annotations

import typing as t

from ..manifest.graph import dependencies, dependents
from ..manifest.model import ROLLING, Stack

Groups = t.Tuple[t.Tuple[str, ...], ...]


def rolling_names(stack: Stack) -> t.Set[str]:
    """Return every instance of a service that is restarted one instance after the other."""
    return {name for names in _groups(stack).values() for name in names}


def _groups(stack: Stack) -> t.Dict[str, t.List[str]]:
    """Return by service with ``update: rolling`` and several instances the names of these."""
    found: t.Dict[str, t.List[str]] = {}
    for service in stack.services:
        if service.update == ROLLING and service.group:
            found.setdefault(service.group, []).append(service.name)
    return {group: names for group, names in found.items() if len(names) > 1}


def restarted_with(stack: Stack, names: t.Iterable[str]) -> t.Set[str]:
    """Return ``names`` and what is restarted because one of them is, directly or through others.

    A service that is restarted one instance after the other is never away for what depends on it, unless a service that
    it needs is restarted.
    """
    restarted, before = set(names), None
    rolling = rolling_names(stack)
    oneshots = {service.name for service in stack.services if service.kind == "oneshot"}
    while restarted != before:
        before = set(restarted)
        restarted |= dependents(stack, restarted - rolling - oneshots)
        restarted |= {
            one.name for one in stack.services if not oneshots.isdisjoint(restarted.intersection(one.depends_on))
        }
    return restarted


def rolling_groups(stack: Stack, stop: t.Container[str], start: t.Container[str], ports: t.Mapping[str, int]) -> Groups:
    """Return the instances that a run restarts one after the other, those that are down first.

    Not where a service that they need is restarted as well: then all of them are down meanwhile. Nor where one gets the
    port that another one has. A oneshot that they need, such as a migration, runs before them, while they are still up.

    Args:
        stack: the manifest.
        stop: the services that the run stops.
        start: those that it starts.
        ports: by service, or its port's address such as ``web-1.metrics``, the port that it has until now.
    """
    found = []
    for names in _groups(stack).values():
        touched = [name for name in names if name in start]
        if not any(name in stop for name in touched):
            continue
        needed = [one for one in dependencies(stack, names) if stack.service(one).kind == "service"]
        wanted = {name: set(stack.service(name).all_ports.values()) for name in touched}
        crossed = any(
            port in wanted[name] and address.partition(".")[0] in names and address.partition(".")[0] != name
            for name in touched
            for address, port in ports.items()
        )
        if crossed or any(name in stop or name in start for name in needed):
            continue
        found.append(tuple(sorted(touched, key=lambda name: name in stop)))
    return tuple(found)
