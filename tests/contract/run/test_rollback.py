# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new generation that does not hold gives way to the last verified one, and that is never called a success."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.critical_section import CriticalSection
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.roll_call import roll_call
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import history
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import kept_generations
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import life
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import verify
from tests.support.cases import ordinary
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, stack

pytestmark = pytest.mark.usefixtures("bystander")


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack({"web": {"port": free_port(), "health": {"http": "/health"}}, "worker": {}}) as made:
        assert made.perform()["ok"]
        yield made


def upgrade(made: StackUnderTest, **more: t.Any) -> t.Any:
    return made.perform(on_failure="rollback", **more)


def place(made: StackUnderTest) -> str:
    return os.path.basename(os.readlink(made.paths.etc))


@pytest.mark.fault(42)
def test_a_generation_that_does_not_verify_gives_way_to_the_last_verified_one(running: StackUnderTest) -> None:
    good, before = place(running), running.pids()
    config = Path(running.paths.config).read_text(encoding="utf-8")
    running.raw["services"]["web"]["env"] = {"STATUS": "500"}
    running.raw["services"]["web"]["ready_timeout"] = 2
    done = upgrade(running)
    assert (done["ok"], done["result"]) == (False, "rolled_back")
    assert place(running) == good
    assert Path(running.paths.config).read_text(encoding="utf-8") == config
    assert running.status()["ok"]
    assert running.pids()["worker"] == before["worker"], "what did not change was not touched on either way"
    assert done["rolled_back"]["to"] == good
    assert {check["subject"] for check in done["rolled_back"]["checks"]} == {"web"}
    assert history.recorded_runs(running.paths)["runs"][0]["result"] == "rolled_back"


def test_the_words_say_what_failed_and_what_runs_again(running: StackUnderTest) -> None:
    good = place(running)
    running.raw["services"]["worker"]["env"] = {"EXIT": "3"}
    text = roll_call(upgrade(running))
    verdict = next(line for line in text.splitlines() if line.startswith("test on "))
    assert ": ROLLED BACK, the new generation failed (1 of 2 services: worker)" in verdict
    assert f"generation {good}, the last verified one, runs again" in verdict
    assert text.index("What the new generation failed by:") < text.index("FAILED  worker") < text.index(verdict)


@pytest.mark.fault(42)
def test_a_generation_whose_supervisord_does_not_come_up_gives_way_as_well(
    running: StackUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = place(running)
    running.raw["name"] = "renamed"
    real = life.start_supervisord
    calls: t.List[str] = []

    def first_fails(*arguments: t.Any, **more: t.Any) -> int:
        calls.append("start")
        if len(calls) == 1:
            raise RollcallError("supervisord did not start, it ended with exit code 2")
        return real(*arguments, **more)

    monkeypatch.setattr(life, "start_supervisord", first_fails)
    done = upgrade(running)
    assert done["result"] == "rolled_back"
    assert done["rolled_back"]["error"]["message"].startswith("supervisord did not start")
    assert place(running) == good
    assert running.status()["ok"]


def test_by_the_policy_leave_the_new_one_stays_and_fails(running: StackUnderTest) -> None:
    good = place(running)
    running.raw["services"]["worker"]["env"] = {"EXIT": "3"}
    assert running.perform()["result"] == "degraded"
    assert place(running) != good


@pytest.mark.fault(42)
def test_when_the_way_back_fails_that_is_a_result_of_its_own(running: StackUnderTest) -> None:
    os.unlink(running.program)
    os.symlink("/bin/false", running.program)
    running.raw["services"]["worker"]["env"] = {"NEW": "1"}
    good = place(running)
    done = upgrade(running)
    assert (done["ok"], done["result"]) == (False, "rollback_failed")
    assert place(running) == good, "what was verified once is in place, and does not hold any more"
    assert {check["subject"] for check in done["checks"] if not check["ok"]} == {"worker"}
    assert "test on " in roll_call(done)
    assert f"; generation {good}, the last verified one, fails too (1 of 2 services: worker)" in roll_call(done)
    assert ": ROLLBACK FAILED, the new generation failed (" in roll_call(done)
    assert history.recorded_runs(running.paths)["runs"][0]["result"] == "rollback_failed"


@pytest.mark.fault(42)
def test_when_the_way_back_cannot_be_gone_both_failures_are_told(
    running: StackUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = place(running)
    running.raw["name"] = "renamed"
    calls: t.List[str] = []

    def fails(*_arguments: t.Any, **_more: t.Any) -> int:
        calls.append("start")
        raise RollcallError(f"supervisord did not start, start {len(calls)}")

    monkeypatch.setattr(life, "start_supervisord", fails)
    with pytest.raises(RollcallError) as told:
        upgrade(running)
    said = told.value.message
    assert said.startswith("The new generation failed (supervisord did not start, start 1")
    assert f"going back to generation {good} failed: supervisord did not start, start 2" in said
    assert told.value.evidence["result"] == "rollback_failed"
    assert "rollcall restart emergency" in told.value.remedies
    assert history.recorded_runs(running.paths)["runs"][0]["result"] == "rollback_failed"


def test_a_first_install_that_fails_has_nothing_to_go_back_to() -> None:
    with stack({"worker": {"env": {"EXIT": "3"}}}) as fresh:
        assert upgrade(fresh)["result"] == "degraded"


def test_held_services_are_no_reason_to_go_back(running: StackUnderTest) -> None:
    running.raw["services"]["waiting"] = {"requires_files": ["credentials/none.pem"]}
    assert upgrade(running)["result"] == "held"


def test_two_failures_in_a_row_both_end_with_the_verified_one(running: StackUnderTest) -> None:
    good = place(running)
    for code in ("3", "4"):
        running.raw["services"]["worker"]["env"] = {"EXIT": code}
        assert upgrade(running)["result"] == "rolled_back"
        assert place(running) == good
    # Nothing is left to do for the manifest that runs.
    del running.raw["services"]["worker"]["env"]
    assert upgrade(running)["changed"] is False


@pytest.mark.fault(42)
@pytest.mark.parametrize("step", ordinary(["rollback", "install", "reload", "start"], "rollback", "reload"))
def test_a_worker_killed_on_its_way_back_leaves_what_a_rerun_converges(running: StackUnderTest, step: str) -> None:
    running.raw["services"]["worker"]["env"] = {"EXIT": "3"}
    running.killed_at(step, "auto", after="rollback", on_failure="rollback")
    del running.raw["services"]["worker"]["env"]
    assert upgrade(running)["ok"]
    assert set(running.pids()) == {"web", "worker"}


def test_an_operator_goes_back_by_hand_and_forward_again(running: StackUnderTest) -> None:
    first = place(running)
    running.raw["services"]["worker"]["env"] = {"NEW": "1"}
    assert running.perform()["ok"]
    second = place(running)

    def rollback(*more: str) -> subprocess.CompletedProcess[str]:
        command = [running.command, "rollback", *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    planned = rollback("--check")
    assert (planned.returncode, "restart worker: env.NEW changed" in planned.stdout) == (0, True)
    assert place(running) == second
    assert f"goes back to generation {first}" in planned.stdout
    done = rollback()
    assert (done.returncode, f"went back to generation {first}" in done.stdout) == (0, True)
    assert place(running) == first
    assert rollback(second).returncode == 0
    assert place(running) == second
    missing = rollback("19990101-000000-0000")
    assert missing.returncode == 2
    assert "No generation 19990101-000000-0000 is kept" in missing.stderr


def test_a_broken_generation_in_place_is_replaced_by_an_install_and_by_going_back(running: StackUnderTest) -> None:
    first = place(running)
    running.raw["services"]["worker"]["env"] = {"NEW": "1"}
    assert running.perform()["ok"]
    Path(running.paths.manifest).write_text("{", encoding="utf-8")
    with pytest.raises(RollcallError):
        running.perform("full", installed=True)
    assert running.perform("rollback", installed=True)["ok"]
    assert place(running) == first
    Path(running.paths.manifest).write_text("{", encoding="utf-8")
    assert running.perform()["ok"]
    assert [entry["in_place"] for entry in kept_generations(running.paths, running.root)].count(True) == 1


def test_what_the_broken_generation_writes_until_it_is_stopped_does_not_speak_against_the_one_before(
    running: StackUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, log = CriticalSection._take_down, Path(running.paths.logs, "web.log")
    good = place(running)

    def loudly(section: CriticalSection) -> None:
        with open(log, "a", encoding="utf-8") as stream:
            stream.write("Traceback (most recent call last):\nImportError: of the generation that is going\n")
        really(section)

    running.raw["services"]["web"]["env"] = {"CRASH_AFTER": "0.1"}
    monkeypatch.setattr(CriticalSection, "_take_down", loudly)
    done = upgrade(running)
    assert done["result"] == "rolled_back"
    assert place(running) == good
    assert verify.verify(running.paths)["ok"], "nor by the marks that the run has left"
