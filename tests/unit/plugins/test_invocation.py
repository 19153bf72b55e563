# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cure calls ansible-playbook as whoever reads it can."""

from __future__ import annotations

import re
import shlex
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible import context
from ansible.cli.playbook import PlaybookCLI

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


BEFORE = invocation.AS_BEFORE


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
        # What is none of ours may be secret, wherever it stands; without it the command would do another thing.
        (
            ["ansible_become_pass=x", "db_pass='a b' soak=2", '{"token": "x", "failure_budget": 1}'],
            [
                "soak=2",
                '{"failure_budget": 1}',
                *(f"{name}={BEFORE}" for name in ("ansible_become_pass", "db_pass", "token")),
            ],
        ),
        # As ./rollout help shows it; Ansible splits it at its space.
        (['rollout_batches=[1, "25%"]'], ['{"rollout_batches": "[1, \\"25%\\"]"}']),
        (['rollout_batches=[1, "25%"] pass=x y'], [f"{name}={BEFORE}" for name in ("rollout_batches", "pass")]),
        (["rollout_drain='/a dir/t.yml'"], ['{"rollout_drain": "/a dir/t.yml"}']),
        (["{not: [yaml", "x='"], [BEFORE]),
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


def test_no_shell_runs_a_command_without_what_it_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = {"args": ("site.yml",), "extra_vars": ("version=2",)}
    monkeypatch.setattr(context, "CLIARGS", known)
    command = invocation.same_command().replace("ansible-playbook", "touch ran")
    for shell in ("sh", "bash"):
        assert subprocess.run([shell, "-c", command], cwd=tmp_path, check=False, capture_output=True).returncode
    assert not (tmp_path / "ran").exists()


def test_the_same_command_reaches_the_hosts_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "args": ("site.yml",),
        "become": True,
        "remote_user": "deploy",
        "connection": "ssh",
        "ssh_common_args": "-J bastion",
        "vault_ids": ("prod@prompt",),
    }
    monkeypatch.setattr(context, "CLIARGS", known)
    found = invocation.same_command()
    wanted = "--become --user deploy '--ssh-common-args=-J bastion' --vault-id prod@prompt"
    assert found == f"ansible-playbook site.yml {wanted}"
    # The parser of ansible-playbook reads them as they were.
    read = PlaybookCLI(shlex.split(found))
    read.init_parser()
    again = vars(read.parser.parse_args(shlex.split(found)[1:]))
    assert {name: again[name] for name in known if name not in ("args", "vault_ids")} == {
        name: value for name, value in known.items() if name not in ("args", "vault_ids")
    }
    # Whoever asks on the host, later, may be somebody else.
    assert invocation.apply_command(applies=True) == "ansible-playbook site.yml"


def test_every_variable_that_the_documentation_has_of_a_rollout_is_in_its_command() -> None:
    page = (ROOT / "docs" / "reference" / "playbooks.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| `rollout` |"))
    assert tuple(re.findall(r"`(\w+)`", row.split("|")[3])) == invocation.THIS_TIME["rollout"]
    how = (ROOT / "docs" / "how-to" / "rollout.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)=", how, re.M)) <= set(invocation.THIS_TIME["rollout"])
