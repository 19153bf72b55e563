# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-builder takes the definition of the execution environment, and what its stages do works but for the image."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.playbooks import archive, controller
from tests.support.repository import ROOT


def run(*command: str, cwd: Path, **environment: str) -> str:
    """Run a command that has to succeed and return what it printed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The context of the build, as ansible-builder makes it of the definition and the archive beside it."""
    place = tmp_path_factory.mktemp("ee")
    shutil.copy(ROOT / "execution-environment.yml", place)
    shutil.copytree(ROOT / "requirements", place / "requirements")
    archive(place)
    # It checks the definition against its schema before it writes anything.
    run(str(Path(sys.prefix) / "bin" / "ansible-builder"), "create", "--output-filename", "Containerfile", cwd=place)
    return place / "context"


def test_everything_that_a_step_copies_is_in_the_context(context: Path) -> None:
    steps = (context / "Containerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (_build\S*) ", steps, re.MULTILINE)
    assert "_build/requirements/" in copied
    assert [path for path in copied if not (context / path).exists()] == []
    assert 'ANSIBLE_INSTALL_REFS="-r /output/requirements/ee.txt ansible-runner"' in steps
    assert "COPY _build/requirements/ /output/requirements/" in steps
    pinned = (context / "_build" / "requirements" / "run.txt").read_text(encoding="utf-8")
    assert pinned == (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8")


def test_the_stages_install_the_collection_from_its_archive_and_find_what_it_needs(
    context: Path, tmp_path: Path
) -> None:
    commands = controller(tmp_path / "venv")
    collections = tmp_path / "collections"
    # As the stage `galaxy` does, in the directory where it does that.
    install = ("collection", "install", "--offline", "-r", "requirements.yml", "--collections-path", str(collections))
    run(str(commands / "ansible-galaxy"), *install, cwd=context / "_build", HOME=str(tmp_path))
    # As the stage `builder` does.
    introspect = str(context / "_build" / "scripts" / "introspect.py")
    wanted = [f"--write-{kind}={tmp_path / kind}" for kind in ("pip", "bindep")]
    run(sys.executable, introspect, "introspect", *wanted, str(collections), cwd=tmp_path)
    python, system = ((tmp_path / kind).read_text(encoding="utf-8") for kind in ("pip", "bindep"))
    # PyYAML comes with ansible-core, and ansible-builder leaves it out for that.
    assert [line.split()[0] for line in python.splitlines()] == ["ruamel.yaml"]
    assert [line.partition("#")[0].strip() for line in system.splitlines()] == [
        "openssh-clients [platform:rpm]",
        "openssh-client [platform:dpkg]",
    ]
    # What the image is for.
    playbooks = [f"rollcall.supervisor.{path.stem}" for path in sorted((ROOT / "playbooks").glob("*.yml"))]
    assert "rollcall.supervisor.site" in playbooks
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "HOME": str(tmp_path)}
    run(str(commands / "ansible-playbook"), "--syntax-check", "-i", "web1,", *playbooks, cwd=tmp_path, **environment)
