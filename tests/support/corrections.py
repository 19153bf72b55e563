# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody does who reads a cure: an edit at the place that the problem names."""

from __future__ import annotations

import re
from typing import Any, Callable, NamedTuple

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import Problem

# Changes data, or returns another text; it is given the place that the problem names.
Edit = Callable[[Any, str], Any]

_STEP = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(\d+)\]|\['([^']*)'\]")


class Trial(NamedTuple):
    """Something wrong, the cure that is told, and the edit that it describes.

    Attributes:
        broken: data, or the text of a file.
        cure: as it is printed.
        edit: what a reader of the cure does.
        options: of the check, or of the import.
    """

    broken: Any
    cure: str
    edit: Edit
    options: dict[str, Any] = {}


def keys_of(place: str) -> list[str | int]:
    """Return the keys that lead to a place, such as ``stack.services.web.command[0]``."""
    found = _STEP.finditer(re.sub(r" \(line \d+\)$", "", place))
    return [int(step[2]) if step[2] else step[1] or step[3] or "" for step in found]


def around(data: Any, place: str) -> tuple[Any, Any]:
    """Return the mapping or list that has a place, and the place's key there."""
    *above, last = keys_of(place)
    for key in above:
        data = data[key]
    return data, last


def removed(data: Any, place: str) -> None:
    """Remove what stands at the place."""
    within, key = around(data, place)
    del within[key]


def written(value: Any) -> Edit:
    """Return the edit that writes a value at the place."""

    def edit(data: Any, place: str) -> None:
        within, key = around(data, place)
        within[key] = value

    return edit


def renamed(name: str) -> Edit:
    """Return the edit that gives the key at the place another name."""

    def edit(data: Any, place: str) -> None:
        within, key = around(data, place)
        within[name] = within.pop(key)

    return edit


def at(place: str, edit: Edit) -> Edit:
    """Return an edit of another place, which the cure names."""
    return lambda data, _told: edit(data, place)


def below(keys: str, edit: Edit) -> Edit:
    """Return an edit of something below the place."""
    return lambda data, place: edit(data, place + keys)


def beside(key: str, edit: Edit) -> Edit:
    """Return an edit of another key beside the place."""
    return lambda data, place: edit(data, re.sub(r"(\.[\w-]+|\[[^\[\]]*\])$", f".{key}", place))


def replaced(old: str, new: str) -> Edit:
    """Return the edit of a text that writes something else once."""

    def edit(text: str, _place: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def carried_out(trial: Trial, look: Callable[[Any], list[Problem]], copied: Callable[[Any], Any]) -> None:
    """Do what a cure says, and see that the problem is gone and that no other came.

    Args:
        trial: what is wrong, and the edit.
        look: returns the problems of something.
        copied: returns a copy of it.
    """
    before = look(trial.broken)
    told = [problem for problem in before if problem.cure == trial.cure]
    assert told, f"the cure is not told: {[problem.cure for problem in before]}"
    mended = copied(trial.broken)
    edited = trial.edit(mended, told[0].place)
    mended = mended if edited is None else edited
    after = [(problem.message, problem.cure) for problem in look(mended)]
    left = {(problem.message, problem.cure) for problem in before if problem is not told[0]}
    assert set(after) <= left, after
