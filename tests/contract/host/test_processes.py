# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes: known by pid and start time, and their families."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import user_name
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.labels import (
    label_of,
)
from tests.support.calls import identity_of
from tests.support.processes import eventually
from tests.support.victims import victim


def test_a_process_is_described() -> None:
    before = time.time()
    with victim("listen") as held:
        process = processes.describe(held.pid)
        assert process is not None
        assert (process.pid, process.ppid, process.uid) == (held.pid, os.getpid(), os.getuid())
        assert process.user == user_name(os.getuid())
        assert os.path.samefile(process.exe, sys.executable)
        assert process.command[-2:] == ("listen", str(held.port))
        assert process.state in "RS"
        assert not process.container
        # The kernel counts the start in hundredths of a second.
        assert before - 0.05 <= process.started_at <= time.time() + 0.05
        assert 0 <= processes.age(process.start) <= time.time() - before + 0.05


def test_there_is_no_process_where_there_is_none() -> None:
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    assert processes.describe(child.pid) is None
    assert label_of(child.pid) is None
    assert processes.ancestors(child.pid) == []


def test_a_program_may_be_called_what_it_likes(tmp_path: Path) -> None:
    name = tmp_path / "a) S 1 (b"
    name.symlink_to("/bin/sleep")
    child = subprocess.Popen([str(name), "600"])
    try:
        assert eventually(lambda: (processes.describe(child.pid) or pytest.fail("gone")).command[0] == str(name))
        process = processes.describe(child.pid)
        assert process is not None
        assert process.ppid == os.getpid()
    finally:
        child.kill()
        child.wait()


def test_a_zombie_is_not_alive_and_a_process_without_its_first_thread_is() -> None:
    with victim("zombie") as parent, victim("leaderless") as held:
        (dead,) = parent.pids
        zombie, leaderless = processes.describe(dead), processes.describe(held.pid)
        assert zombie is not None
        assert zombie.state == "Z"
        assert not processes.alive(zombie.identity)
        assert leaderless is not None
        assert leaderless.state in "RS"
        assert processes.alive(leaderless.identity)


def test_another_start_time_is_another_process() -> None:
    pid, start = identity_of(os.getpid())
    assert processes.alive((pid, start))
    assert not processes.alive((pid, start + 1))


def test_descendants_and_ancestors_agree() -> None:
    with victim("shared") as master:
        assert set(processes.descendants([master.pid])) == set(master.pids)
        assert processes.ancestors(master.pids[0])[:2] == [master.pid, os.getpid()]
        assert processes.ancestors(os.getpid())[-1] == 1
