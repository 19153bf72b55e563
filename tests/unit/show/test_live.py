# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen of ``status --watch`` fits every terminal, and what is wrong is on it."""

from __future__ import annotations

import re
import typing as t
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.show import live
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.live import Seen, live_lines, run_words
from tests.support.reports import NAMES, failed, row, status_report

AT_WORK: t.Dict[str, t.Any] = {
    "who": "ada",
    "verb": "restart",
    "pid": 7,
    "since": "2026-05-31 14:05:00",
    "run": "20260531-140500-abcd",
    "start": 1,
    "step": "start",
    "waits": [
        {"name": "web", "what": "health", "said": "RUNNING, but status 503", "seconds": 14.2},
        {"name": "worker", "what": "stop", "said": "", "seconds": 3.0},
    ],
}


def shown(report: t.Any, width: int = 80, height: int = 24, *, colour: bool = False) -> t.List[str]:
    return live_lines(Seen("14:05:06", 2.0, 0.4, None, report), "/opt/trading", width, height, colour=colour)


def columns(line: str) -> int:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
    return sum(2 if unicodedata.east_asian_width(char) in ("W", "F") else 1 for char in plain)


@given(
    st.integers(20, 200), st.integers(5, 60), st.booleans(), st.text(max_size=300), st.integers(0, 40), st.booleans()
)
def test_no_line_is_wider_and_none_is_below_the_screen(
    width: int, height: int, colour: bool, evidence: str, many: int, works: bool
) -> None:
    rows = [row(f"服务{number}" if number % 3 else f"service-{number}", 8000 + number) for number in range(many)]
    checks = [failed("running", one["name"], evidence, None, state="FATAL") for one in rows[::2]]
    report = {**status_report(checks), "services": rows, "run_at_work": AT_WORK if works else None}

    lines = shown(report, width, height, colour=colour)

    assert len(lines) <= height
    assert max(map(columns, lines)) <= width
    assert not any(char in "\n\r\t\x07\x9b" for line in lines for char in line)
    assert colour or "\x1b" not in "".join(lines)


def test_what_failed_stands_first_with_its_evidence_and_the_run_says_what_it_waits_for() -> None:
    report = {**status_report([failed("running", NAMES[5], "FATAL: no such file", "rollcall logs", state="FATAL")])}
    report["run_at_work"] = AT_WORK

    lines = shown(report)

    assert lines[0] == "as of 14:05:06; q ends; every 2 s; a look takes 0.4 s"
    said = "restart of ada is at 'start', waits for web (health) and worker (stop), 14 s: RUNNING, but status 503"
    assert run_words(t.cast("t.Any", AT_WORK)) == said
    assert said in " ".join(lines)
    table = [line for line in lines if line.startswith(("FAILED ", "ok "))]
    assert table[0].split()[:2] == ["FAILED", NAMES[5]]
    assert any("no such file" in line for line in lines)


def test_services_below_the_screen_are_counted_with_what_is_wrong_of_them() -> None:
    rows = [row(f"service-{number}", None) for number in range(100)]

    lines = shown({**status_report(), "services": rows}, height=12)

    assert lines[-1] == "... 93 more, all of them ok or stopped"


def test_a_letter_of_two_columns_is_shown_where_there_is_only_one() -> None:
    assert live._wrapped("\u5b57\u5b57 a", 1) == ["\u5b57", "\u5b57", " ", "a"]
