# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is ours is known by more than a label, and what is not ours is never ended: docs/design/0009-what-is-ours.md."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import typing as t
import unittest.mock
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor import doctor
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import births, processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Label
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.ours import find
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Paths
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import leases
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.running import supervisords_over
from tests.support.commands import rollcall
from tests.support.configs import a_label
from tests.support.namespaces import NOBODY, in_a_fresh_namespace, seen_with
from tests.support.processes import eventually, free_port, is_alive
from tests.support.stacks import APP, StackUnderTest, check_of, failed_checks, stack
from tests.support.victims import victim

pytestmark = [
    pytest.mark.usefixtures("bystander"),
    pytest.mark.skipif(os.geteuid() != 0, reason="takes on other users and namespaces"),
]

ESCAPES = str(Path(__file__).parent.parent / "support" / "escapes.py")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def family(made: StackUnderTest) -> t.Set[int]:
    """Return all that descends from the supervisord of a stack."""
    return set(processes.descendants([daemon.pid for daemon in made.daemons()]))


@contextlib.contextmanager
def ended_at_last(pids: t.Iterable[int]) -> t.Iterator[None]:
    """End what a test may have left, by pid."""
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


# --- left-overs that nobody saw -----------------------------------------------------------------------------------

# How a service loses what it is known by. Each is put before the command of the service.
DISGUISES: t.Mapping[str, t.Sequence[str]] = {
    "another user": ("setpriv", f"--reuid={NOBODY}", "--clear-groups"),
    "no environment": ("env", "-i", "PORT={port}"),
    "no environment and another user": ("env", "-i", "PORT={port}", "setpriv", "--reuid=1", "--clear-groups"),
    "a pid namespace": ("unshare", "--pid", "--fork", "env", "-i", "PORT={port}"),
}


@pytest.fixture(params=DISGUISES)
def disguised(request: pytest.FixtureRequest) -> t.Iterator[StackUnderTest]:
    """A stack whose service cannot be known by its label."""
    port = free_port()
    first = [part.format(port=port) for part in DISGUISES[request.param]]
    command = [*first, sys.executable, APP, "web"]
    with stack({"web": {"port": port, "health": {"http": "/health"}, "command": command}}) as made:
        report = made.perform()
        assert report["ok"], [check for check in report["checks"] if not check["ok"]]
        old = family(made)
        with ended_at_last(old):
            yield made


def test_after_supervisord_was_killed_there_is_one_of_each_service_and_no_more(disguised: StackUnderTest) -> None:
    old = family(disguised)
    disguised.kill_daemon()
    assert any(is_alive(pid) for pid in old)
    with victim("bystander", 0, "--uid", str(NOBODY)) as stranger:
        report = disguised.perform("auto", installed=True)
        assert report["ok"], failed_checks(report)
        assert not any(is_alive(pid) for pid in old)
        assert stranger.alive
    assert disguised.perform("stop", installed=True)["ok"]


def test_a_status_names_what_a_killed_supervisord_has_left(disguised: StackUnderTest) -> None:
    old = family(disguised)
    disguised.kill_daemon()
    check = check_of(disguised.status(), "orphans", "test")
    assert check["code"] == "left_over"
    assert set(check["data"]["pids"]) <= old
    assert set(check["data"]["pids"])


def test_a_stop_ends_what_a_killed_supervisord_has_left(disguised: StackUnderTest) -> None:
    old = family(disguised)
    disguised.kill_daemon()
    assert disguised.perform("stop", installed=True)["ok"]
    assert not any(is_alive(pid) for pid in old)


def test_what_was_started_anew_since_the_last_verdict_is_known_as_well() -> None:
    """supervisord has started it, and no run has seen it: it is of the session that was recorded at its birth."""
    services = {"web": {"env": {"TITLE": "x"}, "command": [sys.executable, APP, "web"], "restart": "always"}}
    with stack(services) as made:
        assert made.perform()["ok"]
        (first,) = family(made)
        os.kill(first, signal.SIGKILL)
        found: t.Set[int] = set()

        def started_anew() -> bool:
            found.update(family(made) - {first})
            return bool(found)

        assert eventually(started_anew)
        (second,) = found
        assert eventually(lambda: processes.reader.environment(second, "ROLLCALL_") == {})
        with ended_at_last([second]):
            made.kill_daemon()
            report = made.perform("auto", installed=True)
            assert report["ok"], failed_checks(report)
            assert not is_alive(second)


# --- children that leave ------------------------------------------------------------------------------------------


@pytest.fixture
def escaped(tmp_path: Path) -> t.Iterator[t.Tuple[StackUnderTest, int]]:
    """A stack whose service has left all answers to a child that left it, and the child's pid."""
    port, told = free_port(), tmp_path / "pid"
    command = [sys.executable, ESCAPES, str(port), str(told)]
    with stack({"web": {"port": port, "health": {"http": "/"}, "command": command}}) as made:
        report = made.perform()
        assert eventually(lambda: told.exists() and told.read_text(encoding="ascii") != "")
        child = int(told.read_text(encoding="ascii"))
        with ended_at_last([child]):
            assert is_alive(child)
            # It answers in the place of its service, which cannot be called well.
            assert not report["ok"]
            assert {name for name, _subject in failed_checks(report)} >= {"orphans", "port"}
            assert child in check_of(report, "orphans", "test")["data"]["pids"]
            yield made, child


def test_a_stop_ends_a_child_that_left_and_its_port_is_free(escaped: t.Tuple[StackUnderTest, int]) -> None:
    made, child = escaped
    report = made.perform("stop", installed=True)
    assert report["ok"], failed_checks(report)
    assert not is_alive(child)
    assert not listens(made.raw["services"]["web"]["port"])


def test_a_child_that_left_is_known_when_supervisord_was_killed(escaped: t.Tuple[StackUnderTest, int]) -> None:
    made, child = escaped
    made.kill_daemon()
    assert child in check_of(made.status(), "orphans", "test")["data"]["pids"]
    assert made.perform("stop", installed=True)["ok"]
    assert not is_alive(child)


# A service that leaves a child behind when a file appears: forked twice, with a session of its own and no environment.
LEAVES_LATER = """
import os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    with open(sys.argv[1] + ".new", "w") as told:
        told.write(str(os.getpid()))
    os.rename(sys.argv[1] + ".new", sys.argv[2])
    os.chdir("/")
    os.execve("/bin/sleep", ["sleep", "600"], {})
os.wait()
while True:
    time.sleep(60)
"""


@pytest.fixture
def left_late(tmp_path: Path) -> t.Iterator[t.Tuple[StackUnderTest, int]]:
    """A stack, all of it killed, whose service has left a child behind after the last verdict; and that child's pid."""
    go, told, program = tmp_path / "go", tmp_path / "pid", tmp_path / "leaves_later.py"
    program.write_text(LEAVES_LATER, encoding="ascii")
    command = [sys.executable, str(program), str(go), str(told)]
    with stack({"worker": {"command": command}}) as made:
        assert made.perform()["ok"]
        (worker,) = made.pids().values()
        go.touch()
        assert eventually(told.exists)
        child = int(told.read_text(encoding="ascii"))
        with ended_at_last([child]):
            assert eventually(lambda: processes.reader.command(child)[:1] == ("sleep",))
            made.kill_daemon()
            os.kill(worker, signal.SIGKILL)
            assert eventually(lambda: not is_alive(worker))
            go.unlink()
            yield made, child


def test_a_status_names_what_was_left_behind_after_the_last_verdict(left_late: t.Tuple[StackUnderTest, int]) -> None:
    made, child = left_late
    check = check_of(made.status(), "orphans", "test")
    assert (check["code"], check["data"]["pids"]) == ("left_over", [child])


@pytest.mark.parametrize("mode", ["auto", "full", "stop", "emergency"])
def test_a_run_ends_what_was_left_behind_after_the_last_verdict(
    left_late: t.Tuple[StackUnderTest, int], mode: str
) -> None:
    made, child = left_late
    with victim("bystander", 0, "--uid", str(NOBODY)) as stranger:
        report = made.perform(mode, installed=True)
        assert report["ok"], failed_checks(report)
        assert not is_alive(child)
        assert stranger.alive


def test_stopped_is_not_said_while_one_that_cannot_be_proved_ours_holds_the_services_socket(
    escaped: t.Tuple[StackUnderTest, int],
) -> None:
    made, child = escaped
    record = Path(made.root, "state", "started.json")
    made.kill_daemon()
    known = json.loads(record.read_text(encoding="utf-8"))
    known["processes"] = [row for row in known["processes"] if row[0] != child]
    record.write_text(json.dumps(known), encoding="utf-8")
    report = made.perform("stop", installed=True)
    assert not report["ok"]
    check = check_of(report, "port", "web")
    assert str(child) in check["evidence"]
    assert check["next"] == f"kill {child}"
    assert is_alive(child)
    said = rollcall(made, "stop")
    kill, again = re.findall(r"^ +(?:next|then) +(.+)$", said.out, re.MULTILINE)
    assert (said.code, kill, again) == (1, f"kill {child}", f"{made.command} stop")
    subprocess.run(shlex.split(kill), check=True, timeout=60)
    assert eventually(lambda: not is_alive(child))
    subprocess.run(shlex.split(again), check=True, timeout=60)


# --- innocents ----------------------------------------------------------------------------------------------------


def test_a_session_number_that_is_used_again_proves_nothing() -> None:
    code = """
import json, os, signal, sys, tempfile
sys.path[:0] = []
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor import doctor
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import births, processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.ours import find

def leader(number, stays):
    open("/proc/sys/kernel/ns_last_pid", "w").write(str(number - 1))
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(there, str(os.getpid()).encode())
            signal.pause()
        if stays:
            signal.pause()
        os._exit(0)
    return pid, int(os.read(here, 16))

root = tempfile.mkdtemp()
os.mkdir(root + "/state")
first, child = leader(500, True)
births.remember(root, supervisord=first)
known = sorted(process.pid for process in find(root))
os.kill(child, signal.SIGKILL)
os.kill(first, signal.SIGKILL)
os.waitpid(first, 0)
os.waitpid(child, 0)
second, innocent = leader(500, False)
os.waitpid(second, 0)
place = processes.reader.place_of(innocent)
left = [process.pid for process in find(root)]
print(json.dumps([first, second, known == [first, child], place.session, left]))
"""
    first, second, known, session, left = in_a_fresh_namespace(code)
    assert first == second == session == 500
    assert known
    assert left == []


@pytest.mark.parametrize("how", ["unshare", "chroot"])
def test_the_same_path_in_another_mount_namespace_is_another_stack(tmp_path: Path, how: str) -> None:
    root, top = str(tmp_path / "root"), str(tmp_path / "top")
    os.mkdir(root)
    os.mkdir(top)
    inside = {
        "unshare": f'mount -t tmpfs none {root} && exec "$@"',
        "chroot": f'mount --rbind / {top} && mount -t tmpfs none {top}{root} && exec chroot {top} "$@"',
    }[how]
    prefix = ("unshare", "-m", "sh", "-c", inside, "sh")
    with (
        victim("bystander", label=a_label(root), prefix=prefix) as other,
        victim("bystander", label=a_label(root)) as us,
    ):
        assert [process.pid for process in find(root)] == [us.pid]
        assert other.alive


def test_a_first_install_leaves_a_stack_alone_that_has_the_same_root_in_another_namespace() -> None:
    services = {"web": {"port": free_port(), "health": {"http": "/health"}}}
    with stack({"web": {"port": free_port(), "health": {"http": "/health"}}}) as made:

        def other() -> t.Any:
            theirs = StackUnderTest(made.root, services)
            report = theirs.perform()
            return [report["ok"], [daemon.pid for daemon in theirs.daemons()], theirs.pids()]

        def hide() -> None:
            os.system(f"mount -t tmpfs -o mode=755 none {made.root}")

        ok, daemons, pids = seen_with(hide, other)
        theirs = {*daemons, *pids.values()}
        with ended_at_last(theirs):
            assert ok
            assert len(theirs) == 2
            assert supervisords_over(made.paths.config, made.root) == []
            for mode in ("auto", "emergency", "stop"):
                report = made.perform(mode)
                assert report["ok"], failed_checks(report)
                assert all(is_alive(pid) for pid in theirs)
                if mode != "stop":
                    assert doctor.doctor(made.root)["ok"]


def test_two_spellings_of_a_root_are_one_root(tmp_path: Path) -> None:
    with stack({"worker": {}}) as made:
        link = tmp_path / "link"
        link.symlink_to(made.root)
        assert made.perform()["ok"]
        (worker,) = made.pids().values()
        made.kill_daemon()
        assert [process.pid for process in find(str(link))] == [worker]
        assert [process.pid for process in find(os.path.join(made.root, ".", ""))] == [worker]


def test_a_root_that_was_moved_is_known_by_what_works_in_it(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "engine" / "rollcall").mkdir(parents=True)
    code = "import os, sys; os.chdir(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"
    prefix = (sys.executable, "-c", code, str(old))
    with victim("bystander", label=a_label(str(old)), prefix=prefix) as moved:
        old.rename(new)
        assert [process.pid for process in find(str(new))] == [moved.pid]
        # Another stack takes the old path: what works in the moved one is not its.
        (old / "engine" / "rollcall").mkdir(parents=True)
        assert find(str(old)) == []


def test_the_record_of_a_copied_root_proves_nothing(tmp_path: Path) -> None:
    root, copy = tmp_path / "root", tmp_path / "copy"
    (root / "state").mkdir(parents=True)
    with victim("bystander") as held:
        process = processes.describe(held.pid)
        assert process is not None
        label = a_label(str(root))
        births.remember(str(root), {process.identity: Label(label["ROLLCALL_STACK"], str(root), "web", "")})
        os.system(f"cp -a {root} {copy}")
        assert [one.pid for one in find(str(root))] == [held.pid]
        assert find(str(copy)) == []


def test_root_takes_no_users_word_for_the_processes_of_others(tmp_path: Path) -> None:
    """Who may write the record of a stack could have root end whatever it likes."""
    (tmp_path / "state").mkdir()
    with victim("bystander") as held:
        process = processes.describe(held.pid)
        assert process is not None
        births.remember(str(tmp_path), {process.identity: Label("x", str(tmp_path), "web", "")})
        os.chown(tmp_path / "state" / "started.json", NOBODY, NOBODY)
        assert find(str(tmp_path)) == []


@pytest.fixture
def common() -> t.Iterator[str]:
    """A directory outside of every root, where not every user may write."""
    with tempfile.TemporaryDirectory(prefix="rc-", dir="/opt") as place:
        yield place


def below(made: StackUnderTest, **paths: str) -> None:
    made.raw["paths"] = paths
    made.paths = Paths(**{**vars(Paths.of(made.root)), **paths})


@pytest.mark.parametrize("shared", ["run", "logs"])
@pytest.mark.parametrize("mode", ["auto", "emergency"])
def test_two_stacks_with_one_directory_are_refused(common: str, shared: str, mode: str) -> None:
    with stack({"one": {}}) as first, stack({"two": {}}, name="second") as second:
        for made in (first, second):
            below(made, **{shared: common})
        assert first.perform()["ok"]
        before = first.pids()
        with pytest.raises(RollcallError, match="Each stack needs directories of its own") as told:
            second.perform(mode)
        assert told.value.kind == "refused"
        assert f"stack test at {first.root}" in told.value.message
        assert first.pids() == before
        assert first.status()["ok"]


def test_an_emergency_leaves_the_socket_of_another_stack_that_nobody_has_listed(common: str) -> None:
    with stack({"one": {}}) as first, stack({"two": {}}, name="second") as second:
        for made in (first, second):
            below(made, run=common)
        assert first.perform()["ok"]
        with (
            unittest.mock.patch.object(leases, "directory", return_value=None),
            pytest.raises(RollcallError, match=f"it is that of stack test at {first.root}"),
        ):
            second.perform("emergency")
        assert first.status()["ok"]
