# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release whose files were changed under a verified generation is told by drift, and so by the doctor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.release_paths import release_directory
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import Generation, read_meta
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import drift
from tests.support.rendering import render
from tests.support.stacks import failed_checks, stack


@pytest.mark.parametrize("how", ["written", "replaced with an old time", "added"])
def test_a_release_that_was_edited_in_place_is_told(how: str) -> None:
    with stack({"one": {"command": ["current/bin/run"]}, "two": {}}) as made:
        program = Path(release_directory(made.root, "r1"), "bin", "run")
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
        program.chmod(0o755)
        checked = check_manifest({"stack": made.raw}, release="r1").stack
        assert checked is not None
        assert failed_checks(made.perform_generation(Generation(checked, render(checked), {}))) == []
        assert drift.drift(made.paths)["ok"]
        verified = read_meta(made.paths, made.root)["verified_at"]
        if how == "written":
            program.write_text("#!/bin/sh\nexec sleep 601\n", encoding="utf-8")
        elif how == "added":
            (program.parent / "other").touch()
        else:
            copy = program.with_name("copy")
            copy.write_text("#!/bin/sh\nexec sleep 601\n", encoding="utf-8")
            os.utime(copy, (verified - 1e6, verified - 1e6))
            os.replace(copy, program)
        found = {row["name"]: row["codes"] for row in drift.drift(made.paths)["services"]}
        assert found == {"one": ["release_edited"], "two": []}
