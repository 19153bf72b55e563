# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are removed in one place, base/removing.py, which stops at mounts and follows no link."""

from __future__ import annotations

import ast
import re
import typing as t

from tests.support.repository import ROOT

CALLS = {
    ("shutil", "rmtree"),
    *(("os", name) for name in ("unlink", "remove", "rmdir", "removedirs")),
    *(("Path", name) for name in ("unlink", "rmdir")),
}
# Where else, and why.
ALLOWED: t.Mapping[str, str] = {
    "plugins/module_utils/base/removing.py": "it is the place",
    "plugins/module_utils/base/files.py": "the temporary file that this very call has made with O_EXCL",
}
# Tasks that remove a path, and why a module of Ansible may.
TASKS: t.Mapping[str, str] = {
    "roles/drain/tasks/by_file.yml": "one file, whose own words say that this role has written it",
    "roles/bootstrap/tasks/failed.yml": "an account: user(8)",
    "playbooks/remove.yml": "an account: user(8)",
    "roles/monitor/tasks/absent.yml": "a unit, a setting and a record, files by their full names; an environment",
    "roles/monitor/tasks/present.yml": "an environment in a directory of whoever installs, as all above it",
    "roles/monitor/tasks/needrestart.yml": "one file of root's, by its full name",
    "roles/services/tasks/boot_timers.yml": "units of systemd, files by their full names",
    "roles/services/tasks/boot_remove.yml": "the unit of systemd and its link, files by their full names",
}
SHELL = re.compile(r"(?:^|[\s;&|\"'\[])(?:rm|rmdir|unlink|shred)\s+(?:-|/|\"?\{\{)")


def test_nothing_else_in_the_code_removes() -> None:
    found = set()
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), name)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else "Path"
            if (owner, node.func.attr) in CALLS or node.func.attr in ("rmtree", "unlink", "rmdir"):
                found.add(name)
    assert found == set(ALLOWED)


def test_no_task_removes_but_those_that_are_known() -> None:
    found = set()
    for place in ("roles", "playbooks"):
        for path in sorted((ROOT / place).rglob("*.y*ml")):
            text = path.read_text(encoding="utf-8")
            if "/meta/" in str(path):
                continue
            if re.search(r"state:\s*[\"']?absent", text) or SHELL.search(re.sub(r"#.*", "", text)):
                found.add(str(path.relative_to(ROOT)))
    assert found == set(TASKS)


def test_the_scripts_of_the_collection_remove_nothing() -> None:
    for path in [ROOT / "restart", *(ROOT / "roles").rglob("files/*")]:
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not SHELL.search(re.sub(r"#.*", "", text)), path
