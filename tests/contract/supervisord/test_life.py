# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a real supervisord: started, stopped, ended by its pid, cleaned up after."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import client_errors, life
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import Client
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.running import supervisords_over
from tests.support import supervisords
from tests.support.calls import error_of, identity_of, timed
from tests.support.processes import eventually, is_alive, kill, signal_mask
from tests.support.supervisords import Sandbox, stale_socket
from tests.support.victims import Victim

sandbox = supervisords.sandbox
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")
SLEEP = "sleep 600\nstartsecs=0"
# Ignores TERM: its stop takes stopwaitsecs.
STUBBORN = "/bin/sh -c 'trap \"\" TERM; while true; do sleep 0.2; done'\nstartsecs=0\nkillasgroup=true\nstopwaitsecs="


def stubborn_daemon(sandbox: Sandbox, stopwaitsecs: int) -> int:
    """Start a supervisord whose program does not end before it is killed."""
    sandbox.configure(stubborn=STUBBORN + str(stopwaitsecs))
    pid = sandbox.start()
    client = sandbox.client()
    client.start(["stubborn"])
    child = client.programs()["stubborn"].pid
    assert eventually(lambda: int(signal_mask(child, "SigIgn"), 16) & 1 << (signal.SIGTERM - 1) > 0)
    return pid


def test_a_daemon_that_shuts_down_says_so_and_takes_no_orders(sandbox: Sandbox) -> None:
    stubborn_daemon(sandbox, 300)
    client = sandbox.client()
    client.shutdown()
    client.shutdown()
    assert client.poke() == "SHUTDOWN"
    for order in (client.state, client.programs, lambda: client.start(["stubborn"]), client.reload):
        error = error_of(order)
        assert error.evidence["problem"] == client_errors.SHUTTING_DOWN
        assert "is shutting down" in error.message


def test_stopping_a_daemon_is_over_when_its_process_is_gone(sandbox: Sandbox, bystander: Victim) -> None:
    sandbox.configure(**{f"p{number}": SLEEP for number in range(8)})
    pid = sandbox.start()
    client = sandbox.client()
    client.start(client.programs())
    removed = life.stop_supervisord(client, identity_of(pid), timeout=60, pidfile=sandbox.pidfile)
    assert not is_alive(pid)
    assert sandbox.processes() == []
    assert removed == [], "an orderly end leaves nothing behind"
    assert not os.path.exists(sandbox.socket)
    assert is_alive(bystander.pid)


def test_the_next_daemon_keeps_its_socket_after_a_slow_end_of_the_last(sandbox: Sandbox) -> None:
    pid = stubborn_daemon(sandbox, 1)
    for _unused in range(3):
        life.stop_supervisord(sandbox.client(), identity_of(pid), timeout=60, pidfile=sandbox.pidfile)
        assert not is_alive(pid)
        pid = sandbox.start()
        client = sandbox.client()
        client.start(["stubborn"])
        assert client.pid() == pid
        assert Path(sandbox.pidfile).read_text().strip() == str(pid)


def test_a_daemon_that_was_told_to_stop_before_is_waited_for(sandbox: Sandbox) -> None:
    pid = stubborn_daemon(sandbox, 1)
    sandbox.client().shutdown()
    life.stop_supervisord(sandbox.client(), pid, timeout=60)
    assert not is_alive(pid)


def test_a_daemon_that_does_not_end_is_named_with_what_it_waits_for(sandbox: Sandbox) -> None:
    pid = stubborn_daemon(sandbox, 600)
    child = sandbox.client().programs()["stubborn"].pid
    seconds, error = timed(
        lambda: error_of(lambda: life.stop_supervisord(sandbox.client(), identity_of(pid), timeout=3))
    )
    assert seconds < 60
    assert f"(pid {pid}) is still there after 3 s; last state: SHUTDOWN" in error.message
    assert f"stubborn (pid {child})" in error.message
    assert is_alive(pid)


def test_a_stopped_daemon_is_not_waited_for_longer_than_told(sandbox: Sandbox) -> None:
    pid = sandbox.start()
    os.kill(pid, signal.SIGSTOP)
    seconds, error = timed(lambda: error_of(lambda: life.stop_supervisord(sandbox.client(timeout=0.3), pid, timeout=1)))
    assert seconds < 60
    assert error.evidence["problem"] == client_errors.SILENT
    assert life.end_supervisords([identity_of(pid)], grace=60)[0].result == "ended", "TERM and CONT"
    assert not is_alive(pid)


def test_the_daemon_at_the_socket_is_not_stopped_for_another(sandbox: Sandbox, bystander: Victim) -> None:
    pid = sandbox.start()
    error = error_of(lambda: life.stop_supervisord(sandbox.client(), bystander.pid, timeout=60))
    assert error.kind == "refused"
    assert f"pid {pid} answers" in error.message
    assert sandbox.client().state() == "RUNNING"


def test_a_daemon_that_is_gone_already_is_no_error_and_its_left_overs_go(sandbox: Sandbox) -> None:
    pid = sandbox.start()
    meant = identity_of(pid)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not is_alive(pid))
    removed = life.stop_supervisord(sandbox.client(), meant, timeout=60, pidfile=sandbox.pidfile)
    assert removed == [sandbox.socket, sandbox.pidfile]


def test_a_daemon_without_its_socket_is_ended_by_its_pid(sandbox: Sandbox, bystander: Victim) -> None:
    sandbox.configure(one=SLEEP)
    pid = sandbox.start()
    sandbox.client().start(["one"])
    os.unlink(sandbox.socket)
    error = error_of(lambda: life.stop_supervisord(sandbox.client(), pid, timeout=60))
    assert error.evidence["problem"] == client_errors.ABSENT
    (found,) = supervisords_over(sandbox.config)
    assert found.pid == pid
    (ended,) = life.end_supervisords([found.identity], grace=60)
    assert (ended.result, ended.signals) == ("ended", ("TERM",))
    assert sandbox.processes() == [], "its programs were stopped by it"
    assert is_alive(bystander.pid)


def test_what_is_no_supervisord_is_not_ended_as_one(bystander: Victim) -> None:
    error = error_of(lambda: life.end_supervisords([identity_of(bystander.pid)], grace=1))
    assert [entry["result"] for entry in error.evidence["daemons"]] == ["changed"]
    assert is_alive(bystander.pid)


@pytest.mark.fault(25)
def test_a_daemon_starts_with_nothing_of_ours(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "s3cret")
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")
    kept = os.open(sandbox.home / "kept", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(kept, True)
    sandbox.configure(one=SLEEP)
    try:
        pid = sandbox.start()
    finally:
        os.close(kept)
    assert os.getsid(pid) == pid
    environment = dict(
        entry.split("=", 1) for entry in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in entry
    )
    assert environment == sandbox.environment
    descriptors = {os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    assert str(sandbox.home / "kept") not in descriptors
    assert stat.S_IMODE(os.stat(sandbox.log).st_mode) & 0o027 == 0
    assert "0022" in next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Umask")
    )
    client = sandbox.client()
    client.start(["one"])
    child = client.programs()["one"].pid
    assert b"VAULT_TOKEN" not in Path(f"/proc/{child}/environ").read_bytes()


def test_the_started_daemon_is_known_by_its_arguments(sandbox: Sandbox) -> None:
    pid = sandbox.start()
    assert [process.pid for process in supervisords_over(sandbox.config)] == [pid]


def test_a_module_in_the_working_directory_is_not_taken_for_supervisor(sandbox: Sandbox) -> None:
    planted = sandbox.home / "supervisor"
    planted.mkdir()
    (planted / "__init__.py").write_text("raise SystemExit('planted')")
    assert is_alive(sandbox.start())


def test_a_bad_config_ends_the_start_with_its_text(sandbox: Sandbox) -> None:
    Path(sandbox.log).write_text("something of last week\n")
    sandbox.configure(one=SLEEP + "\nstdout_logfile=/no/such/directory/x.log")
    seconds, error = timed(lambda: error_of(sandbox.start))
    assert seconds < 50, "not the whole deadline"
    assert "ended with exit code 2" in error.message
    assert "/no/such/directory" in error.message
    assert error.evidence["exit_code"] == 2
    assert "last week" not in str(error.evidence["output"])


def test_a_second_start_fails_and_leaves_the_first_alone(sandbox: Sandbox) -> None:
    first = sandbox.start()
    error = error_of(sandbox.start)
    assert "already listening" in error.message
    assert sandbox.client().pid() == first
    assert os.path.exists(sandbox.pidfile)


def test_a_stale_socket_and_pid_file_do_not_hinder_a_start(sandbox: Sandbox, bystander: Victim) -> None:
    stale_socket(sandbox.socket)
    Path(sandbox.pidfile).write_text(f"{bystander.pid}\n")
    pid = sandbox.start()
    assert sandbox.client().pid() == pid
    assert is_alive(bystander.pid)


def test_a_daemon_that_never_answers_is_ended(sandbox: Sandbox) -> None:
    dumb = sandbox.script("dumb", "#!/bin/sh\necho thinking; exec sleep 600\n")
    seconds, error = timed(lambda: error_of(lambda: sandbox.start(python=dumb, timeout=2)))
    assert seconds < 60
    assert "did not answer within 2 s and was ended; last seen: supervisord is not running" in error.message
    assert error.evidence["output"] == ["thinking"]
    assert sandbox.processes() == []


def test_another_daemon_that_answers_in_its_place_is_named(sandbox: Sandbox) -> None:
    first = sandbox.start()
    dumb = sandbox.script("dumb", "#!/bin/sh\nexec sleep 600\n")
    error = error_of(lambda: sandbox.start(python=dumb, timeout=4))
    assert f"pid {first} answers on {sandbox.socket}" in error.message
    assert sandbox.client().pid() == first


def test_another_daemon_is_named_also_when_the_last_question_had_no_time_left(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sandbox.start()
    dumb = sandbox.script("dumb", "#!/bin/sh\nexec sleep 600\n")
    asked: list[str] = []
    call = Client.call

    def slow_at_last(client: Client, method: str, *arguments: object, timeout: float | None = None) -> object:
        asked.append(method)
        # The first two calls are one whole greeting.
        if len(asked) > 2:
            raise RollcallError("no answer in time")
        return call(client, method, *arguments, timeout=timeout)

    monkeypatch.setattr(Client, "call", slow_at_last)
    error = error_of(lambda: sandbox.start(python=dumb, timeout=4))
    assert f"pid {first} answers on {sandbox.socket}" in error.message


def test_an_interpreter_or_directory_that_is_not_there_is_named(sandbox: Sandbox) -> None:
    assert "/no/python" in error_of(lambda: sandbox.start(python="/no/python")).message
    assert "/no/directory" in error_of(lambda: sandbox.start(cwd="/no/directory")).message
    error = error_of(lambda: sandbox.start(log="/no/directory/log"))
    assert "output file /no/directory/log cannot be opened: No such file or directory" in error.message


def test_a_user_that_is_not_there_is_wrong_use(sandbox: Sandbox) -> None:
    error = error_of(lambda: sandbox.start(user="nobody-of-this-name"))
    assert (error.kind, "does not exist" in error.message) == ("wrong_use", True)


@ROOT_ONLY
def test_root_starts_it_as_the_user_with_its_groups_and_its_rights(sandbox: Sandbox) -> None:
    import grp
    import pwd

    account = pwd.getpwnam("nobody")
    who = sandbox.script("who", "#!/bin/sh\nid -u; id -g; id -G; umask; exit 3\n")
    own = sandbox.home / "own"
    own.mkdir()
    os.chown(own, account.pw_uid, account.pw_gid)
    os.chmod(sandbox.home, 0o755)
    before = (os.geteuid(), os.getegid(), os.getgroups())
    error = error_of(lambda: sandbox.start(python=who, user="nobody", log=str(own / "out")))
    groups = [entry.gr_gid for entry in grp.getgrall() if "nobody" in entry.gr_mem]
    assert error.evidence["output"] == [
        str(account.pw_uid),
        str(account.pw_gid),
        " ".join(str(group) for group in sorted({account.pw_gid, *groups}, key=lambda gid: gid != account.pw_gid)),
        "0022",
    ]
    assert "exit code 3" in error.message
    assert os.stat(own / "out").st_uid == account.pw_uid
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before


@ROOT_ONLY
@pytest.mark.parametrize("through", ["file", "directory"])
def test_root_does_not_follow_the_users_links_to_a_log(sandbox: Sandbox, through: str) -> None:
    os.chmod(sandbox.home, 0o755)
    secret = sandbox.home / "roots"
    secret.mkdir(mode=0o700)
    (secret / "out").write_text("precious\n")
    if through == "file":
        log = sandbox.home / "out"
        log.symlink_to(secret / "out")
    else:
        (sandbox.home / "logs").symlink_to(secret)
        log = sandbox.home / "logs" / "out"
    error = error_of(lambda: sandbox.start(user="nobody", log=str(log)))
    assert "cannot be opened" in error.message
    assert (secret / "out").read_text() == "precious\n"
    assert os.geteuid() == 0


def test_what_lives_is_not_cleaned_away(sandbox: Sandbox) -> None:
    pid = sandbox.start()
    assert life.remove_left_overs(sandbox.socket, sandbox.pidfile) == []
    os.kill(pid, signal.SIGSTOP)
    assert life.remove_left_overs(sandbox.socket, sandbox.pidfile) == [], "stopped is alive"
    assert sorted(os.listdir(sandbox.home))[:1] == ["s.conf"]
    assert os.path.exists(sandbox.socket)
    assert os.path.exists(sandbox.pidfile)


def test_a_full_queue_is_not_taken_for_a_stale_socket(sandbox: Sandbox) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as waiting:
        server.bind(sandbox.socket)
        server.listen(0)
        waiting.setblocking(False)
        waiting.connect_ex(sandbox.socket)
        assert life.remove_left_overs(sandbox.socket) == []


@pytest.mark.parametrize("content", ["", "\n", "not a pid\n", "0\n", "-1\n", "4194305\n", "99999999999999999999\n"])
def test_a_pid_file_that_names_nobody_is_removed(sandbox: Sandbox, content: str) -> None:
    Path(sandbox.pidfile).write_text(content)
    assert life.remove_left_overs(sandbox.socket, sandbox.pidfile) == [sandbox.pidfile]


def test_a_pid_file_whose_pid_is_another_process_by_now_is_removed_and_the_process_lives(
    sandbox: Sandbox, bystander: Victim
) -> None:
    Path(sandbox.pidfile).write_text(f"{bystander.pid}\n")
    stale_socket(sandbox.socket)
    assert life.remove_left_overs(sandbox.socket, sandbox.pidfile) == [sandbox.socket, sandbox.pidfile]
    assert is_alive(bystander.pid)


def test_nothing_but_a_socket_and_a_file_is_ever_removed(sandbox: Sandbox) -> None:
    precious = sandbox.home / "precious"
    precious.write_text("4194305\n")
    Path(sandbox.socket).write_text("no socket")
    os.symlink(precious, sandbox.pidfile)
    assert life.remove_left_overs(sandbox.socket, sandbox.pidfile) == []
    assert precious.exists()
    assert os.path.islink(sandbox.pidfile)
    assert life.remove_left_overs(str(sandbox.home / "none"), str(sandbox.home / "nothing")) == []


def test_a_daemon_that_was_killed_leaves_what_the_next_start_needs_away(sandbox: Sandbox) -> None:
    sandbox.configure(one=SLEEP)
    pid = sandbox.start()
    sandbox.client().start(["one"])
    kill(pid)
    assert eventually(lambda: not is_alive(pid))
    # The program that it was just starting holds the listening socket, too, until its exec.
    assert eventually(lambda: error_of(sandbox.client().state).evidence["problem"] == client_errors.STALE)
    assert life.remove_left_overs(sandbox.socket, sandbox.pidfile) == [sandbox.socket, sandbox.pidfile]
    assert is_alive(sandbox.start(python=sys.executable))
