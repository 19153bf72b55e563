# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The order in which services are stopped, so that nobody is down for longer than its own stop and start take. Pure.

What depends on a service stops before it. Among those that must all be down for something, such as another supervisord
or a new process of what they depend on, the slow ones stop first, while the others still run.
docs/design/0012-order-of-a-restart.md says why it is so.
"""

from __future__ import annotations

import typing as t

from ..manifest.graph import reached
from ..manifest.model import Service

Services = t.Mapping[str, Service]
# Sorts a service among others: the smaller one is stopped first.
Rank = t.Tuple[bool, float]


def needs_of(services: Services, names: t.Iterable[str], rolling: t.Container[str] = ()) -> t.Dict[str, t.Set[str]]:
    """Return by name what it depends on, directly or through others.

    Args:
        services: every service, by its name.
        names: of those that are asked for.
        rolling: instances that are restarted one after the other: others of theirs are there meanwhile.
    """
    ways = {
        name: [one for one in service.depends_on if one in services and one not in rolling]
        for name, service in services.items()
    }
    return {name: reached(ways, ways[name]) for name in names}


def ranks(
    services: Services, names: t.Iterable[str], needs: t.Optional[t.Mapping[str, t.Set[str]]] = None
) -> t.Dict[str, Rank]:
    """Return when each of some services is stopped among them: first who answers nobody, and of those the slowest.

    How long a stop takes is not known before; ``stop.timeout`` is how long it may take. What one that answers depends
    on counts as answering: the one that answers is down before it stops. What depends on a slow one goes as early as
    that: nobody else waits while it holds the slow one up.

    Args:
        services: every service, by its name.
        names: those that are stopped.
        needs: what each depends on, where that is known.
    """
    stopped = list(names)
    needs = needs_of(services, stopped) if needs is None else needs
    answering = {name for name in stopped if services[name].all_ports or services[name].all_health}
    answering = answering.union(*(needs[name] for name in answering))
    own = {name: (name in answering, -services[name].stop.timeout) for name in stopped}
    return {name: min([own[name], *(own[one] for one in needs[name] if one in own)]) for name in stopped}


def stopped_before(
    services: Services,
    names: t.Iterable[str],
    *,
    together: bool,
    replaced: t.Container[str] = (),
    rolling: t.Container[str] = (),
) -> t.Dict[str, t.Set[str]]:
    """Return by service which of the others must be down before it is told to stop.

    There is no circle in it: who is before another one has a smaller rank, or the same and depends on it.

    Args:
        services: every service, by its name.
        names: those that are stopped.
        together: whether nothing starts before all of them are down.
        replaced: the services that get another process; what depends on one is down meanwhile.
        rolling: those of them that are restarted one after the other, and whose service is never away.
    """
    stopped = list(names)
    needs = needs_of(services, stopped, rolling)
    turn = ranks(services, stopped, needs)
    shared = {name: {one for one in needs[name] if one in replaced} for name in stopped}
    before: t.Dict[str, t.Set[str]] = {}
    for name in stopped:
        before[name] = {
            other
            for other in stopped
            if name in needs[other]
            or (turn[other] < turn[name] and (together or not shared[other].isdisjoint(shared[name])))
        }
    return before
