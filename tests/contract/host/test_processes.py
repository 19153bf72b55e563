# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes: known by pid and start time, by their label, and ended for certain or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import ending, homes, proc, processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import user_name
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.homes import Home
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.labels import (
    LABEL_SERVICE,
    label_of,
    labelled_processes,
    trusted_uids,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Identity, Label, Process
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.sweep import sweep
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.running import (
    supervisord_options,
    supervisords_over,
)
from tests.support.configs import a_label
from tests.support.namespaces import NOBODY, as_nobody
from tests.support.processes import eventually, is_alive
from tests.support.victims import victim

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user, or a namespace of its own")
CONFIG = """
[supervisord]
nodaemon=true
pidfile={root}/supervisord.pid
logfile={root}/supervisord.log
[unix_http_server]
file={root}/s
"""


@pytest.fixture(params=["pidfd", "kill"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Signal by pidfd, and by kill(2) as on a kernel without."""
    if request.param == "kill":

        def unknown(_pid: int) -> int:
            raise OSError(errno.ENOSYS, "Function not implemented")

        monkeypatch.setattr(os, "pidfd_open", unknown)
    return str(request.param)


def identity(pid: int) -> Identity:
    process = processes.describe(pid)
    assert process is not None
    return process.identity


# --- looking ------------------------------------------------------------------------------------------------------


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
    pid, start = identity(os.getpid())
    assert processes.alive((pid, start))
    assert not processes.alive((pid, start + 1))


def test_descendants_and_ancestors_agree() -> None:
    with victim("shared") as master:
        assert set(processes.descendants([master.pid])) == set(master.pids)
        assert processes.ancestors(master.pids[0])[:2] == [master.pid, os.getpid()]
        assert processes.ancestors(os.getpid())[-1] == 1


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/nginx.service\n", "nginx.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n", "web.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
        ("0::/system.slice/ssh.service\n", None),
        ("0::/system.slice/sshd@3-10.0.0.1:22.service\n", None),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", None),
        (f"0::/system.slice/docker-{'ab12' * 16}.scope\n", "container ab12ab12ab12"),
        (f"0::/machine.slice/libpod-{'cd34' * 16}.scope/container\n", "container cd34cd34cd34"),
        ("0::/\n", None),
        # A unit within a container is none of this machine.
        (f"0::/machine.slice/libpod-{'cd34' * 16}.scope/system.slice/nginx.service\n", "container cd34cd34cd34"),
        (f"0::/docker-{'not an id' * 7}.scope/nginx.service\n", "nginx.service"),
    ],
)
def test_the_unit_or_container_is_read_from_the_cgroup(
    monkeypatch: pytest.MonkeyPatch, cgroup: str, unit: t.Optional[str]
) -> None:
    monkeypatch.setattr(proc, "read", lambda _path: cgroup.encode())
    assert homes.home_name(1234) == unit


ID = "ab12" * 16


@pytest.mark.parametrize(
    ("path", "name", "stop"),
    [
        ("system.slice/nginx.service", "nginx.service", "systemctl stop nginx.service"),
        ("user.slice/user@1000.service/app.slice/web.service", "web.service", "systemctl --user stop web.service"),
        ("system.slice/a b;c.service", "a b;c.service", "systemctl stop 'a b;c.service'"),
        (f"system.slice/docker-{ID}.scope", "container ab12ab12ab12", "docker stop ab12ab12ab12"),
        (f"docker/{ID}", "container ab12ab12ab12", "docker stop ab12ab12ab12"),
        (f"machine.slice/libpod-{ID}.scope/container", "container ab12ab12ab12", "podman stop ab12ab12ab12"),
        (f"machine.slice/libpod-conmon-{ID}.scope", "container ab12ab12ab12", "podman stop ab12ab12ab12"),
        (f"libpod_parent/libpod-{ID}", "container ab12ab12ab12", "podman stop ab12ab12ab12"),
        (f"kubepods.slice/pod1.slice/cri-containerd-{ID}.scope", "container ab12ab12ab12", "crictl stop ab12ab12ab12"),
        (f"kubepods/burstable/pod1/{ID}", "container ab12ab12ab12", "crictl stop ab12ab12ab12"),
        (f"kubepods.slice/crio-{ID}.scope", "container ab12ab12ab12", "crictl stop ab12ab12ab12"),
        (f"default/nerdctl-{ID}", "container ab12ab12ab12", ""),
        ("lxc.payload.web/system.slice/nginx.service", "container web", "lxc-stop -n web"),
        (
            "machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service",
            "container web",
            "systemctl stop systemd-nspawn@web.service",
        ),
    ],
)
def test_a_home_has_the_command_that_stops_it(monkeypatch: pytest.MonkeyPatch, path: str, name: str, stop: str) -> None:
    monkeypatch.setattr(proc, "read", lambda _path: f"4:memory:/\n0::/{path}\n".encode())
    assert homes.home_of(1234) == Home(name, stop)


# --- whose they are -----------------------------------------------------------------------------------------------


def test_a_label_is_read_and_found_by_its_root(tmp_path: Path) -> None:
    root = str(tmp_path)
    with victim("bystander", label=a_label(root, "api")) as ours, victim("bystander", label=a_label("/elsewhere")):
        assert label_of(ours.pid) == Label("test", root, "api", "0123456789ab")
        (found,) = labelled_processes(root)
        assert (found.pid, found.label) == (ours.pid, label_of(ours.pid))
        assert [process.pid for process in labelled_processes(f"{root}/")] == [ours.pid]
        assert label_of(os.getpid()) is None


@ROOT_ONLY
def test_the_label_of_a_stranger_does_not_count(tmp_path: Path) -> None:
    root = str(tmp_path)
    with victim("bystander", 0, "--uid", str(NOBODY), label=a_label(root)) as stranger:
        assert label_of(stranger.pid) is not None
        assert labelled_processes(root) == []
        assert [process.pid for process in labelled_processes(root, {NOBODY})] == [stranger.pid]


@ROOT_ONLY
def test_what_may_not_be_read_has_no_label(tmp_path: Path) -> None:
    with victim("bystander", label=a_label(str(tmp_path))) as held:
        assert as_nobody(lambda: label_of(held.pid)) is None
        assert as_nobody(lambda: [one.pid for one in labelled_processes(str(tmp_path), {0, NOBODY})]) == []


def test_the_trusted_users_are_root_and_the_stacks_own(tmp_path: Path) -> None:
    assert trusted_uids(str(tmp_path)) == {0, os.getuid()}
    assert trusted_uids(str(tmp_path), "nobody") == {0, NOBODY}
    with pytest.raises(RollcallError, match="does not exist"):
        trusted_uids(str(tmp_path), "nosuchuser")


@contextlib.contextmanager
def supervisord(root: Path, *options: str, cwd: t.Optional[Path] = None) -> t.Iterator[subprocess.Popen[bytes]]:
    """Start a real supervisord without programs and end it."""
    (root / "supervisord.conf").write_text(CONFIG.format(root=root), encoding="utf-8")
    command = [sys.executable, "-m", "supervisor.supervisord", *options]
    daemon = subprocess.Popen(
        command, cwd=cwd or root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        # The pid file is the last thing it writes before its loop.
        assert eventually((root / "supervisord.pid").exists)
        yield daemon
    finally:
        daemon.kill()
        daemon.wait()


@pytest.mark.parametrize(
    "options",
    [
        ["-c", "{root}/supervisord.conf"],
        ["-c", "supervisord.conf"],
        ["-c../{name}/supervisord.conf"],
        ["--configuration", "{root}/supervisord.conf"],
        ["--configuration={root}/supervisord.conf"],
    ],
)
def test_a_supervisord_is_found_by_its_config_however_it_is_given(tmp_path: Path, options: t.List[str]) -> None:
    given = [option.format(root=tmp_path, name=tmp_path.name) for option in options]
    with supervisord(tmp_path, *given) as daemon:
        config = tmp_path / "supervisord.conf"
        (tmp_path / "link.conf").symlink_to(config)
        for path in (config, tmp_path / "link.conf"):
            assert [process.pid for process in supervisords_over(str(path))] == [daemon.pid]
        assert supervisords_over(str(tmp_path / "other.conf")) == []


def test_a_supervisord_is_found_after_its_socket_was_deleted(tmp_path: Path) -> None:
    with supervisord(tmp_path, "-c", str(tmp_path / "supervisord.conf")) as daemon:
        (tmp_path / "s").unlink()
        (tmp_path / "supervisord.pid").unlink()
        assert [process.pid for process in supervisords_over(str(tmp_path / "supervisord.conf"))] == [daemon.pid]


def test_what_only_names_the_config_is_no_supervisord(tmp_path: Path) -> None:
    config = str(tmp_path / "supervisord.conf")
    child = subprocess.Popen([sys.executable, "-c", "input()", "supervisord", "-c", config], stdin=subprocess.PIPE)
    try:
        assert supervisords_over(config) == []
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("/usr/bin/supervisord -n -c x", ["-n", "-c", "x"]),
        ("/venv/bin/python3 /venv/bin/supervisord -c x", ["-c", "x"]),
        ("python3 -E -s -X dev -m supervisor.supervisord -c x", ["-c", "x"]),
        ("python3 -m supervisor.supervisorctl -c x", None),
        ("python3 main.py supervisord -c x", None),
        ("sudo supervisord -c x", None),
        ("vi supervisord.conf", None),
        ("python3", None),
        ("", None),
    ],
)
def test_the_command_line_of_a_supervisord(arguments: str, options: t.Optional[t.List[str]]) -> None:
    assert supervisord_options(arguments.split()) == options


# --- ending -------------------------------------------------------------------------------------------------------


def test_a_process_is_ended_by_its_first_signal(way: str) -> None:
    with victim("listen") as held, victim("bystander") as bystander:
        (ended,) = ending.end([identity(held.pid)])
        assert (ended.pid, ended.signals, ended.result) == (held.pid, ("TERM",), "ended")
        assert ended.command[-1] == str(held.port), way
        assert ended.seconds < 1
        assert not held.alive
        assert bystander.alive


@pytest.mark.usefixtures("way")
def test_what_ignores_term_is_killed_and_what_is_stopped_is_continued() -> None:
    with victim("deaf") as deaf, victim("stopped") as stopped, victim("bystander") as bystander:
        assert eventually(lambda: (processes.describe(stopped.pid) or pytest.fail("gone")).state == "T")
        ended = ending.end([identity(deaf.pid), identity(stopped.pid)], grace=0.2)
        assert [(one.pid, one.signals, one.result) for one in ended] == [
            (deaf.pid, ("TERM", "KILL"), "ended"),
            (stopped.pid, ("TERM", "CONT"), "ended"),
        ]
        assert ended[0].seconds >= 0.2
        assert bystander.alive


@pytest.mark.usefixtures("way")
def test_a_process_that_is_gone_or_another_or_no_longer_meant_is_not_signalled() -> None:
    gone = subprocess.Popen(["/bin/true"])
    was = (gone.pid, identity(gone.pid)[1])
    gone.wait()
    with victim("listen") as held:
        pid, start = identity(held.pid)
        asked: t.List[int] = []

        def no_longer_meant(process: Process) -> bool:
            asked.append(process.pid)
            return False

        ended = ending.end([was, (pid, start + 1)])
        ended += ending.end([(pid, start)], check=no_longer_meant)
        assert [(one.result, one.signals) for one in ended] == [("gone", ()), ("changed", ()), ("changed", ())]
        assert asked == [pid]
        assert held.alive


@pytest.mark.usefixtures("way")
def test_pid_1_and_our_own_ancestors_are_never_signalled() -> None:
    (ended,) = ending.end([identity(os.getppid())])
    assert (ended.result, ended.signals) == ("survived", ())
    assert "this run descends from it" in ended.reason
    (ended,) = ending.end([identity(1)])
    assert (ended.result, ended.signals) == ("survived", ())
    assert "pid 1" in ended.reason


@ROOT_ONLY
@pytest.mark.usefixtures("way")
def test_a_process_of_another_user_survives_and_the_reason_says_why() -> None:
    with victim("listen") as held:
        (pid, start) = identity(held.pid)

        def attempt() -> t.Any:
            (ended,) = ending.end([(pid, start)])
            return [ended.result, list(ended.signals), ended.reason]

        assert as_nobody(attempt) == ["survived", [], "not permitted: it is of user root, and this runs as nobody"]
        assert held.alive


@pytest.mark.usefixtures("way")
def test_the_end_of_processes_is_waited_for_up_to_a_deadline() -> None:
    with victim("listen") as held:
        who = identity(held.pid)
        assert ending.wait_gone([who], Deadline(0.05)) == [who]
        os.kill(held.pid, 9)
        assert ending.wait_gone([who], Deadline(5)) == []


@ROOT_ONLY
def test_nothing_is_signalled_by_the_pids_of_another_namespace() -> None:
    # Without --mount-proc, /proc still counts the pids of the namespace outside.
    code = (
        "from ansible_collections.rollcall.supervisor.plugins.module_utils.host import ending\nending.end([(12345, 1)])"
    )
    done = subprocess.run(
        ["unshare", "--pid", "--fork", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "RollcallError: /proc shows another pid namespace" in done.stderr


# --- sweeping -----------------------------------------------------------------------------------------------------


def test_a_sweep_ends_what_is_labelled_and_not_kept(tmp_path: Path) -> None:
    root = str(tmp_path)
    mark = a_label(root)
    with contextlib.ExitStack() as started:
        orphans, daemon, kept = (
            started.enter_context(victim(kind, label=mark)) for kind in ("shared", "daemon", "shared")
        )
        other = started.enter_context(victim("bystander", label=a_label("/elsewhere")))
        stranger = started.enter_context(victim("bystander"))
        ended = sweep(root, keep=[kept.pid])
        assert {one.pid for one in ended} >= {orphans.pid, *orphans.pids, daemon.pid}
        assert {one.result for one in ended} <= {"ended", "gone"}
        assert not any(is_alive(pid) for pid in (orphans.pid, *orphans.pids, daemon.pid))
        assert all(is_alive(pid) for pid in (kept.pid, *kept.pids, stranger.pid, other.pid))
        assert sweep(root, keep=[kept.pid]) == []


def test_a_sweep_ends_the_deepest_first(tmp_path: Path) -> None:
    with victim("shared", label=a_label(str(tmp_path))) as master:
        ended = sweep(str(tmp_path))
        assert [one.pid for one in ended].index(master.pid) == len(master.pids)


def test_a_sweep_escalates(tmp_path: Path) -> None:
    with victim("deaf", label=a_label(str(tmp_path))) as deaf:
        (ended,) = sweep(str(tmp_path), grace=0.1)
        assert (ended.pid, ended.signals, ended.result) == (deaf.pid, ("TERM", "KILL"), "ended")


def test_a_sweep_of_an_empty_root_does_nothing(tmp_path: Path) -> None:
    assert sweep(str(tmp_path)) == []


def test_a_labelled_supervisord_is_found_by_its_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in a_label(str(tmp_path)).items():
        if name != LABEL_SERVICE:
            monkeypatch.setenv(name, value)
    with supervisord(tmp_path, "-c", str(tmp_path / "supervisord.conf")) as daemon:
        monkeypatch.undo()
        elsewhere = "/nowhere/supervisord.conf"
        assert supervisords_over(elsewhere) == []
        assert [process.pid for process in supervisords_over(elsewhere, str(tmp_path))] == [daemon.pid]
