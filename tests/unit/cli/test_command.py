# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command's parser: every verb when it is asked for all, and no more than the call needs otherwise."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.cli import command, console
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.words import Reader, runnable

ENGINE = "ansible_collections.rollcall.supervisor.plugins.module_utils"
# What a look at a stack may not load: it is called often, and loading is most of its time.
NOT_FOR_A_LOOK = ("run", "doctor", "importing", "releases", "programs")
HEAVY = ("email", "hashlib", "shutil", "ssl", "subprocess", "traceback", "xmlrpc")
LOOK = f"""
import sys
from {ENGINE}.cli import command
command.main(["--root", "/nonexistent", "status"])
from {ENGINE}.verdict import status
print(*sys.modules)
"""


def verbs(arguments: t.Optional[t.Sequence[str]] = None) -> t.Set[str]:
    """Return the verbs of the parser for some arguments."""
    (found,) = (
        action for action in command.parser(arguments)._actions if isinstance(action, argparse._SubParsersAction)
    )
    return set(found.choices)


@pytest.mark.parametrize("arguments", [None, [], ["help"], ["-h"], ["status", "--help"], ["statsu"], ["foo", "status"]])
def test_without_a_verb_and_for_help_there_is_every_verb(arguments: t.Optional[t.Sequence[str]]) -> None:
    assert verbs(arguments) == set(command.MODULES)


def test_a_call_has_the_verb_that_it_names() -> None:
    assert verbs(["--root", "/opt/trading", "restart", "quick"]) == {"restart"}
    assert verbs(["--root=/opt/trading", "port", "status"]) == {"port"}


def test_a_root_or_a_service_may_be_called_like_a_verb() -> None:
    options = command.parser(["--root", "stop", "port", "status"]).parse_args(["--root", "stop", "port", "status"])

    assert (options.root, options.verb, options.name) == ("stop", "port", "status")


@pytest.mark.parametrize("other", [["--root", "/srv/evil"], ["--root=/srv/evil"], ["--roo", "/srv/evil"], ["--root="]])
@pytest.mark.parametrize("verb", ["status", "restart", "doctor", "ask"])
def test_the_command_of_a_stack_takes_no_other_root(
    capsys: pytest.CaptureFixture[str], verb: str, other: t.List[str]
) -> None:
    assert command.main(["--root", "/opt/trading", *other, verb]) == 2
    assert capsys.readouterr().err.startswith("FAILED: This is the command of the stack under /opt/trading, and of no")


def test_another_root_is_refused_in_json_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(("--root", "/opt/trading", "--root", "/srv/evil", "status", "--json")) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "wrong_use"


def test_the_same_root_may_be_given_again() -> None:
    given = ["--root", "/opt/trading", "--root", "/opt/trading", "status"]
    assert command.parser(given).parse_args(given).root == "/opt/trading"


@pytest.mark.parametrize("verb", sorted(set(command.MODULES) - {"ask", "job"}))
def test_every_verb_says_what_it_does(verb: str) -> None:
    (found,) = (action for action in command.parser()._actions if isinstance(action, argparse._SubParsersAction))

    assert found.choices[verb].description
    assert [one.dest for one in found._choices_actions if one.dest == verb] == [verb]


@pytest.mark.parametrize("verb", sorted(set(command.MODULES) - {"ask", "job", "help"}))
def test_a_remedy_with_a_verb_can_be_copied(verb: str) -> None:
    assert runnable(f"rollcall {verb}", Reader("/opt/trading")) == f"/opt/trading/bin/rollcall {verb}"


def test_a_look_loads_nothing_that_it_does_not_need() -> None:
    # `make coverage` has each Python load more, unless it does not hear of it.
    given = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", LOOK], capture_output=True, text=True, check=True, timeout=100, env=given
    )
    loaded = done.stdout.split()

    assert f"{ENGINE}.verdict.status" in loaded
    assert [name for name in loaded if name.startswith(tuple(f"{ENGINE}.{room}." for room in NOT_FOR_A_LOOK))] == []
    assert [name for name in loaded if name in HEAVY] == []


def written_to(output: t.IO[bytes] | int, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    asked = arguments or ("--root", "/nonexistent", "status")
    words = [sys.executable, "-E", "-m", f"{ENGINE}.cli.command", *asked, "--json"]
    return subprocess.run(words, stdout=output, stderr=subprocess.PIPE, check=False, timeout=100)


def test_a_full_disk_under_the_output_is_no_success() -> None:
    with open("/dev/full", "wb") as full:
        done = written_to(full)
    assert (done.returncode, done.stderr) == (
        1,
        b"rollcall: the output could not be written: No space left on device\n",
    )


def test_a_full_disk_under_a_long_output_is_no_success(tmp_path: Path) -> None:
    manifest = tmp_path / "stack.yml"
    services = "".join(f"  web_{number}: {{command: [x], port: {number}}}\n" for number in range(200))
    manifest.write_text(f"stack: shop\nroot: /srv/shop\nservices:\n{services}", encoding="utf-8")
    with open("/dev/full", "wb") as full:
        done = written_to(full, "manifest", "check", str(manifest))
    assert (done.returncode, done.stderr) == (
        1,
        b"rollcall: the output could not be written: No space left on device\n",
    )


def test_a_reader_that_has_gone_is_no_success_and_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = written_to(writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_closed_standard_error_changes_no_exit_code() -> None:
    words = [sys.executable, "-m", f"{ENGINE}.cli.command", "help"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *words], stdout=subprocess.DEVNULL, check=False, timeout=100
    )
    assert done.returncode == 0


@pytest.mark.parametrize("columns", ["", "0", "words", "57", "200"])
def test_help_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    console._columns.cache_clear()
    text = "word " * 100
    told = [argparse.HelpFormatter("rollcall"), console.help_formatter("rollcall")]
    for formatter in told:
        formatter.add_text(text)
    console._columns.cache_clear()
    assert told[0].format_help() == told[1].format_help()


def test_the_name_of_a_stack_is_for_the_command_on_the_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--stack", "status", "restart", "mailer"]) == 2
    assert "--stack, such as /usr/local/bin/rollcall" in capsys.readouterr().err
