# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stack's supervisord is, and says, is asked in one way, which proves whose it is: nothing goes around it."""

from __future__ import annotations

import ast

import pytest

from tests.support.repository import ROOT

ENGINE = ROOT / "plugins" / "module_utils"

# By function or class, the modules that may call it, each with the reason.
ALLOWED = {
    "Client": {
        "supervisord/client.py": "client_of gives it the stack's trust",
        "supervisord/discovery.py": "asks the supervisords of everybody, only for pid and version",
        "supervisord/life.py": "awaits the answer of its own child, whose pid it knows",
        "programs/execution.py": "a task names a socket of its own; by a root it has the stack's trust",
    },
    "supervisords_over": {
        "supervisord/running.py": "supervisords_of gives it the stack's trust",
        "supervisord/discovery.py": "tells those that only look like the stack's",
        "ports/tool.py": "of a neighbour, with the trust of its own root and user",
    },
    "read_settings": {
        "supervisord/discovery.py": "in a child with the rights of whose it is",
        "doctor/look.py": "the stack's own config",
    },
}


def callers(name: str) -> set[str]:
    """Return the modules of the engine that call a function by this name, as it is or by its module."""
    found = set()
    for path in sorted(ENGINE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _called(node.func) == name:
                found.add(str(path.relative_to(ENGINE)))
    return found


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


@pytest.mark.parametrize("name", ALLOWED)
def test_nothing_goes_around_the_proof_of_whose_a_supervisord_is(name: str) -> None:
    assert callers(name) == set(ALLOWED[name])


@pytest.mark.parametrize("text", ["Client(a)", "client.Client(a)", "with_(Client(a)).pid()"])
def test_a_way_around_is_seen_however_it_is_called(text: str) -> None:
    assert "Client" in {_called(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
