# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of its stack before anything is done, asked of a real shell."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.rollcall.supervisor.plugins.plugin_utils import hosts
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.hosts import Found


def ask(root: Path, before: str = "") -> Found:
    """Look at a directory of this machine, by a shell that says something of its own before."""

    def execute(command: str) -> dict[str, Any]:
        # As Ansible does, which adds a command of its own.
        script = f"echo '{before}'; ({command} && sleep 0)"
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

    return hosts.look(SimpleNamespace(_low_level_execute_command=execute), str(root))


def engine(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / "engine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_a_host_without_the_directory_has_nothing(tmp_path: Path) -> None:
    assert ask(tmp_path / "none") == Found()


def test_what_is_in_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "my app").mkdir()
    (tmp_path / ".env").touch()
    assert ask(tmp_path, before="Welcome to web1") == Found(names=(".env", "my app"))


def test_every_name_is_named_as_it_is(tmp_path: Path) -> None:
    names = [
        "two\nlines",
        " blank ",
        "tab\there",
        "café",
        "-rf",
        "found 2e",
        *(f"file {number}" for number in range(40)),
    ]
    for name in names:
        (tmp_path / name).touch()
    assert ask(tmp_path) == Found(names=tuple(sorted(names)))


def test_a_prepared_host_says_its_version_and_its_fingerprint(tmp_path: Path) -> None:
    engine(tmp_path, {"version": "0.3.0\n", "prepared": "abc123"})
    assert ask(tmp_path) == Found("0.3.0", "abc123", ("engine",))


def test_an_engine_from_before_the_file_of_its_version_is_known_by_its_module(tmp_path: Path) -> None:
    engine(tmp_path, {"rollcall/version.py": '"""Doc."""\n\nVERSION = "0.1.0"\n', "prepared": "abc123"})
    assert ask(tmp_path).version == "0.1.0"


def test_a_path_with_a_quote_is_one_path(tmp_path: Path) -> None:
    root = tmp_path / "it's mine"
    engine(root, {"version": "0.3.0\n"})
    assert ask(root).version == "0.3.0"


def test_a_host_that_cannot_be_asked_is_not_taken_for_one_without_an_engine() -> None:
    silent = SimpleNamespace(
        _low_level_execute_command=lambda _command: {"rc": 127, "stdout": "", "stderr": "sh: no such file"}
    )
    with pytest.raises(AnsibleActionFail, match="could not be looked at: sh: no such file"):
        hosts.look(silent, "/opt/app")
