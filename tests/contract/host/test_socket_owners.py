# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes hold a socket."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import listeners, proc, socket_owners
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import log_spans
from tests.support.namespaces import as_nobody
from tests.support.processes import listening_socket
from tests.support.victims import victim

DIG = """\
import os, sys
for number in range(40):
    os.mkdir("deep" * 50)
    os.chdir("deep" * 50)
held = open("held", "w")
print("down", flush=True)
sys.stdin.read()
"""
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user")


def test_owners_are_found_with_and_without_a_hint() -> None:
    with listening_socket("127.0.0.1") as held:
        inode = os.fstat(held.fileno()).st_ino
        for hints in ([os.getpid()], [], [1, 2]):
            found = socket_owners.find_owners([inode], hints)
            assert (found.pids, found.complete) == ({inode: [os.getpid()]}, True)


@pytest.mark.parametrize("sharing", [socket_owners.RELATIVES, socket_owners.EVERY])
def test_all_who_share_a_listener_are_found_when_they_are_asked_for(sharing: str) -> None:
    with victim("shared") as master:
        (found,) = listeners.find_listeners([master.port])
        assert len(socket_owners.find_owners([found.inode]).pids[found.inode]) == 1
        for hints in ([], [master.pid], [master.pids[0]]):
            seen = socket_owners.find_owners([found.inode], hints, sharing)
            assert sorted(seen.pids[found.inode]) == sorted([master.pid, *master.pids])
        assert socket_owners.holds(master.pid, found.inode)
        assert not socket_owners.holds(os.getpid(), found.inode)


def test_a_stranger_who_was_handed_the_listener_is_found_when_every_process_is_looked_at() -> None:
    with victim("handed") as held:
        (found,) = listeners.find_listeners([held.port])
        seen = socket_owners.find_owners([found.inode], sharing=socket_owners.EVERY)
        assert sorted(seen.pids[found.inode]) == sorted([held.pid, *held.pids])


def test_the_owner_is_found_after_its_first_thread_has_ended() -> None:
    with victim("leaderless") as held:
        (found,) = listeners.find_listeners([held.port])
        assert socket_owners.find_owners([found.inode]).pids == {found.inode: [held.pid]}


@ROOT_ONLY
def test_an_owner_that_may_not_be_looked_into_makes_the_answer_incomplete() -> None:
    with victim("listen") as held:
        (found,) = listeners.find_listeners([held.port])

        def look() -> t.Any:
            seen = socket_owners.find_owners([found.inode])
            return [dict(seen.pids), seen.complete, seen.unreadable > 0]

        assert as_nobody(look) == [{}, False, True]


def test_a_process_whose_files_lie_deeper_than_the_kernel_tells_hides_no_other(tmp_path: Path) -> None:
    # readlink(2) in /proc: ENAMETOOLONG for a path that is longer than a page.
    with subprocess.Popen(
        [sys.executable, "-c", DIG],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as digger:
        assert digger.stdout is not None
        assert digger.stdout.readline()
        assert proc.working_directory(digger.pid) == ""
        with listening_socket("127.0.0.1") as held:
            inode = os.fstat(held.fileno()).st_ino
            assert socket_owners.find_owners([inode, 1], sharing=socket_owners.EVERY).pids[inode] == [os.getpid()]
        assert log_spans.held_files([digger.pid]) == []
