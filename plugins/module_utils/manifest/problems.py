# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The problems that a check finds, each with its place, its line and what to do about it."""

from __future__ import annotations

import typing as t

from ..base.errors import Problem
from . import corrections
from .document import WRONG, Document, Source
from .places import Place, kind_of, name_place, similar

A_SERVICE = "a service"
# Keys of a service that only a state kept in a manifest would have.
_RUNTIME_STATE = frozenset(["status", "state", "pid", "uptime", "started_at", "last_seen", "exit_status"])

# Nobody reads more suggestions.
_SUGGESTIONS = 20


def value_of(fields: t.Any, key: str, default: t.Any = None) -> t.Any:
    """Return what was read for a key; the default when it is absent or wrong."""
    value = fields.get(key, default) if isinstance(fields, dict) else default
    return default if value is WRONG else value


class Problems:
    """The problems found so far.

    Args:
        document: the document that is checked; it knows where its parts were written.
        lines: the line of each value by its place, when the document was read from a file.
    """

    def __init__(self, document: Document, lines: t.Mapping[Place, int]) -> None:
        self.problems: t.List[Problem] = []
        self._document = document
        self._lines = lines
        self._seen: t.Set[Problem] = set()
        self._suggestions = _SUGGESTIONS
        for source, problem in document.problems:
            self._add(source.below(problem.place), problem.message, problem.cure, problem.severity)
        for source in document.templates:
            self._add(
                source,
                "is a template, or encrypted, and is not checked here",
                corrections.CHECK_MODE,
                "warning",
            )

    @property
    def failed(self) -> bool:
        """Whether any problem is an error."""
        return any(problem.severity == "error" for problem in self.problems)

    def error(self, place: Place, message: str, cure: str) -> t.Any:
        """Add a problem that keeps the manifest from use, and return :data:`WRONG`, for a reader to return."""
        self._add(self._document.source(place), message, cure, "error")
        return WRONG

    def warning(self, place: Place, message: str, cure: str) -> None:
        """Add a problem that does not keep it from use."""
        self._add(self._document.source(place), message, cure, "warning")

    def monitor(self, source: Source, message: str, cure: str, severity: str) -> None:
        """Add a problem of ``monitor_instances``, which have no place in today's shape."""
        self._add(source, message, cure, severity)

    def wrong_type(self, place: Place, value: t.Any, wanted: str, cure: str) -> t.Any:
        """Add the error that ``value`` is of the wrong kind. The value is not shown: it may be a secret."""
        if value is WRONG:
            return WRONG
        if isinstance(value, bool):
            cure = corrections.not_a_truth(cure)
        return self.error(place, f"is {kind_of(value)}, not {wanted}", cure)

    def unknown_key(self, place: Place, known: t.Iterable[str], what: str) -> None:
        """Add the problem of a key that its mapping does not have."""
        key = place[-1]
        if not isinstance(key, str):
            self.error(place, "is a key that is not text", corrections.TEXT_KEY)
            return
        if key in _RUNTIME_STATE and what == A_SERVICE:
            self.error(place, "is runtime state, which is no part of a manifest", corrections.REMOVE_STATE)
            return
        if key == "user" and what == A_SERVICE:
            self.error(place, f"is not a key of {what}", corrections.STACK_OF_USER)
            return
        suggestion = self.similar(key, known)
        if len(place) == 1 and key in self._document.lenient:
            self.warning(place, f"is not read{suggestion}", corrections.REMOVE_UNREAD)
            return
        # All keys are a long line, which who has only misspelt one need not read.
        cure = corrections.MISSPELT if suggestion else corrections.key(known)
        self.error(place, f"is not a key of {what}{suggestion}", cure)

    def similar(self, name: t.Any, known: t.Iterable[str]) -> str:
        """Return a suggestion for a misspelt name, '' when no known one is like it."""
        if not isinstance(name, str) or len(name) > 64 or self._suggestions == 0:
            return ""
        self._suggestions -= 1
        return similar(name, known)

    def _add(self, source: Source, message: str, cure: str, severity: str) -> None:
        problem = Problem(self._name(source), message, cure, severity)
        if problem not in self._seen:
            self._seen.add(problem)
            self.problems.append(problem)

    def _name(self, source: Source) -> str:
        line = None
        in_file = source.in_file
        while in_file and line is None:
            line = self._lines.get(in_file)
            in_file = in_file[:-1]
        return name_place(source.shown) + (f" (line {line})" if line is not None else "")
