# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/tutorial/first-stack.md is gone through: its files written, its commands typed, its output compared."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.support import runbook
from tests.support.playbooks import controller, prepare
from tests.support.processes import free_port
from tests.support.repository import ROOT
from tests.support.runbook import Operator
from tests.support.stacks import StackUnderTest

pytestmark = pytest.mark.usefixtures("bystander")

PAGE = (ROOT / "docs" / "tutorial" / "first-stack.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^<!-- file: ([^\n]+) -->\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture
def project() -> t.Iterator[Path]:
    # Short: the path of supervisord's socket is below it.
    name = tempfile.mkdtemp(prefix="rc-")
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name)


def write_files(project: Path, ports: t.Mapping[str, str]) -> None:
    """Write the page's files, with ports that are free here."""
    for name, shown in FILES.items():
        # Ports that the kernel has free are outside of the range that a manifest has by itself.
        real = shown.replace("  name: hello\n", "  name: hello\n  ports: {range: [1024, 65535]}\n")
        for port, other in ports.items():
            real = real.replace(port, other)
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(real, encoding="utf-8")


def host_prepared_for(project: Path) -> StackUnderTest:
    """Prepare the host as the first run would, without a package index."""
    text = (project / "group_vars" / "all.yml").read_text(encoding="utf-8").replace("{{ inventory_dir }}", str(project))
    raw = yaml.safe_load(text)["rollcall_stack"]
    made = StackUnderTest(raw["root"], {})
    made.raw = raw
    prepare(made)
    return made


def test_who_types_the_page_sees_what_it_shows(project: Path, tmp_path: Path) -> None:
    commands = controller(tmp_path / "venv")
    # That the archive installs is tested with the host that pulls.
    collections = project / "collections" / "ansible_collections" / "rollcall"
    collections.mkdir(parents=True)
    (collections / "supervisor").symlink_to(ROOT)
    ports = {"8000": str(free_port()), "8001": str(free_port())}
    write_files(project, ports)
    made = host_prepared_for(project)
    operator = Operator(ports, commands, project)
    try:
        # The first section makes the project, from the package index.
        for heading, blocks in list(runbook.entries(PAGE).items())[1:]:
            for block in blocks:
                assert block.shown, f"the page shows nothing of {heading}: {block.commands}"
                operator.follow(block)
        # The program of the services of the tests, which the test has put there.
        assert os.listdir(made.root) == ["python"]
    finally:
        made.end()
