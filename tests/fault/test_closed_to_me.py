# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may not read what a stack has is told that in a sentence, with the command that works."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.support.stacks import StackUnderTest, stack
from tests.support.victims import innocent

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
# No account has this number.
STRANGER = 60123
LOOKS = (
    "status",
    "verify",
    "doctor",
    "ports list",
    "history",
    "port web",
    "manifest drift",
    "stop",
    "undo",
    "acknowledge",
    "watch --once",
)


@pytest.fixture(scope="module")
def running() -> t.Iterator[StackUnderTest]:
    with innocent(), stack({"web": {"command": ["sleep", "600"]}}) as made:
        assert made.perform()["ok"]
        os.chmod(made.root, 0o755)
        yield made


def asked(made: StackUnderTest, *words: str) -> subprocess.CompletedProcess[str]:
    """Ask as somebody else."""
    other = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
    return subprocess.run(
        [*other, made.command, *words], capture_output=True, text=True, check=False, timeout=60, cwd="/"
    )


@pytest.mark.parametrize("closed", ["", "generations", "engine"])
@pytest.mark.parametrize("look", LOOKS)
def test_a_look_by_somebody_else_is_a_sentence_and_the_command_that_works(
    running: StackUnderTest, look: str, closed: str
) -> None:
    place = Path(running.root, closed)
    before = place.stat().st_mode & 0o7777
    place.chmod(0o700 if closed else before)
    try:
        done = asked(running, *look.split())
    finally:
        place.chmod(before)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert "Errno" not in said
    assert "may not" in said
    assert "sudo" in said
