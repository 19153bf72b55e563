# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose Python runs no module gives no answers: nothing is done because of one, and why it does not is said."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.support.playbooks import document, play, prepare
from tests.support.stacks import StackUnderTest, stack

# What its Python says, as that of a broken upgrade does.
WHY = "python3: error while loading shared libraries: libpython3.so: cannot open shared object file"


@pytest.fixture
def made(tmp_path: Path) -> t.Iterator[StackUnderTest]:
    with stack({"web": {}}) as one:
        broken = tmp_path / "python3"
        broken.write_text(f"#!/bin/sh\necho '{WHY}' >&2\nexit 127\n", encoding="utf-8")
        broken.chmod(0o755)
        yield one


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what the roll call says, on one line."""
    return " ".join(done.stdout.partition("ROLL CALL")[2].split())


def test_an_account_is_not_made_because_nobody_could_look_for_it(made: StackUnderTest, tmp_path: Path) -> None:
    made.raw["user"] = "rollcall-nobody"

    done = play(
        made, "site.yml", ansible_python_interpreter=str(tmp_path / "python3"), bootstrap_python="/usr/bin/python3"
    )

    assert done.returncode == 2
    assert "FAILED 2/12 user and directories" in said(done)
    assert WHY in said(done)
    assert "No start of json char found" not in said(done)
    assert "| Make the account]" not in done.stdout
    assert document(made)["hosts"]["here"]["error"]["message"].endswith(WHY)


def test_a_database_is_not_made_because_nobody_could_look_for_it(made: StackUnderTest, tmp_path: Path) -> None:
    prepare(made)
    known = {"create": True, "name": "shop", "admin_account": "", "admin_socket": str(tmp_path)}

    done = play(
        made,
        "site.yml",
        ansible_python_interpreter=str(tmp_path / "python3"),
        rollcall_database={"postgresql": known},
    )

    assert done.returncode == 2
    assert f"PostgreSQL cannot be administered on here: {WHY}" in said(done)
    assert "could not be made" not in done.stdout


def test_what_was_made_is_not_called_gone_because_nobody_could_look(made: StackUnderTest, tmp_path: Path) -> None:
    prepare(made)
    made.raw["services"]["web"]["command"] = ["/bin/false"]
    prepare(made)

    done = play(made, "site.yml", "-e", "on_failure=rollback", ansible_python_interpreter=str(tmp_path / "python3"))

    assert done.returncode == 2
    assert "What was made on here stays, and cannot be looked at" in said(done)
    assert WHY in said(done)
    assert Path(made.command).exists()
