# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The twelve steps of an install, from names of tasks, reports and errors."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.show import steps
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.steps import Step, steps_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import install_steps
from tests.support.reports import check, failed, restart_report
from tests.support.repository import ROOT

TIMINGS = {
    "prove": 0.2,
    "install": 0.1,
    "start-daemon": 0.05,
    "await-daemon": 0.3,
    "start": 1.4,
    "running": 1.3,
    "healthy": 0.7,
    "verify": 2.0,
}
DATABASE = check("database", "trading", data={"latency_ms": 4.0})


def told(*checks: t.Mapping[str, t.Any], **more: t.Any) -> t.Dict[str, Step]:
    """The steps of a run with these checks besides, by their names."""
    return {step.name: step for step in steps.of_report(restart_report(checks, timings=TIMINGS, **more))}


def states(found: t.Iterable[Step]) -> t.List[str]:
    return [step.state for step in found]


@pytest.mark.parametrize(
    ("task", "number"),
    [
        ("1/12 Environment | Check the manifest", 1),
        ("12/12 Verdict | Succeed only when every service has answered", 12),
        ("6-12/12 Run | Prove, plan, stop, start and verify", 6),
        ("Boot | Install what starts it", None),
        ("Copy 3/12 of it", None),
        ("3/4 of something else", None),
    ],
)
def test_the_name_of_a_task_says_of_which_step_it_is(task: str, number: t.Optional[int]) -> None:
    assert steps.number(task) == number


def test_every_step_has_tasks_and_every_numbered_task_has_the_name_of_its_step() -> None:
    found: t.Dict[str, t.Set[str]] = {}
    for path in sorted(ROOT.glob("roles/*/tasks/*.yml")):
        for task in yaml.safe_load(path.read_text(encoding="utf-8")):
            match = re.match(r"([\d-]+)/12 ([^|]+) \| ", task["name"])
            if match:
                found.setdefault(match.group(1), set()).add(match.group(2).lower())
    # Those from the sixth on are one task, which the report tells apart; then comes what fails in a few words.
    names = {str(number): {install_steps.NAMES[number - 1]} for number in (1, 2, 3, 4, 5, 12)}
    assert found == {**names, "6-12": {"run"}}


def test_a_run_that_held_has_every_step_with_its_time() -> None:
    actions = [{"action": "start", "subject": "main_app", "reason": "it is down"}]
    found = told(check("health", "main_app"), DATABASE, actions=actions)

    assert states(found.values()) == ["changed", "changed", "ok", "changed", "ok", "ok", "ok"]
    assert [step.seconds for step in found.values()] == [pytest.approx(0.3), 0.05, 0.3, 1.3, 0.7, 0.004, 2.0]
    assert found["services RUNNING"].said == "10 of 10 RUNNING"
    assert found["web health"].said == "1 of 1 answered"


def test_a_config_alone_changes_no_service() -> None:
    actions = [{"action": "install", "subject": "config", "reason": "manifest changed"}]

    assert told(actions=actions)["services RUNNING"].state == "ok"


def test_what_there_is_none_of_is_said() -> None:
    found = told()

    assert (found["web health"].state, found["web health"].said) == ("-", "no service has a health check")
    assert (found["database answers"].state, found["database answers"].said) == ("-", "no database is asked")


@pytest.mark.parametrize(
    ("name", "step", "said"),
    [
        ("supervisord", "supervisord answers", ""),
        ("running", "services RUNNING", "10 of 11 RUNNING; failed: feed"),
        ("stable", "services RUNNING", "10 of 10 RUNNING; failed: feed"),
        ("restarted", "services RUNNING", "10 of 10 RUNNING; failed: feed"),
        ("port", "web health", "failed: feed"),
        ("health", "web health", "0 of 1 answered; failed: feed"),
        ("database", "database answers", "0 of 1 answered; failed: feed"),
    ],
)
def test_each_condition_that_fails_fails_its_step_and_the_verdict(name: str, step: str, said: str) -> None:
    found = told(failed(name, "feed", "it did not", None))

    assert [name for name, one in found.items() if one.state == "FAILED"] == [step, "verdict"]
    assert found[step].said == said
    assert found["verdict"].said == name


@pytest.mark.parametrize("name", ["files", "dependencies", "logs", "removed", "orphans"])
def test_a_condition_that_no_step_before_it_has_proved_is_the_verdicts(name: str) -> None:
    found = told(failed(name, "feed", "it did not", None))

    assert [name for name, one in found.items() if one.state == "FAILED"] == ["verdict"]


def test_services_that_wait_for_something_are_held_and_so_is_the_verdict() -> None:
    found = told(failed("held", "feed", "credentials/feed.pem is missing", None), result="held")

    assert found["services RUNNING"].state == found["verdict"].state == "HELD"
    assert found["services RUNNING"].said == "10 of 11 RUNNING; held: feed"


def test_a_run_that_went_back_is_told_as_what_it_tried() -> None:
    back = {"from": "2", "to": "1", "checks": [failed("running", "main_app", "FATAL", None)], "error": None}
    found = told(ok=False, result="rolled_back", rolled_back=back)

    assert found["services RUNNING"].state == found["verdict"].state == "FAILED"
    assert found["verdict"].said == "running; generation 1 runs again"


def test_a_run_that_went_back_because_its_supervisord_did_not_start_says_so() -> None:
    error = RollcallError("supervisord did not start", evidence={"step": "start-daemon"}).as_dict()
    back = {"from": "2", "to": "1", "checks": [], "error": error}
    found = told(ok=False, result="rolled_back", rolled_back=back)

    assert states(found.values()) == ["ok", "FAILED", *["not reached"] * 4, "FAILED"]
    assert found["verdict"].said == "generation 1 runs again"


@pytest.mark.parametrize(
    ("step", "fails"),
    [
        (None, "supervisor config"),
        ("prove", "supervisor config"),
        ("stop", "supervisor config"),
        ("start-daemon", "supervisord started"),
        ("await-daemon", "supervisord answers"),
        ("start", "services RUNNING"),
        ("verify", "verdict"),
    ],
)
def test_a_run_without_a_verdict_has_failed_where_its_error_came_from(step: t.Optional[str], fails: str) -> None:
    found = steps.of_error(RollcallError("no", evidence={"step": step} if step else {}).as_dict())

    assert [one.name for one in found if one.state == "FAILED"] == [fails]
    at = states(found).index("FAILED")
    assert set(states(found)[:at]) <= {"ok"}
    assert set(states(found)[at + 1 :]) <= {"not reached"}


def test_what_was_not_asked_for_is_told_apart_from_what_was_not_come_to() -> None:
    found = steps.whole({1: Step(1, "ok", 0.5), 2: Step(2, "ok"), 5: Step(5, "FAILED", 1.0, "Write the files")}, ())

    assert states(found) == ["ok", "ok", "-", "-", "FAILED", *["not reached"] * 7]
    assert [one.said for one in found[2:4]] == ["nothing to do", "not asked for"]


def test_the_manifest_and_the_run_share_the_time_of_the_config() -> None:
    found = steps.whole({6: Step(6, "ok", 0.5)}, steps.of_report(restart_report(timings=TIMINGS)))

    assert found[5].state == "changed"
    assert found[5].seconds == pytest.approx(0.8)


def test_a_line_a_step_with_its_number_and_its_seconds() -> None:
    found = [Step(1, "ok", 0.52), Step(2, "changed", 12.0), Step(3, "-", None, "not asked for")]

    assert steps_text([step.as_dict() for step in found]).splitlines() == [
        "ok        1/3  environment             0.5 s",
        "changed   2/3  user and directories   12.0 s",
        "-         3/3  dependencies                   not asked for",
    ]


def test_what_a_step_says_cannot_move_the_cursor() -> None:
    assert "\x1b" not in steps_text([Step(1, "FAILED", None, "\x1b[2J").as_dict()])


def test_steps_that_were_not_reached_are_one_line() -> None:
    found = [step.as_dict() for step in steps.whole({1: Step(1, "FAILED", 0.1, "no manifest")}, [])]

    lines = steps_text(found).splitlines()

    assert len(lines) == 2
    assert lines[1] == "not reached   2/12  user and directories, and all up to 12/12  verdict"


def test_of_many_services_that_failed_a_step_names_some() -> None:
    found = told(*(failed("running", f"worker-{number}", "FATAL", None) for number in range(9)))

    assert found["services RUNNING"].said.endswith("failed: worker-0, worker-1, worker-2, worker-3 and 5 more")
