# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that ends by design is well when it has done so; any other end of it, and of others, is a failure."""

from __future__ import annotations

import contextlib
import os
import typing as t
from pathlib import Path

import pytest

from tests.support.commands import rollcall
from tests.support.processes import eventually
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

# Ends with the number that a test writes into a pipe.
ENDS = "read code <$0; exit $code"


class Ending:
    """A stack with a service `job` that ends when a test wants it to."""

    def __init__(self, made: StackUnderTest) -> None:
        self.made = made

    def ends_with(self, code: int) -> None:
        Path(self.made.root, "pipe").write_text(f"{code}\n", encoding="utf-8")
        assert eventually(lambda: self.made.supervisor().programs()["job"].state == "EXITED")


@contextlib.contextmanager
def ending(**more: t.Any) -> t.Iterator[Ending]:
    with stack({"job": {}, "web": {}}) as made:
        pipe = Path(made.root, "pipe")
        os.mkfifo(pipe)
        made.raw["services"]["job"] = {"command": ["sh", "-c", ENDS, str(pipe)], "restart": "never", **more}
        assert made.perform()["ok"]
        yield Ending(made)


def test_a_service_that_has_ended_by_design_is_well_and_stays_ended() -> None:
    with ending(ends="expected") as job:
        pids = job.made.pids()
        job.ends_with(0)
        for said in (job.made.status(), rollcall(job.made, "verify", "--json").data):
            assert failed_checks(said) == []
            assert check_of(said, "running", "job")["evidence"].startswith("ended, exit code 0, at ")
        assert "EXITED" in rollcall(job.made, "status").out
        findings = rollcall(job.made, "doctor", "--json").data["findings"]
        assert [one for one in findings if one["subject"] == "job"] == []
        report = job.made.perform()
        assert (report["ok"], report["changed"]) == (True, False)
        assert job.made.pids() == {"web": pids["web"]}


def test_a_service_that_has_ended_by_design_is_started_again_by_its_name() -> None:
    with ending(ends="expected") as job:
        job.ends_with(0)
        assert rollcall(job.made, "start", "job").code == 0
        assert "job" in job.made.pids()


def test_another_end_of_such_a_service_is_a_failure() -> None:
    with ending(ends="expected") as job:
        job.ends_with(3)
        assert ("running", "job") in failed_checks(job.made.status())
        assert job.made.perform()["changed"]


@pytest.mark.parametrize("restart", ["never", "unexpected"])
def test_without_a_word_an_end_is_a_failure(restart: str) -> None:
    with ending(restart=restart) as job:
        job.ends_with(0)
        assert ("running", "job") in failed_checks(job.made.status())


def test_what_ends_while_a_run_brings_it_up_is_well() -> None:
    with stack({"web": {}}) as made:
        command = ["sh", "-c", "sleep 1.2"]
        made.raw["services"]["job"] = {"command": command, "restart": "never", "ends": "expected", "stable_for": 3}
        assert failed_checks(made.perform()) == []


def test_to_say_it_restarts_nothing() -> None:
    with stack({"web": {}}) as made:
        made.perform()
        pids = made.pids()
        made.raw["services"]["web"] = {"ends": "expected"}
        report = made.perform()
        assert report["ok"]
        assert made.pids() == pids
