# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a timer by the runs of its job that are remembered, and how that looks."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.job_documents import JobResult, JobRun, TimerRow
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Service
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.timers import job_history_text, timers_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.words import painter
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import jobs

# Times in these tables are seconds since the timer began, which was a day after the host has booted.
BEGAN = 1_000_000.0
HOURLY = Service("cleanup", ("/x",), "/", kind="timer", every=3600.0)


def run(start: float, result: JobResult = "ok", code: t.Optional[int] = 0, **more: t.Any) -> JobRun:
    made: JobRun = {
        "start": BEGAN + start,
        "end": BEGAN + start + 2,
        "result": result,
        "exit_code": code,
        "by": "systemd",
        "why": "",
        "times": 1,
    }
    return t.cast("JobRun", {**made, **more})


def row(*runs: JobRun, now: float = 100.0, known: t.Optional[float] = None, booted: float = -86_400.0) -> TimerRow:
    acknowledged = None if known is None else BEGAN + known
    return jobs._row(HOURLY, runs, BEGAN, acknowledged, BEGAN + now, BEGAN + booted)


@pytest.mark.parametrize(
    ("found", "failed", "late", "due"),
    [
        (row(), False, False, 3600),
        (row(now=3700), False, False, 3600),
        (row(now=3800), False, True, 3600),
        # After a boot systemd counts anew.
        (row(now=3800, booted=3000), False, False, 6600),
        (row(run(10)), False, False, 3610),
        (row(run(10), now=3800), False, True, 3610),
        (row(run(10, "running", None), now=9999), False, False, 3610),
        (row(run(10, "failed", 3)), True, False, 3610),
        (row(run(10, "timeout", -15)), True, False, 3610),
        (row(run(10, "cut_off", None, end=None)), True, False, 3610),
        (row(run(10, "ended", -15)), False, False, 3610),
        (row(run(10, "failed", 3), known=50), False, False, 3610),
        (row(run(10, "failed", 3), known=11), True, False, 3610),
        (row(run(20), run(10, "failed", 3)), False, False, 3620),
        # One that was skipped is no end of a failure, and not late.
        (row(run(5000, "skipped", None), run(10, "failed", 3), now=6000), True, False, 8602),
        (row(run(30, "running", None), run(10, "failed", 3)), True, False, 3630),
    ],
)
def test_a_timer_is_told_by_the_runs_of_its_job(found: TimerRow, failed: bool, late: bool, due: float) -> None:
    assert (found["failed"], found["late"], found["next"]) == (failed, late, BEGAN + due)


def test_each_timer_has_a_line_that_says_how_its_last_run_ended_and_when_the_next_one_is() -> None:
    told = timers_text(
        [row(), row(run(10)), row(run(10, "failed", 3)), row(run(10, "failed", 3), known=50), row(now=9999)],
        painter(False),
    )
    assert [line.split()[:4] for line in told.splitlines()[1:]] == [
        ["cleanup", "every", "1h", "none"],
        ["cleanup", "every", "1h", "ok"],
        ["cleanup", "every", "1h", "FAILED,"],
        ["cleanup", "every", "1h", "FAILED,"],
        ["cleanup", "every", "1h", "none"],
    ]
    assert [word in line for word, line in zip(("known", "LATE since"), told.splitlines()[4:])] == [True, True]
    assert timers_text([], painter(False)) == ""


def test_the_history_of_a_job_keeps_to_the_terminal() -> None:
    runs = [run(10, "skipped", None, why="the stack was stopped by ann", times=7), run(5, "failed", -9)]
    lines = job_history_text({"ok": True, "timer": "cleanup", "runs": runs}, 60).splitlines()
    assert max(map(len, lines)) <= 60
    assert "skipped 7 times" in lines[1]
    assert "FAILED, signal 9" in lines[2]
