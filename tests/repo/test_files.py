# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file has its licence and no path of a machine; the engine's files say that they are private."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import yaml

from tests.support.repository import ROOT, tracked

LICENCE = (
    "# Copyright (c) 2026, the Rollcall authors",
    "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "# SPDX-License-Identifier: GPL-3.0-or-later",
)


def is_code(path: Path) -> bool:
    """Whether ``path`` is a program or a part of one."""
    return path.suffix in (".py", ".sh") or path.read_bytes()[:2] == b"#!"


def head(path: Path) -> list[str]:
    """Return the first lines of a file, after its interpreter's line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return lines[1:4] if lines and lines[0].startswith("#!") else lines[:3]


def test_all_code_says_its_licence() -> None:
    # Ansible wants the packages of module_utils to have nothing in their __init__.py.
    code = [
        path for path in tracked() if is_code(path) and not (path.name == "__init__.py" and not path.stat().st_size)
    ]
    without = [str(path.relative_to(ROOT)) for path in code if tuple(head(path)) != LICENCE]
    assert without == []


def test_private_modules_say_so() -> None:
    for path in (ROOT / "plugins" / "module_utils").rglob("*.py"):
        if path.name == "__init__.py":
            assert path.stat().st_size == 0
            continue
        assert "# Private to this collection: may change in any release." in path.read_text(encoding="utf-8"), path.name


def test_no_file_knows_this_machine() -> None:
    # The path of the checkout, and that of the interpreter when it is in a home directory.
    places = {str(ROOT), *(prefix for prefix in (sys.base_prefix,) if prefix.startswith(str(Path.home())))}
    guilty = [
        (str(path.relative_to(ROOT)), place)
        for path in tracked()
        for place in places
        if place.encode() in path.read_bytes()
    ]
    assert guilty == []


def test_nothing_is_left_to_do() -> None:
    # Put together here, so that the test does not find this line.
    words = ["TO" + "DO", "FIX" + "ME"]
    guilty = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if is_code(path) or path.suffix in (".yml", ".j2")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if any(word in line for word in words)
    ]
    assert guilty == []


def test_every_changelog_fragment_can_be_read() -> None:
    # A colon within a sentence makes a key of what is before it.
    for path in sorted((ROOT / "changelogs/fragments").glob("*.yml")):
        kinds = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert all(isinstance(entry, str) for entries in kinds.values() for entry in entries), path


def test_plugins_raise_errors_and_assert_nothing() -> None:
    # Python leaves asserts out when it is told to; ansible-test refuses them.
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "plugins").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_what_has_documentation_assigns_one_name_at_a_time() -> None:
    # ansible-doc warns of a tuple of names, and ansible-test takes a warning for an error.
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for place in ("modules", "action", "filter", "callback")
        for path in sorted((ROOT / "plugins" / place).glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Tuple) for target in node.targets)
    ]
    assert found == []
