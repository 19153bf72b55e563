# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which services of a manifest run on which host of the inventory.

The controller takes out of a host's manifest what does not run there, before anything else sees it: the engine knows of
one host.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Service, Stack

Groups = t.Mapping[str, t.Sequence[str]]


class Placed(t.NamedTuple):
    """The part of a manifest that is for one host.

    Attributes:
        stack: with the services that run there.
        elsewhere: by the name of each other service the hosts that it runs on.
        apart: what a service of this host depends on that runs elsewhere, as ``service: dependency``.
    """

    stack: Stack
    elsewhere: t.Mapping[str, t.Sequence[str]]
    apart: t.Sequence[str]


def placed(stack: Stack, host: str, groups: Groups) -> Placed:
    """Return the part of a manifest that is for a host.

    Args:
        stack: the whole manifest.
        host: its name in the inventory.
        groups: the hosts of every group, in the order of the inventory.
    """
    everything = (*stack.services, *stack.timers)
    if not any(one.hosts for one in everything):
        return Placed(stack, {}, ())
    where = {one.name: hosts_of(one, groups) for one in everything}
    names = {one.name for one in everything if not one.hosts or host in where[one.name]}
    apart = [
        f"{one.name}: {other}"
        for one in everything
        if one.name in names
        for other in one.depends_on
        if other not in names
    ]
    part = dataclasses.replace(stack, services=_those(stack.services, names), timers=_those(stack.timers, names))
    return Placed(part, {name: hosts for name, hosts in where.items() if name not in names}, apart)


def _those(services: t.Iterable[Service], names: t.Container[str]) -> t.Tuple[Service, ...]:
    """Return the services of a host, which wait for others of the host only."""
    return tuple(
        dataclasses.replace(one, depends_on={name: level for name, level in one.depends_on.items() if name in names})
        for one in services
        if one.name in names
    )


def hosts_of(service: Service, groups: Groups) -> t.List[str]:
    """Return the hosts that a service runs on, in the order of the inventory.

    One that runs on a single host of several stands on the first of them, whatever part of the inventory a playbook is
    about: so a rollout over a part moves nothing.
    """
    every = list(dict.fromkeys(host for hosts in groups.values() for host in hosts))
    order = list(groups.get("all", every))
    wanted = [pattern for pattern in service.hosts if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in service.hosts if pattern.startswith("!")]
    found = [
        host
        for host in order
        if (not wanted or _is_meant(host, wanted, groups)) and not _is_meant(host, unwanted, groups)
    ]
    return found[:1] if service.singleton or service.once else found


def one_for_all(stack: Stack, groups: Groups) -> t.Dict[str, str]:
    """Return by oneshot that runs on one host for all the host that it runs on."""
    where = {one.name: hosts_of(one, groups) for one in stack.services if one.once}
    return {name: hosts[0] for name, hosts in where.items() if hosts}


def _is_meant(host: str, patterns: t.Sequence[str], groups: Groups) -> bool:
    """Return whether one of the patterns names a host, or a group that has it."""
    return any(
        fnmatch.fnmatchcase(host, pattern)
        or any(host in hosts for name, hosts in groups.items() if fnmatch.fnmatchcase(name, pattern))
        for pattern in patterns
    )
