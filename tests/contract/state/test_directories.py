# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root makes, gives, closes and removes directories only where the stack's user cannot lead it elsewhere."""

from __future__ import annotations

import dataclasses
import os
import pwd
import shutil
import stat
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.removing import remove
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor import doctor
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import find_account
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import hand_over
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.directories import make_directories
from tests.support.stacks import stack

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
USER = pwd.getpwnam("nobody")
EVE = 60123


@pytest.fixture
def place() -> t.Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="md-"))
    place.chmod(0o755)
    (place / "roots").mkdir(mode=0o755)
    (place / "roots" / "logs").mkdir(mode=0o755)
    yield place
    shutil.rmtree(place)


def a_stack(place: Path, **paths: str) -> Stack:
    services = {"web": {"command": ["/x"]}}
    checked = check_manifest(
        {"name": "x", "user": USER.pw_name, "root": str(place / "root"), "paths": paths, "services": services}
    )
    assert checked.stack is not None, checked.problems
    return checked.stack


def seen(path: Path) -> t.Tuple[int, int]:
    found = path.lstat()
    return found.st_uid, stat.S_IMODE(found.st_mode)


def test_what_is_above_the_users_directories_is_roots_and_a_second_time_nothing_changes(place: Path) -> None:
    made = a_stack(place, logs="var/logs", run="var/deep/run")

    assert make_directories(made, dry_run=True)[0] == made.root
    assert not (place / "root").exists()
    assert make_directories(made)

    root = place / "root"
    assert {name: seen(root / name) for name in ("", "bin", "lib", "engine", "var", "var/deep", "state")} == {
        **dict.fromkeys(("", "bin", "lib", "engine", "var", "var/deep"), (0, 0o755)),
        "state": (0, 0o700),
    }
    assert [seen(root / name) for name in ("var/logs", "var/deep/run")] == [
        (USER.pw_uid, 0o750),
        (USER.pw_uid, 0o700),
    ]
    assert make_directories(made) == []


@pytest.mark.parametrize("way", ["owner", "group", "mode"])
def test_nothing_is_made_in_a_directory_that_the_user_can_change(place: Path, way: str) -> None:
    made = a_stack(place, logs="var/logs")
    (place / "root" / "var").mkdir(parents=True)
    if way == "owner":
        os.chown(place / "root" / "var", USER.pw_uid, -1)
    elif way == "group":
        os.chown(place / "root" / "var", -1, USER.pw_gid)
    (place / "root" / "var").chmod({"owner": 0o755, "group": 0o775, "mode": 0o777}[way])

    with pytest.raises(RollcallError) as told:
        make_directories(made)

    assert (told.value.kind, told.value.evidence["directory"]) == ("refused", str(place / "root" / "var"))
    assert os.listdir(place / "root" / "var") == []


@pytest.mark.parametrize("at", ["var", "var/logs"])
def test_a_link_of_the_user_is_followed_neither_to_make_nor_to_give(place: Path, at: str) -> None:
    made = a_stack(place, logs="var/logs")
    make_directories(made)
    shutil.rmtree(place / "root" / at)
    (place / "root" / at).symlink_to(place / "roots" / ("" if at == "var" else "logs"))
    os.lchown(place / "root" / at, USER.pw_uid, USER.pw_gid)

    with pytest.raises(OSError, match="link"):
        make_directories(made)
    hand_over.give(dataclasses.replace(made), find_account(USER.pw_name))

    assert [seen(place / "roots" / name) for name in ("", "logs")] == [(0, 0o755), (0, 0o755)]


def test_a_link_of_roots_is_followed_and_what_it_leads_to_stays_roots(place: Path) -> None:
    made = a_stack(place, logs="logs")
    (place / "root").mkdir()
    (place / "root" / "logs").symlink_to(place / "roots" / "logs")

    make_directories(made)

    assert seen(place / "roots" / "logs")[0] == 0


@pytest.mark.parametrize("owner", [0, EVE])
def test_a_directory_of_others_outside_of_the_root_is_not_given_away(place: Path, owner: int) -> None:
    made = a_stack(place)
    made = dataclasses.replace(made, paths=dataclasses.replace(made.paths, logs=str(place / "roots" / "logs")))
    os.chown(place / "roots" / "logs", owner, -1)

    make_directories(made)

    assert seen(place / "roots" / "logs")[0] == owner


def test_nothing_is_removed_through_a_link_that_the_user_can_turn(place: Path) -> None:
    (place / "roots" / "supervisord.pid").write_text("1", encoding="ascii")
    (place / "users").mkdir()
    os.chown(place / "users", USER.pw_uid, -1)
    (place / "users" / "run").symlink_to(place / "roots")

    with pytest.raises(OSError, match="link"):
        remove(str(place / "users" / "run" / "supervisord.pid"))

    assert (place / "roots" / "supervisord.pid").exists()


@pytest.mark.parametrize("what", ["mode", "missing"])
def test_the_doctor_repairs_nothing_through_a_link_that_the_user_can_turn(what: str) -> None:
    with stack({"web": {}}) as made, tempfile.TemporaryDirectory(prefix="md-") as name:
        var = os.path.join(made.root, "var")
        os.mkdir(var)
        made.raw["paths"] = {"logs": "var/logs", "run": "var/run"}
        for each in ("logs", "run"):
            os.mkdir(os.path.join(var, each), 0o700)
        made.paths = made.generation().stack.paths
        assert made.perform()["ok"]
        assert made.perform("stop", installed=True)["ok"]
        shutil.rmtree(var)
        target = Path(name)
        target.chmod(0o755)
        (target / "run").mkdir()
        (target / "run").chmod(0o777)
        if what == "mode":
            (target / "logs").mkdir()
            (target / "logs").chmod(0o777)
        os.symlink(name, var)
        os.lchown(var, EVE, EVE)
        before = {path: seen(path) for path in (target, *target.iterdir())}

        doctor.doctor(made.root, fix=True, who="tester")

        assert {path: seen(path) for path in (target, *target.iterdir())} == before
