# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cure calls ansible-playbook as whoever reads it can."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible import context

from ansible_collections.rollcall.supervisor.plugins.plugin_utils import invocation


@pytest.mark.parametrize(
    ("on_path", "said"),
    [("here", "ansible-playbook"), ("elsewhere", "here/ansible-playbook"), ("", "here/ansible-playbook")],
)
def test_a_cure_has_the_path_where_the_name_alone_calls_another_or_none(
    on_path: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory in ("here", "elsewhere"):
        program = tmp_path / directory / "ansible-playbook"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / on_path) if on_path else str(tmp_path))
    monkeypatch.setattr("sys.argv", ["here/ansible-playbook", "site.yml"])
    monkeypatch.setattr(context, "CLIARGS", {"args": ("site.yml",)})
    assert invocation.apply_command(applies=True) == f"{said} site.yml"
