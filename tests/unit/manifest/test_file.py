# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifest files: plain data with its lines, and every treacherous text named, in bounded time."""

from __future__ import annotations

import builtins
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import Problem, RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import (
    SIZE_LIMIT,
    Loaded,
    check_file,
    load_manifest,
    parse_manifest,
)

GOOD = """\
---
# a comment
stack:
  name: trading
  root: /opt/trading
  services:
    main_app:
      command: [bin/run, '{{ not executed }}']
      port: 8000
      env: {LEVEL: info, RATIO: 0.5, DEBUG: false, "QUOTED": "yes", OLD: '08'}
    worker:
      command: bin/work
      depends_on:
        - main_app
"""


def parse(text: str | bytes, **options: Any) -> Loaded:
    return parse_manifest(text.encode() if isinstance(text, str) else text, **options)


def data_of(text: str | bytes, **options: Any) -> Any:
    loaded = parse(text, **options)
    assert loaded.problems == []
    return loaded.data


def flaw(text: str | bytes, **options: Any) -> Problem:
    """Return the only problem of a text."""
    (found,) = parse(text, **options).problems
    assert found.severity == "error"
    assert found.cure
    return found


def written(path: Path, text: str | bytes) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


# --- what is read ------------------------------------------------------------------------------------------------


def test_yaml_is_read_as_plain_data(tmp_path: Path) -> None:
    result = check_file(written(tmp_path / "m.yml", GOOD))

    assert result.problems == []
    assert result.stack is not None
    assert result.stack.services[0].command == ("/opt/trading/bin/run", "{{ not executed }}")
    assert result.stack.services[0].env == {
        "LEVEL": "info",
        "RATIO": "0.5",
        "DEBUG": "false",
        "QUOTED": "yes",
        "OLD": "08",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("8000", 8000),
        ("-1", -1),
        ("0", 0),
        ("+5", 5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1.5e+3", 1500.0),
        ("1e3", "1e3"),
        ("2026-01-01", "2026-01-01"),
        ("1.2.3", "1.2.3"),
        ("nothing", "nothing"),
        ("=", "="),
        ("a: b" and "'a: b'", "a: b"),
        ('"8000"', "8000"),
        ("'yes'", "yes"),
        ('"\\u263a \\n"', "☺ \n"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        (">-\n  two\n  lines\n", "two lines"),
        ("[a, 1, [b], {c: d}]", ["a", 1, ["b"], {"c": "d"}]),
    ],
)
def test_a_yaml_value_is_what_it_looks_like(text: str, value: Any) -> None:
    found = data_of(f"key: {text}\n")["key"]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, "x", true, null, {"b": "☺\\u263a\\n/"}], "c": {}}'])
def test_json_is_read_as_it_is(text: str) -> None:
    expected = {"a": [1, 2.5, "x", True, None, {"b": "☺☺\n/"}], "c": {}}

    assert data_of(text) == expected
    assert data_of(text, json_only=True) == expected
    assert data_of(b"\xef\xbb\xbf" + text.encode()) == expected


def test_yaml_in_brackets_is_not_mistaken_for_broken_json() -> None:
    assert data_of("{a: 1, b: [x]}\n") == {"a": 1, "b": ["x"]}


def test_an_alias_stands_for_what_it_names() -> None:
    assert data_of("a: &x {b: &y 1}\nc: *x\nd: [*y, *x]\n") == {"a": {"b": 1}, "c": {"b": 1}, "d": [1, {"b": 1}]}


@pytest.mark.parametrize(
    "text",
    [GOOD, '{\n\n"stack":\n {"services": {"a":\n {"port": 0}},\n "root": "x"}}', "stack:\n\n  services: [\n1]\n"],
)
def test_every_value_has_its_line(text: str) -> None:
    loaded = parse(text)

    for place, line in loaded.lines.items():
        last = place[-1] if place else None
        if isinstance(last, str):
            assert last in text.split("\n")[line - 1]


def test_a_problem_of_the_check_names_the_line(tmp_path: Path) -> None:
    text = (
        GOOD.replace("port: 8000", "port: 9999").replace("- main_app", "- nobody").replace("  root: /opt/trading\n", "")
    )

    result = check_file(written(tmp_path / "m.yml", text))

    assert [problem.place for problem in result.problems] == [
        "stack.root (line 3)",
        "stack.services.main_app.port (line 8)",
        "stack.services.worker.depends_on.nobody (line 12)",
    ]


def test_an_overlay_has_no_line_and_the_file_keeps_its_own(tmp_path: Path) -> None:
    result = check_file(
        written(tmp_path / "m.yml", GOOD.replace("port: 8000", "port: 9999")),
        overlay={"services": {"worker": {"port": 9998}}},
    )

    assert [problem.place for problem in result.problems] == [
        "stack.services.main_app.port (line 9)",
        "stack.services.worker.port",
    ]


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yes", "'yes' without quotes may be read as a truth value"),
        ("No", "a truth value"),
        ("on", "a truth value"),
        ("OFF", "a truth value"),
        ("08080", "'08080' without quotes may be read as a number in base 8"),
        ("0777", "a number in base 8"),
        ("0x1F90", "a number in base 16"),
        ("0o17", "a number in another base"),
        ("0b11", "a number in another base"),
        ("8_000", "a number without its underscores"),
        ("12:30", "a number in base 60"),
        (".inf", "a number that is none"),
        (".NaN", "a number that is none"),
        ("1" * 19, "is too large for a number"),
    ],
)
def test_what_yaml_reads_otherwise_than_people_is_refused(text: str, words: str) -> None:
    found = flaw(f"stack:\n  port: {text}\n")

    assert found.place == "stack.port (line 2)"
    assert words in found.message
    assert "quotes" in found.cure
    assert flaw(f"stack:\n  {text}: x\n").place.endswith("(line 2)")


@pytest.mark.parametrize("text", ["07777", "yes", "0x1234", "12:30"])
def test_a_treacherous_secret_is_not_repeated(text: str) -> None:
    found = flaw(f"stack: {{services: {{a: {{secrets: {{PIN: {text}}}}}}}}}\n")

    assert found.place == "stack.services.a.secrets.PIN (line 1)"
    assert text not in found.message + found.cure.replace("yes", "", 0)


@pytest.mark.fault(37)
def test_equal_keys_are_all_found_with_their_lines() -> None:
    for text in ("a: 1\nb: {c: 1,\n c: 2}\na: 3\na: 4\n", '{"a": 1,\n"b": {"c": 1,\n"c": 2}, \n"a": 3,\n"a": 4}'):
        loaded = parse(text)

        assert [problem.message[-1] for problem in loaded.problems] == ["2", "1", "1"]
        assert [problem.place.split(" ")[0] for problem in loaded.problems] == ["stack.b.c", "stack.a", "stack.a"]
        assert loaded.failed


def test_a_flaw_of_the_text_is_not_told_again_by_the_check(tmp_path: Path) -> None:
    for text in (GOOD, GOOD.replace("stack:\n", "").replace("\n  ", "\n")):
        result = check_file(written(tmp_path / "m.yml", text.replace("8000", "08080")))

        (found,) = result.problems
        assert result.stack is None
        assert found.place.startswith("stack.services.main_app.port (line")


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("", "is empty", None),
        (" \n\n", "is empty", None),
        ("a: &x [*x]\n", "alias of what is not there, or not finished", 1),
        ("a: &x 1\nb: &x [*x]\n", "alias of what is not there, or not finished", 2),
        ("a: *x\n", "alias of what is not there", 1),
        ("a: 1\n---\nb: 2\n", "more than one document", 2),
        ("a: 1\nb: !vault |\n  abc\n", "has the tag '!vault', and only plain data", 2),
        ("a: !!python/object/apply:os.system [ls]\n", "has the tag", 1),
        ("a: !!binary aGk=\n", "has the tag", 1),
        ("a: !!str 5\n", "has the tag", 1),
        ("!x a: 1\n", "has the tag", 1),
        ("x: &x {a: 1}\nb:\n  <<: *x\n", "has a merge key", 3),
        ("? [a, b]\n: c\n", "has a key that is not a name", 1),
        ("? {a: b}\n: c\n", "has a key that is not a name", 1),
        ("%YAML 1.1\n---\na: 1\n", "has a directive", 1),
        ("a: 1\nb: \x00\n", "has a control character", 2),
        ("a: [1, 2\n", "is not YAML", 2),
        ("a: 'x\n", "is not YAML", None),
        ("a: b: c\n", "is not YAML: mapping values are not allowed", 1),
        ("a:\n\t- b\n", "is not YAML", 2),
        ("- a\nb: c\n", "is not YAML", 2),
        ("a: " + "[" * 40 + "]" * 40 + "\n", "nested deeper than 32", 1),
        (b"a: \xff\n", "is not UTF-8", 1),
        ("a: b\n".encode("utf-16"), "is not UTF-8", 1),
    ],
)  # fmt: skip
def test_a_text_that_is_no_plain_yaml_is_refused(text: str | bytes, words: str, line: int | None) -> None:
    found = flaw(text)

    assert words in found.message
    assert found.place.startswith("manifest")
    assert line is None or found.place == f"manifest (line {line})"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 08080}', "is not JSON"),
        ('{"a": 1,}', "is not JSON"),
        ('{"a": yes}', "is not JSON"),
        ("{'a': 1}", "is not JSON"),
        ('{"a": "x\n"}', "is not JSON"),
        ('{"a": NaN}', "number that is none or far too large"),
        ('{"a": -Infinity}', "number that is none or far too large"),
        ('{"a": ' + "1" * 5000 + "}", "number that is none or far too large"),
        ("[" * 100_000, "nested too deep"),
        ("[" * 40 + "]" * 40, "nested deeper than 32"),
        ("a: 1\n", "is not JSON"),
        ('{"a": 1} {"b": 2}', "is not JSON"),
    ],
)
def test_a_json_file_must_be_json(text: str, words: str) -> None:
    assert words in flaw(text, json_only=True).message


def test_a_number_that_overflows_is_for_the_check_to_refuse(tmp_path: Path) -> None:
    path = written(tmp_path / "m.json", '{"stack": {"services": {"a": {"stable_for": 1e999}}}}')

    messages = [problem.message for problem in check_file(path).problems]

    assert "is inf, not from 0 to 3600 seconds" in messages


def test_a_half_written_yaml_file_never_passes_in_silence() -> None:
    for end in range(len(GOOD)):
        # Cut at the end of a line it may be a whole, shorter document, and nothing in it tells.
        if GOOD[end - 1 : end] != "\n":
            assert parse(GOOD[:end]).problems, GOOD[:end]


@pytest.mark.parametrize("end", range(0, 60))
def test_a_half_written_json_file_is_refused(tmp_path: Path, end: int) -> None:
    text = '{"stack": {"name": "x", "root": "/x", "services": {"a": {"command": ["b"]}}}}'

    result = check_file(written(tmp_path / "m.json", text[: len(text) * end // 60]))

    assert result.stack is None
    assert result.problems[0].severity == "error"


def test_a_missing_end_of_the_last_line_is_warned_about(tmp_path: Path) -> None:
    result = check_file(written(tmp_path / "m.yml", GOOD.rstrip("\n")))

    assert result.stack is not None
    assert [(item.severity, item.place) for item in result.problems] == [("warning", "manifest (line 14)")]


# --- files -------------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_an_error_and_no_default(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    for path in (str(tmp_path / "absent.yml"), str(tmp_path), str(fifo), "/dev/zero", "a\0b"):
        result = check_file(path)
        assert result.stack is None
        assert [item.place for item in result.problems] == ["manifest"]


@pytest.mark.fault(38)
def test_a_file_that_may_not_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)

    assert "Permission denied" in check_file(str(tmp_path / "m.yml")).problems[0].message


def test_load_returns_the_data_or_one_error_that_says_all(tmp_path: Path) -> None:
    assert load_manifest(written(tmp_path / "good.yml", GOOD))["stack"]["name"] == "trading"

    with pytest.raises(RollcallError) as caught:
        load_manifest(written(tmp_path / "bad.yml", "a: yes\na: 010\n"))

    assert caught.value.kind == "wrong_use"
    assert len(caught.value.evidence["problems"]) == 3
    assert "stack.a (line 1)" in caught.value.message


def test_a_python_without_pyyaml_still_reads_json(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_yaml(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_yaml)

    assert "this Python has no PyYAML" in flaw(GOOD).message
    assert data_of('{"a": 1}') == {"a": 1}


def test_pyyaml_without_its_c_library_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    expected = parse(GOOD)
    monkeypatch.delattr(yaml, "CSafeLoader")

    assert parse(GOOD) == expected
    assert "too much for a PyYAML without its C library" in flaw("a: b\n" * 8000).message


# --- size and time -----------------------------------------------------------------------------------------------


@pytest.mark.fault(37)
def test_a_file_of_10_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "m.yml"
    with path.open("wb") as stream:
        stream.truncate(10_000_000)

    assert "is larger than 1024 KiB" in check_file(str(path)).problems[0].message
    assert "is larger than 1024 KiB" in flaw("a" * 1_048_577).message


def an_alias_bomb() -> str:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    return text + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))


LARGE: dict[str, str] = {
    "alias bomb": an_alias_bomb(),
    "one alias, many times": "a: &a [" + "x, " * 1000 + "]\nb: [" + "*a, " * 200_000 + "]\n",
    "lists": "[" * 1_000_000,
    "mappings": "{" * 1_000_000,
    "dashes": "- " * 500_000,
    "questions": "? " * 500_000,
    "items": "- a\n" * 260_000,
    "flow items": "a: [" + "b, " * 340_000 + "]\n",
    "anchors": "".join(f"- &a{n} 1\n" for n in range(70_000)),
    "tag directives": "".join(f"%TAG !a{n}! b\n" for n in range(60_000)),
    "later directives": "a: 1\n...\n" + "".join(f"%TAG !a{n}! b\n" for n in range(60_000)),
    "documents": "---\n" * 250_000,
    "comments": "#\n" * 500_000,
    "long key": "k" * 1_000_000 + ": 1\n",
    "long value": "stack: '" + "v" * 1_000_000 + "'\n",
    "equal keys": "stack:\n" + "  key: 1\n" * 19_000,
    "unknown keys": "stack:\n" + "".join(f"  key{n}: 1\n" for n in range(19_000)),
    "yes": "stack:\n  services:\n" + "    yes: yes\n" * 15_000,
    "command": "stack: {services: {a: {command: '" + '"\\ ' * 300_000 + "'}}}\n",
    "patterns": "stack: {checks: {logs: {critical: [" + ", ".join([f"'{'(' * 240}{')' * 240}'"] * 2000) + "]}}}\n",
    "root": "stack: {root: '/" + "../" * 300_000 + "'}\n",
    "secrets": "stack:\n  services:\n" + "".join(f"    s{n}: {{secrets: {{A: {n}}}}}\n" for n in range(5000)),
    "json": '{"stack": {"services": {' + ", ".join(f'"s{n}": {{"a": 1}}' for n in range(50_000)) + "}}}",
    "json text": '{"a": "' + "\\n" * 500_000 + '"}',
    "json half": '{"a": "' + '\\"' * 500_000,
    "json space": "{" + "\n" * 1_000_000 + "}",
    "json monitors": '{"core_services": {}, "monitor_instances": {"a": {'
    + ", ".join(f'"s{n}": 8001' for n in range(15_000)) + "}}}",
}  # fmt: skip


@pytest.mark.parametrize("case", LARGE)
def test_no_text_below_the_limit_takes_for_ever(tmp_path: Path, case: str) -> None:
    text = LARGE[case][:SIZE_LIMIT]
    path = written(tmp_path / "m.yml", text)

    began = time.process_time()
    result = check_file(path)

    assert time.process_time() - began < 5
    assert result.stack is None
    assert result.problems
