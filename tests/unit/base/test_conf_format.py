# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of supervisord's config reads what the standard library reads, and refuses what would take it long."""

from __future__ import annotations

import configparser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.conf_format import ConfParser, TooLarge
from tests.support.examples import examples
from tests.support.hostile import contained

LINES = st.text(st.sampled_from("ab[]=:;# \t%\x0b\x85"), max_size=12)


def sections(parser: configparser.RawConfigParser, text: str) -> object:
    try:
        parser.read_string(text)
    except configparser.Error as exc:
        return type(exc).__name__, getattr(exc, "lineno", None), getattr(exc, "errors", None)
    return {name: dict(parser[name]) for name in parser}


@given(st.lists(LINES, max_size=8).map("\n".join))
@settings(max_examples=examples(200), deadline=None)
@example("[a]\nb = c ; d\n  e = f\n= g\n")
def test_it_reads_what_the_standard_library_reads(text: str) -> None:
    usual = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    own = ConfParser()
    own.check(text)

    for whole in (text, f"[a]\n{text}"):
        assert sections(own, whole) == sections(usual, whole)


@pytest.mark.parametrize(
    "text",
    ["[a]\n" + "b\n" * 200_000, "[a]\n" + "=\n" * 200_000, "[a]\n" + "b ;=\n" * 100_000, "[a]\n" + "[b\n" * 100_000],
)
def test_very_many_lines_that_are_none_are_refused(text: str) -> None:
    with contained(), pytest.raises(TooLarge, match="lines that are neither"):
        ConfParser().check(text)


def test_defaults_for_very_many_sections_are_refused() -> None:
    text = "[DEFAULT]\n" + "".join(f"a{n}=\n" for n in range(1000)) + "".join(f"[{n}]\n" for n in range(1000))

    with contained(), pytest.raises(TooLarge, match="too many sections"):
        ConfParser().check(text)


def test_a_config_of_a_thousand_programs_is_none_of_these() -> None:
    program = "[program:a{}]\n" + "key=value\n" * 20 + "files=\n  one\n"
    text = "[DEFAULT]\nuser=svc\n" + "".join(program.format(n) for n in range(900))
    parser = ConfParser()

    parser.check(text)
    parser.read_string(text)

    assert len(parser.sections()) == 900
