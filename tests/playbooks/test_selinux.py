# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role installs has the labels of SELinux's policy, where SELinux is on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.support import selinux
from tests.support.playbooks import BOUND, PLAYBOOK
from tests.support.repository import ROOT

CHANGED = ["changed: 3/12 Dependencies | Give them the labels of SELinux's policy"]


def label(tmp_path: Path, host: selinux.SELinux) -> t.List[str]:
    """Play the role's task for labels; return what it has changed."""
    task = {
        "ansible.builtin.include_role": {"name": "rollcall.supervisor.bootstrap", "tasks_from": "labels"},
        "vars": {"__bootstrap_stack": {"root": str(tmp_path / "shop")}},
    }
    playbook = tmp_path / "play.json"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    known = {"ansible_python_interpreter": sys.executable, "__bootstrap_selinux": str(host.enforce)}
    done = subprocess.run(
        [str(PLAYBOOK), "-i", "localhost,", "-c", "local", "-e", json.dumps(known), str(playbook)],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{host.bin}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("changed:")]


@pytest.fixture
def host(tmp_path: Path) -> selinux.SELinux:
    for place in ("bin", "engine"):
        (tmp_path / "shop" / place).mkdir(parents=True)
        (tmp_path / "shop" / place / "rollcall").touch()
    return selinux.play(tmp_path)


def test_what_was_installed_gets_its_labels_once(tmp_path: Path, host: selinux.SELinux) -> None:
    assert label(tmp_path, host) == CHANGED
    assert host.is_right(tmp_path / "shop" / "bin" / "rollcall")
    assert host.is_right(tmp_path / "shop" / "engine" / "rollcall")
    assert label(tmp_path, host) == []


def test_without_selinux_nothing_is_called(tmp_path: Path, host: selinux.SELinux) -> None:
    host.enforce.unlink()
    assert label(tmp_path, host) == []
    assert host.calls() == []
