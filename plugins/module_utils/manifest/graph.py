# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The order in which services depend on each other."""

from __future__ import annotations

import typing as t

from ..base.errors import RollcallError
from .model import Stack


def levels(stack: Stack) -> t.List[t.List[str]]:
    """Return the services in lists, each of which depends only on the lists before it; within one in manifest order.

    Raises:
        RollcallError: services depend on each other in a circle. The check of a manifest refuses that.
    """
    height: t.Dict[str, int] = {}
    waiting = list(stack.services)
    ordered: t.List[t.List[str]] = []
    while waiting:
        level = [service.name for service in waiting if all(name in height for name in service.depends_on)]
        if not level:
            names = ", ".join(service.name for service in waiting)
            raise RollcallError(f"These services wait for each other or for unknown ones: {names}.", kind="wrong_use")
        height.update(dict.fromkeys(level, len(ordered)))
        ordered.append(level)
        waiting = [service for service in waiting if service.name not in height]
    return ordered


def dependents(stack: Stack, names: t.Iterable[str]) -> t.Set[str]:
    """Return ``names`` and every service that depends on one of them, directly or through others."""
    needed_by: t.Dict[str, t.List[str]] = {}
    for service in stack.services:
        for name in service.depends_on:
            needed_by.setdefault(name, []).append(service.name)
    return reached(needed_by, names)


def dependencies(stack: Stack, names: t.Iterable[str]) -> t.Set[str]:
    """Return every service that one of ``names`` depends on, directly or through others."""
    needs = {service.name: list(service.depends_on) for service in stack.services}
    return reached(needs, [name for each in names for name in needs[each]])


def reached(ways: t.Mapping[str, t.Sequence[str]], names: t.Iterable[str]) -> t.Set[str]:
    """Return ``names`` and every name to which ways lead from them."""
    found: t.Set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(ways.get(name, ()))
    return found


def held_back(stack: Stack, missing: t.Mapping[str, str]) -> t.Dict[str, str]:
    """Return the services that are held, each with its reason: those that lack something, and their dependents.

    Args:
        stack: the manifest.
        missing: what each service lacks, in words.
    """
    held = dict(missing)
    services = {service.name: service for service in stack.services}
    for name in (name for level in levels(stack) for name in level):
        needed = next((other for other in services[name].depends_on if other in held), None)
        if needed is not None and name not in held:
            held[name] = f"it depends on {needed}, which is held"
    return held


def cycles(graph: t.Mapping[str, t.Iterable[str]]) -> t.Iterator[t.List[str]]:
    """Find the circles of a graph, each as the names along it; the last name is the first one again."""
    done: t.Set[str] = set()
    for first in graph:
        if first in done:
            continue
        # The names from `first` to the current one, each with its neighbours that were not tried yet.
        way = {first: iter(graph[first])}
        while way:
            name = list(way)[-1]
            step = next(way[name], None)
            if step is None:
                del way[name]
                done.add(name)
            elif step in way:
                names = list(way)
                yield [*names[names.index(step) :], step]
            elif step in graph and step not in done:
                way[step] = iter(graph[step])
