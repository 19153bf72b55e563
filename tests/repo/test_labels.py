# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On SELinux a file that is moved keeps the label of its origin: what the host gets is made where it is to be."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

import pytest

from tests.support.repository import ENGINE, ROOT

MAKERS = {"mkdtemp", "mkstemp", "NamedTemporaryFile", "TemporaryDirectory"}
# What is made for a program to read, and thrown away.
THROWN_AWAY = {"module_utils/balancer/edge.py"}
FILES = sorted([*ENGINE.rglob("*.py"), *(ROOT / "plugins" / "modules").glob("*.py")])


def calls(path: Path) -> t.Iterator[t.Tuple[str, ast.Call]]:
    """Return every call in a file with the last part of the name of what is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Attribute, ast.Name)):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id, node


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "plugins")))
def test_nothing_is_made_elsewhere_and_moved_into_place(path: Path) -> None:
    for name, call in calls(path):
        if name in MAKERS and str(path.relative_to(ROOT / "plugins")) not in THROWN_AWAY:
            assert any(keyword.arg == "dir" for keyword in call.keywords), f"line {call.lineno}: in which directory?"
        moves = name == "move" and isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "shutil"
        assert not moves, f"line {call.lineno}: shutil.move keeps the label of another directory"
