# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CONTRIBUTING tells the truth: every path that it names is there, and its picture shows what the rooms import."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tests.repo.test_rooms import MODULES, ROOMS, engine_imports
from tests.support.repository import ENGINE, ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PICTURE = PAGE.partition("```mermaid\n")[2].partition("```")[0]

Arrows = Mapping[str, set[str]]


def closure(arrows: Arrows) -> dict[str, set[str]]:
    """Return what can be reached from each room."""
    reached: dict[str, set[str]] = {}
    for room in ROOMS:
        direct = arrows.get(room, set())
        reached[room] = direct.union(*(reached[below] for below in direct))
    return reached


def arrows(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for room, below in pairs:
        if room in ROOMS and below in ROOMS and room != below:
            found.setdefault(room, set()).add(below)
    return found


def test_every_path_exists() -> None:
    named = re.findall(r"`([\w.-]+/[\w./-]*|[\w-]+\.(?:py|md|sh|yml))`", PAGE)
    elsewhere = (".venv/", "~/", "ROOT/")
    lost = [
        path
        for path in named
        if not path.startswith(elsewhere) and not (ROOT / path).exists() and not (ENGINE / path).exists()
    ]

    assert len(named) > 50
    assert lost == []


def test_the_picture_shows_every_room_and_what_it_imports() -> None:
    drawn = arrows(re.findall(r"^ +(\w+) --> (\w+)$", PICTURE, re.MULTILINE))
    real = arrows((name.split("/")[0], other.split("/")[0]) for name in MODULES for other in engine_imports(name))

    assert re.findall(r'^    (\w+)\["\1<br/>', PICTURE, re.MULTILINE) == list(reversed(ROOMS))
    assert closure(drawn) == closure(real)
