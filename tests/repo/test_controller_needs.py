# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the execution environment is made of, and what the collection says of its needs, agree with what is pinned."""

from __future__ import annotations

import re
import typing as t

import yaml

from tests.support.repository import ROOT

DEFINITION = yaml.safe_load((ROOT / "execution-environment.yml").read_text(encoding="utf-8"))


def requirements(path: str) -> t.List[str]:
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]


def names(path: str) -> t.Set[str]:
    return {re.split(r"[=<>~! ]", line)[0] for line in requirements(path) if not line.startswith("-")}


def test_what_the_collection_says_a_controller_needs_is_what_is_pinned_for_one() -> None:
    said = yaml.safe_load((ROOT / "meta" / "execution-environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert names(said["python"]) == names("requirements/run.txt") - {"ansible-core"}
    # A version here could contradict that of another collection in the same image.
    assert requirements(said["python"]) == sorted(names(said["python"]))
    assert (ROOT / said["system"]).is_file()


def test_the_definition_pins_nothing_but_takes_what_is_pinned() -> None:
    dependencies = DEFINITION["dependencies"]
    assert dependencies["ansible_core"]["package_pip"].endswith("/requirements/ee.txt")
    assert dependencies["ansible_runner"]["package_pip"] in names("requirements/ee.txt")
    assert "-r run.txt" in requirements("requirements/ee.txt")
    assert "==" not in (ROOT / "execution-environment.yml").read_text(encoding="utf-8")


def test_the_definition_takes_the_archive_that_is_built_of_this_version() -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    archive = f"rollcall-supervisor-{version}.tar.gz"
    files = {entry["src"]: entry["dest"] for entry in DEFINITION["additional_build_files"]}
    (collection,) = DEFINITION["dependencies"]["galaxy"]["collections"]
    assert collection == {"name": f"{files[archive]}/{archive}", "type": "file"}
