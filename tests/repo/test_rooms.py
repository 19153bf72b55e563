# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's rooms: imports point down only, no room is too large, and a bare host can import all of it."""

from __future__ import annotations

import ast
import collections
from pathlib import Path

import pytest

from tests.support.repository import ENGINE, ROOT

# The packages from the ground up. A module imports from its own package and from those before it.
ROOMS = (
    *("base", "balancer", "manifest", "importing", "host", "supervisord", "state", "ports", "probes", "verdict"),
    *("run", "doctor", "releases", "programs", "show", "page", "watch", "cli"),
)

# Not on every controller, nor in the Python a host starts with.
LATE = {"pg8000", "psutil", "ruamel", "supervisor", "yaml"}

LINES_OF_A_FILE = 600
LINES_OF_A_FUNCTION = 50

MODULES = {str(path.relative_to(ENGINE)): path for path in sorted(ENGINE.rglob("*.py")) if path.stem != "__init__"}
TREES = {name: ast.parse(path.read_text(encoding="utf-8"), name) for name, path in MODULES.items()}


def engine_imports(name: str) -> set[str]:
    """Return the modules of the engine that a module imports, anywhere in it, as paths like those of ``MODULES``."""
    found: set[str] = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = Path(name).parents[node.level - 1] / (node.module or "").replace(".", "/")
            if f"{above}.py" in MODULES:
                found.add(f"{above}.py")
            else:
                found.update(str(above / f"{alias.name}.py") for alias in node.names)
    return found


def outer_imports(nodes: list[ast.AST]) -> set[str]:
    """Return the top-level packages imported absolutely by ``nodes``."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def rank(name: str) -> int:
    """Return which room a module is in, counted from the ground; what stands outside of the rooms runs alone."""
    room = Path(name).parent.name
    return ROOMS.index(room) if room else -1


def test_every_package_is_a_room() -> None:
    assert {path.parent.name for path in ENGINE.glob("*/*.py")} == set(ROOMS)
    assert [name for name in MODULES if "/" not in name] == ["launcher.py"]


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name: str) -> None:
    imported = engine_imports(name)
    assert imported <= set(MODULES), f"{name} imports what is not there: {imported - set(MODULES)}"
    upwards = {other for other in imported if rank(other) > rank(name)}
    assert not upwards, f"{name} imports {upwards} from above it"


def test_nothing_of_the_engine_imports_the_launcher() -> None:
    """An older collection puts its own there, and looks must go on."""
    assert [name for name in MODULES if "launcher.py" in engine_imports(name)] == []


def test_no_two_modules_need_each_other() -> None:
    needs = {name: engine_imports(name) for name in MODULES}
    done: set[str] = set()
    while len(done) < len(needs):
        ready = {name for name, needed in needs.items() if name not in done and needed <= done}
        assert ready, f"these import each other in a circle: {sorted(set(needs) - done)}"
        done |= ready


@pytest.mark.parametrize("name", MODULES)
def test_the_engine_knows_nothing_of_ansible(name: str) -> None:
    assert not {"ansible", "ansible_collections"} & outer_imports(list(ast.walk(TREES[name])))


@pytest.mark.parametrize("name", MODULES)
def test_packages_that_may_be_missing_are_imported_late(name: str) -> None:
    assert not LATE & outer_imports(list(ast.iter_child_nodes(TREES[name])))


def test_no_file_is_too_large_to_be_seen_at_once() -> None:
    large = {name for name, path in MODULES.items() if len(path.read_text().splitlines()) > LINES_OF_A_FILE}
    assert not large


def test_every_function_fits_a_screen() -> None:
    long = {
        f"{name}:{node.name}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > LINES_OF_A_FUNCTION
    }
    assert not long


# One of them is of config_reader.py, which runs alone on the host. No other name may join.


def test_no_two_classes_have_one_name() -> None:
    classes = [node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    ambiguous = {name for name, count in collections.Counter(classes).items() if count > 1}
    assert ambiguous == set()


@pytest.mark.parametrize("kind", ["unit", "contract"])
def test_the_tests_lie_as_the_rooms_do(kind: str) -> None:
    folders = {path.parent.name for path in (ROOT / "tests" / kind).glob("*/*.py")}
    # What others write comes to readers in many rooms.
    assert folders <= {*ROOMS, "plugins", "tools", "hostile"}
