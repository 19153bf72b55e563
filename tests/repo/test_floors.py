# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's floors: imports point down only, and what a bare host lacks is not needed to import anything."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.repository import ENGINE

# From the ground up. A module may import from its own floor and from those below it.
FLOORS: dict[str, int] = {
    name: floor
    for floor, names in enumerate(
        (
            "clock database_urls errors files text import_draft import_pm2 import_supervisord manifest manifest_check "
            "manifest_file manifest_import manifest_layout manifest_legacy manifest_values version",
            "accounts archives budget commands config config_reader credentials daemons databases health journal "
            "launcher leases manifest_edit processes registry release_store request sockets supervisor wire",
            "assign diagnosis plan program_plan provenance release_plan report steps verdict",
            "boot bringup dispatch doctor drift flush history limits ports preflight programs release_code releases "
            "removal restart run_limits fitness status takedown venvs verify worker",
            "ask cli cli_doctor cli_manifest cli_ports console",
        )
    )
    for name in names.split()
}

# Not on every controller, nor in the Python a host starts with.
LATE = {"pg8000", "psutil", "ruamel", "supervisor", "yaml"}

MODULES = sorted(path for path in ENGINE.glob("*.py") if path.stem != "__init__")


def engine_imports(tree: ast.AST) -> set[str]:
    """Return the names of the engine's modules that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found.update([node.module.partition(".")[0]] if node.module else [alias.name for alias in node.names])
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


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def test_the_table_of_floors_knows_every_module() -> None:
    assert {path.stem for path in MODULES} == set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_point_down(path: Path) -> None:
    upwards = {name for name in engine_imports(parse(path)) if FLOORS[name] > FLOORS[path.stem]}
    assert not upwards, f"{path.stem} (floor {FLOORS[path.stem]}) imports {upwards} from above it"


def test_no_two_modules_need_each_other() -> None:
    needs = {path.stem: engine_imports(parse(path)) for path in MODULES}
    done: set[str] = set()
    while len(done) < len(needs):
        ready = {name for name, needed in needs.items() if name not in done and needed <= done}
        assert ready, f"these import each other in a circle: {sorted(set(needs) - done)}"
        done |= ready


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_engine_knows_nothing_of_ansible(path: Path) -> None:
    assert not {"ansible", "ansible_collections"} & outer_imports(list(ast.walk(parse(path))))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_packages_that_may_be_missing_are_imported_late(path: Path) -> None:
    assert not LATE & outer_imports(list(ast.iter_child_nodes(parse(path))))
