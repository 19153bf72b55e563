# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a host answers, the controller admits what it knows, within limits, and can show that."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import error_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.roll_call import roll_call
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import answers
from tests.support.hostile import FUZZ, contained, mutated
from tests.support.reports import failed, restart_report, status_report

QUOTED = '"":{},'
ERROR = {"message": "x", "kind": "failed", "evidence": {"a": [1, {"b": 2.5}]}, "remedies": ["rollcall status"]}
GOOD = [
    {"changed": False, "report": status_report([failed("running", "main_app", "FATAL", "x")])},
    {"changed": True, "report": restart_report(), "diff": [{"before": "a", "after": "b"}]},
    {"changed": False, "ports": {"web": 8000}, "moved": [], "notes": ["x"]},
    {"changed": False, "error": ERROR, "failed": True, "msg": "x"},
]


@given(mutated(*(json.dumps(one).encode() for one in GOOD)), st.sampled_from(sorted(answers.OF_VERBS)))
@FUZZ
def test_an_answer_of_a_host(content: bytes, verb: str) -> None:
    with contained(), contextlib.suppress(answers.Malformed):
        answer, dropped = answers.answer_to(verb, content.decode("utf-8", "replace"))
        assert len(dropped) <= answers.MOST_NAMED
        json.dumps([answer, dropped], allow_nan=False).encode()
        text = error_text(answer["error"]) if "error" in answer else ""
        if verb in ("status", "verify", "restart") and "report" in answer:
            text += roll_call(answer["report"])
        assert all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize("text", ["[" + "[]," * 5_000_000 + "[]]", "{" + QUOTED * 3_000_000 + "}"])
def test_an_answer_of_millions_of_values_is_not_made_of_them(text: str) -> None:
    with contained(), pytest.raises(answers.Malformed, match="values"):
        answers.answer_to("status", text)
