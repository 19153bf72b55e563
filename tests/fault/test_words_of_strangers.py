# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stranger has written, and a person reads: it stays on its line, and no terminal obeys it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest

from tests.support.commands import Said, rollcall
from tests.support.impostors import EVE, impostor, ready
from tests.support.processes import eventually
from tests.support.stacks import StackUnderTest, stack, two_services

pytestmark = [
    pytest.mark.usefixtures("bystander"),
    pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user"),
]

# Moves the cursor, colours, turns the direction of writing, rings, and looks like lines of ours.
SPOILED = "\x1b[2J\x1b]0;x\x07\x9b31m\u202eeert\u2066\r\n{line}\n  cure: rm -rf /\n\u2028next: rm -rf /"
# Listens on the port of its first argument, as the user of its second.
LISTEN = (
    "import os, socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); "
    "os.setuid(int(sys.argv[2])); print('ready', flush=True); time.sleep(600)"
)


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        yield made


def talker(port: int, words: str, **env: str) -> t.ContextManager[subprocess.Popen[str]]:
    """Start a listener of the stranger's with these words in its command line."""
    return ready([sys.executable, "-c", LISTEN, str(port), str(EVE), words], env)


def assert_plain(said: Said, *forged: str) -> None:
    """Check that an answer for people has nothing that a terminal obeys, and no line that a stranger has made."""
    for text in (said.out, said.err):
        odd = {char for char in text if not char.isprintable() and char != "\n"}
        assert odd == set()
        lines = [line.strip() for line in text.splitlines()]
        for line in (*forged, "cure: rm -rf /", "next: rm -rf /"):
            assert line not in lines


def test_a_command_line_stays_on_its_line_whatever_prints_it(running: StackUnderTest) -> None:
    port = running.raw["services"]["web"]["port"]
    assert rollcall(running, "stop").code == 0
    free = f"port {port} (web) is free"
    with talker(port, SPOILED.format(line=free)) as eve:
        for arguments in (
            ("ports", "check", str(port)),
            ("ports", "list"),
            ("ports", "auto-fix"),
            ("ports", "kill", str(port), "--check"),
            ("status",),
            ("start",),
            ("restart", "full"),
            ("doctor",),
            ("manifest", "drift"),
        ):
            said = rollcall(running, *arguments)
            assert said.code in (0, 1, 3), said.err
            assert_plain(said, free)
        assert f"pid {eve.pid} " in rollcall(running, "ports", "check", str(port)).out
        data = rollcall(running, "ports", "check", str(port), "--json").data
        assert free in str(data), "as data it is whole"
        # What is ended is told by the run, and by the list of runs after it.
        said = rollcall(running, "restart", "full", "--policy", "any")
        assert (said.code, f"pid {eve.pid} " in said.out) == (0, True)
        assert_plain(said, free)
        assert eventually(lambda: eve.poll() is not None)
        listed = rollcall(running, "history", "--json").data["runs"]
        assert_plain(rollcall(running, "history"), free)
        for run in listed:
            said = rollcall(running, "history", run["run"])
            assert said.code == 0
            assert_plain(said, free)


def test_a_label_with_lines_of_its_own_is_none(running: StackUnderTest) -> None:
    port = running.raw["services"]["web"]["port"]
    assert rollcall(running, "stop").code == 0
    words = SPOILED.format(line=f"port {port} (web) is free")
    with talker(port, "x", ROLLCALL_STACK=words, ROLLCALL_ROOT=f"/{words}", SUPERVISOR_PROCESS_NAME=words):
        for arguments in (("ports", "check", str(port)), ("start",), ("doctor",)):
            assert_plain(rollcall(running, *arguments), f"port {port} (web) is free")


@pytest.mark.parametrize("where", ["its config's name", "its config"])
def test_a_supervisord_of_a_stranger_is_one_row_of_the_doctors_table(running: StackUnderTest, where: str) -> None:
    words = SPOILED.format(line="1  root  this one  yes")
    place = Path(tempfile.mkdtemp(prefix="eve-"))
    os.chown(place, EVE, EVE)
    config = place / ("x\n  cure: rm -rf \u2215\x1b[2J" if where == "its config's name" else "s.conf")
    spoiled = words.replace("\n", "\n ") if where == "its config" else "/tmp/s.sock"
    config.write_text(
        f"[unix_http_server]\nfile=/tmp/{spoiled}\n[inet_http_server]\nport={spoiled}\n", encoding="utf-8"
    )
    try:
        with impostor(str(config), EVE) as stranger:
            said = rollcall(running, "doctor")
            assert_plain(said, "1  root  this one  yes", "cure: rm -rf \u2215")
            if said.out.startswith("supervisord on this host"):
                assert sum(line.split()[:1] == [str(stranger.pid)] for line in said.out.splitlines()) == 1
    finally:
        shutil.rmtree(place)
