# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which services a run is about: those that were named, what depends on them, and what they need."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..manifest.graph import dependencies, dependents
from ..manifest.model import Stack
from ..manifest.selection import selected
from .modes import RERUN
from .request import Request


class Choice(t.NamedTuple):
    """Which services a run is about.

    Attributes:
        names: those that were named.
        dependents: whether also what depends on them.
    """

    names: t.Tuple[str, ...]
    dependents: bool = True


def scope(stack: Stack, choice: Choice) -> t.FrozenSet[str]:
    """Return every service that a run may touch: those of `chosen`, and what the named ones need."""
    return frozenset(chosen(stack, choice) | dependencies(stack, choice.names))


def chosen(stack: Stack, choice: Choice) -> t.Set[str]:
    """Return the services that were named and, if the choice says so, what depends on them."""
    return dependents(stack, choice.names) if choice.dependents else set(choice.names)


def choice_of(request: Request, stack: Stack) -> t.Optional[Choice]:
    """Return which services a request is about; None for all.

    Raises:
        RollcallError: ``wrong_use``: it names services that there are not, or its mode is about the whole stack.
    """
    if not request.services and request.mode is not RERUN:
        return None
    if not request.mode.by_name or request.wanted is not None:
        raise RollcallError(
            f"This is about the whole stack, and goes without names of services: {request.mode.title}. Nothing was "
            "touched.",
            kind="wrong_use",
            evidence={"services": list(request.services), "mode": request.mode.name},
        )
    names = selected(stack, request.services) if request.services else ()
    if request.mode is not RERUN:
        return Choice(names, request.dependents)
    _check_oneshots(stack, names)
    return Choice(names, dependents=False)


def _check_oneshots(stack: Stack, names: t.Sequence[str]) -> None:
    """Raise RollcallError unless there are names, and each is that of a oneshot."""
    oneshots = [one.name for one in stack.services if one.kind == "oneshot"]
    others = [name for name in names if name not in oneshots]
    if names and not others:
        return
    wrong = f"{', '.join(others)} keeps running, and is restarted." if others else "It takes the name of a oneshot."
    raise RollcallError(
        f"Only a oneshot can be run again. {wrong} Oneshots of stack {stack.name}: {', '.join(oneshots) or 'none'}. "
        "Nothing was touched.",
        kind="wrong_use",
        evidence={"services": list(names), "oneshots": oneshots},
        remedies=[cures.restart(*others)] if others else [cures.rerun(*oneshots)] if oneshots else [cures.STATUS],
    )
