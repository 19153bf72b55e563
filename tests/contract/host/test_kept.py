# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Short programs that misbehave are ended in time, with all that they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import find_account
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.kept import Kept, run_kept
from tests.support.processes import eventually

LONG = 60.0
PATH = {"PATH": "/usr/bin:/bin"}


def run(script: str, *, seconds: float = LONG, user: t.Optional[str] = None, **options: t.Any) -> Kept:
    wanted = {"directory": "/", "environment": PATH, "umask": 0o027, "most": 100, **options}
    return run_kept(["/bin/sh", "-c", script], find_account(user), deadline=Deadline(seconds), **wanted)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_the_end_of_a_program_and_what_it_printed_are_told() -> None:
    assert run("echo out; echo err >&2; exit 3") == Kept(3, "", b"out\nerr\n", cut=False)
    assert run("kill -9 $$").exit_code == -9
    assert run("pwd; umask; cat; echo $PATH", directory="/usr").output == f"/usr\n0027\n{PATH['PATH']}\n".encode()


def test_a_program_that_is_not_there_is_told() -> None:
    account = find_account(None)
    options: dict[str, t.Any] = {"environment": PATH, "umask": 0o022, "deadline": Deadline(LONG), "most": 10}
    missing = run_kept(["/no/such/program"], account, directory="/", **options)
    assert (missing.exit_code, missing.problem) == (None, "could not be started: No such file or directory")
    nowhere = run_kept(["/bin/true"], account, directory="/no/such", **options)
    assert nowhere.problem == "could not be started: No such file or directory"


def test_a_program_that_hangs_is_ended_with_what_it_has_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    done = run(f"trap '' TERM; sleep 600 & echo $$ $! > {pids}; echo waiting; wait", seconds=3.0)
    assert done == Kept(None, "did not end within 3 s", b"waiting\n", cut=False)
    assert eventually(lambda: all(is_gone(int(pid)) for pid in pids.read_text(encoding="ascii").split()))


def test_what_a_program_leaves_behind_keeps_nobody_waiting_and_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    done = run(f"(while :; do echo more; done) & echo $! > {pid}; exit 0")
    assert done.exit_code == 0
    assert eventually(lambda: is_gone(int(pid.read_text(encoding="ascii"))))


def test_of_an_endless_output_the_end_is_kept() -> None:
    done = run("head -c 100000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1")
    assert (done.exit_code, done.cut) == (1, True)
    assert done.output.endswith(b"xxx\nthe end\n")
    assert len(done.output) == 100
    assert run("while :; do echo more; done", seconds=3.0).problem == "did not end within 3 s"


def test_a_program_ends_when_the_one_that_waits_for_it_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Deadline\n"
        "from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import find_account\n"
        "from ansible_collections.rollcall.supervisor.plugins.module_utils.host.kept import run_kept\n"
        f"run_kept(['/bin/sh', '-c', 'echo $$ > {pid}; sleep 600'], find_account(None), "
        "directory='/', environment={}, umask=18, deadline=Deadline(600), most=10)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as waiting:
        try:
            assert eventually(lambda: pid.exists() and pid.read_text(encoding="ascii").strip() != "", LONG)
        finally:
            waiting.send_signal(signal.SIGKILL)
    assert eventually(lambda: is_gone(int(pid.read_text(encoding="ascii"))))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs programs as others")
def test_a_program_has_the_rights_of_its_user_alone() -> None:
    assert run("id -un; cat /etc/shadow", user="nobody").output.startswith(b"nobody\n")
    assert run("cat /etc/shadow > /dev/null", user="nobody").exit_code == 1
