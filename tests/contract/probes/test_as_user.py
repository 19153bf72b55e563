# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import Account, find_account
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import DatabaseCheck
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes import as_user, sqlite
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes.answers import NoAnswer
from ansible_collections.rollcall.supervisor.plugins.module_utils.probes.question import Application, Question
from tests.support.processes import is_alive

# What the process of another user may do instead of what it was told: that user can stop and change it.
BAD = {
    "nothing": ("pass", "said nothing"),
    "rubbish": ("print('no JSON')", "said something else"),
    "bytes of no text": ("sys.stdout.buffer.write(bytes(range(128, 256)))", "said something else"),
    "a list": ("print('[1]')", "said something else"),
    "too deep": ("print('[' * 60000)", "said something else"),
    "too much": ("print('{\"kind\": \"' + 'x' * (1 << 20) + '\"}')", "said more than 65536 bytes"),
    "without an end": ("while True: sys.stdout.write('x' * 65536)", "said more than 65536 bytes"),
    "errors without an end": ("while True: sys.stderr.write('x' * 65536)", "said more than 65536 bytes"),
    "a failure": ("raise SystemExit('\\x1b[2Jno module')", "could not look: \ufffd[2Jno module"),
    "its own end": ("import os; os.kill(os.getpid(), 9)", "could not look: "),
}


@pytest.mark.parametrize(("program", "words"), BAD.values(), ids=BAD)
def test_what_a_process_of_another_user_says_is_data_with_a_limit(program: str, words: str) -> None:
    with pytest.raises(NoAnswer) as caught:
        as_user.run_as(find_account(None), f"import sys\n{program}", [], 20)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("first", ["", "os.close(1); os.close(2)"], ids=["at once", "after it has closed its output"])
def test_a_process_of_another_user_that_hangs_is_ended(first: str, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    text = f"import os, sys, time\nopen(sys.argv[1], 'w').write(str(os.getpid()))\n{first}\ntime.sleep(600)"
    with pytest.raises(TimeoutError):
        as_user.run_as(find_account(None), text, [str(told)], 6)
    assert not is_alive(int(told.read_text()))


# What `look_into` never says of a file.
NO_ANSWERS: t.List[t.Dict[str, t.Any]] = [
    {},
    {"tables": "many", "complaint": "ok"},
    {"tables": 10**4000, "complaint": "ok"},
    {"tables": -1, "complaint": "ok"},
    {"tables": 1},
    {"kind": "good"},
    {"kind": ["empty"]},
    {"errno": "2"},
    {"error": ["x"], "code": 1},
    {"error": "x"},
    {"error": "x", "code": 1.5},
]


@pytest.mark.parametrize("said", NO_ANSWERS, ids=lambda said: repr(said)[:40])
def test_what_is_said_of_a_database_has_the_types_of_an_answer(
    said: t.Dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _played(monkeypatch, said)
    with pytest.raises(NoAnswer, match=r"that was to look at /srv/site\.db said something else"):
        sqlite.ask_sqlite(_question())


def test_a_number_of_no_error_and_words_without_an_end_are_told_in_short(monkeypatch: pytest.MonkeyPatch) -> None:
    _played(monkeypatch, {"errno": 10**4000})
    with pytest.raises(NoAnswer, match=r"/srv/site\.db: an error that has no name"):
        sqlite.ask_sqlite(_question())
    _played(monkeypatch, {"error": "\x1b[2J" + "x" * 60_000, "code": 1})
    with pytest.raises(NoAnswer) as caught:
        sqlite.ask_sqlite(_question())
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


def _question() -> Question:
    return Question(Application("web", {}, None), DatabaseCheck("sqlite", "/srv/site.db", timeout=20), Deadline(20))


def _played(monkeypatch: pytest.MonkeyPatch, said: t.Dict[str, t.Any]) -> None:
    """Have the look at a database done by another process, which says this."""
    program = f"print({json.dumps(said)!r})"

    def run(who: Account, _text: str, arguments: t.Sequence[str], seconds: float) -> t.Dict[str, t.Any]:
        return as_user.run_as(who, program, arguments, seconds)

    monkeypatch.setattr(sqlite, "is_needed", lambda _who: True)
    monkeypatch.setattr(sqlite, "run_as", run)
