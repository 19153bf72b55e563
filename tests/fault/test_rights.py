# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would let somebody else give orders to a supervisord is refused before anything is stopped."""

from __future__ import annotations

import dataclasses
import os
import pwd
import stat
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import generations_directory
from tests.support.cases import ordinary
from tests.support.commands import rollcall
from tests.support.interpreters import give_to
from tests.support.processes import free_port
from tests.support.stacks import StackUnderTest, stack, two_services

pytestmark = [pytest.mark.fault(48), pytest.mark.usefixtures("bystander")]

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root's supervisord is worth anything to others")


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        yield made


@pytest.fixture
def roots() -> t.Iterator[StackUnderTest]:
    with stack(two_services(), user="root") as made:
        assert made.perform()["ok"]
        yield made


def places(made: StackUnderTest) -> t.Dict[str, str]:
    """Return the directories of config, logs and what else root's supervisord trusts."""
    paths = made.paths
    return {
        "root": made.root,
        "generations": generations_directory(made.root),
        "config": os.path.realpath(paths.etc),
        "run": paths.run,
        "logs": paths.logs,
        "state": paths.state,
    }


def assert_refused(made: StackUnderTest, path: str, words: str, **more: t.Any) -> None:
    """Find that a full restart is refused with the path and its cure, and nothing was touched."""
    before = made.pids(), os.readlink(made.paths.etc)
    with pytest.raises(RollcallError) as told:
        made.perform("full", **more)
    (problem,) = told.value.evidence["problems"]
    assert (told.value.kind, problem["place"]) == ("wrong_use", path)
    assert words in problem["message"]
    assert f" {path}" in problem["cure"]
    assert "nothing was stopped or changed" in told.value.message
    assert (made.pids(), os.readlink(made.paths.etc)) == before


@ROOT_ONLY
def test_a_directory_that_is_somebody_elses_under_roots_supervisord_is_refused(roots: StackUnderTest) -> None:
    for path in places(roots).values():
        os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
        for installed in (True, False):
            assert_refused(roots, path, "belongs to user nobody", installed=installed)
        os.chown(path, 0, -1)
    assert roots.perform("full", installed=True)["ok"]


@ROOT_ONLY
def test_a_directory_that_others_may_write_to_under_roots_supervisord_is_refused(
    roots: StackUnderTest,
) -> None:
    for path in places(roots).values():
        was = stat.S_IMODE(os.stat(path).st_mode)
        for mode in (0o757, 0o1777):
            os.chmod(path, mode)
            assert_refused(roots, path, f"mode {mode:04o}", installed=True)
        os.chmod(path, 0o770)
        os.chown(path, -1, pwd.getpwnam("nobody").pw_gid)
        assert_refused(roots, path, "mode 0770", installed=True)
        os.chown(path, -1, 0)
        os.chmod(path, was)
    os.chmod(roots.paths.logs, 0o770)
    assert roots.perform("full", installed=True)["ok"], "the group is root's own"


@ROOT_ONLY
def test_the_users_own_directories_are_fine_under_its_own_supervisord() -> None:
    account = pwd.getpwnam("nobody")
    with stack(two_services()) as made:
        give_to(made, account.pw_name, account.pw_uid, account.pw_gid)
        assert made.perform()["ok"]
        assert made.perform("full", installed=True)["ok"]


OPEN = {
    "without a password": "port=127.0.0.1:{port}",
    "beyond loopback": "port=*:{port}",
    "beyond loopback, with a password": "port=0.0.0.0:{port}\nusername=ada\npassword=x",
    "with a password": "port=127.0.0.1:{port}\nusername=ada\npassword=x",
}


@pytest.mark.parametrize("server", ordinary(OPEN, "without a password", "beyond loopback, with a password"))
def test_a_config_with_an_http_server_on_a_port_is_not_installed(running: StackUnderTest, server: str) -> None:
    before, place = running.pids(), os.readlink(running.paths.etc)
    running.raw["services"]["worker"]["env"] = {"COLOUR": "blue"}
    wanted = running.generation()
    section = f"\n[inet_http_server]\n{OPEN[server].format(port=free_port())}\n"
    with pytest.raises(RollcallError, match="nothing was changed") as told:
        running.perform_generation(dataclasses.replace(wanted, config=wanted.config + section))
    assert told.value.kind == "wrong_use"
    assert any("servers" in difference for difference in told.value.evidence["differences"])
    assert (running.pids(), os.readlink(running.paths.etc)) == (before, place)


@pytest.mark.parametrize("server", ordinary(OPEN, "without a password", "beyond loopback, with a password"))
def test_an_http_server_that_somebody_wrote_into_the_config_is_refused(running: StackUnderTest, server: str) -> None:
    before = running.pids()
    config = Path(running.paths.config)
    text = config.read_text(encoding="utf-8")
    config.write_text(f"{text}\n[inet_http_server]\n{OPEN[server].format(port=free_port())}\n", encoding="utf-8")
    said = rollcall(running, "restart", "full", "--json")
    assert said.code == 2
    assert "servers" in said.message
    assert running.pids() == before
    config.write_text(text, encoding="utf-8")
    assert rollcall(running, "restart", "full").code == 0
