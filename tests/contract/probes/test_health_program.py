# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A health check that is a program of the application, asked by everything that asks health."""

from __future__ import annotations

import shlex
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.support.commands import rollcall
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

SECRET = "planted-token-of-the-check"
SCRIPT = "echo token $TOKEN of $MINE in $(pwd), $(ulimit -n) files; test -e well"


@pytest.fixture(name="made")
def a_stack() -> t.Iterator[StackUnderTest]:
    service = {
        "directory": "work",
        "env": {"MINE": "blue"},
        "secrets": {"TOKEN": SECRET},
        "umask": "027",
        "limits": {"nofile": 321},
        "health": {"exec": ["sh", "-c", SCRIPT], "timeout": 30},
    }
    with stack({"worker": service}) as made:
        Path(made.root, "work").mkdir()
        yield made


def test_a_program_decides_whether_a_service_is_healthy(made: StackUnderTest) -> None:
    well = Path(made.root, "work", "well")
    well.touch()
    report = made.perform()
    assert report["ok"], failed_checks(report)
    assert check_of(report, "health", "worker")["evidence"].startswith("exit code 0 in ")
    assert report["services"][0]["health"] == "ok"

    well.unlink()
    sick = made.status()
    assert failed_checks(sick) == [("health", "worker")]
    evidence = check_of(sick, "health", "worker")["evidence"]
    assert evidence == f'exit code 1: "token ******** of blue in {made.root}/work, 321 files"'

    shown = rollcall(made, "status")
    assert SECRET not in shown.out + shown.err
    command = check_of(sick, "health", "worker")["next"]
    by_hand = subprocess.run(
        [made.command, *shlex.split(command)[1:]], capture_output=True, text=True, timeout=60, check=False
    )
    assert (by_hand.returncode, by_hand.stderr) == (1, "")
    assert by_hand.stdout == f"token {SECRET} of blue in {made.root}/work, 321 files\n"


def test_a_service_that_its_program_never_finds_well_does_not_come_up(made: StackUnderTest) -> None:
    made.raw["services"]["worker"]["ready_timeout"] = 4
    report = made.perform()
    assert not report["ok"]
    assert ("health", "worker") in failed_checks(report)
    assert "its health is exit code 1" in check_of(report, "running", "worker")["evidence"]
    assert SECRET not in str(report)


def test_a_program_that_hangs_is_no_health_and_none_of_the_stacks_processes(made: StackUnderTest) -> None:
    Path(made.root, "work", "well").touch()
    assert made.perform()["ok"]
    health = {"exec": ["sh", "-c", "sleep 600 & sleep 600"], "timeout": 1}
    made.raw["services"]["worker"]["health"] = health
    made.raw["services"]["worker"]["ready_timeout"] = 4
    report = made.perform()
    assert ("health", "worker") in failed_checks(report)
    assert check_of(report, "health", "worker")["evidence"] == "did not end within 1 s"
    pids = made.pids()
    assert list(pids) == ["worker"]
