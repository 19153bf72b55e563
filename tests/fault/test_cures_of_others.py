# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cures for what is not the stack's: another supervisord, another user. Each is followed as printed."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shlex
import shutil
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from tests.support import supervisords
from tests.support.commands import rollcall
from tests.support.interpreters import give_to
from tests.support.processes import eventually, free_port
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack, two_services
from tests.support.supervisords import Sandbox

pytestmark = pytest.mark.usefixtures("bystander")
sandbox = supervisords.sandbox
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
BOUND = 120


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        yield made


@contextlib.contextmanager
def other(place: Sandbox, config: str) -> t.Iterator[subprocess.Popen[bytes]]:
    """Run a supervisord of somebody else as its owner has started it."""
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", config]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=place.environment, cwd=place.home
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(60)


def findings(made: StackUnderTest, *subjects: str) -> t.Dict[str, t.Dict[str, t.Any]]:
    """Return what the doctor finds of some subjects, by name."""
    found = rollcall(made, "doctor", "--json", bound=BOUND).data["findings"]
    return {finding["name"]: finding for finding in found if finding["subject"] in subjects}


def listens(port: int) -> bool:
    with contextlib.closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd="/", capture_output=True, text=True, check=False, timeout=BOUND
    )


# --- another supervisord ------------------------------------------------------------------------------------------


def write(path: str, place: Sandbox, extra: str = "", **replaced: str) -> None:
    text = supervisords.BASE.format(home=place.home)
    for name, value in replaced.items():
        text = re.sub(rf"^{name}=.*", f"{name}={value}", text, flags=re.MULTILINE)
    Path(path).write_text(text + extra, encoding="utf-8")


@pytest.mark.parametrize(("option", "name"), [("file", "shared_socket"), ("pidfile", "shared_pidfile")])
def test_another_supervisord_with_the_same_path_gets_one_of_its_own(
    running: StackUnderTest, sandbox: Sandbox, option: str, name: str
) -> None:
    shared = running.paths.socket if option == "file" else running.paths.pidfile
    config = str(sandbox.home / "other.conf")
    write(config, sandbox, **{option: shared})
    os.unlink(shared)
    with other(sandbox, config) as process:
        assert eventually(lambda: name in findings(running, shared))
        cure = findings(running, shared)[name]["cure"]
        advice, _then, command = cure.partition(", then run: ")
        assert advice.startswith(f"give {config} another ")
        assert f": {option}= of [" in advice
        assert command == cures.reload(process.pid)
        write(config, sandbox, **{option: f"{sandbox.home}/own"})
        assert shell(command).returncode == 0
        assert eventually(lambda: Path(sandbox.home, "own").exists())
        assert eventually(lambda: name not in findings(running, shared))
        assert process.poll() is None


@pytest.mark.parametrize("way", ["removed", "guarded"])
@pytest.mark.parametrize("address", ["127.0.0.1", "*"])
def test_another_supervisord_that_takes_orders_from_everybody_is_guarded(
    running: StackUnderTest, sandbox: Sandbox, address: str, way: str
) -> None:
    config, port = str(sandbox.home / "open.conf"), free_port()
    write(config, sandbox, f"[inet_http_server]\nport={address}:{port}\n")
    with other(sandbox, config) as process:
        assert eventually(lambda: listens(port) and "inet_server" in findings(running, config))
        cure = findings(running, config)["inet_server"]["cure"]
        assert cure == cures.guard(config, process.pid)
        command = cure.partition(", then run: ")[2]
        guarded = f"[inet_http_server]\nport=127.0.0.1:{port}\nusername=ada\npassword=secret\n"
        write(config, sandbox, guarded if way == "guarded" else "")
        assert shell(command).returncode == 0
        if way == "removed":
            assert eventually(lambda: not listens(port))
        else:
            asked = f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{port}/"
            assert eventually(lambda: shell(asked).stdout == "401")
        assert eventually(lambda: "inet_server" not in findings(running, config))


def test_another_supervisord_that_nobody_reaches_is_ended_and_started_again(
    running: StackUnderTest, sandbox: Sandbox
) -> None:
    sandbox.configure()
    with other(sandbox, sandbox.config) as process:
        assert eventually(lambda: Path(sandbox.socket).exists())
        os.unlink(sandbox.socket)
        assert eventually(lambda: "socket_gone" in findings(running, sandbox.config))
        cure = findings(running, sandbox.config)["socket_gone"]["cure"]
        assert cure == cures.end_and_start(process.pid)
        assert shell(cure.partition(", and start")[0]).returncode == 0
        process.wait(60)
    with other(sandbox, sandbox.config):
        assert eventually(lambda: Path(sandbox.socket).exists())
        assert eventually(lambda: findings(running, sandbox.config) == {})


# --- this stack ---------------------------------------------------------------------------------------------------


@ROOT_ONLY
def test_a_stack_of_another_user_is_run_by_that_user() -> None:
    account = pwd.getpwnam("nobody")
    with stack(two_services()) as made:
        give_to(made, account.pw_name, account.pw_uid, account.pw_gid)
        del made.raw["user"]
        for path in (made.paths.run, made.paths.logs):
            os.chown(path, 0, 0)
        assert made.perform()["ok"]
        assert made.perform("stop", installed=True)["ok"]
        for each in [Path(made.root), *Path(made.root).rglob("*")]:
            os.chown(each, account.pw_uid, account.pw_gid, follow_symlinks=False)

        refused = shell(f"{made.command} start")

        cure = cures.as_user("nobody", f"{made.command} status")
        assert f"next: {cure}" in refused.stderr, refused

        def by_nobody(command: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["/bin/sh", "-c", command], cwd="/", user="nobody", group=account.pw_gid, extra_groups=[],
                capture_output=True, text=True, check=False, timeout=BOUND,
            )  # fmt: skip

        said = by_nobody(cure.removeprefix("sudo -u nobody "))
        assert said.stdout.rstrip().endswith(f"next  {made.command} start"), said
        assert by_nobody(f"{made.command} start").returncode == 0


def test_the_command_of_the_controller_names_the_one_that_knows_its_stack(running: StackUnderTest) -> None:
    said = shell(f"{shlex.quote(str(Path(sys.executable).with_name('rollcall')))} status")

    assert said.returncode == 2
    assert f"next: {cures.OWN_COMMAND}" in said.stderr
    assert shell(f"{cures.OWN_COMMAND.rpartition(' ')[2].replace('ROOT', running.root)} status").returncode == 0


# --- a container --------------------------------------------------------------------------------------------------

CONTAINERS = {**os.environ, "CONTAINERS_CONF": str(ROOT / "molecule" / "shared" / "containers.conf")}


@pytest.fixture
def published(tmp_path: Path) -> t.Iterator[t.Tuple[str, int]]:
    """A container of podman's that publishes a port: its name, and the port."""
    for directory in ("usr", "etc", "proc", "sys", "dev", "run", "tmp"):
        (tmp_path / directory).mkdir()
    for name in ("bin", "lib", "lib64", "sbin"):
        (tmp_path / name).symlink_to(f"usr/{name}")
    name, port = f"cures-{os.getpid()}", free_port()
    place = ["--volume", "/usr:/usr:ro", "--rootfs", str(tmp_path), "sleep", "600"]
    command = ["podman", "run", "--detach", f"--name={name}", f"--publish=127.0.0.1:{port}:80", *place]
    made = subprocess.run(command, env=CONTAINERS, capture_output=True, text=True, check=False, timeout=BOUND)
    try:
        if made.returncode:
            pytest.skip(f"podman runs no container here: {made.stderr.strip()[-200:]}")
        yield name, port
    finally:
        remove = ["podman", "rm", "--force", "--time=0", name]
        subprocess.run(remove, env=CONTAINERS, capture_output=True, check=False, timeout=BOUND)


@ROOT_ONLY
@pytest.mark.skipif(shutil.which("podman") is None, reason="needs podman")
def test_the_container_that_publishes_a_port_is_shown(published: t.Tuple[str, int]) -> None:
    name, port = published
    _docker, podman = cures.containers(port)

    said = shell(podman)

    ids = shell(f"podman ps --quiet --filter name={name}").stdout.split()
    assert [line.split()[0] for line in said.stdout.splitlines()] == ids, said
