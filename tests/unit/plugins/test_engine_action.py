# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions do with an answer of the engine before Ansible shows it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine import HIDDEN, without

KEY = "-----BEGIN KEY-----\nplanted-1\nplanted-22\n-----END KEY-----\n"


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the key planted-token is refused", f"the key {HIDDEN} is refused"),
        ("planted-token", HIDDEN),
        ("planted-token-and-more", HIDDEN),
        ("INFO: planted-22", f"INFO: {HIDDEN}"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_a_secret_that_a_service_has_logged_is_taken_out_wherever_it_is(text: str, said: str) -> None:
    secrets = {"web": {"A": "planted-token", "B": "planted-token-and-more", "C": KEY, "D": None}}
    answer = {"msg": text, "report": {"checks": [{"data": {"log": ["x", text]}}]}}
    assert without(answer, secrets) == {"msg": said, "report": {"checks": [{"data": {"log": ["x", said]}}]}}


@pytest.mark.parametrize("secret", ["1", "ok", "True", "False", "", 8001, 0.5, "web"])
def test_a_short_secret_leaves_the_report_as_it_is(secret: t.Any) -> None:
    answer = {"changed": True, "report": {"ok": False, "result": "ok", "port": 8001, "latency": 0.5, "name": "web-1"}}
    assert without(answer, {"web": {"A": secret}}) == answer


def test_numbers_and_keys_stay_what_they_are() -> None:
    answer = {"report": {"1234567": 1234567, "seconds": 123456.7, "none": None}}
    assert without(answer, {"web": {"A": "1234567", "B": "123456"}}) == answer
    assert without(answer, None) == answer
