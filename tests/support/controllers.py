# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible as a stranger has it: without this collection, which comes from the archive that is built of it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.support.repository import ROOT

COMMANDS = {"ansible": "adhoc", "ansible-galaxy": "galaxy", "ansible-playbook": "playbook", "ansible-pull": "pull"}


def archive(directory: Path) -> Path:
    """Build the collection and return its archive, in ``directory``."""
    galaxy = os.path.join(sys.prefix, "bin", "ansible-galaxy")
    command = [galaxy, "collection", "build", "--output-path", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (built,) = directory.glob("rollcall-supervisor-*.tar.gz")
    return built


def controller(directory: Path) -> Path:
    """Make a virtual environment with Ansible and no collection, and return its directory of commands.

    Its packages are links to those of the environment that runs the tests: nothing is fetched.
    """
    venv.create(directory, with_pip=False, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(directory)}))
    for entry in os.scandir(sysconfig.get_path("purelib")):
        # A *.pth adds directories to the path, and one of them may lead to the collection.
        if entry.name != "ansible_collections" and not entry.name.endswith(".pth"):
            (packages / entry.name).symlink_to(entry.path)
    commands = directory / "bin"
    for name, module in COMMANDS.items():
        path = commands / name
        path.write_text(f"#!{commands / 'python'}\nfrom ansible.cli.{module} import main\n\nmain()\n", encoding="utf-8")
        path.chmod(0o755)
    return commands
