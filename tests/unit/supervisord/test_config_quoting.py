# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written for a value, and that every step in supervisor is undone by it."""

from __future__ import annotations

import re
import shlex
import typing as t

import pytest
from hypothesis import given

from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import quoting
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.quoting import Unrepresentable
from tests.support import configs

EXPANDED = {"program_name": "app"}


@pytest.mark.parametrize(
    ("argv", "written"),
    [
        (["/bin/true"], "/bin/true"),
        (["sh", "-c", "a; b"], "sh -c 'a; b'"),
        (["sh", "-c", "a ; b"], "sh -c 'a %(program_name).0s; b'"),
        (["x", "#1"], "x '#1'"),
        (["x", "a #1 ;2"], "x 'a %(program_name).0s#1 %(program_name).0s;2'"),
        (["date", "+%F"], "date +%%F"),
        (["x", "%(here)s"], "x '%%%(program_name).0s(here)s'"),
        (["x", ""], "x ''"),
        (["x", "it's"], "x 'it'\"'\"'s'"),
        (["x", "a\tb"], "x 'a\tb'"),
        (["x", "\u00a0;"], "x '\u00a0%(program_name).0s;'"),
        (["x", "{{ 1 }}"], "x '{{ 1 }}'"),
    ],
)
def test_a_command_is_written_so(argv: t.List[str], written: str) -> None:
    assert quoting.quote_command(argv) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", "A=''"),
        ("plain", "A='plain'"),
        ("http://x?z=1,2", "A='http://x?z=1,2'"),
        ("$HOME", "A='$HOME'"),
        ("it's", 'A="it\'s"'),
        ('say "x" now', "A='say \"x\" now'"),
        ("back\\slash", "A='back\\slash'"),
        ("100%", "A='100%%'"),
        ("a ;b #c", "A='a %(program_name).0s;b %(program_name).0s#c'"),
        (" spaces ", "A=' spaces '"),
        ("日本", "A='日本'"),
    ],
)
def test_a_variable_is_written_so(value: str, written: str) -> None:
    assert quoting.quote_environment({"A": value}) == written


def test_variables_are_written_in_the_order_of_their_names() -> None:
    assert quoting.quote_environment({"B": "2", "A": "1"}) == "A='1',B='2'"


@pytest.mark.parametrize("value", ["'", '"', "'a", 'a"', "a'b\"c", "it's a back\\slash", "a\nb", "a\0b", "\ud800"])
def test_a_variable_that_cannot_be_written_is_named(value: str) -> None:
    with pytest.raises(Unrepresentable) as caught:
        quoting.quote_environment({"FINE": "x", "BAD": value}, "env")
    assert [place for place, reason in caught.value.problems] == ["env.BAD"]


@pytest.mark.parametrize("name", ["", "1A", "A B", "A-B", "A=B", "A\n", "É"])
def test_a_name_that_is_no_variable_is_refused(name: str) -> None:
    with pytest.raises(Unrepresentable):
        quoting.quote_environment({name: "x"})


@pytest.mark.parametrize("control", configs.CONTROLS)
def test_control_characters_are_refused_everywhere(control: str) -> None:
    for write in (quoting.quote_value, lambda text: quoting.quote_command([text])):
        with pytest.raises(Unrepresentable, match="control character"):
            write(f"a{control}b")


@pytest.mark.parametrize("text", ["", " a", "a ", "\u00a0a", "a\u2028"])
def test_a_plain_value_that_would_be_stripped_is_refused(text: str) -> None:
    with pytest.raises(Unrepresentable):
        quoting.quote_value(text)


def test_every_argument_that_cannot_be_written_is_named_at_once() -> None:
    with pytest.raises(Unrepresentable) as caught:
        quoting.quote_command(["a\n", "b", "\udc80"], "stack.services.app.command")
    assert caught.value.kind == "wrong_use"
    assert [place for place, reason in caught.value.problems] == [
        "stack.services.app.command[0]",
        "stack.services.app.command[2]",
    ]


@pytest.mark.parametrize("argv", [[], [""], ["", "x"]])
def test_a_command_without_a_program_is_refused(argv: t.List[str]) -> None:
    with pytest.raises(Unrepresentable, match="command: it names no program"):
        quoting.quote_command(argv)


@given(configs.commands)
def test_undoing_the_steps_gives_the_command_back(argv: t.Tuple[str, ...]) -> None:
    written = quoting.quote_command(argv)
    assert not re.search(r"\s[;#]", written)
    assert tuple(shlex.split(written % EXPANDED)) == argv


@given(configs.hostile_values)
def test_a_plain_value_comes_back_or_is_refused(text: str) -> None:
    try:
        written = quoting.quote_value(text)
    except Unrepresentable:
        assert not text or text != text.strip() or any(ord(sign) < 32 or 126 < ord(sign) < 160 for sign in text)
        return
    assert not re.search(r"[\n\r]|\s[;#]", written)
    assert written.strip() % EXPANDED == text


def test_people_see_each_variable_on_a_line_of_its_own_and_all_else_as_it_is() -> None:
    written = quoting.quote_environment({"A": "1,B='2", "C": 'say "x", y', "D": ""})
    config = f"[program:web]\nenvironment={written}\ncommand=sh -c 'A=1,B=2'\nenvironment=A=1,B=2\nenvironment=X='1'\n"

    assert quoting.one_variable_a_line(config).splitlines() == [
        "[program:web]",
        "environment=",
        '  A="1,B=\'2"',
        "  C='say \"x\", y'",
        "  D=''",
        "command=sh -c 'A=1,B=2'",
        "environment=A=1,B=2",
        "environment=X='1'",
    ]
