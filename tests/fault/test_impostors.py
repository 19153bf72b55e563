# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is no supervisord of the stack: a process of another user, and one that says what the kernel does not."""

from __future__ import annotations

import os
import pwd
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import Client, client_of
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client_errors import UNTRUSTED
from tests.support.calls import error_of
from tests.support.commands import rollcall
from tests.support.configs import a_label
from tests.support.impostors import EVE, answers_of, impostor
from tests.support.interpreters import give_to, python_of_all
from tests.support.processes import eventually, is_alive
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack, two_services
from tests.support.victims import victim

pytestmark = [
    pytest.mark.usefixtures("bystander"),
    pytest.mark.skipif(os.geteuid() != 0 or python_of_all() is None, reason="takes on users, who need a Python to run"),
]


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    """A stack that root runs."""
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        os.chmod(made.root, 0o755)
        yield made


@pytest.fixture
def of_nobody() -> t.Iterator[StackUnderTest]:
    """A stack that root has installed and the user nobody runs, as most are."""
    account = pwd.getpwnam("nobody")
    with stack(two_services()) as made:
        give_to(made, account.pw_name, account.pw_uid, account.pw_gid)
        assert made.perform()["ok"]
        yield made


def make_room(made: StackUnderTest) -> None:
    """Take the socket's name away from the supervisord, as whoever may write to its directory can."""
    os.rename(made.paths.socket, made.paths.socket + ".away")


# --- by the command line ------------------------------------------------------------------------------------------


@pytest.mark.fault(20)
@pytest.mark.parametrize("labelled", [False, True])
def test_the_command_line_of_another_user_is_no_second_supervisord(running: StackUnderTest, labelled: bool) -> None:
    env = {key: value for key, value in a_label(running.root).items() if key != "ROLLCALL_SERVICE"} if labelled else {}
    with impostor(running.paths.config, EVE, env=env) as stranger:
        assert running.status()["ok"]
        before = running.pids()
        assert not running.perform()["changed"]
        assert running.pids() == before, "nothing is started again for it"
        for mode in ("full", "emergency"):
            assert running.perform(mode, installed=True)["ok"]
        assert stranger.poll() is None, "it is nobody that a run may end"


@pytest.mark.fault(20)
def test_a_crowd_of_such_processes_does_not_keep_a_stack_down(running: StackUnderTest) -> None:
    with impostor(running.paths.config, EVE), impostor(running.paths.config, EVE + 1):
        assert rollcall(running, "stop").code == 0
        assert all(one.uid >= EVE for one in running.daemons())
        assert rollcall(running, "start").code == 0
        assert rollcall(running, "status").code == 0


@pytest.mark.fault(20)
def test_a_program_with_the_rights_of_root_that_another_user_has_started_is_none(running: StackUnderTest) -> None:
    lent = os.path.join(running.root, "lent")
    with open(str(python_of_all()), "rb") as source, open(lent, "wb") as target:
        target.write(source.read())
    os.chmod(lent, 0o4755)
    try:
        # It is started as the stranger, and has made itself root's altogether since.
        with impostor(running.paths.config, 0, python=lent, started_as=EVE) as stranger:
            assert Path("/proc", str(stranger.pid), "status").read_text().split("Uid:")[1].split()[:4] == ["0"] * 4
            assert running.status()["ok"]
            assert running.perform("full", installed=True)["ok"]
            assert stranger.poll() is None
    finally:
        os.unlink(lent)


def test_a_second_supervisord_of_the_stacks_own_user_still_is_a_rival(of_nobody: StackUnderTest) -> None:
    account = pwd.getpwnam("nobody")
    with impostor(of_nobody.paths.config, account.pw_uid) as rival:
        check = check_of(of_nobody.status(), "supervisord", "test")
        assert (check["ok"], check["code"]) == (False, "rival")
        assert str(rival.pid) in check["evidence"]
        assert of_nobody.perform("full", installed=True)["ok"]
        assert eventually(lambda: rival.poll() is not None)


def test_after_a_change_of_the_user_the_supervisord_of_the_old_one_is_stopped(of_nobody: StackUnderTest) -> None:
    (before,) = of_nobody.daemons()
    of_nobody.raw["user"] = "root"
    for path in (of_nobody.paths.run, of_nobody.paths.logs):
        for place, _directories, files in os.walk(path):
            for name in (".", *files):
                os.chown(os.path.join(place, name), 0, 0)
    assert of_nobody.perform()["ok"]
    assert not is_alive(before.pid)
    assert [one.uid for one in of_nobody.daemons()] == [0]


# --- by the socket ------------------------------------------------------------------------------------------------


@pytest.mark.fault(22)
def test_another_users_server_on_the_socket_is_named_and_an_emergency_gets_the_stack_back(
    running: StackUnderTest,
) -> None:
    os.chmod(running.paths.run, 0o777)
    make_room(running)
    pids = running.pids()
    with impostor(running.paths.config, EVE, socket_path=running.paths.socket, answers=answers_of(**pids)) as stranger:
        report = running.status()
        check = check_of(report, "supervisord", "test")
        assert not report["ok"]
        assert f"pid {stranger.pid} of user {EVE} listens on supervisord's socket" in check["evidence"]
        error = error_of(client_of(running.generation().stack).pid)
        assert (error.evidence["problem"], error.evidence["pid"], error.evidence["uid"]) == (
            UNTRUSTED,
            stranger.pid,
            EVE,
        )
        os.chmod(running.paths.run, 0o700)
        assert running.perform("emergency", installed=True)["ok"]
        assert stranger.poll() is None


@pytest.mark.fault(22)
def test_where_root_runs_the_stack_the_user_of_a_service_is_a_stranger(running: StackUnderTest) -> None:
    os.chmod(running.paths.run, 0o777)
    running.kill_daemon()
    os.unlink(running.paths.socket)
    nobody = pwd.getpwnam("nobody").pw_uid
    with impostor(running.paths.config, nobody, socket_path=running.paths.socket, answers=answers_of(web=1, worker=1)):
        report = running.status()
    assert not report["ok"]
    assert "of user nobody listens" in check_of(report, "supervisord", "test")["evidence"]


@pytest.mark.fault(22)
@pytest.mark.parametrize("said", ["of the real one", "of pid 1", "of nobody at all"])
def test_whoever_answers_must_be_the_pid_that_he_says(of_nobody: StackUnderTest, said: str) -> None:
    (daemon,) = of_nobody.daemons()
    pid = {"of the real one": daemon.pid, "of pid 1": 1, "of nobody at all": 4_000_000}[said]
    make_room(of_nobody)
    place, uid = of_nobody.paths.socket, daemon.uid
    with impostor(of_nobody.paths.config, uid, socket_path=place, answers=answers_of(pid, **of_nobody.pids())) as liar:
        report = of_nobody.status()
        error = error_of(client_of(of_nobody.generation().stack).pid)
    assert not report["ok"]
    assert (error.evidence["problem"], error.evidence["pid"], error.evidence["said"]) == (UNTRUSTED, liar.pid, pid)


# --- by what it reports -------------------------------------------------------------------------------------------


@pytest.mark.fault(22)
@pytest.mark.parametrize("whose", ["pid 1", "a stranger", "an orphan", "itself", "this test"])
def test_a_reported_pid_that_is_no_child_of_the_supervisord_is_no_process_of_a_service(
    of_nobody: StackUnderTest, whose: str
) -> None:
    port = of_nobody.raw["services"]["web"]["port"]
    uid = of_nobody.daemons()[0].uid
    left = of_nobody.pids()["web"]
    of_nobody.kill_daemon()
    if whose != "an orphan":
        os.kill(left, 9)
        assert eventually(lambda: not is_alive(left))
    os.unlink(of_nobody.paths.socket)
    with victim("listen", 0 if whose == "an orphan" else port, "--uid", str(EVE)) as eve:
        pids: dict[str, int | str] = {
            "pid 1": 1,
            "a stranger": eve.pid,
            "an orphan": left,
            "itself": "own",
            "this test": os.getpid(),
        }
        said = answers_of(web=pids[whose], worker=pids[whose])
        with impostor(of_nobody.paths.config, uid, socket_path=of_nobody.paths.socket, answers=said):
            report = of_nobody.status()
    assert not report["ok"]
    assert ("running", "web") in failed_checks(report)
    assert "RUNNING" not in check_of(report, "running", "web")["evidence"]


def _ask_all(client: Client) -> None:
    for ask in (client.pid, client.state, client.version, client.programs):
        ask()


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("getPID", "one"),
        ("getPID", {"pid": 1}),
        ("getPID", -1),
        ("getState", []),
        ("getState", {"statename": 7}),
        ("getSupervisorVersion", {"a": 1}),
        ("getAllProcessInfo", {"web": 1}),
        ("getAllProcessInfo", ["web"]),
        ("getAllProcessInfo", [{"name": "web"}]),
    ],
)
def test_an_answer_of_another_type_is_told_and_no_traceback(
    of_nobody: StackUnderTest, method: str, value: t.Any
) -> None:
    uid = of_nobody.daemons()[0].uid
    of_nobody.kill_daemon()
    os.unlink(of_nobody.paths.socket)
    answers = {**answers_of(web=0, worker=0), method: value}
    with impostor(of_nobody.paths.config, uid, socket_path=of_nobody.paths.socket, answers=answers):
        said = rollcall(of_nobody, "status", "--json")
        client = client_of(of_nobody.generation().stack)
        with pytest.raises(RollcallError, match="does not speak supervisord's XML-RPC"):
            _ask_all(client)
    assert said.code == 1
    assert "Traceback" not in said.err
