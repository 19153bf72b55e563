# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends between the last look of the start and the verdict is not called OK."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.run.bringup import BringUp, StartOutcome
from tests.support.processes import eventually, is_alive, kill
from tests.support.stacks import StackUnderTest, failed_checks, stack


def killed(made: StackUnderTest) -> None:
    pid = made.pids()["one"]
    kill(pid)
    # The order is given at once, and carried out when the process gets its turn.
    assert eventually(lambda: not is_alive(pid))


def stopped(made: StackUnderTest) -> None:
    pid = made.pids()["one"]
    made.supervisor().stop(["one"])
    assert eventually(lambda: not is_alive(pid))


def replaced(made: StackUnderTest) -> None:
    before = made.pids()["one"]
    kill(before)
    assert eventually(lambda: made.supervisor().programs()["one"].pid not in (0, before))


@pytest.mark.parametrize("happens", [killed, stopped, replaced])
def test_a_service_that_ends_right_after_its_start_is_seen(
    happens: t.Callable[[StackUnderTest], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with stack({"one": {"stable_for": 0.5}, "two": {"stable_for": 0.5}}) as made:
        start = BringUp.run

        def then_it_happens(self: BringUp) -> StartOutcome:
            outcome = start(self)
            happens(made)
            return outcome

        monkeypatch.setattr(BringUp, "run", then_it_happens)
        report = made.perform()
        assert not report["ok"]
        assert {subject for _check, subject in failed_checks(report)} == {"one"}
