# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No program restarts a stack for ever: automatic runs have a budget, which outlives them; people are never refused."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import budget
from tests.support.stacks import StackUnderTest, stack


class Moved:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack({"web": {}}, restart_budget={"restarts": 2, "within": 600}) as made:
        assert made.perform()["ok"]
        yield made


def test_automatic_restarts_beyond_the_budget_are_refused_and_touch_nothing(running: StackUnderTest) -> None:
    for _number in range(2):
        assert running.perform("quick", installed=True, automatic=True)["ok"]
    before = running.pids()
    with pytest.raises(RollcallError) as caught:
        running.perform("quick", installed=True, automatic=True)
    assert caught.value.kind == "refused"
    assert "2 times within 600 s" in caught.value.message
    assert running.pids() == before
    assert running.perform("quick", installed=True)["ok"], "a person may at any time"


def test_a_run_with_nothing_to_do_costs_nothing(running: StackUnderTest) -> None:
    for _number in range(4):
        assert not running.perform(installed=True, automatic=True)["changed"]


def test_the_command_refuses_with_exit_code_3_and_names_what_to_look_at(running: StackUnderTest) -> None:
    def start() -> subprocess.CompletedProcess[str]:
        running.supervisor().stop(["web"])
        command = [running.command, "restart", "quick", "--automatic"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    codes = [start() for _number in range(3)]
    assert [done.returncode for done in codes] == [0, 0, 3]
    assert "rollcall history" in codes[-1].stderr


def test_the_window_moves_with_the_monotonic_clock(running: StackUnderTest) -> None:
    clock = Moved()
    made = running.generation().stack
    budget.spend(made, clock=t.cast(t.Any, clock))
    clock.now += 300
    budget.spend(made, clock=t.cast(t.Any, clock))
    with pytest.raises(RollcallError) as caught:
        budget.spend(made, clock=t.cast(t.Any, clock))
    assert caught.value.evidence["free_in"] == 300
    clock.now += 300
    budget.spend(made, clock=t.cast(t.Any, clock))
    assert budget.spent(made, clock=t.cast(t.Any, clock)) == [300, 0]


def test_another_boot_begins_with_a_full_budget_and_a_broken_file_is_an_error(running: StackUnderTest) -> None:
    made = running.generation().stack
    Path(budget.path(made)).write_text(json.dumps({"boot": "another", "restarts": [1, 2, 3]}), encoding="utf-8")
    assert budget.spent(made) == []
    Path(budget.path(made)).write_text("{", encoding="utf-8")
    with pytest.raises(RollcallError, match="cannot be read"):
        budget.spend(made)
