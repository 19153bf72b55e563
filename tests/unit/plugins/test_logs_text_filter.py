# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs that a host prints are shown when they are such, and refused in one sentence when they are not."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.rollcall.supervisor.plugins.filter.logs_text import logs_text

LOG = {"path": "/opt/a/logs/web.log", "lines": ["x\x1b[2J\u202ey"], "problem": None, "notes": []}


def test_lines_of_a_host_are_shown_and_move_no_terminal() -> None:
    told = logs_text(json.dumps({"ok": True, "logs": {"web": LOG, "worker": {**LOG, "notes": ["half of it is gone"]}}}))
    assert "web | x" in told
    assert "(half of it is gone)" in told
    assert told.replace("\n", "").isprintable()
    assert logs_text('{"ok": true, "logs": {}}') == "Nothing was written."


def test_an_error_is_told_with_its_cure() -> None:
    error = {"message": "No.", "kind": "wrong_use", "evidence": {}, "remedies": ["rollcall status"]}
    assert logs_text(json.dumps({"ok": False, "error": error})) == "FAILED: No.\n  next: rollcall status"


@pytest.mark.parametrize("said", [7, {"ok": True}, {"ok": True, "logs": {"web": {**LOG, "lines": "x"}}}])
def test_what_is_no_answer_is_refused_in_one_sentence(said: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="is no answer of this version") as caught:
        logs_text(json.dumps(said))
    assert str(caught.value).isprintable()
