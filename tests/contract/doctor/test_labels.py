# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels of SELinux: what systemd executes has the one of the policy, or the doctor tells it."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor import labels
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor.diagnosis import KINDS
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor.facts import HostFacts
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor.findings import Finding
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Paths
from tests.support import selinux


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A stack's directory with what starts it; its Python is the system's own."""
    command = tmp_path / "shop" / "bin" / "rollcall"
    command.parent.mkdir(parents=True)
    command.touch()
    python = tmp_path / "shop" / "engine" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/usr/bin/env")
    return tmp_path / "shop"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> selinux.SELinux:
    made = selinux.play(tmp_path)
    monkeypatch.setattr(labels, "ENFORCE", str(made.enforce))
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    return made


def findings(root: Path) -> t.List[Finding]:
    facts = HostFacts("shop", str(root), Paths.of(str(root)), mislabelled=labels.mislabelled(str(root)))
    return list(KINDS["mislabelled"].findings(facts))


def test_a_file_with_another_label_is_told_and_the_cure_gives_it_its_own(root: Path, host: selinux.SELinux) -> None:
    command = root / "bin" / "rollcall"
    (finding,) = findings(root)
    assert (finding.subject, finding.remedy) == (str(command), f"restorecon -v {command}")
    assert not host.is_right(command)

    subprocess.run(finding.remedy, shell=True, check=True, timeout=60, stdout=subprocess.DEVNULL)

    assert host.is_right(command)
    assert findings(root) == []


def test_a_python_of_the_stacks_own_is_looked_at_as_well(root: Path, host: selinux.SELinux) -> None:
    python = root / "engine" / "venv" / "bin" / "python"
    python.unlink()
    python.touch()
    assert [finding.subject for finding in findings(root)] == [str(root / "bin" / "rollcall"), str(python)]
    assert not any("-R" in call or "-n" not in call for call in host.calls())


@pytest.mark.parametrize("said", ["0", None])
def test_where_nothing_is_enforced_nothing_is_asked(root: Path, host: selinux.SELinux, said: t.Optional[str]) -> None:
    host.enforce.unlink()
    if said is not None:
        host.enforce.write_text(said, encoding="ascii")
    assert findings(root) == []
    assert host.calls() == []
