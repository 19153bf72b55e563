# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One word for one thing: words that the glossary has given up do not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.repository import ROOT, tracked

GLOSSARY = (ROOT / "docs" / "reference" / "glossary.md").read_text(encoding="utf-8")

# What is not written, the word that is written instead, and where the other word means something else.
FORBIDDEN = {
    "marker": (r"\bmarkers?\b", "label", r"pytest|A test says by a marker|details-marker"),
    "release of a lock": (r"\b[lL]ock\w*\.release\(|\breleases? the lock\b", "unlock", r"^$"),
    "a lock that is held": (r"\bholds? the lock\b|\block is held\b|\bholder of the lock\b", "locked by", r"^$"),
    "a verdict that holds": (
        r"\bverdicts?\b[^.]{0,40}\b(held|holds?)\b|\bconditions? (\w+ ){0,4}(held|holds?)\b|\b(ever|never) held\b",
        "OK, passed or verified",
        r"[Ww]hen the verdict d(oes|id) not hold",  # in templates of units: another text there installs them again
    ),
    "a budget that is spent": (r"\bbudget\W+is spent\b", "used up", r"^$"),
    "who holds a port": (
        r"\b(hold|holds|held|holding) (a|the|one of the|its|that|this|which|each|every|no) ports?\b|\bwho holds\b",
        "taken, or has taken",
        r"A foreign process holds the port|who holds (\d+ ports|a port)|see who holds",  # a fault, benchmarks, sockets
    ),
    "a port that is held": (r"\bports? \S+ is held\b|\bis held by\b", "taken", r"pidfd|service is held by it"),
}

# What is no text, or is for programs.
NO_PROSE = (".json", ".svg", ".png")


def texts() -> list[Path]:
    """Return what people read: the engine, the plugins, roles, playbooks and pages; not what lists past changes."""
    places = ("plugins", "roles", "playbooks", "docs")
    found = [path for path in tracked() if path.relative_to(ROOT).parts[0] in places and path.suffix not in NO_PROSE]
    return [*found, ROOT / "restart", ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def test_pages_say_supervisord_and_not_daemon() -> None:
    meant = re.compile(r"daemon-reload|daemonize|a daemon has left its session|a daemon's path")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        if path.suffix == ".md"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"\b[dD]aemons?\b", line) and not meant.search(line)
    ]

    assert found == []


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_word_that_was_given_up_does_not_come_back(what: str) -> None:
    pattern, instead, meant = FORBIDDEN[what]
    found = [
        f"{path.relative_to(ROOT)}:{number}: write '{instead}': {line.strip()}"
        for path in texts()
        if path.name != "glossary.md"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line) and not re.search(meant, line)
    ]

    assert found == []


def test_every_word_of_the_glossary_is_there_once_with_what_it_is() -> None:
    rows = [line.strip("|").split("|") for line in GLOSSARY.splitlines() if re.match(r"\| (?!word |-)", line)]
    words = [row[0].strip() for row in rows if not row[0].startswith("---")]

    assert len(words) > 40
    assert sorted(set(words)) == sorted(words)
    assert [row for row in rows if len(row) != 3 or not row[1].strip()] == []
