# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No command hangs: each ends within its bound over a supervisord that has been stopped by a signal.

The command's standard input stays open and silent, and it has no terminal: a question to nobody would hang as well.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import typing as t

import pytest

from tests.support.commands import Said, rollcall
from tests.support.processes import free_port, is_alive
from tests.support.stacks import StackUnderTest, stack

pytestmark = pytest.mark.usefixtures("bystander")


@contextlib.contextmanager
def made_and_hung() -> t.Iterator[StackUnderTest]:
    """Make a stack whose supervisord has got SIGSTOP, with one service that listens and one that does not."""
    services = {"web": {"port": free_port(), "health": {"http": "/health"}}, "worker": {}}
    with stack(services) as made:
        assert made.perform()["ok"]
        for daemon in made.daemons():
            os.kill(daemon.pid, signal.SIGSTOP)
        yield made


@pytest.fixture
def hung() -> t.Iterator[StackUnderTest]:
    with made_and_hung() as made:
        yield made


@pytest.fixture(scope="module")
def looked_at() -> t.Iterator[StackUnderTest]:
    """One for all that only look."""
    with made_and_hung() as made:
        yield made


# Verbs that only look, and what they may say: a stack that hangs is not in order.
LOOKING: t.Mapping[str, t.Tuple[int, ...]] = {
    "status": (1,),
    "verify": (1,),
    "port web": (0,),
    "ports list": (0, 1),
    "ports show-config": (0,),
    "ports check {port}": (0, 1),
    "ports find-available": (0,),
    "manifest drift": (0, 1),
    "history": (0,),
    "doctor": (1,),
    "doctor --fix --check": (1,),
    "flush --check": (0, 1),
    "ports auto-fix --check": (0, 1),
    "ports kill {port} --check": (0, 1, 3),
    "ports kill {port} --supervised --check": (0, 1, 3),
}
# Verbs that need this supervisord, and so name it and leave all as it is.
CHANGING: t.Mapping[str, t.Tuple[int, ...]] = {
    "start": (1, 3),
    "stop": (1, 3),
    "restart": (1, 3),
    "restart full": (1, 3),
    "restart quick": (1, 3),
    "restart auto": (1, 3),
    "restart master": (1, 3),
    "flush": (0, 1, 3),
    "ports kill {port}": (0, 1, 3),
    "ports auto-fix": (0, 1, 3),
    "doctor --fix": (1,),
}


# What a command prints that waits for anything, before it begins.
PRINTED = re.compile(r"ends within (\d+) s at the latest")
ANNOUNCING = ("status", "verify", "start", "stop", "restart", "flush", "doctor")


def call(made: StackUnderTest, line: str, *more: str) -> Said:
    """Run a command line, which must end within the tests' own bound and within what it has printed."""
    port = made.raw["services"]["web"]["port"]
    said = rollcall(made, *line.format(port=port).split(), *more)
    printed = PRINTED.search(said.err)
    assert printed is not None or line.split()[0] not in ANNOUNCING or "--check" in line
    if printed is not None:
        assert said.seconds < float(printed[1])
    assert "Traceback" not in said.err
    return said


@pytest.mark.parametrize("line", LOOKING)
def test_what_only_looks_ends_in_time_over_a_hung_supervisord_and_touches_nothing(
    looked_at: StackUnderTest, line: str
) -> None:
    before = looked_at.pids()
    (daemon,) = looked_at.daemons()
    said = call(looked_at, line, "--json")
    assert said.code in LOOKING[line], said.out + said.err
    assert said.data
    assert looked_at.pids() == before
    assert [seen.state for seen in looked_at.daemons()] == ["T"]
    assert is_alive(daemon.pid)


@pytest.mark.parametrize("line", CHANGING)
def test_what_changes_something_ends_in_time_over_a_hung_supervisord_and_says_why(
    hung: StackUnderTest, line: str
) -> None:
    before = hung.pids()
    (daemon,) = hung.daemons()
    said = call(hung, line, "--json")
    assert said.code in CHANGING[line], said.out + said.err
    if said.code:
        assert str(daemon.pid) in said.out or hung.paths.socket in said.out
    assert hung.pids() == before


def test_every_command_takes_its_answer_in_words_as_well(hung: StackUnderTest) -> None:
    for line in ("status", "restart", "ports list"):
        said = call(hung, line)
        assert said.out + said.err


@pytest.mark.parametrize("word", ["emergency", "force"])
def test_the_emergency_ends_in_time_over_a_hung_supervisord_with_everything_up_again(
    hung: StackUnderTest, word: str
) -> None:
    before = hung.pids()
    said = call(hung, f"restart {word}", "--json")
    assert said.code == 0, said.out
    assert not any(is_alive(pid) for pid in before.values())
    assert sorted(hung.pids()) == sorted(before)


def test_after_the_stopped_supervisord_goes_on_the_same_command_succeeds(hung: StackUnderTest) -> None:
    (daemon,) = hung.daemons()
    refused = call(hung, "restart", "--json")
    assert refused.code != 0
    os.kill(daemon.pid, signal.SIGCONT)
    said = call(hung, "restart", "--json")
    assert said.code == 0, said.out
