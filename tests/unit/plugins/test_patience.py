# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deadline for the answer of a host ends all that is under way."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import typing as t
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from ansible_collections.rollcall.supervisor.plugins.plugin_utils import patience

# Of a host that never answers; what is tested ends long before.
NEVER = 200.0


def silent() -> None:
    """Wait as for a host that never answers."""
    threading.Event().wait(NEVER)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End what is under way again at once, and see that nothing is left of it afterwards."""
    monkeypatch.setattr(patience, "AGAIN", 0.05)
    before = signal.getsignal(signal.SIGALRM)
    began = time.monotonic()
    yield
    assert time.monotonic() - began < NEVER / 2
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)) == (before, (0.0, 0.0))


def test_a_host_that_answers_in_time_is_not_cut_off() -> None:
    with patience.within(NEVER):
        pass


def test_a_host_that_is_silent_is_given_up() -> None:
    with pytest.raises(patience.NoAnswer, match=r"has not answered within 0\.05 seconds"), patience.within(0.05):
        silent()


def test_what_cleans_up_after_it_may_ask_the_same_silent_host() -> None:
    # Without pipelining the question lies in a file there, which is removed whatever has come of it.
    def ask() -> None:
        try:
            silent()
        finally:
            silent()

    with pytest.raises(patience.NoAnswer), patience.within(0.05):
        ask()


def test_what_lets_every_exception_pass_is_ended_as_well() -> None:
    def ask() -> None:
        with contextlib.suppress(BaseException):
            silent()
        silent()

    with pytest.raises(patience.NoAnswer), patience.within(0.05):
        ask()


def test_a_silent_host_is_not_waited_for_to_remove_its_files() -> None:
    shells = [SimpleNamespace(tmpdir="/tmp/x") for _ in range(2)]
    silent_one, other = (t.cast("t.Any", SimpleNamespace(_shell=shell)) for shell in shells)

    with pytest.raises(patience.NoAnswer), patience.within(0.05, silent_one):
        silent()
    with patience.within(NEVER, other):
        pass

    assert [shell.tmpdir for shell in shells] == [None, "/tmp/x"]
