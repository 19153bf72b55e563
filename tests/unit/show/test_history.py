# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of runs fits the terminal."""

from __future__ import annotations

import argparse
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.cli import look
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.history import history_text, run_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import history


def run(**other: t.Any) -> t.Any:
    return {
        "run": "20261121-080102-ab12",
        "time": 1_795_000_000.0,
        "who": "ada from 2001:db8:85a3:8d3:1319:8a2e:370:7348",
        "mode": "emergency",
        "services": [],
        "automatic": True,
        "manifest": "0123456789abcdef",
        "actions": [],
        "result": "degraded",
        "step": None,
        "seconds": 1234.5,
        "changed": True,
        "message": None,
        "failed": ["health active_trade_supervisor", "running auto_entry_supervisor"],
        "checks": [],
        "signals": [],
        "timings": {},
        **other,
    }


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_row_is_wider_than_the_terminal(width: int) -> None:
    rows = [run(), run(time=None, who=None, seconds=None, automatic=False), run(result="cut off", step="start")]
    text = history_text({"ok": True, "runs": rows, "generations": []}, width)
    assert max(map(len, text.splitlines())) <= width
    assert len(text.splitlines()) == 4


def test_where_no_terminal_ends_a_line_whoever_has_run_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = [run(services=["web", "worker"], who="rollcall watch")]
    document = {"ok": True, "runs": rows, "generations": []}
    monkeypatch.setattr(history, "recorded_runs", lambda *_arguments, **_keys: document)

    told = look.VERBS["history"].run
    assert told is not None
    assert told(argparse.Namespace(root=str(tmp_path), run_id=None, most=20, json=False)) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("rollcall watch")


def test_an_ordinary_run_is_shown_whole_in_80_columns() -> None:
    row = run(mode="full", automatic=False, who="ada", result="ok", failed=[], seconds=2.5)
    (_heads, line) = history_text({"ok": True, "runs": [row], "generations": []}, 80).splitlines()
    assert line.split()[:1] + line.split()[-5:] == ["20261121-080102-ab12", "full", "2.5", "s", "OK", "ada"]


def test_a_run_by_name_says_what_was_done_with_which_services() -> None:
    rows = [run(mode=mode, services=["web", "worker"], automatic=False, who="ada") for mode in ("full", "stop", "auto")]
    long = run(
        mode="full", services=["web", "active_trade_supervisor"], automatic=False, result="ok", failed=[], who="ada"
    )
    wide: t.Any = {**long, "services": ["unified_production_coordinator", "b", "c"]}
    lines = history_text({"ok": True, "runs": [*rows, long, wide], "generations": []}, 80).splitlines()[1:]
    shown = [
        "restart web, worker",
        "stop web, worker",
        "converge web, worker",
        "restart web +1",
        "restart unified_pr… +2",
    ]
    assert [line[35:57].strip() for line in lines] == shown
    assert max(map(len, lines)) <= 80
    assert " OK " in lines[3]
    assert "restart web, active_trade_supervisor by ada" in run_text(long)


def test_a_run_that_touched_nothing_stands_as_refused() -> None:
    rows = [run(mode="rollback", result=result, failed=[], automatic=False) for result in ("refused", "wrong_use")]
    text = history_text({"ok": True, "runs": rows, "generations": []}, 200)
    assert [line.count("REFUSED") for line in text.splitlines()[1:]] == [1, 1]
