# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line says how a run has left the stack, wherever a report or an error is shown."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import readable_time
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import error_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.roll_call import failure_text, roll_call
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.words import Reader
from tests.support.reports import failed, restart_report

NONE: t.Mapping[str, t.Any] = {"running": None, "services": None, "since": None, "next": None}
LINES: t.Mapping[str, t.Tuple[t.Mapping[str, t.Any], str]] = {
    "as it was": ({"state": "as_it_was"}, "the stack is as it was"),
    "as it was, and up": (
        {"state": "as_it_was", "running": 2, "services": 3},
        "the stack is as it was: 2 of 3 services run",
    ),
    "as it was, and down": (
        {"state": "as_it_was", "running": 0, "services": 3},
        "the stack is as it was: DOWN, no service runs",
    ),
    "up": ({"state": "up", "running": 2, "services": 3}, "the stack is up: 2 of 3 services run"),
    "down": (
        {"state": "down", "running": 0, "services": 3, "since": 1e9, "next": "rollcall restart"},
        f"the stack is DOWN since {readable_time(1e9)}: type: /opt/trading/bin/rollcall restart",
    ),
    "down before": (
        {"state": "down", "running": 0, "services": 3, "next": "rollcall start --policy any"},
        "the stack is DOWN: type: /opt/trading/bin/rollcall start --policy any",
    ),
    "unknown": (
        {"state": "unknown", "next": "rollcall status"},
        "whether the stack is up is not known: type: /opt/trading/bin/rollcall status",
    ),
}


@pytest.mark.parametrize("case", LINES)
def test_an_error_says_it_between_what_failed_and_what_to_do(case: str) -> None:
    standing, line = LINES[case]
    error = RollcallError("It failed.", remedies=["rollcall doctor"])
    error.standing = t.cast(t.Any, {**NONE, **standing})

    text = error_text(error.as_dict(), reader=Reader("/opt/trading"))

    assert text.splitlines() == ["FAILED: It failed.", f"  {line}", "  next: /opt/trading/bin/rollcall doctor"]


@pytest.mark.parametrize("case", LINES)
def test_a_report_says_it_below_its_verdict(case: str) -> None:
    standing, line = LINES[case]
    bad = [failed("running", "main_app", "FATAL", None, state="FATAL")]
    report = restart_report(bad, standing={**NONE, **standing})

    assert f"  {line}" in roll_call(report).rsplit("\n\n", maxsplit=1)[-1].splitlines()[1]
    assert failure_text(report).splitlines()[-1] == f"  {line}"


INSTALLS = {"action": "install", "subject": "config", "reason": "manifest, config or registry changed"}
OLD = failed("logs", "main_app", "before this run began", "rollcall acknowledge", code="earlier")
NEW = failed("running", "main_app", "FATAL", None, state="FATAL")


@pytest.mark.parametrize(
    ("checks", "more", "line"),
    [
        ([OLD], {"actions": [INSTALLS]}, "the new manifest runs: generation G; what failed was so before this run"),
        ([OLD], {"actions": []}, "the manifest runs as before: generation G; what failed was so before this run"),
        ([OLD, NEW], {"actions": [INSTALLS]}, "the new manifest is in place: generation G"),
        # Of these nothing is in question: no manifest came, or none is in place, or it is only about some services.
        ([NEW], {"actions": []}, ""),
        ([OLD], {"actions": [INSTALLS], "mode": "rollback"}, ""),
        ([OLD], {"actions": [INSTALLS], "generation": None}, ""),
        ([OLD], {"actions": [], "whole": False}, ""),
        ([], {"actions": [INSTALLS]}, ""),
    ],
)
def test_a_run_that_failed_says_whether_the_new_manifest_runs(
    checks: t.Sequence[t.Any], more: t.Mapping[str, t.Any], line: str
) -> None:
    up = {**NONE, "state": "up", "running": 10, "services": 10} if checks else None
    place = {"id": "G", "verified": False}
    report = restart_report(checks, **{"mode": "auto", "generation": place, "standing": up, **more})

    found = [text.strip() for text in roll_call(report).splitlines() if "manifest runs" in text or "in place:" in text]

    assert found == ([line] if line else [])
    if line:
        assert failure_text(report).splitlines()[-1] == f"  {line}"


def test_a_stack_that_has_been_taken_off_its_host_since_is_not_to_be_brought_up() -> None:
    standing, line = LINES["down"]
    report = restart_report([failed("running", "main_app", "FATAL", None)], standing={**NONE, **standing})

    assert line in roll_call(report)
    assert "DOWN" not in roll_call(report, gone=True)


def test_an_error_by_which_no_run_ended_says_nothing_of_it() -> None:
    assert "standing" not in RollcallError("It failed.").as_dict()
