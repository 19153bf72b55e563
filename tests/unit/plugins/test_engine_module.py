# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that installs the engine: what it writes is whole, executable where it must be, and written once."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.rollcall.supervisor.plugins.modules import engine
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine_files import engine_files, pack
from tests.support import returns


def run(capfd: pytest.CaptureFixture[str], root: Path, **more: t.Any) -> t.Dict[str, t.Any]:
    archive = root.parent / "engine.zip"
    pack(str(archive), engine_files())
    with patch_module_args({"root": str(root), "archive": str(archive), **more}), pytest.raises(SystemExit):
        engine.main()
    return returns.checked("engine", json.loads(capfd.readouterr().out))


def test_it_installs_every_file_of_the_engine_and_an_executable_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(capfd, tmp_path)["changed"] is True
    package = tmp_path / "engine/rollcall"
    installed = {str(path.relative_to(package)): path.read_bytes() for path in package.rglob("*.py")}
    assert {name for name in installed if name != "__init__.py"} == set(engine_files())
    assert {name for name, content in engine_files().items() if installed[name] != content} == {"cli/__init__.py"}
    assert os.access(tmp_path / "bin/rollcall", os.X_OK)
    assert (tmp_path / "bin/rollcall").stat().st_mode & 0o777 == 0o755


def test_a_second_run_changes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(capfd, tmp_path)
    assert run(capfd, tmp_path)["changed"] is False


def test_a_lost_mode_and_a_left_over_module_are_put_right(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(capfd, tmp_path)
    (tmp_path / "bin/rollcall").chmod(0o644)
    (tmp_path / "engine/rollcall/gone.py").write_text("", encoding="utf-8")
    files = run(capfd, tmp_path)["files"]
    assert files == [str(tmp_path / "bin/rollcall"), str(tmp_path / "engine/rollcall/gone.py")]
    assert os.access(tmp_path / "bin/rollcall", os.X_OK)
    assert not (tmp_path / "engine/rollcall/gone.py").exists()


def test_check_mode_writes_nothing_and_says_what_it_would(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = run(capfd, tmp_path, _ansible_check_mode=True)
    assert result["changed"] is True
    assert str(tmp_path / "bin/rollcall") in result["files"]
    assert list(tmp_path.iterdir()) == []
    assert result["diff"]["prepared"].startswith("engine ")
    assert result["diff"]["prepared"].count("\n") == 1, "nobody reads the names of hundreds of files"
