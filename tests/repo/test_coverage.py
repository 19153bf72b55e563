# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make coverage`` counts what tests run of each room, also in processes that they start, and what nothing imports."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.support.repository import ROOT
from tests.tools import coverage_by_room
from tests.tools.coverage_by_room import Room


def test_what_is_run_is_counted_for_its_room_in_other_processes_too_and_a_failed_test_fails_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(coverage_by_room, "PLACE", tmp_path / "coverage")
    monkeypatch.chdir(ROOT)
    test = tmp_path / "test_two_rooms.py"
    test.write_text(
        textwrap.dedent("""\
            import os, shutil, subprocess, sys
            from ansible_collections.rollcall.supervisor.plugins.module_utils.base import text
            from tests.support.repository import ENGINE

            def test_a_copy_of_the_engine(tmp_path):
                copy = tmp_path / "engine" / "rollcall"
                shutil.copytree(ENGINE, copy)
                subprocess.run([sys.executable, "-c", "import rollcall.manifest.model"], cwd=copy.parent, check=True)

            def test_that_fails():
                assert False
            """),
        encoding="utf-8",
    )

    assert coverage_by_room.main(["-n", "0", str(test)]) == 1

    lines = {
        line.split()[0]: line.split()
        for line in capfd.readouterr().out.splitlines()
        if " % " in f"{line} " and line[0] != "["
    }
    percents = {name: float(words[2]) for name, words in lines.items()}
    assert set(percents) == {path.stem for path in coverage_by_room.ENGINE.iterdir() if path.stem != "__pycache__"} | {
        "all"
    }
    assert percents["base"] > 0
    assert percents["manifest"] > 0  # only the copy was imported
    assert percents["doctor"] == 0.0
    assert lines["doctor"][-3:] == ["below", "90", "%"]


def test_the_least_is_first_and_all_of_it_is_last() -> None:
    told = coverage_by_room.table([Room("run", 200, 150), Room("base", 100, 100)]).splitlines()

    assert [line.split()[:3] for line in told[1:]] == [
        ["run", "200", "75.0"],
        ["base", "100", "100.0"],
        ["all", "300", "83.3"],
    ]
    assert [line.endswith("below 90 %") for line in told[1:]] == [True, False, True]
