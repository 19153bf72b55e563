# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""In what order services depend on each other, and what stands on what."""

from __future__ import annotations

import typing as t

from ..base.errors import RollcallError
from .model import Stack


def levels(stack: Stack) -> t.List[t.List[str]]:
    """Return the services by dependency: each list needs only those before it. Within one, the manifest's order.

    Raises:
        RollcallError: some depend on each other in a circle, which :func:`check` never lets through.
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
    found: t.Set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(needed_by.get(name, ()))
    return found


def held_back(stack: Stack, missing: t.Mapping[str, str]) -> t.Dict[str, str]:
    """Return the services that must stay down, with the reason: those that lack something, and what depends on them.

    Args:
        stack: the manifest.
        missing: what each service lacks, in words.
    """
    held = dict(missing)
    for name in (name for level in levels(stack) for name in level):
        needed = next((other for other in stack.service(name).depends_on if other in held), None)
        if needed is not None and name not in held:
            held[name] = f"it depends on {needed}, which is held"
    return held


def cycles(graph: t.Mapping[str, t.Iterable[str]]) -> t.Iterator[t.List[str]]:
    """Find circles in a graph, each as the way along it, its first name once more at the end."""
    done: t.Set[str] = set()
    for first in graph:
        if first in done:
            continue
        # The way from `first` to where we are, each with the neighbours not yet tried.
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
