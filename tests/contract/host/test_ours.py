# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves that a process is a stack's: one proof at a time, and a bystander beside each."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import births, processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Identity, Label
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.ours import (
    CGROUP,
    DESCENT,
    LABEL,
    NUMBER,
    RECORDED,
    SESSION,
    Ownership,
    find,
    held_by,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.roots import Views, sees_as_we_do
from tests.support.configs import a_label
from tests.support.namespaces import NOBODY, cgroup, join
from tests.support.processes import eventually, is_alive
from tests.support.victims import victim

STARTED = Label("test", "/opt/test", "web", "0123456789ab")
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user, or makes a cgroup")


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "state").mkdir()
    return str(tmp_path)


def proof(root: str, pid: int) -> str:
    """Return by what a process is known to be of the stack at ``root``."""
    process = processes.describe(pid)
    assert process is not None
    return Ownership(root).of_lineage(process, [pid, *processes.ancestors(pid)]).how


def pids(root: str) -> t.Set[int]:
    return {process.pid for process in find(root)}


def identity(pid: int) -> Identity:
    process = processes.describe(pid)
    assert process is not None
    return process.identity


@contextlib.contextmanager
def session() -> t.Iterator[t.Tuple[int, int]]:
    """Run a leader of a session of its own with a child that has no environment; yield both pids."""
    code = "import os, signal; print(os.spawnve(os.P_NOWAIT, '/bin/sleep', ['sleep', '600'], {}), flush=True)"
    code += "; signal.pause()"
    leader = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True, env={}
    )
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    try:
        yield leader.pid, child
    finally:
        for pid in (child, leader.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        leader.wait(60)
        leader.stdout.close()


def test_a_recorded_process_is_ours_and_another_with_its_pid_is_not(root: str) -> None:
    with victim("bystander") as ours, victim("bystander") as other:
        births.remember(root, {identity(ours.pid): STARTED})
        assert proof(root, ours.pid) == RECORDED
        assert proof(root, other.pid) == ""
        assert pids(root) == {ours.pid}
        births.remember(root, {(other.pid, 1): STARTED})
        assert pids(root) == {ours.pid}


@ROOT_ONLY
def test_a_recorded_process_is_ours_whatever_its_user(root: str) -> None:
    with victim("bystander", 0, "--uid", str(NOBODY)) as ours:
        births.remember(root, {identity(ours.pid): STARTED})
        assert pids(root) == {ours.pid}


def test_the_session_of_a_recorded_supervisord_is_ours_also_when_it_has_been_killed(root: str) -> None:
    with session() as (leader, child), session() as (_other, stranger):
        births.remember(root, supervisord=leader)
        assert proof(root, child) == SESSION
        assert proof(root, stranger) == ""
        assert pids(root) == {leader, child}
        os.kill(leader, signal.SIGKILL)
        assert eventually(lambda: not is_alive(leader))
        assert pids(root) == {child}
        # Whoever writes the record next keeps what lives.
        births.remember(root)
        assert pids(root) == {child}


def test_a_session_in_which_nothing_lives_is_dropped_before_its_leader_is_reaped(root: str) -> None:
    with session() as (leader, child), session() as (other, _stranger):
        births.remember(root, supervisord=leader)
        for pid in (child, leader):
            os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: not is_alive(leader) and not is_alive(child))
        births.remember(root, supervisord=other)
        assert set(births.recorded(root).sessions) == {identity(other)}


@pytest.mark.parametrize("serial", [0, 4711])
def test_without_the_serial_number_of_a_session_only_its_leader_proves_it(root: str, serial: int) -> None:
    with session() as (leader, child):
        births.remember(root, supervisord=leader)
        record = Path(root, "state", "started.json")
        known = births.recorded(root)
        number = known.sessions[identity(leader)]
        if number == 0:
            pytest.skip("this kernel does not number its sessions")
        record.write_text(record.read_text().replace(f", {number}]", f", {serial}]"), encoding="utf-8")
        # Another number is another session's; none leaves the leader.
        assert pids(root) == (set() if serial else {leader, child})
        os.kill(leader, signal.SIGKILL)
        os.waitpid(leader, 0)
        assert pids(root) == set()


def sleeps_below(pid: int) -> bool:
    return [process.command[0] for process in processes.descendants([pid]).values()] == ["sleep"]


def test_what_descends_from_ours_is_ours_unless_it_is_of_another_stack(root: str) -> None:
    code = "import subprocess, sys, os; print(os.getpid()); sys.stdout.flush(); subprocess.run(sys.argv[1:])"
    for variables, how in (([], DESCENT), (["ROLLCALL_ROOT=/elsewhere"], "")):
        command = [sys.executable, "-c", code, "env", "-i", *variables, "setsid", "--wait", "sleep", "600"]
        started = subprocess.Popen(command, env={**os.environ, **a_label(root)}, stdout=subprocess.PIPE, text=True)
        try:
            assert started.stdout is not None
            started.stdout.readline()
            assert eventually(functools.partial(sleeps_below, started.pid))
            below = list(processes.descendants([started.pid]))
            assert [proof(root, pid) for pid in (started.pid, *below)] == [LABEL, how]
            assert pids(root) == {started.pid, *(below if how else ())}
        finally:
            for pid in (*processes.descendants([started.pid]), started.pid):
                os.kill(pid, signal.SIGKILL)
            started.wait(60)
            assert started.stdout is not None
            started.stdout.close()


@ROOT_ONLY
def test_what_is_in_the_control_group_of_the_stacks_unit_is_ours(root: str) -> None:
    with victim("bystander") as ours, victim("bystander") as other, cgroup("rollcall-test.service") as places:
        if not places:
            pytest.skip("no cgroup can be made here")
        join(places, ours.pid)
        paths = [path for path in processes.reader.cgroups(ours.pid) if path.endswith("/rollcall-test.service")]
        births.remember(root, cgroup=paths[0])
        assert proof(root, ours.pid) == CGROUP
        assert proof(root, other.pid) == ""
        assert pids(root) == {ours.pid}


# What a process inherits from a supervisord of the stack at argv[1], and what it executes.
HEIR = """
import os, sys
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import inheritance
inheritance.take(inheritance.number_of(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextlib.contextmanager
def heir(root: str, *command: str) -> t.Iterator[subprocess.Popen[bytes]]:
    """Run a command with the number of a stack, and with nothing else of it."""
    with subprocess.Popen([sys.executable, "-c", HEIR, root, *command], env={}, start_new_session=True) as started:
        try:
            assert eventually(lambda: processes.reader.command(started.pid) == command)
            yield started
        finally:
            started.kill()


def test_what_has_inherited_the_number_of_the_stacks_supervisord_is_ours(root: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with heir(root, "/bin/sleep", "600") as ours, heir(str(other), "/bin/sleep", "600") as stranger:
        assert proof(root, ours.pid) == NUMBER
        assert proof(root, stranger.pid) == ""
        assert pids(root) == {ours.pid}
        # A copy of the root is another directory; the same one moved is not.
        os.system(f"cp -a {root} {root}.copy")
        assert pids(f"{root}.copy") == set()
        os.rename(root, f"{root}.moved")
        assert pids(f"{root}.moved") == {ours.pid}
        os.rename(f"{root}.moved", root)


def test_what_keeps_a_container_alive_is_not_ours_by_its_number(root: str, tmp_path: Path) -> None:
    keeper = tmp_path / "conmon"
    keeper.symlink_to("/bin/sleep")
    with heir(root, str(keeper), "600") as ours:
        assert proof(root, ours.pid) == ""


@ROOT_ONLY
def test_a_number_counts_for_the_users_whose_word_counts(root: str) -> None:
    with victim("bystander", 0, "--uid", str(NOBODY), prefix=(sys.executable, "-c", HEIR, root)) as ours:
        assert pids(root) == set()
        births.remember(root, {(1, 1): STARTED}, cgroup="/x")
        assert pids(root) == {ours.pid}, "root runs the stack, and its services may be of any user"


@ROOT_ONLY
def test_a_stranger_who_has_read_the_number_is_none_of_a_stack_that_root_does_not_run(root: str) -> None:
    births.remember(root, {(1, 1): STARTED}, cgroup="/x")
    with victim("bystander", 0, "--uid", str(NOBODY), prefix=(sys.executable, "-c", HEIR, root)) as stranger:
        assert [one.pid for one in find(root, {0, NOBODY + 1})] == []
        assert [one.pid for one in find(root, {0, NOBODY})] == [stranger.pid]


def test_where_no_number_can_be_given_nothing_fails() -> None:
    code = """
import resource
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import inheritance
resource.setrlimit(10, (7, 7))
inheritance.take(2**61)
print(resource.getrlimit(10))
"""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, timeout=100)
    assert done.stdout.strip() == "(7, 7)"


def test_a_process_is_held_by_a_supervisord_that_reports_it_or_has_just_forked_it() -> None:
    with victim("shared") as master:
        (worker, *_others) = master.pids
        lineage = [worker, *processes.ancestors(worker)]
        assert held_by(lineage, {master.pid}, {worker})
        assert held_by(lineage, {master.pid}, None), "forked, and still in its group"
        assert not held_by(lineage, set(), {0})


def test_a_process_that_ends_while_it_is_looked_at_is_nobodys(tmp_path: Path) -> None:
    """A look at all processes of a host meets some that have just ended."""
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    label = Label("one", str(tmp_path), "web", "")
    assert not Views().names_stack(ended.pid, label, str(tmp_path))
    assert not Views().names_stack(ended.pid, label, str(tmp_path / "moved"))
    assert not Views().is_same(ended.pid, str(tmp_path), str(tmp_path))
    assert not sees_as_we_do(ended.pid)


# Each lives for a moment, and starts the next one before it ends; without the file, the last one ends.
TURNS = """
import os, sys, time
while os.path.exists(sys.argv[1]):
    time.sleep(0.01)
    if os.fork():
        os._exit(0)
"""


def test_processes_that_take_turns_are_seen_in_every_look(root: str, tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.touch()
    first = subprocess.Popen([sys.executable, "-c", TURNS, str(go)], env={**os.environ, **a_label(root)})
    try:
        assert first.wait(60) == 0
        assert [number for number in range(50) if not pids(root)] == []
    finally:
        go.unlink()
    assert eventually(lambda: not pids(root))


def test_the_command_that_removes_a_broken_record_works_with_a_blank_in_its_path(tmp_path: Path) -> None:
    record = tmp_path / "my stack" / "state" / "started.json"
    record.parent.mkdir(parents=True)
    record.write_text("{", encoding="utf-8")
    with pytest.raises(RollcallError) as told:
        births.recorded(str(record.parents[1]))
    subprocess.run(["sh", "-c", told.value.remedies[0]], check=True, timeout=60)
    assert not record.exists()
