# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a watcher has seen, as people read it: in a journal, and below the verdict of a status."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.show.roll_call import roll_call
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.watching import look_text
from tests.support.documents import validated
from tests.support.reports import status_report

INCIDENT: t.Any = {
    "id": "service:web",
    "code": "down",
    "subject": "web",
    "services": ["web"],
    "level": "critical",
    "why": "web is down: FATAL",
    "told": "web is down: BACKOFF",
    "evidence": "FATAL\nlast words: \x1b[31mno config\x1b[0m",
    "next": ["rollcall logs web"],
    "since": 1_700_000_000.0,
    "looks": 4,
    "restarts": 0,
    "gave_up": False,
}


def a_look(*kinds: str) -> t.Any:
    events = [
        {
            "event": kind,
            "at": 1_700_000_125.0,
            "incident": INCIDENT,
            "lasted": 125.0,
            "stack": "trading",
            "host": "web1",
            "root": "/opt/trading",
        }
        for kind in kinds
    ]
    document = {
        "ok": False,
        "stack": "trading",
        "root": "/opt/trading",
        "host": "web1",
        "at": 1_700_000_125.0,
        "seconds": 0.2,
        "level": "critical",
        "incidents": [INCIDENT],
        "events": events,
    }
    return validated(document, "WatchDocument")


def test_the_first_words_are_the_level_and_the_cause_and_the_last_a_command_that_works() -> None:
    first, *rest = look_text(a_look("critical"), whole=False).splitlines()

    assert first.endswith(" CRITICAL: web is down: FATAL")
    assert rest == [r"  last words: \x1b[31mno config\x1b[0m", "  next: /opt/trading/bin/rollcall logs web"]


def test_what_is_over_is_told_with_how_long_it_lasted_in_one_line() -> None:
    (line,) = look_text(a_look("recovered"), whole=False).splitlines()

    assert line.endswith(" RECOVERED after 2 min 5 s: web is down: BACKOFF")


def test_asked_once_all_that_is_open_is_told() -> None:
    assert "critical since " in look_text(a_look(), whole=True)
    assert look_text(a_look(), whole=True).splitlines()[-1] == "trading on web1: CRITICAL, 1 incident"
    assert look_text(a_look(), whole=False) == ""


def test_so_soon_after_a_run_it_says_that_nothing_is_counted() -> None:
    look = {**a_look(), "ok": True, "level": "grace", "incidents": []}

    told = "trading on web1: GRACE, 0 incidents: nothing is counted so soon after a run or a boot"
    assert look_text(t.cast("t.Any", look), whole=True) == told


def test_a_status_says_what_the_watcher_has_found_and_not_all_of_much() -> None:
    found = ["disk full: /srv", "log deleted: web.log", "c is down", "d is down", "e is down"]
    known = {"at": 1.0, "age": 9.0, "interval": 15.0, "level": "critical", "incidents": found, "silent": False}

    lines = roll_call(status_report(watcher=known)).splitlines()
    seen = next(number for number, line in enumerate(lines) if line.startswith("  seen  "))
    assert [line.strip() for line in lines[seen + 1 : seen + 5]] == [*found[:3], "and 2 more incidents"]
    assert "disk full" not in roll_call(status_report(watcher={**known, "interval": 0.0}))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "by the watcher 9 s ago, every 15 s: OK"),
        (
            {"level": "critical", "incidents": ["web is down"]},
            "by the watcher 9 s ago, every 15 s: CRITICAL, 1 incident",
        ),
        ({"silent": True, "age": 420.0}, "the watcher has not looked for 7 min: it is dead, or hangs"),
        ({"interval": 0.0}, "by the watcher 9 s ago: OK; no watcher is at work now"),
    ],
)
def test_a_status_says_when_the_watcher_has_last_looked(keys: t.Any, words: str) -> None:
    known = {"at": 1.0, "age": 9.0, "interval": 15.0, "level": "ok", "incidents": [], "silent": False, **keys}

    assert f"  seen  {words}\n" in roll_call(status_report(watcher=known)) + "\n"
