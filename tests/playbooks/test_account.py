# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account of a stack's services, on a host that has no getent."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import typing as t
from pathlib import Path

from tests.support.playbooks import BOUND, PLAYBOOK
from tests.support.repository import ROOT

ASK = ROOT / "roles" / "bootstrap" / "files" / "ask_python.py"


def all_but(directory: Path, name: str) -> Path:
    """Make a directory with every command of this machine but one."""
    directory.mkdir()
    for place in ("/usr/bin", "/bin"):
        for entry in os.scandir(place):
            if entry.name != name and not (directory / entry.name).is_symlink():
                (directory / entry.name).symlink_to(entry.path)
    return directory


def make(tmp_path: Path, user: str) -> t.List[str]:
    """Play the role's tasks for an account in check mode; return those that would change something."""
    stack = {"name": "shop", "user": user, "root": str(tmp_path / "shop")}
    task = {
        "ansible.builtin.include_role": {"name": "rollcall.supervisor.bootstrap", "tasks_from": "account"},
        "vars": {"__bootstrap_stack": stack, "__bootstrap_python": {"stdout": "shell /usr/bin/false\r\n"}},
    }
    playbook = tmp_path / "play.json"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    interpreter = f"ansible_python_interpreter={sys.executable}"
    done = subprocess.run(
        [str(PLAYBOOK), "--check", "-i", "localhost,", "-c", "local", "-e", interpreter, str(playbook)],
        cwd=ROOT,
        env={**os.environ, "PATH": str(all_but(tmp_path / "bin", "getent"))},
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("changed:")]


def test_an_account_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    name = pwd.getpwuid(os.getuid()).pw_name
    said = make(tmp_path, name)
    assert said == []


def test_an_account_that_is_not_there_is_made(tmp_path: Path) -> None:
    said = make(tmp_path, "rollcall-nobody-yet")
    assert said == ["changed: 2/12 User and directories | Make the account"]


def test_the_shell_of_an_account_is_one_that_the_host_has() -> None:
    command = [sys.executable, "-c", ASK.read_text(encoding="utf-8"), "", "/opt/shop"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    (shell,) = [line.removeprefix("shell ") for line in said.splitlines() if line.startswith("shell ")]
    assert os.access(shell, os.X_OK)
