# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workflows for a public host of code: read by actionlint, each action pinned, each command one that is here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

import noxfile
from tests.support.repository import ROOT
from tests.tools import stages

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_actionlint_finds_nothing() -> None:
    program = Path(sys.prefix) / "bin" / "actionlint"
    done = subprocess.run(
        [program, "-no-color", *WORKFLOWS], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_they_do_what_a_developer_does_with_actions_that_nobody_can_exchange() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    called: set[str] = set()
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            for step in job["steps"]:
                if "uses" in step:
                    assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), path.name
                elif not step["run"].startswith("apt-get "):
                    called.add(step["run"].split(" PYTHON=")[0].split(" OUTPUT=")[0])
    assert called == {"make check", ".ci/run", "make release", "make versions"}
    assert {command.removeprefix("make ") for command in called if command.startswith("make ")} <= set(targets)
    assert "exec make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_matrix_of_the_workflow_is_the_one_of_nox() -> None:
    text = (ROOT / ".github" / "workflows" / "versions.yml").read_text(encoding="utf-8")
    matrix = yaml.safe_load(text)["jobs"]["pair"]["strategy"]["matrix"]
    pairs = [(core, python) for core in matrix["core"] for python in matrix["python"]]
    pairs += [(more["core"], more["python"]) for more in matrix["include"]]
    assert sorted(pairs) == sorted((core, python) for core, pythons in noxfile.CORES.items() for python in pythons)
    assert all((ROOT / "requirements" / f"core-{core}.txt").exists() for core in noxfile.CORES)
    assert {f"core-{core}-{python}" for core, python in pairs} >= set(stages.FEW)
