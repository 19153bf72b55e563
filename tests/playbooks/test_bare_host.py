# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose Python is missing, too old, or lacks a part: one clear sentence, or it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.support.repository import ROOT

PLAYBOOK = Path(sys.prefix) / "bin" / "ansible-playbook"


def program(path: Path, text: str) -> Path:
    """Make a shell script that stands for a program of the host."""
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def site(
    tmp_path: Path, *arguments: str, playbook: str = "site.yml", **variables: t.Any
) -> subprocess.CompletedProcess[str]:
    """Install on this machine, which first looks in ``tmp_path/bin`` for every program."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "bootstrap_on_path": False,
        "services_boot": "none",
        "rollcall_stack": {"name": "bare", "root": f"{tmp_path}/bare", "services": {"web": {"command": ["/bin/true"]}}},
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"here": {**known, **variables}}}}), encoding="utf-8")
    return subprocess.run(
        [str(PLAYBOOK), playbook, "-i", str(inventory), *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def refused(tmp_path: Path, done: subprocess.CompletedProcess[str]) -> str:
    """Return what a run said that failed before it touched the host, white space and its layout left out."""
    assert done.returncode == 2
    assert not (tmp_path / "bare").exists()
    return " ".join(done.stdout.split())


@pytest.mark.fault(46)
def test_a_host_without_python_is_told_in_one_sentence(tmp_path: Path) -> None:
    said = refused(tmp_path, site(tmp_path, bootstrap_python="python3.0"))
    assert "There is no python3.0 on here. Install Python 3.9 or later there" in said
    assert "bootstrap_install_python=true" in said


LOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Look
      rollcall.supervisor.port_info:
        ports: [8001]
"""


def test_a_python_of_ansible_that_does_not_run_is_told_with_the_variable_that_names_another(tmp_path: Path) -> None:
    """As a shim of pyenv for a version that is not there: it is found, and ends with 127."""
    shim = program(tmp_path / "shim", "echo 'pyenv: python3: command not found' >&2; exit 127")
    playbook = tmp_path / "look.yml"
    playbook.write_text(LOOK, encoding="utf-8")
    said = refused(tmp_path, site(tmp_path, playbook=str(playbook), ansible_python_interpreter=str(shim)))
    assert "task 'Look': the module did not run: pyenv: python3: command not found" in said
    advice = "next: give here in the inventory ansible_python_interpreter: /usr/bin/python3, or another Python"
    assert f"{advice} that runs there, then run: the same playbook again" in said
    assert site(tmp_path, playbook=str(playbook), ansible_python_interpreter=sys.executable).returncode == 0


def test_check_mode_says_that_it_cannot_see_further(tmp_path: Path) -> None:
    said = refused(tmp_path, site(tmp_path, "--check", bootstrap_python="python3.0", bootstrap_install_python=True))
    assert "It would be installed" in said


@pytest.mark.fault(46)
def test_a_python_that_is_too_old_is_told_in_one_sentence(tmp_path: Path) -> None:
    old = program(tmp_path / "old", "echo rollcall 0 False True True")
    assert f"{old} on here is older than 3.9" in refused(tmp_path, site(tmp_path, bootstrap_python=str(old)))


@pytest.mark.fault(46)
def test_without_root_what_is_missing_is_named(tmp_path: Path) -> None:
    bare = program(tmp_path / "bare-python", "echo rollcall 1000 True False True")
    said = refused(tmp_path, site(tmp_path, bootstrap_python=str(bare)))
    assert "cannot make virtual environments, and only root can install what does: python3-venv" in said


@pytest.mark.fault(46)
def test_python_is_installed_when_that_is_allowed(tmp_path: Path, quick_python: str) -> None:
    (tmp_path / "bin").mkdir()
    wanted = tmp_path / "bin" / "python3.0"
    program(tmp_path / "bin" / "apt-get", f'echo "$@" >> {tmp_path}/asked; ln -sf {quick_python} {wanted}')
    # What comes after that is another test's: there is no wheel of anything.
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "notes.txt").touch()
    done = site(
        tmp_path,
        bootstrap_python="python3.0",
        bootstrap_install_python=True,
        bootstrap_wheels=f"{tmp_path}/wheels",
    )
    assert (tmp_path / "asked").read_text(encoding="utf-8").splitlines() == [
        "-q update",
        "-q -y --no-install-recommends install python3 python3-venv",
    ]
    assert "There is no python3.0" not in done.stdout, done.stdout
    assert (tmp_path / "bare" / "engine" / "venv" / "bin" / "python").exists(), done.stdout


@pytest.mark.fault(46)
def test_a_failed_installation_says_what_the_package_manager_said(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin" / "apt-get", "echo 'Reading lists'; echo 'E: no route to the mirror' >&2; exit 100")
    said = refused(tmp_path, site(tmp_path, bootstrap_python="python3.0", bootstrap_install_python=True))
    assert "python3.0 could not be installed on here: E: no route to the mirror" in said
