# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/reference/faults.md lists the faults; tests say by a marker which of them they are for. Both agree."""

from __future__ import annotations

import ast
import functools
import re

import pytest

from tests.support.repository import ROOT

PAGE = ROOT / "docs" / "reference" / "faults.md"


def listed() -> list[int]:
    """Return the numbers of the faults on the page, in its order."""
    return [int(number) for number in re.findall(r"^(\d+)\. \*\*", PAGE.read_text(encoding="utf-8"), re.MULTILINE)]


@functools.cache
def marked() -> set[int]:
    """Return the numbers in the markers ``pytest.mark.fault(NUMBER)`` of all tests."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text, str(path))) if "mark.fault" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                found.add(ast.literal_eval(node.args[0]))
    return found


def test_no_fault_is_listed_twice_and_all_are_in_order() -> None:
    assert listed() == sorted(set(listed()))


def test_every_listed_fault_has_a_test() -> None:
    assert set(listed()) - marked() == set()


def test_every_marker_is_for_a_listed_fault() -> None:
    assert marked() - set(listed()) == set()


def test_every_marker_says_what_it_is_for(pytestconfig: pytest.Config) -> None:
    # Each is "name: sentence"; --strict-markers refuses any other.
    assert all(line.partition(":")[2].strip() for line in pytestconfig.getini("markers"))
