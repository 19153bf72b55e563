# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the port tool of a host prints is shown when it is an answer, and refused in one sentence when it is none."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.rollcall.supervisor.plugins.filter.ports_text import ports_text

ESCAPE = "x\x1b[2J\u202e"
PROCESS = {
    "pid": 7,
    "ppid": 1,
    "user": "ada",
    "command": ESCAPE,
    "state": "S",
    "started": 1.0,
    "ports": [8001],
    "sockets": [],
}
LISTED = {"ok": True, "operation": "list", "check": False}


def test_what_an_operation_has_printed_is_shown_and_moves_no_terminal() -> None:
    process = {**PROCESS, "provenance": "supervised", "service": "web"}

    told = ports_text({**LISTED, "processes": [process]})

    assert "ada" in told
    assert told.replace("\n", "").isprintable()


def test_an_error_is_told_with_its_cure() -> None:
    error = {"message": "No.", "kind": "wrong_use", "evidence": {}, "remedies": ["rollcall ports list"]}

    assert ports_text({"ok": False, "error": error}) == "FAILED: No.\n  next: rollcall ports list"


@pytest.mark.parametrize(
    "said",
    [
        [1],
        "x",
        7,
        {"ok": True},
        {"ok": True, "operation": ["list"]},
        {"ok": True, "operation": "list", "check": False},
        {**LISTED, "processes": [{**PROCESS, "provenance": "supervised", "service": "web", "started": "now"}]},
        {**LISTED, "processes": [{**PROCESS, "provenance": "supervised", "service": "web", "started": float("nan")}]},
        {"ok": False, "error": {"message": ["no"]}},
        {"ok": True, "operation": "show-config", "check": False, "manifest": {"ports": []}, "ports": []},
    ],
)
def test_what_is_no_answer_is_refused_in_one_sentence(said: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="is no answer of this version") as caught:
        ports_text(said)

    assert str(caught.value).isprintable()
