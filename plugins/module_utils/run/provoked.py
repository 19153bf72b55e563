# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Exits that an order has provoked: what a service needs was taken away from it, by name and without it.

Who says ``--no-dependents`` knows that others go without the service for so long. One that cannot, and ends, says
nothing of its manifest: such an exit is told, and is not held against the service nor against the generation.
"""

from __future__ import annotations

import typing as t

from ..base.text import count
from ..manifest.graph import dependencies
from ..manifest.model import Stack
from ..state.lives import Book
from ..state.stopped import read_stopped
from ..verdict.observation import Observation
from .prepare import PreparedRun


class Provoked:
    """What a run by name, or a stop by name that it ends, has taken away from services that were left running.

    Args:
        run: the run, before it has touched anything.
    """

    def __init__(self, run: PreparedRun) -> None:
        self._stack = run.stack
        self._ends = run.before.at
        self._anew = {*run.plan.stop, *run.plan.start}
        # By service when its exits were that were taken out of the book already.
        self._known: t.Dict[str, t.Set[float]] = {}
        alone = run.choice is not None and not run.request.dependents
        self._since = dict.fromkeys(run.plan.stop, run.before.at) if alone else {}
        if run.plan.start:
            stopped = read_stopped(run.stack)
            self._since.update({name: stopped[name].at for name in run.plan.start if name in stopped})

    def without(self, book: Book) -> Book:
        """Return a book without the exits that were provoked; they are remembered."""
        if not self._since:
            return book
        lives = dict(book.lives)
        for name, since in self._bereft().items():
            each = lives.get(name)
            if each is not None:
                provoked = {one.at for one in each.exits if self._is_so(name, since, one.at)}
                self._known.setdefault(name, set()).update(provoked)
                lives[name] = each._replace(exits=tuple(one for one in each.exits if one.at not in provoked))
        return book._replace(lives=lives)

    def loops(self, seen: Observation, stack: Stack) -> t.List[str]:
        """Return which services of a manifest keep ending although nobody has provoked it."""
        return seen._replace(book=self.without(seen.book)).loops(stack.services)

    def ended(self, seen: Observation) -> t.Dict[str, int]:
        """Return by service that was left running, and has ended meanwhile, how often it has."""
        self.without(seen.book)
        return {name: len(when) for name, when in self._known.items() if when and name not in self._anew}

    def notes(self, seen: Observation) -> t.List[str]:
        """Return which services that were left running have ended meanwhile, for people."""
        found = []
        for name, times in self.ended(seen).items():
            program = seen.programs.get(name)
            state = "is gone" if program is None else f"is {program.state}"
            told = f"{name} was left running, has ended {count(times, 'time')} meanwhile, and {state} now"
            found.append(f"{told}: that is not held against it")
        return found

    def _bereft(self) -> t.Dict[str, float]:
        """Return by service since when it was without something that it needs."""
        found = {}
        for service in self._stack.services:
            needs = dependencies(self._stack, [service.name])
            since = [at for name, at in self._since.items() if name in needs and name != service.name]
            if since:
                found[service.name] = min(since)
        return found

    def _is_so(self, name: str, since: float, at: float) -> bool:
        # What this run itself has started has what it needs.
        return since <= at and (name not in self._anew or at <= self._ends)
