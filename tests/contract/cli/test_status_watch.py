# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rollcall status --watch`` on a real terminal, while a run waits and services die."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import typing as t
from pathlib import Path

import pytest

from tests.support.commands import BOUND, rollcall
from tests.support.processes import free_port
from tests.support.stacks import APP, StackUnderTest, stack

LEFT = "\x1b[?7h\x1b[?25h\x1b[?1049l"


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, command: t.List[str], columns: int) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            self._size(0, columns)
            os.environ["TERM"] = "xterm"
            os.execv(command[0], command)
        self.said = ""

    def _size(self, descriptor: int, columns: int) -> None:
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def resize(self, columns: int) -> None:
        self._size(self.master, columns)

    def read(self, until: t.Callable[[str], bool]) -> str:
        """Return all that was shown until it fulfils a condition, or its end."""
        deadline = time.monotonic() + BOUND
        while time.monotonic() < deadline and not until(self.said):
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.said += os.read(self.master, 65_536).decode()
                except OSError:
                    break
        return self.said

    def screens(self) -> t.List[t.List[str]]:
        """Return the lines of each whole drawing, without escape codes."""
        parts = self.said.split("\x1b[?2026h\x1b[H")[1:]
        return [
            re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", part).replace("\r", "").split("\n")
            for part in parts
            if "\x1b[?2026l" in part
        ]

    def sees(self, words: str) -> t.List[str]:
        """Return the lines of the first drawing from now on that has these words."""
        self.said = ""

        def found(_said: str) -> bool:
            return any(words in "\n".join(lines) for lines in self.screens())

        self.read(found)
        return next(lines for lines in self.screens() if words in "\n".join(lines))

    def ended(self) -> int:
        """Wait for its end and return its exit code."""
        self.read(lambda _said: False)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextlib.contextmanager
def watching(made: StackUnderTest, *arguments: str, columns: int = 100) -> t.Iterator[Terminal]:
    shown = Terminal([made.command, "status", "--watch", "0.2", *arguments], columns)
    try:
        yield shown
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(shown.pid, signal.SIGKILL)
            os.waitpid(shown.pid, 0)
        os.close(shown.master)


@pytest.fixture(scope="module")
def made() -> t.Iterator[StackUnderTest]:
    web = {
        "command": ["sh", "-c", f"while [ -e ill ]; do sleep 0.1; done; exec {sys.executable} {APP} web"],
        "port": free_port(),
        "health": {"http": "/health"},
        "ready_timeout": 300,
    }
    with stack({"aa": {}, "web": web, "worker": {}}) as one:
        done = one.perform()
        assert done["ok"], "\n".join(str(c) for c in done["checks"] if not c["ok"])
        yield one


def test_it_shows_trouble_first_in_place_and_ctrl_c_ends_it_with_0(made: StackUnderTest) -> None:
    with watching(made) as shown:
        lines = shown.sees("3 of 3 services up")
        assert [line.split()[1] for line in lines if re.match(r"ok\b", line)] == ["aa", "web", "worker"]
        assert rollcall(made, "stop", "worker").code == 0
        lines = shown.sees("stopped")
        table = [line.split()[:2] for line in lines if line.split()[:2] and line.split()[0] in ("ok", "-", "FAILED")]
        assert table[0] == ["-", "worker"], lines
        shown.resize(40)
        narrow = shown.sees("worker")
        while max(map(len, narrow)) > 40:
            narrow = shown.sees("worker")
        assert any(re.match(r"-\s+worker", line) for line in narrow), narrow
        assert len(narrow) <= 24
        os.write(shown.master, b"\x03")
        assert shown.ended() == 0
        assert shown.said.endswith(LEFT), "the first screen is back, and nothing else was said"
    assert rollcall(made, "start", "worker").code == 0


def test_during_a_run_it_says_what_is_waited_for_and_term_leaves_the_terminal_as_it_was(made: StackUnderTest) -> None:
    Path(made.root, "ill").touch()
    with (
        watching(made) as shown,
        subprocess.Popen(
            [made.command, "restart", "web"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as run,
    ):
        lines = shown.sees("waits for web (port)")
        (line,) = [line for line in lines if "waits for web (port)" in line]
        assert "is at 'start'" in line
        assert re.search(r"\(port\), \d+ s", line), line
        Path(made.root, "ill").unlink()
        assert run.wait(BOUND) == 0
        shown.sees("3 of 3 services up")
        os.kill(shown.pid, signal.SIGTERM)
        assert shown.ended() == 128 + signal.SIGTERM
        assert shown.said.endswith(LEFT)
        attributes = termios.tcgetattr(shown.master)
        assert attributes[3] & termios.ECHO


def test_without_a_terminal_it_says_what_to_do_instead(made: StackUnderTest) -> None:
    said = rollcall(made, "status", "--watch")
    assert said.code == 2
    assert "next: " in said.err
    assert "status --json" in said.err
    assert rollcall(made, "status", "--watch", "--json").code == 2
