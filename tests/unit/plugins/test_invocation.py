# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cure calls ansible-playbook as whoever reads it can."""

from __future__ import annotations

import re
import shlex
import typing as t
from pathlib import Path

import pytest
from ansible import context

from ansible_collections.rollcall.supervisor.plugins.plugin_utils import invocation
from tests.support.repository import ROOT


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


def given(command: str) -> t.List[str]:
    """Return what a command gives by ``-e``."""
    words = shlex.split(command)
    return [value for option, value in zip(words, words[1:]) if option == "-e"]


@pytest.mark.parametrize(
    ("extra", "again"),
    [
        (["soak=30"], ["soak=30"]),
        # Each once, and the last one counts; files stay where they were.
        (["soak=1", "@v.yml", "soak=30 min_up=80%"], ["@v.yml", "soak=30", "min_up=80%"]),
        # What is none of ours may be secret, wherever it stands.
        (
            ["ansible_become_pass=x", "db_pass='a b' soak=2", '{"token": "x", "failure_budget": 1}'],
            ["soak=2", '{"failure_budget": 1}'],
        ),
        # As ./rollout help shows it; Ansible splits it at its space.
        (['rollout_batches=[1, "25%"]'], ['{"rollout_batches": "[1, \\"25%\\"]"}']),
        (['rollout_batches=[1, "25%"] pass=x y'], []),
        (["rollout_drain='/a dir/t.yml'"], ['{"rollout_drain": "/a dir/t.yml"}']),
        (["{not: [yaml", "x='"], []),
    ],
)
def test_the_same_command_has_what_was_said_of_a_rollout_once_and_nothing_else(
    extra: t.List[str], again: t.List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"args": ("rollcall.supervisor.rollout",), "subset": "app", "extra_vars": ("rollcall_hosts=app", *extra)}
    monkeypatch.setattr(context, "CLIARGS", known)
    found = invocation.same_command()
    assert found.startswith("ansible-playbook rollcall.supervisor.rollout --limit app ")
    assert given(found) == ["rollcall_hosts=app", *again]
    # What is kept on the host, and other playbooks, have only which hosts are meant.
    for other in (invocation.apply_command(applies=True), invocation.playbook_command("status")):
        assert given(other) == ["rollcall_hosts=app", *(word for word in again if word.startswith("@"))]


def test_every_variable_that_the_documentation_has_of_a_rollout_is_in_its_command() -> None:
    page = (ROOT / "docs" / "reference" / "playbooks.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| `rollout` |"))
    assert tuple(re.findall(r"`(\w+)`", row.split("|")[3])) == invocation.THIS_TIME["rollout"]
    how = (ROOT / "docs" / "how-to" / "rollout.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)=", how, re.M)) <= set(invocation.THIS_TIME["rollout"])
