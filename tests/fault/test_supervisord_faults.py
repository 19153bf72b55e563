# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults 19 to 25: supervisord itself, its socket, its disks, its version and its environment.

What the engine says as a library is in test_restart_faults.py; here it is mostly said by the command.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.ours import find
from tests.support import interpreters, namespaces
from tests.support.cases import ordinary
from tests.support.commands import Said, rollcall
from tests.support.interpreters import give_to, python_of_all
from tests.support.namespaces import as_nobody
from tests.support.peers import keeps_silent, unix_peer
from tests.support.processes import accepts, eventually, is_alive
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack, two_services

pytestmark = pytest.mark.usefixtures("bystander")

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user, or mounts file systems of its own")
TWO_USERS = pytest.mark.skipif(
    os.geteuid() != 0 or python_of_all() is None, reason="takes on another user, who needs a Python to run"
)


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        yield made


def nobody() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


@contextlib.contextmanager
def supervisord(made: StackUnderTest) -> t.Iterator[subprocess.Popen[bytes]]:
    """Start a supervisord over the stack's config by hand, as somebody in need would."""
    started = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "-c", made.paths.config],
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait(60)


# --- 19 -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(19)
@pytest.mark.parametrize("mode", ordinary(["auto", "quick", "stop"], "auto", "stop"))
def test_every_mode_finds_a_supervisord_whose_socket_was_deleted(running: StackUnderTest, mode: str) -> None:
    (daemon,) = running.daemons()
    before = running.pids()
    os.unlink(running.paths.socket)
    report = running.perform(mode, installed=True)
    assert report["ok"], failed_checks(report)
    assert not processes.alive(daemon.identity)
    assert not any(is_alive(pid) for pid in before.values())
    assert len(running.daemons()) == (0 if mode == "stop" else 1)


# --- 20 -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(20)
def test_the_status_names_both_supervisords_over_one_stack(running: StackUnderTest) -> None:
    (first,) = running.daemons()
    os.unlink(running.paths.socket)
    with supervisord(running) as second:
        assert eventually(lambda: len(running.daemons()) == 2 and accepts(running.paths.socket))
        said = rollcall(running, "status", "--json")
        evidence = check_of(said.data, "supervisord", "test")["evidence"]
        assert said.code == 1
        assert f"pid {second.pid} answers, but pid {first.pid} runs over the same config as well" in evidence
        assert check_of(said.data, "supervisord", "test")["next"] == "rollcall restart full"


@pytest.mark.fault(20)
def test_the_status_names_a_hung_supervisord_and_what_to_do(running: StackUnderTest) -> None:
    (daemon,) = running.daemons()
    before = running.pids()
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        said = rollcall(running, "status", "--json")
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    check = check_of(said.data, "supervisord", "test")
    assert (said.code, check["ok"]) == (1, False)
    assert "has not answered" in check["evidence"]
    assert f"alive over this config: pid {daemon.pid}" in check["evidence"]
    assert check["next"]
    assert running.pids() == before


@contextlib.contextmanager
def stand_in(made: StackUnderTest) -> t.Iterator[None]:
    """Have somebody else listen where the stack's socket was, who takes every connection and never answers."""
    os.unlink(made.paths.socket)
    with unix_peer(made.paths.socket, keeps_silent):
        yield
    os.unlink(made.paths.socket)


@pytest.mark.fault(20)
@pytest.mark.parametrize("mode", ordinary(["full", "quick", "auto", "stop"], "full", "auto"))
def test_a_supervisord_whose_socket_answers_nothing_is_named_and_left_as_it_is(
    running: StackUnderTest, mode: str
) -> None:
    (daemon,) = running.daemons()
    before = running.pids()
    with stand_in(running):
        began = time.monotonic()
        with pytest.raises(RollcallError, match=rf"has not answered.*Alive over this config: pid {daemon.pid}"):
            running.perform(mode, installed=True)
        assert time.monotonic() - began < 50, "who holds the socket lets go after 60 seconds"
        assert running.pids() == before


@pytest.mark.fault(20)
def test_the_status_is_bounded_when_the_socket_answers_nothing(running: StackUnderTest) -> None:
    (daemon,) = running.daemons()
    with stand_in(running):
        said = rollcall(running, "status", "--json")
    assert said.code == 1
    assert said.seconds < said.data["limit"]
    assert f"pid {daemon.pid}" in check_of(said.data, "supervisord", "test")["evidence"]


def assert_resolved(made: StackUnderTest, before: t.Mapping[str, int]) -> None:
    """The emergency ends in a stack that is whole and new, within the time that it announces."""
    said = rollcall(made, "restart", "emergency", "--json")
    assert said.code == 0, said.out + said.err
    assert said.seconds < said.data["limit"]
    assert len(made.daemons()) == 1
    assert sorted(made.pids()) == sorted(before)
    assert not any(is_alive(pid) for pid in before.values())
    assert {process.pid for process in find(made.root)} == {made.daemons()[0].pid, *made.pids().values()}
    assert rollcall(made, "status", "--json").code == 0


@contextlib.contextmanager
def neighbour() -> t.Iterator[None]:
    """Another stack of the same host, which no emergency of ours may touch."""
    with stack({"theirs": {}}) as other:
        assert other.perform()["ok"]
        before = (other.pids(), [daemon.identity for daemon in other.daemons()])
        yield
        assert (other.pids(), [daemon.identity for daemon in other.daemons()]) == before
        assert other.status()["ok"]


@pytest.mark.fault(20)
@pytest.mark.parametrize("which", ordinary(["none", "first", "second", "both"], "none", "both"))
def test_the_emergency_resolves_two_supervisords_whichever_of_them_hang(running: StackUnderTest, which: str) -> None:
    before = running.pids()
    (first,) = running.daemons()
    os.unlink(running.paths.socket)
    with neighbour(), supervisord(running) as second:
        assert eventually(lambda: len(running.daemons()) == 2 and accepts(running.paths.socket))
        for name, pid in (("first", first.pid), ("second", second.pid)):
            if which in (name, "both"):
                os.kill(pid, signal.SIGSTOP)
        assert_resolved(running, before)
        assert second.wait(60) is not None


@pytest.mark.fault(20)
@pytest.mark.parametrize("socket", ordinary(["there", "deleted"], "there"))
@pytest.mark.parametrize("env", [{}, {"IGNORE_TERM": "1"}], ids=["heeds TERM", "ignores TERM"])
def test_the_emergency_resolves_a_hung_supervisord_whatever_its_programs_do(
    socket: str, env: t.Mapping[str, str]
) -> None:
    with neighbour(), stack(two_services(env=env, stop={"timeout": 60})) as made:
        assert made.perform()["ok"]
        before = made.pids()
        (daemon,) = made.daemons()
        os.kill(daemon.pid, signal.SIGSTOP)
        if socket == "deleted":
            os.unlink(made.paths.socket)
        assert_resolved(made, before)
        assert not processes.alive(daemon.identity)


# --- 22 -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(22)
def test_a_socket_path_that_is_too_long_is_found_before_anything_is_stopped(running: StackUnderTest) -> None:
    before = running.pids()
    running.raw["paths"] = {"run": os.path.join(running.root, "r" * 90)}
    with pytest.raises(AssertionError, match=r"makes the path of supervisord's socket \d+ bytes long, and 99 work"):
        running.perform()
    assert running.pids() == before


@pytest.fixture(params=[0o700, 0o777])
def of_nobody(request: pytest.FixtureRequest) -> t.Iterator[StackUnderTest]:
    """A stack that the user nobody runs, and whose socket is a left-over of root in a directory like /tmp.

    Only root may remove it there, and supervisord itself, as nobody, would try for ever.
    """
    account = nobody()
    with stack(two_services()) as made:
        give_to(made, account.pw_name, account.pw_uid, account.pw_gid)
        assert made.perform()["ok"]
        made.kill_daemon()
        for path in (Path(made.root), *Path(made.root).rglob("*")):
            if not path.is_symlink():
                os.chown(path, account.pw_uid, account.pw_gid)
        os.chown(made.paths.run, 0, 0)
        os.chmod(made.paths.run, 0o1777)
        os.chown(made.paths.socket, 0, 0)
        os.chmod(made.paths.socket, request.param)
        yield made


@pytest.mark.fault(22)
@TWO_USERS
def test_a_socket_of_another_user_is_named_before_anything_is_stopped(of_nobody: StackUnderTest) -> None:
    orphans = [process.pid for process in find(of_nobody.root)]
    assert orphans
    said = Said(*as_nobody(lambda: rollcall(of_nobody, "restart", "full", "--json")))
    assert "Traceback" not in said.err
    assert said.code not in (0, None)
    assert of_nobody.paths.socket in said.out
    assert all(is_alive(pid) for pid in orphans)


@pytest.mark.fault(22)
@TWO_USERS
def test_root_cleans_a_left_over_socket_of_another_user_away(of_nobody: StackUnderTest) -> None:
    # Root runs no programs that are somebody else's.
    users = (of_nobody.paths.run, of_nobody.paths.logs, os.path.realpath(of_nobody.paths.env_dir))
    for path in (Path(of_nobody.root), *Path(of_nobody.root).rglob("*")):
        if not path.is_symlink() and not str(path).startswith(users):
            os.chown(path, 0, -1)
    said = rollcall(of_nobody, "restart", "full", "--json")
    assert said.code == 0, said.out


@pytest.mark.fault(22)
def test_a_socket_that_somebody_else_listens_on_is_named_before_anything_is_stopped(
    running: StackUnderTest,
) -> None:
    orphans = running.pids()
    running.kill_daemon()
    with stand_in(running), pytest.raises(RollcallError, match="somebody holds the socket"):
        running.perform("full", installed=True)
    assert all(is_alive(pid) for pid in orphans.values())


PLACES = ("state", "logs", "run")


@pytest.mark.fault(22)
@ROOT_ONLY
@pytest.mark.parametrize("how", [namespaces.full, namespaces.small, namespaces.read_only])
@pytest.mark.parametrize("place", PLACES)
def test_a_disk_that_takes_nothing_is_named_before_anything_is_stopped(
    running: StackUnderTest, how: t.Callable[[str], namespaces.Mount], place: str
) -> None:
    before = running.pids()
    path = os.path.join(running.root, place)
    code, out, err, _seconds = namespaces.seen_with(how(path), lambda: rollcall(running, "restart", "full", "--json"))
    assert "Traceback" not in out + err
    assert code not in (0, None)
    assert path in out
    assert ("read-only" if how is namespaces.read_only else "free") in out.lower() or "No space left" in out
    assert running.pids() == before


@pytest.mark.fault(22)
@ROOT_ONLY
def test_where_nothing_can_be_written_a_look_tells_the_truth_and_a_run_is_refused(running: StackUnderTest) -> None:
    before = running.pids()

    def looked() -> t.Any:
        looks = [rollcall(running, *order) for order in (["status"], ["verify"], ["restart", "full"])]
        untouched = running.pids() == before
        running.supervisor().stop(["worker"])
        assert eventually(lambda: "worker" not in running.pids())
        return [untouched, *looks, rollcall(running, "status", "--json")]

    full = namespaces.full_with_its_content(running.paths.state)
    untouched, *said = namespaces.seen_with(full, looked)
    looks = [Said(*one) for one in said]
    assert untouched
    assert not [one for one in looks if "Traceback" in one.out + one.err]
    assert [one.code for one in looks] == [0, 0, 2, 1]
    assert f"{running.paths.state}: the disk is full" in looks[2].err
    assert f"next: {cures.space(running.paths.state)}" in looks[2].err
    rows = {row["name"]: row["state"] for row in looks[3].data["services"]}
    assert rows == {**dict.fromkeys(before, "RUNNING"), "worker": "STOPPED"}


@pytest.mark.fault(22)
@ROOT_ONLY
@pytest.mark.parametrize("how", [namespaces.full_with_its_content, namespaces.read_only])
def test_a_place_for_the_config_that_takes_nothing_is_named_before_anything_is_stopped(
    running: StackUnderTest, how: t.Callable[[str], namespaces.Mount]
) -> None:
    before = running.pids()
    running.raw["services"]["worker"]["env"] = {"COLOUR": "blue"}
    path = os.path.join(running.root, "generations")

    def attempt() -> t.Any:
        try:
            return running.perform("full")
        except RollcallError as exc:
            return exc.as_dict()

    said = namespaces.seen_with(how(path), attempt)
    assert path in said["message"]
    assert running.pids() == before


@pytest.mark.fault(22)
@ROOT_ONLY
@pytest.mark.parametrize("mode", ["auto", "full", "emergency"])
def test_a_config_for_which_there_is_no_room_stops_nothing(running: StackUnderTest, mode: str) -> None:
    """More is free than is asked for beforehand, and less than this generation takes."""
    before = running.pids()
    running.raw["services"]["worker"]["secrets"] = {f"WIDE_{number}": "x" * 100_000 for number in range(100)}
    path = os.path.join(running.root, "generations")
    kept = sorted(os.listdir(path))

    def attempt() -> t.Any:
        try:
            return running.perform(mode)
        except RollcallError as exc:
            return {**exc.as_dict(), "left": sorted(os.listdir(path))}

    said = namespaces.seen_with(namespaces.with_its_content(path, free=9 << 20), attempt)
    assert said["message"].endswith("No space left on device. Nothing was stopped."), said
    assert path in said["message"]
    assert said["left"] == kept, "what was written of it is gone"
    assert running.pids() == before
    assert running.status()["ok"]


# --- 23 -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(23)
def test_a_supervisord_that_wants_a_password_is_told_as_that(running: StackUnderTest) -> None:
    assert running.perform("stop", installed=True)["ok"]
    config = Path(running.paths.config)
    text = config.read_text(encoding="utf-8")
    config.write_text(
        text.replace("[unix_http_server]\n", "[unix_http_server]\nusername=ada\npassword=tiger\n"), encoding="utf-8"
    )
    with supervisord(running):
        assert eventually(lambda: accepts(running.paths.socket))
        (before,) = running.daemons()
        said = rollcall(running, "status", "--json")
        assert said.code == 1
        assert "wants a password" in check_of(said.data, "supervisord", "test")["evidence"]
        refused = rollcall(running, "restart", "full", "--json")
        assert refused.code != 0
        # That config is not the one that was proved and installed.
        assert "with a password" in refused.message
        assert [daemon.identity for daemon in running.daemons()] == [before.identity]


@pytest.fixture
def readable() -> t.Iterator[StackUnderTest]:
    """A stack of root whose manifest others may read, as a member of the stack's group may."""
    with stack(two_services()) as made:
        give_to(made, "root", 0, 0)
        assert made.perform()["ok"]
        Path(made.paths.manifest).chmod(0o644)
        yield made


@pytest.mark.fault(23)
@ROOT_ONLY
def test_a_socket_that_may_not_be_opened_is_told_as_that(readable: StackUnderTest) -> None:
    before = readable.pids()
    for directory in (readable.paths.state, os.path.join(readable.paths.state, "runs")):
        os.chmod(directory, 0o755)
    said = Said(*as_nobody(lambda: rollcall(readable, "status", "--json")))
    assert said.code == 1
    assert "Traceback" not in said.err
    assert "may not open supervisord's socket" in check_of(said.data, "supervisord", "test")["evidence"]
    assert readable.pids() == before


@pytest.mark.fault(23)
@ROOT_ONLY
@pytest.mark.parametrize("verb", ["status", "verify", "restart", "flush", "stop"])
def test_whoever_may_not_see_the_state_is_told_so(readable: StackUnderTest, verb: str) -> None:
    before = readable.pids()
    said = Said(*as_nobody(lambda: rollcall(readable, verb, "--json")))
    assert "Traceback" not in said.err
    assert said.code != 0
    assert "sudo" in " ".join(said.remedies)
    assert readable.pids() == before


@pytest.mark.fault(23)
def test_a_supervisord_that_is_shutting_down_is_told_as_that_and_waited_for() -> None:
    with stack(two_services()) as made, ThreadPoolExecutor() as pool:
        gate = made.drains("web")
        assert made.perform()["ok"]
        (daemon,) = made.daemons()
        made.supervisor().shutdown()
        said = rollcall(made, "status", "--json")
        assert said.code == 1
        assert "is shutting down and takes no orders" in check_of(said.data, "supervisord", "test")["evidence"]
        restarting = pool.submit(rollcall, made, "restart", "full", "--json")
        try:
            assert eventually(lambda: restarting.done() or "pid" in made.lock_note())
        finally:
            gate.touch()
        report = restarting.result()
        assert report.code == 0, report.out
        assert not processes.alive(daemon.identity)
        assert len(made.daemons()) == 1


# Run by a setuid interpreter: a supervisord that is not root's may not signal it any more.
UNREACHABLE = "import os, time; os.setuid(0); time.sleep(600)"


@pytest.mark.fault(23)
@TWO_USERS
def test_a_program_that_supervisord_has_lost_is_told_as_unknown() -> None:
    account = nobody()
    services = {"lost": {"stop": {"timeout": 1}}, "worker": {}}
    with stack(services) as made:
        give_to(made, account.pw_name, account.pw_uid, account.pw_gid)
        suid = os.path.join(made.root, "suid")
        made.raw["services"]["lost"]["command"] = [suid, "-I", "-c", UNREACHABLE]
        with open(os.path.realpath(made.program), "rb") as source, open(suid, "wb") as target:
            target.write(source.read())
        os.chmod(suid, 0o4755)
        try:
            assert made.perform()["ok"]
            made.supervisor().stop(["lost"])
            assert eventually(lambda: made.supervisor().programs()["lost"].state == "UNKNOWN")
            said = rollcall(made, "status", "--json")
            assert said.code == 1
            assert "UNKNOWN" in check_of(said.data, "running", "lost")["evidence"]
            report = rollcall(made, "restart", "full", "--json")
            assert report.code == 0, report.out
        finally:
            os.unlink(suid)


# --- 24 -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(24)
def test_of_two_supervisors_the_configured_one_runs_and_its_version_is_reported(
    running: StackUnderTest, tmp_path: Path
) -> None:
    for name in ("supervisord", "supervisorctl", "python", "python3"):
        other = tmp_path / name
        other.write_text(f"#!/bin/sh\necho $0 $* >> {tmp_path}/called\nexit 1\n", encoding="utf-8")
        other.chmod(0o755)
    said = rollcall(
        running, "restart", "full", "--json", env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    )
    assert said.code == 0, said.out
    assert not (tmp_path / "called").exists()
    version = running.supervisor().version()
    assert version == supervisors_version()
    check = check_of(said.data, "supervisord", "test")
    assert check["data"]["version"] == version
    assert version in check["evidence"]


def supervisors_version() -> str:
    import importlib.metadata

    return importlib.metadata.version("supervisor")


@pytest.mark.fault(24)
def test_a_supervisor_below_4_2_2_is_refused_before_anything_is_stopped(running: StackUnderTest) -> None:
    before = running.pids()
    running.raw["services"]["worker"]["env"] = {"COLOUR": "blue"}
    old = Path(interpreters.python_with(interpreters.TOO_OLD)).parents[1]
    os.unlink(os.path.join(running.root, "engine", "venv"))
    os.symlink(old, os.path.join(running.root, "engine", "venv"))
    with pytest.raises(RollcallError, match=r"supervisor 4\.1\.0 of .* is too old; Rollcall needs 4\.2\.2 or later"):
        running.perform()
    assert running.pids() == before


# --- 25 -----------------------------------------------------------------------------------------------------------

CALLERS = {
    "AWS_SECRET_ACCESS_KEY": "planted-secret",
    "http_proxy": "http://127.0.0.1:9/",
    "HTTPS_PROXY": "http://127.0.0.1:9/",
    "NO_PROXY": "none",
    "LANG": "de_DE.ISO-8859-1",
    "LC_ALL": "C",
    "LANGUAGE": "tlh",
    "PYTHONPATH": "/nowhere",
    "PYTHONSTARTUP": "/nowhere",
    "LD_LIBRARY_PATH": "/nowhere",
    "TMPDIR": "/nowhere",
    "PORT": "1",
    "SUPERVISOR_ENABLED": "1",
}


def environment(pid: int) -> t.Dict[str, str]:
    text = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8")
    return dict(item.split("=", 1) for item in text.split("\0") if "=" in item)


@pytest.mark.fault(25)
def test_nothing_of_the_callers_environment_reaches_supervisord_or_a_service(
    running: StackUnderTest,
) -> None:
    port = running.raw["services"]["web"]["port"]
    said = rollcall(running, "restart", "full", "--json", env={"PATH": os.environ["PATH"], **CALLERS})
    assert said.code == 0, said.out
    (daemon,) = running.daemons()
    for pid in (daemon.pid, *running.pids().values()):
        seen = environment(pid)
        assert seen["LC_ALL"] == seen["LANG"] == "C.UTF-8"
        assert not {name for name, value in CALLERS.items() if seen.get(name) == value and name != "SUPERVISOR_ENABLED"}
        assert "AWS_SECRET_ACCESS_KEY" not in seen
    assert environment(running.pids()["web"])["PORT"] == str(port)
    for path in Path(running.root).rglob("*"):
        if path.is_file() and not path.is_relative_to(Path(running.root, "engine", "venv")):
            assert b"planted-secret" not in path.read_bytes(), path
