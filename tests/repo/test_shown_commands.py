# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each command that a page shows is run by a test, or it is said why not; and each is one that there is."""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import re
import shlex
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.rollcall.supervisor.plugins.module_utils.cli import command as cli
from tests.support.repository import ROOT
from tests.support.shown_commands import COMMANDS, FOLLOWED, PAGES, NotRun, Ran, Shown, shown

# --- each is run, or it is said why not ---------------------------------------------------------------------------


def to_be_named() -> t.List[Shown]:
    """Return the commands that need an entry: those of pages, and parts of pages, that no test follows."""
    found = []
    for page in PAGES:
        _test, but = FOLLOWED.get(str(page.relative_to(ROOT)), ("", None))
        found += [one for heading, one in shown(page) if but is None or heading in but]
    return found


def test_every_command_of_a_page_is_run_by_a_test_or_it_is_said_why_not() -> None:
    lost = [f"{one.page.relative_to(ROOT)}: {one.command}" for one in to_be_named() if one.command not in COMMANDS]

    assert lost == [], "tests/support/shown_commands.py says for each which test runs it, or why none does"


def test_no_entry_is_of_a_command_that_no_page_shows() -> None:
    assert sorted(COMMANDS.keys() - {one.command for one in to_be_named()}) == []


def functions(path: Path) -> t.Set[str]:
    return {
        node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize(
    ("test", "by"),
    sorted(
        {one for one in COMMANDS.values() if isinstance(one, Ran)} | {Ran(test, "") for test, _but in FOLLOWED.values()}
    ),
)
def test_what_runs_a_command_is_there(test: str, by: str) -> None:
    name, _sign, function = test.partition("::")
    path = ROOT / name

    assert path.is_file()
    assert not function or function in functions(path)
    assert by in path.read_text(encoding="utf-8")


def test_why_a_command_is_not_run_is_said_in_a_sentence() -> None:
    assert [one.why for one in COMMANDS.values() if isinstance(one, NotRun) and len(one.why.split()) < 5] == []


# --- each is one that there is ------------------------------------------------------------------------------------

# In `rollcall restart [MODE] [SERVICE...]` what may be left out; `ONESHOT...` is one or more.
OPTIONAL = re.compile(r"\[[^\]]*\]")
# The command by any path, but not a file or directory of that name.
HOST = re.compile(r"(?:\S*/bin/)?rollcall$")


def spans(page: Path) -> t.Iterator[Shown]:
    """Yield what stands between backquotes within the text of a page."""
    prose = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    yield from (Shown(text, page) for text in re.findall(r"`([^`\n]+)`", prose))


def simple(text: str) -> t.Iterator[t.List[str]]:
    """Yield the words of each command of a line, without what a shell does with its input and output."""
    for part in re.split(r" (?:&&|;|\|) ", text):
        words = shlex.split(re.sub(r"\s\d?[<>] ?\S+", "", part))
        if words:
            yield words


def all_words(program: t.Callable[[str], bool]) -> t.List[t.Tuple[Shown, t.List[str]]]:
    """Return every command of the pages whose first word is ``program``, in code blocks and within the text."""
    found = []
    for page in PAGES:
        for one in (*(one for _heading, one in shown(page)), *spans(page)):
            with contextlib.suppress(ValueError):  # a span that is no command, such as a lone quote
                found += [(one, words) for words in simple(one.command) if program(words[0])]
    return found


def place(one: Shown) -> str:
    return f"{one.page.relative_to(ROOT)}: {one.command}"


def verbs(parser: argparse.ArgumentParser) -> t.Iterator[t.List[str]]:
    """Yield each verb of the host command as a list of its words: ``ports check`` has two."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield [name]
                yield from ([name, *more] for more in verbs(below))


def without_optional(words: t.Sequence[str]) -> t.List[str]:
    """Return a command line without what may be left out, which stands in brackets."""
    kept, depth = [], 0
    for word in words:
        depth += word.startswith("[")
        if not depth:
            kept.append(word)
        depth -= word.endswith("]")
    return kept


def refusal(arguments: t.Sequence[str]) -> str:
    """Return the last line of what ``rollcall`` says against a command line; "" when it takes it."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            cli.parser().parse_args(arguments)
    except SystemExit as ended:
        return said.getvalue().splitlines()[-1] if ended.code else ""
    return ""


def test_the_host_command_takes_every_line_that_a_page_shows_of_it() -> None:
    wrong = []
    known = list(verbs(cli.parser()))
    lines = [(one, words[1:]) for one, words in all_words(lambda word: bool(HOST.match(word))) if len(words) > 1]
    assert len(lines) > 100
    for one, words in lines:
        # A verb alone is named, not called. The runbook shows what wrong use is.
        if words in known or words == ["restart", "slowly"]:
            continue
        # Only the command of a host that several stacks have takes --stack, before the verb.
        named = words[2:] if words[0] == "--stack" else words
        arguments = ["8002" if word == "PORT" else word for word in without_optional(named)]
        if said := refusal(arguments):
            wrong.append(f"{place(one)}: {said}")
    assert wrong == []


def test_every_target_of_make_is_there_and_takes_its_variables() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    # What make is given, the processes that it starts have in their environment.
    read = makefile + "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/benchmark").glob("*.py"))
    lost = []
    for one, (_make, *words) in all_words(lambda word: word == "make"):
        names = [word.partition("=")[0] for word in words if "=" in word]
        lost += [place(one) for word in words if "=" not in word and word not in targets]
        lost += [place(one) for name in names if not re.search(rf"\b{name}\b", read)]
    assert lost == []


# --- on the controller ----------------------------------------------------------------------------------------------


def takes(playbook: str) -> t.Set[str]:
    """Return the variables that a playbook takes by name, as the page on playbooks has them."""
    page = (ROOT / "docs" / "reference" / "playbooks.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{playbook}` \|.*\|([^|]*)\|$", page, re.MULTILINE)
    assert row is not None, f"the page on playbooks has no row for {playbook}"
    return set(re.findall(r"`([a-z_]+)`", row[1]))


def of_every_playbook() -> t.Set[str]:
    """Return what any playbook of ours may be given: variables of roles, of inventories, and of Rollcall as a whole."""
    named: t.Set[str] = set()
    for path in (*ROOT.glob("roles/*/defaults/main.yml"), *ROOT.glob("inventories/**/*.yml")):
        named |= set(re.findall(r"\b([a-z]+_[a-z_]+)\b", path.read_text(encoding="utf-8")))
    return named | {"rollcall_hosts"}


def given(words: t.Sequence[str]) -> t.Set[str]:
    """Return the names of the variables that words of ansible-playbook give."""
    values = [after for word, after in zip(words, [*words[1:], ""]) if word in ("-e", "--extra-vars")]
    names: t.Set[str] = set()
    for value in values:
        names |= set(yaml.safe_load(value)) if value.startswith("{") else {value.partition("=")[0]}
    return names


def faults(words: t.Sequence[str]) -> t.List[str]:
    """Return what is wrong with a line of ansible-playbook."""
    options = {"-i", "-e", "--limit", "--tags"}
    named = [word for before, word in zip(words, words[1:]) if not word.startswith("-") and before not in options]
    if len(named) != 1:
        return [f"one playbook is wanted: {named}"]
    playbook = Path(named[0]).name.removeprefix("rollcall.supervisor.").removesuffix(".yml")
    if not (ROOT / "playbooks" / f"{playbook}.yml").is_file():
        return [f"there is no playbook {playbook}"]
    return [f"{playbook} takes no {name}" for name in given(words) - takes(playbook) - of_every_playbook()]


def test_every_playbook_is_there_and_takes_its_variables() -> None:
    lines = [(one, words) for one, words in all_words(lambda word: word == "ansible-playbook") if len(words) > 1]
    assert len(lines) > 40
    assert [f"{place(one)}: {fault}" for one, words in lines for fault in faults(words)] == []
    assert faults(["ansible-playbook", "rollcall.supervisor.status", "-e", "soak=3"]) == ["status takes no soak"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose ansible-playbook only says with what it was called."""
    for name in ("restart", "rollout"):
        shutil.copy(ROOT / name, tmp_path / name)
    stand_in = tmp_path / ".venv" / "bin" / "ansible-playbook"
    stand_in.parent.mkdir(parents=True)
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >called\n', encoding="utf-8")
    stand_in.chmod(0o755)
    return tmp_path


def test_the_commands_of_a_checkout_take_every_line_that_a_page_shows_of_them(checkout: Path) -> None:
    lines = {
        OPTIONAL.sub("", one.command.replace("MODE", "quick")): one
        for one, _words in all_words(lambda word: word in ("./restart", "./rollout"))
    }
    assert len(lines) > 20
    wrong = []
    for line, one in lines.items():
        called = checkout / "called"
        called.unlink(missing_ok=True)
        subprocess.run(["sh", "-c", line], cwd=checkout, check=False, capture_output=True, timeout=60)
        words = called.read_text(encoding="utf-8").splitlines() if called.exists() else []
        if words:
            wrong += [f"{place(one)}: {fault}" for fault in faults(["ansible-playbook", *words])]
        elif not line.endswith(" help"):
            wrong.append(f"{place(one)}: it calls no playbook")
    assert wrong == []
