# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of an application's own: bounded, with their own environment, by their own user, and never left behind."""

from __future__ import annotations

import os
import signal
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import commands
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import acting_as, require_account
from tests.support.processes import eventually, is_alive

pytestmark = pytest.mark.usefixtures("bystander")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "GREETING": "hello"}


def run(*argv: str, timeout: float = 100, cwd: str = "/", user: t.Optional[str] = None) -> commands.CommandResult:
    return commands.run(argv, require_account(user), cwd=cwd, environment=ENVIRONMENT, timeout=timeout)


def test_it_tells_how_a_command_ended_and_what_it_said_last() -> None:
    done = run("sh", "-c", "for i in $(seq 100); do echo line $i; done; echo bad >&2; exit 3")
    assert (done.ok, done.exit_code, done.how) == (False, 3, "ended with exit code 3")
    assert (done.output[-2:], len(done.output)) == (("line 100", "bad"), commands.OUTPUT_LINES)
    assert run("true").ok
    assert run("sh", "-c", "kill -9 $$").how == "was ended by signal 9"


def test_it_has_its_own_environment_directory_session_and_no_input(tmp_path: Path) -> None:
    done = run(
        sys.executable,
        "-c",
        "import os, sys; print(sorted(k for k in os.environ if k != 'LC_CTYPE'), os.getcwd(), sys.stdin.read() == '',"
        " os.getsid(0) == os.getpid(), len(os.listdir('/proc/self/fd')))",
        cwd=str(tmp_path),
    )
    # 0, 1, 2, and the directory that is being listed.
    assert done.output == (f"['GREETING', 'PATH'] {tmp_path} True True 4",)


def test_a_program_that_is_not_there_is_said() -> None:
    done = run("no-such-program")
    assert (done.ok, done.exit_code) == (False, None)
    assert "could not be started" in done.how
    assert "no-such-program" in done.how


def test_a_command_that_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    done = run("sh", "-c", f"sleep 600 & echo $! > {tmp_path}/pid; trap '' TERM; sleep 600", timeout=3)
    assert (done.ok, done.how) == (False, "did not end within 3 s and was killed")
    inner = int((tmp_path / "pid").read_text())
    assert eventually(lambda: not is_alive(inner))


def test_what_outlives_a_command_and_holds_its_output_is_not_waited_for(tmp_path: Path) -> None:
    done = run("sh", "-c", f"sleep 600 & echo $! > {tmp_path}/pid", timeout=100)
    inner = int((tmp_path / "pid").read_text())
    try:
        assert done.ok
    finally:
        os.kill(inner, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_when_the_caller_is_gone_so_is_the_command(tmp_path: Path, number: int) -> None:
    caller = os.fork()
    if caller == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            run("sh", "-c", f"sleep 600 & echo $! $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pids; wait")
        finally:
            os._exit(0)
    assert eventually((tmp_path / "pids").exists)
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert all(is_alive(pid) for pid in pids)
    os.kill(caller, number)
    os.waitpid(caller, 0)
    assert eventually(lambda: not any(is_alive(pid) for pid in pids))


@AS_ROOT
def test_as_another_user_it_has_nothing_of_roots() -> None:
    done = run("python3", "-c", "import os; print(os.getresuid(), os.getresgid(), os.getgroups())", user="nobody")
    who = require_account("nobody")
    assert done.output == (f"{(who.uid,) * 3} {(who.gid,) * 3} {sorted(who.groups)}",)
    assert os.geteuid() == 0


@AS_ROOT
def test_acting_as_another_user_files_are_that_users_and_roots_are_closed(tmp_path: Path) -> None:
    who = require_account("nobody")
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    (tmp_path / "open").mkdir()
    os.chown(tmp_path / "open", who.uid, who.gid)
    inside = os.open(tmp_path / "open", os.O_RDONLY)  # the directories of a test's own are closed to others
    try:
        with acting_as(who), acting_as(who):
            with pytest.raises(PermissionError):
                secret.read_text()
            os.close(os.open("mine", os.O_CREAT | os.O_WRONLY, dir_fd=inside))
    finally:
        os.close(inside)
    assert (tmp_path / "open" / "mine").stat().st_uid == who.uid
    assert secret.read_text() == "x"


def test_an_account_that_does_not_exist_is_said() -> None:
    with pytest.raises(RollcallError, match="'no-such-user' does not exist") as told:
        require_account("no-such-user")
    assert told.value.kind == "wrong_use"


def test_another_user_is_refused_to_who_is_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(RollcallError, match="neither that user nor root"):
        require_account("nobody")
