# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the pages: each is shown, is small, fetches nothing, and names no machine that it was made on."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.repository import ROOT
from tests.support.shown_commands import PAGES
from tests.tools.diagrams import diagrams

IMAGES = sorted((ROOT / "docs" / "images").iterdir())
SMALL = 150_000
# The directories in which what is shown lies: a user's own, and that of a host's programs.
LIES = {"home", "usr"}


def test_every_picture_is_shown_by_a_page() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)]+\.(?:png|svg))\)", page.read_text(encoding="utf-8"))
    }
    drawn = {ROOT / path for path in diagrams()}

    assert {path.resolve() for path in IMAGES} == shown | drawn, "run: make diagrams, or make recordings"


@pytest.mark.parametrize("path", [path for path in IMAGES if path.suffix == ".png"], ids=lambda path: path.name)
def test_a_photo_is_small_and_is_what_its_name_says(path: Path) -> None:
    held = path.read_bytes()

    assert len(held) < SMALL
    assert held.startswith(b"\x89PNG\r\n\x1a\n")
    assert b"tEXt" not in held, "what a program writes beside a picture may tell where it was made"


@pytest.mark.parametrize("path", [path for path in IMAGES if path.suffix == ".svg"], ids=lambda path: path.name)
def test_a_picture_is_small_and_whole_and_says_nothing_of_where_it_was_made(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert len(text) < SMALL
    ElementTree.fromstring(text)
    assert re.findall(r"(?:src|href)=\S+|url\((?!#)[^)]*\)|@import", text.replace('xlink:href="#', "")) == []
    assert re.findall(r"/tmp/|/root/|/dev/shm", text) == []
    assert set(re.findall(r"(?<![\w.:/<])/([A-Za-z][\w-]*)/", text)) <= LIES
