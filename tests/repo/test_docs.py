# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every link of the pages leads somewhere, and the index names every page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.repository import ROOT
from tests.support.runbook import anchor

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md"))]


def prose(page: Path) -> str:
    """Return a page without its code blocks, in which `[a](b)` is no link and `#` is no heading."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file and the anchor of each link of a page to another page of ours."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" not in target:
            path, _sign, fragment = target.partition("#")
            yield (page.parent / path).resolve() if path else page, fragment


def anchors(page: Path) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = [
        f"{path}#{fragment}"
        for path, fragment in links(page)
        if not path.exists() or (fragment and fragment not in anchors(path))
    ]
    assert lost == []


def test_every_test_that_the_page_on_security_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[^`]+)`", (DOCS / "explanation" / "security.md").read_text(encoding="utf-8")))
    assert len(named) > 10
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_index_names_every_page() -> None:
    named = {path for path, _fragment in links(DOCS / "index.md")}

    assert [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page not in named] == ["index.md"]
