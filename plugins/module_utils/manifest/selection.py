# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which services of a stack are meant by the names that somebody has typed."""

from __future__ import annotations

import dataclasses
import fnmatch
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from .model import Service, Stack
from .places import nearest, similar

# How many names are proposed for one that is not known.
NEAREST = 3


def selected(stack: Stack, patterns: t.Sequence[str]) -> t.Tuple[str, ...]:
    """Return the names of the services that ``patterns`` name, in the order of the manifest.

    A pattern is the name of a service, that of a service with instances, which stands for all of these, or has ``*``,
    ``?`` or ``[...]`` as in a shell.

    Args:
        stack: the manifest.
        patterns: at least one.

    Raises:
        RollcallError: ``wrong_use``: some of them name no service. All of these are told, with the nearest names.
    """
    unknown = [pattern for pattern in patterns if not names_any(stack, pattern)]
    if unknown:
        known = known_names(stack)
        near = {pattern: nearest(pattern, known, NEAREST) for pattern in unknown}
        timers = {timer.name for timer in stack.timers}
        told = [
            f"'{pattern}'{', which is a timer' if pattern in timers else similar(pattern, known, NEAREST)}"
            for pattern in unknown
        ]
        raise RollcallError(
            f"No service of stack {stack.name} is called {', or '.join(told)}. Its services: {', '.join(known)}. "
            "Nothing was touched.",
            kind="wrong_use",
            evidence={"unknown": unknown, "nearest": near, "known": known},
            remedies=[cures.history(timer.name) for timer in stack.timers if timer.name in unknown],
        )
    return tuple(one.name for one in stack.services if any(_is_meant(one, pattern) for pattern in patterns))


def names_any(stack: Stack, pattern: str) -> bool:
    """Return whether a pattern names a service of a stack."""
    return any(_is_meant(one, pattern) for one in stack.services)


def known_names(stack: Stack) -> t.List[str]:
    """Return every name by which services can be meant: those of the manifest, and those of their instances."""
    names = [name for one in stack.services for name in (one.group, one.name) if name]
    return list(dict.fromkeys(names))


def narrowed(stack: Stack, names: t.Optional[t.Container[str]]) -> Stack:
    """Return a stack with these services only, to be looked at and judged; the stack itself for None.

    The databases of other services are left out as well.
    """
    if names is None:
        return stack
    services = tuple(one for one in stack.services if one.name in names)
    known = {name for one in services for name in (one.name, one.group)}
    databases = tuple(check for check in stack.checks.databases if not check.service or check.service in known)
    checks = dataclasses.replace(stack.checks, databases=databases)
    return dataclasses.replace(stack, services=services, timers=(), checks=checks)


def _is_meant(service: Service, pattern: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for name in (service.name, service.group) if name)
