# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are taken out of what is told, in each form in which a service may have written them."""

from __future__ import annotations

import base64
import html
import json
import shlex
import time
import typing as t
from urllib.parse import quote, quote_plus

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import (
    command_documents,
    documents,
    outcome_documents,
    rollout_documents,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.masking import HIDDEN, KEPT, masked, secrets_in
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import one_line

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
    assert masked(answer, secrets) == {"msg": said, "report": {"checks": [{"data": {"log": ["x", said]}}]}}


@pytest.mark.parametrize("secret", ["1", "ok", "True", "False", "", 8001, 0.5, "web"])
def test_a_short_secret_leaves_the_report_as_it_is(secret: t.Any) -> None:
    answer = {"changed": True, "report": {"ok": False, "result": "ok", "port": 8001, "latency": 0.5, "name": "web-1"}}
    assert masked(answer, {"web": {"A": secret}}) == answer


def test_numbers_and_keys_stay_what_they_are() -> None:
    answer = {"report": {"1234567": 1234567, "seconds": 123456.7, "none": None}}
    assert masked(answer, {"web": {"A": "1234567", "B": "123456"}}) == answer
    assert masked(answer, None) == answer


QUOTES = 'pla"nted\\ü-1'


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps({"key": QUOTES}), f'{{"key": "{HIDDEN}"}}'),
        (json.dumps({"key": QUOTES}, ensure_ascii=False), f'{{"key": "{HIDDEN}"}}'),
        (f"refused: {QUOTES!r}", f"refused: '{HIDDEN}'"),
        ("no user ada with p%20w/planted", f"no user ada with {HIDDEN}"),
        ("no user ada with p w/planted", f"no user ada with {HIDDEN}"),
        ("postgresql://ada:p%20w/planted@localhost/x is down", f"{HIDDEN} is down"),
    ],
)
def test_a_secret_is_known_as_json_and_python_write_it_and_in_a_url(text: str, said: str) -> None:
    url = "postgresql://ada:p%20w%2Fplanted@localhost/x".replace("%2F", "/") if "/planted@" in text else ""
    secrets = [QUOTES, url or "postgresql://ada:p%20w%2Fplanted@localhost/x", "p%20w/planted"]
    assert masked(text, secrets) == said


SIGNS = "pl'nt+d/se<cr\"t& =="


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    "written",
    [
        quote(SIGNS),
        quote(SIGNS, safe=""),
        quote_plus(SIGNS),
        quote(SIGNS, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d").replace("%3C", "%3c"),
        html.escape(SIGNS),
        html.escape(SIGNS, quote=False),
        html.escape(SIGNS).replace("&#x27;", "&#39;"),
        json.dumps(SIGNS)[1:-1].replace("/", "\\/"),
        json.dumps(SIGNS)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c"),
        shlex.quote(SIGNS),
        base64.b64encode(SIGNS.encode()).decode(),
    ],
)
def test_a_secret_is_known_as_urls_pages_shells_and_other_languages_write_it(written: str) -> None:
    assert masked(f"GET /?key={written} failed", [SIGNS]) in (
        f"GET /?key={HIDDEN} failed",
        # Of what is not whole letters of its own, one may be left.
        f"GET /?key={HIDDEN}{written[-3:]} failed",
    )


@pytest.mark.fault(47)
@pytest.mark.parametrize("user", ["", "a:", "ab:", "abc:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_known_in_a_header_of_basic_authentication(user: str, encode: t.Callable[[bytes], bytes]) -> None:
    secret = "pl\u00e4nted-\u00ff\u00fe-password"
    sent = encode(f"{user}{secret}".encode()).decode()
    left = masked(f"Basic {sent}", [secret]).replace(HIDDEN, "")
    # What stands before it, and letters that have bits of what stands beside it.
    assert len(left) <= len("Basic ") + len(user) * 4 // 3 + 5


@pytest.mark.fault(47)
@pytest.mark.parametrize("at", range(6, 20))
def test_a_secret_that_was_cut_in_two_is_not_told_by_half(at: int) -> None:
    secret = "planted-0123456789-abcdef"
    line = one_line(f"{'x' * (159 - at)}{secret}")
    assert line.endswith(f"{secret[:at]}…")
    assert masked(line, secret) == f"{'x' * (159 - at)}{HIDDEN}…"

    rest = f"{secret[at:]} is refused\n{'y' * 500}"
    assert masked(rest, secret) == (f"{HIDDEN} is refused\n{'y' * 500}" if len(secret) - at >= 6 else rest)


def literals(shape: t.Any) -> t.Set[str]:
    """Return the keys of a document whose value is one of a few words."""
    found = set()
    for key, hint in t.get_type_hints(shape).items():
        parts = [hint, *t.get_args(hint)]
        if any(t.get_origin(part) is t.Literal for part in parts):
            found.add(key)
    return found


def test_what_programs_decide_on_is_left_as_it_is() -> None:
    shapes = [
        shape
        for module in (documents, command_documents, outcome_documents, rollout_documents)
        for shape in vars(module).values()
        if isinstance(shape, type) and hasattr(shape, "__required_keys__")
    ]
    assert set().union(*map(literals, shapes)) - {"ok"} <= KEPT, "ok is true or false"
    answer = {"report": {"result": "degraded", "services": [{"name": "worker", "state": "RUNNING"}]}}
    assert masked(answer, ["degraded", "RUNNING", "worker"]) == answer


def test_many_secrets_and_a_large_report_take_little_time() -> None:
    secrets = [f"planted-{number:040}" for number in range(500)]
    report = {"checks": [{"evidence": f"line {number} of a log, as long as most are\n" * 12} for number in range(500)]}
    began = time.process_time()
    masked(report, secrets)
    assert time.process_time() - began < 5


KEYS = """-----BEGIN CERTIFICATE-----
MIIBpublic0123456789
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIIBprivate012345678
QwErTy0=
-----END PRIVATE KEY-----
"""
ACCOUNT = {
    "type": "service_account",
    "private_key": "-----BEGIN PRIVATE KEY-----\nMIIBprivate012345678\n-----END PRIVATE KEY-----\n",
    "auth": {"uri": "https://localhost/auth", "tokens": ["planted-1", "planted-2"]},
}


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("content", "secret"),
    [
        ("planted\n", {"planted"}),
        ("trading\nplanted-1\n", {"planted-1"}),
        ("trading\ncorrecthorsebattery\n", {"correcthorsebattery"}),
        (KEYS, {"MIIBprivate012345678", "QwErTy0="}),
        (json.dumps(ACCOUNT), {"MIIBprivate012345678", "planted-1", "planted-2"}),
        (json.dumps(ACCOUNT, indent=1), {"MIIBprivate012345678", "planted-1", "planted-2"}),
        ("# of the feed\n[default]\nregion = eu-west-1\naws_secret_access_key = planted/1\n", {"planted/1"}),
        ("HOST=db1.example.org\nAPI_KEY='planted-1'\nDEBUG=enabled\n", {"planted-1"}),
        ("API_KEY=planted-1", {"API_KEY=planted-1", "planted-1"}),
        ("# x\nurl: postgresql://ada:planted@localhost/x\n", {"postgresql://ada:planted@localhost/x"}),
        (
            "machine localhost login ada password planted\n# x\n",
            {"machine localhost login ada password planted", "planted"},
        ),
        ("localhost:5432:shop:ada:planted-1\n#\n", {"localhost:5432:shop:ada:planted-1", "planted-1"}),
        ("", set()),
        ("[" * 100_000, {"[" * 100_000}),
    ],
)
def test_of_a_file_of_credentials_what_is_secret_is_known(content: str, secret: t.Set[str]) -> None:
    found = {text for text in secrets_in(content) if len(text) >= 6}
    assert found == secret


@pytest.mark.fault(47)
def test_a_secret_is_taken_out_of_tuples_as_well() -> None:
    assert masked({"log": ("x", "planted-1")}, ["planted-1"]) == {"log": ("x", HIDDEN)}
