# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever interrupts a look, or reads only its beginning, sees no traceback, whenever that is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import typing as t

import pytest

from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, stack
from tests.support.victims import innocent

# Moments of its life at which each look is interrupted, spread evenly.
MOMENTS = 8
LOOKS = ("status", "doctor", "ports list", "history --json")
PIPES: t.Mapping[str, t.Any] = {
    "stdin": subprocess.DEVNULL,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.PIPE,
    "text": True,
}


@pytest.fixture(scope="module")
def running() -> t.Iterator[StackUnderTest]:
    services = {"web": {"port": free_port(), "health": {"http": "/health"}}, "worker": {"command": ["sleep", "600"]}}
    with innocent(), stack(services) as made:
        assert made.perform()["ok"]
        yield made


def begun(made: StackUnderTest, look: str, *, heeds: bool = True) -> subprocess.Popen[str]:
    """Start a look in a group of processes of its own, as a shell does.

    Args:
        made: the stack.
        look: the verb and its options.
        heeds: whether it heeds interrupts, also when the tests themselves run in the background of a shell.
    """
    return subprocess.Popen(
        [*(["env", "--default-signal=INT,QUIT"] if heeds else []), made.command, *look.split()],
        start_new_session=True,
        **PIPES,
    )


def ended_by(made: StackUnderTest, look: str, number: int, moment: float) -> t.Tuple[int, str]:
    """Return exit code and errors of a look that gets a signal some seconds after its start, with its children."""
    with begun(made, look) as process:
        time.sleep(moment)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        _output, errors = process.communicate(timeout=100)
    return process.returncode, told_besides(errors)


def told_besides(errors: str) -> str:
    """Return errors without what a look says of itself that takes longer than a moment."""
    return "".join(line for line in errors.splitlines(keepends=True) if " ends within " not in line)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_look_that_is_interrupted_ends_at_once_and_says_no_more_than_a_line(
    running: StackUnderTest, look: str, number: signal.Signals
) -> None:
    began = time.monotonic()
    with begun(running, look) as process:
        whole = process.communicate(timeout=100)
    seconds = time.monotonic() - began
    assert process.returncode == 0, whole
    seen = [ended_by(running, look, number, seconds * moment / MOMENTS) for moment in range(MOMENTS)]
    # A shell, which it is at first, is ended by the signal itself.
    assert {code for code, _errors in seen} <= {0, 128 + number, -number}
    told = "rollcall: interrupted\n" if number == signal.SIGINT else ""
    assert {errors for _code, errors in seen} <= {"", told}
    assert any(code in (128 + number, -number) for code, _errors in seen)


def test_a_look_in_the_background_is_not_interrupted(running: StackUnderTest) -> None:
    # A child ignores what its parent ignores; as a shell has it for what it does not wait for.
    ignored = (signal.SIGINT, signal.SIGQUIT)
    before = [signal.signal(number, signal.SIG_IGN) for number in ignored]
    try:
        process = begun(running, "doctor", heeds=False)
    finally:
        for number, heeded in zip(ignored, before):
            signal.signal(number, heeded)
    with process:
        while process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.01)
        _output, errors = process.communicate(timeout=100)
    assert (process.returncode, told_besides(errors)) == (0, "")


@pytest.mark.parametrize("look", [*LOOKS, "help", "history nonsense", "nonsense"])
@pytest.mark.parametrize("errors", ["seen", "gone as well"])
def test_a_look_whose_reader_has_gone_ends_without_a_word(running: StackUnderTest, look: str, errors: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        kept = subprocess.PIPE if errors == "seen" else writer
        done = subprocess.run(
            [running.command, *look.split()], stdout=writer, stderr=kept, text=True, check=False, timeout=100
        )
    finally:
        os.close(writer)
    assert done.returncode in (1, 2)
    assert "Traceback" not in (done.stderr or "")
    assert "nonsense" in look or not told_besides(done.stderr or "")
