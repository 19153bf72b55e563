# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark makes of what each peer says, and where it stands on the page."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from tests.benchmark import page, peers
from tests.benchmark.arena import Took
from tests.benchmark.peer_places import Circus, Honcho, Ours, Peer, Pm2, Said, Supervisorctl, Systemd
from tests.benchmark.peers import PeerTimes, Spoken, Step, summary

HONCHO = """\
11:07:24 system           | system_monitor.1 started (pid=2300)
11:07:24 web.1            | 2026-12-01 11:07:24 web starts as pid 2301
11:07:25 system_monitor.1 | 2026-12-01 11:07:25 system_monitor ends
11:07:26 system           | system_monitor.1 stopped (rc=1)
11:07:26 system           | sending SIGTERM to web.1 (pid 2299)
"""
PM2 = """\
[PM2] Applying action restartProcessId on app [all](ids: [ 0, 6 ])
[PM2] [system_monitor](6) ✓
│ id │ name           │ mode │ pid  │ ↺  │ status  │
├────┼────────────────┼──────┼──────┼────┼─────────┤
│ 0  │ web            │ fork │ 3728 │ 2  │ online  │
│ 6  │ system_monitor │ fork │ 0    │ 16 │ errored │
"""
SYSTEMD_STATUS = """\
● web.service - web
     Active: active (running) since Tue 2026-12-01 11:22:12 UTC; 30s ago
● system_monitor.service - system_monitor
     Loaded: loaded (/etc/systemd/system/system_monitor.service; static)
     Active: activating (start-post) since Tue 2026-12-01 11:22:36 UTC; 6s ago
   Main PID: 543 (python3); Control PID: 544 (python3)
"""
SYSTEMD_RESTART = """\
Job for system_monitor.service failed because a timeout was exceeded.
See "systemctl status system_monitor.service" and "journalctl -xeu system_monitor.service" for details.
"""
OURS = """\
        service         state    pid  port  health
ok      web             RUNNING  480  8000  ok
FAILED  system_monitor  RUNNING  481  8011  failed

FAILED  system_monitor
  health: 503, wanted 200: ""
  next: curl -sS -i http://127.0.0.1:8011/health

shop on app1: FAILED, 1 of 2 services: system_monitor
  next rollcall logs system_monitor
"""


@pytest.mark.parametrize(
    ("peer", "output", "words"),
    [
        (Ours, OURS, 'health: 503, wanted 200: ""'),
        (Ours, OURS.partition("\n\n")[0], "FAILED system_monitor RUNNING 481 8011 failed"),
        (Supervisorctl, "web: started\nsystem_monitor: ERROR (spawn error)\n", "system_monitor: ERROR (spawn error)"),
        (Honcho, HONCHO, "11:07:26 system | system_monitor.1 stopped (rc=1)"),
        (Circus, "ok\n", "ok"),
        (Pm2, PM2, "6 system_monitor fork 0 16 errored"),
        (Systemd, SYSTEMD_STATUS, "Active: activating (start-post) since Tue 2026-12-01 11:22:36 UTC; 6s ago"),
        (Systemd, SYSTEMD_RESTART, "Job for system_monitor.service failed because a timeout was exceeded."),
        (Systemd, "", ""),
    ],
)
def test_of_all_that_is_printed_the_line_that_says_how_the_service_is_stands_on_the_page(
    peer: type[Peer], output: str, words: str
) -> None:
    made = object.__new__(peer)
    assert made.words(Said(0.0, 1.0, 1, output), "system_monitor") == words


def said(code: int | None) -> Said:
    return Said(10.0, 11.5, code, "")


SPOKEN = [
    Spoken("is silent", "one", said(0), "started", said(0), "RUNNING"),
    Spoken("is silent", "two", said(1), "a | timeout", said(3), "failed"),
    Spoken("is silent", "three", said(None), "", None, ""),
    Spoken("is frozen", "one", None, "", said(0), "RUNNING"),
    Spoken("is frozen", "two", None, "", said(3), "failed"),
    Spoken("is frozen", "three", None, "", None, ""),
]


def test_ok_is_said_by_exit_code_0_and_by_nothing_else() -> None:
    assert summary(SPOKEN) == [
        ["", "is silent", "is frozen"],
        ["one", "restart, status", "status"],
        ["two", "no", "no"],
        ["three", "says nothing", "says nothing"],
    ]
    assert SPOKEN[1].cells() == ["is silent", "two", "1: `a / timeout`", "3: `failed`"]
    assert SPOKEN[2].cells() == ["is silent", "three", "runs on: says nothing", "no such command"]


def test_a_step_tells_when_the_command_ended_and_when_all_answered() -> None:
    step = Step()
    assert step.cells() == ["no such command", ""]
    step.add(said(0), 12.0)
    assert step.cells() == ["1.50 s", "2.00 s"]
    foreground = Step()
    foreground.add(said(None), 12.0)
    assert foreground.cells() == ["runs on", "2.00 s"]


def test_the_page_begins_with_the_truth_and_names_who_is_left_out(tmp_path: Path) -> None:
    community = tmp_path / "ansible_collections" / "community" / "general"
    community.mkdir(parents=True)
    (community / "MANIFEST.json").write_text(json.dumps({"collection_info": {"version": "11.4.2"}}), encoding="utf-8")
    times = PeerTimes("one", status=[Took(0.1, 0.0)])
    times.cold.add(said(0), 12.0)
    measured = page.Measured(found=peers.Findings(SPOKEN, [times], ["two: there is no npm here"], ["one 1.0"]))

    text = page.write(page.SHEETS["benchmarks.md"], measured, tmp_path)

    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[:3] == [
        "# Benchmarks",
        "## What says OK while a service does not answer",
        "### In their own words",
    ]
    assert headings.index("## Ten services, and what people run them with") < headings.index("## The machine")
    assert "- Left out: two: there is no npm here.\n" in text
    assert "- one 1.0\n" in text
    assert _rows(text)["one"] == ["1.50 s", "2.00 s", "no such command", "", "no such command", "", "100 ms", "1"]


def _rows(text: str) -> t.Dict[str, t.List[str]]:
    """Return the cells of the table's rows, the last with each name."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines if len(cells) == 9}
