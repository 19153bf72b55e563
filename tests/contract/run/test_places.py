# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a stack cannot be is refused before anything is made or stopped; inner stacks go before outer ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import removal
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import places
from tests.support.cases import ordinary
from tests.support.commands import rollcall
from tests.support.processes import is_alive
from tests.support.stacks import StackUnderTest, stack, two_services

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
pytestmark = pytest.mark.usefixtures("bystander")


def refusal(call: t.Callable[[], t.Any]) -> RollcallError:
    with pytest.raises(RollcallError) as told:
        call()
    return told.value


TARGETS = ["/var/log", "/etc", "/usr/lib", "/proc/1/root/var/log", "/proc/self/cwd/logs", "/dev/fd/7/logs"]


@pytest.mark.parametrize("key", ["logs", "run"])
@pytest.mark.parametrize("target", ordinary(TARGETS, "/var/log", "/proc/1/root/var/log"))
def test_a_path_that_a_link_leads_to_the_system_is_refused_and_everything_runs_on(key: str, target: str) -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        before = made.pids(), os.readlink(made.paths.etc)
        os.symlink(target, os.path.join(made.root, "led"))
        made.raw["paths"] = {key: os.path.join(made.root, "led")}

        told = refusal(made.perform)

        assert told.kind == "wrong_use"
        assert f"stack.paths.{key}" in {one["place"] for one in told.evidence.get("problems", ())}, told.message
        assert "system" in told.message
        assert (made.pids(), os.readlink(made.paths.etc)) == before


def test_nothing_is_made_for_a_root_that_a_link_leads_to_the_system(tmp_path: Path) -> None:
    (tmp_path / "led").symlink_to("/etc")

    for root in (tmp_path / "led", tmp_path / "led" / "stack"):
        told = refusal(lambda root=root: places.require(a_stack(str(root))))  # type: ignore[misc]
        assert told.evidence["problems"][0]["place"] == "stack.root"


def test_a_stack_in_another_stack_is_refused_and_the_outer_one_runs_on() -> None:
    with stack(two_services()) as outer:
        assert outer.perform()["ok"]
        pids = outer.pids()
        root = os.path.join(outer.root, "apps", "inner")

        told = refusal(lambda: places.require(a_stack(root)))

        assert (told.kind, told.evidence["stacks"]) == ("refused", [os.path.realpath(outer.root)])
        inner = StackUnderTest(root, two_services())
        assert refusal(inner.perform).evidence["stacks"] == [os.path.realpath(outer.root)]
        assert not os.path.lexists(inner.paths.etc)
        assert outer.pids() == pids


@pytest.mark.parametrize("linked", [False, True])
def test_a_stack_around_another_stack_is_refused_and_the_inner_one_runs_on(tmp_path: Path, linked: bool) -> None:
    with stack(two_services()) as around:
        root = os.path.join(around.root, "a")
        os.mkdir(root)
        inner = StackUnderTest(root, {"web": {}})
        # The outer one comes to be afterwards.
        os.rename(os.path.join(around.root, "engine"), os.path.join(around.root, "aside"))
        try:
            assert inner.perform()["ok"]
            os.rename(os.path.join(around.root, "aside"), os.path.join(around.root, "engine"))
            pids = inner.pids()
            told = refusal(around.perform)
            assert (told.kind, told.evidence["stacks"]) == ("refused", [os.path.realpath(root)])
            if linked:
                os.symlink(around.root, tmp_path / "link")
                told = refusal(lambda: places.require(a_stack(str(tmp_path / "link"))))
                assert told.evidence["stacks"][0] in (os.path.realpath(root), os.path.realpath(around.root))
            assert inner.pids() == pids
        finally:
            inner.end()


def test_an_outer_stack_is_not_removed_while_something_of_an_inner_one_runs() -> None:
    with stack(two_services()) as made:
        inner = os.path.join(made.root, "shared", "inner")
        os.makedirs(inner)
        environment = {"ROLLCALL_ROOT": inner, "ROLLCALL_STACK": "inside"}
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environment)
        try:
            told = refusal(lambda: removal.decide(made.generation().stack, (), removal.look()))
        finally:
            process.communicate()
        assert (told.kind, told.evidence["stacks"]) == ("refused", [inner])
        assert "inside" in told.remedies[0]


def everything(place: str) -> t.Dict[str, t.Any]:
    """Return all that is in a directory, each with its inode, owner and mode."""
    found = {}
    for above, folders, files in os.walk(place):
        for name in (*folders, *files):
            seen = os.lstat(os.path.join(above, name))
            found[os.path.join(above, name)] = (seen.st_ino, seen.st_uid, seen.st_gid, seen.st_mode)
    return found


@pytest.mark.parametrize("below", ordinary(["shared", "logs", "run", "apps", "releases/1"], "shared", "releases/1"))
@pytest.mark.parametrize("runs", [True, False])
def test_a_stack_that_was_moved_into_another_is_not_touched_when_that_is_stopped_or_removed(
    below: str, runs: bool
) -> None:
    with stack(two_services()) as outer, stack({"worker": {}}) as inner:
        assert outer.perform()["ok"]
        assert inner.perform()["ok"]
        pids = list(inner.pids().values()) + [one.pid for one in inner.daemons()]
        if not runs:
            assert inner.perform("stop", installed=True)["ok"]
        os.makedirs(os.path.join(outer.root, below), exist_ok=True)
        moved = os.path.join(outer.root, below, "inner")
        os.rename(inner.root, moved)
        try:
            before = everything(moved)
            assert outer.perform("full", installed=True)["ok"]
            assert outer.perform("stop", installed=True)["ok"]
            told = refusal(lambda: removal.decide(outer.generation().stack, (), removal.look()))
            assert (told.kind, told.evidence["stacks"]) == ("refused", [os.path.realpath(moved)])
            assert f"move {os.path.realpath(moved)} out of" in told.remedies[0]
            assert everything(moved) == before
            assert [is_alive(pid) for pid in pids] == [runs] * len(pids)
        finally:
            os.rename(moved, inner.root)
        removal.decide(outer.generation().stack, (), removal.look())


def test_directories_that_a_service_has_nested_too_deeply_hinder_no_look_for_inner_stacks() -> None:
    with stack({"worker": {}}) as made:
        here = os.open(made.paths.logs, os.O_RDONLY)
        try:
            for _level in range(1500):
                os.mkdir("d", dir_fd=here)
                below = os.open("d", os.O_RDONLY, dir_fd=here)
                os.close(here)
                here = below
        finally:
            os.close(here)
        try:
            decided = removal.decide(made.generation().stack, (), removal.look())
            assert made.root in "".join(decided.removed)
        finally:
            subprocess.run(["rm", "-r", os.path.join(made.paths.logs, "d")], check=True, timeout=60)


# --- who else can change the directories --------------------------------------------------------------------------

EVE = 60123
USER = "nobody"


def in_other_hands(made: StackUnderTest) -> t.Dict[str, str]:
    """Return directories that whoever runs a stack must trust, by their names."""
    own = {name: os.path.join(made.root, name) for name in ("engine", "engine/rollcall", "bin", "lib", "generations")}
    return {**own, "root": made.root, "etc": os.path.realpath(made.paths.etc), "state": made.paths.state}


@ROOT_ONLY
@pytest.mark.parametrize("way", ["owner", "mode"])
def test_what_others_can_change_is_told_by_all_and_refused_and_the_cure_cures_it(way: str) -> None:
    with stack(two_services(), user="root") as made:
        assert made.perform()["ok"]
        for path in in_other_hands(made).values():
            before = made.pids(), os.readlink(made.paths.etc), os.stat(path)
            if way == "owner":
                os.chown(path, EVE, -1)
            else:
                os.chmod(path, 0o777)

            told = refusal(lambda: made.perform("full", installed=True))

            (problem,) = told.evidence["problems"]
            assert (told.kind, problem["place"]) == ("wrong_use", path)
            assert problem["cure"] == cures.trust("root", path)
            assert (made.pids(), os.readlink(made.paths.etc)) == before[:2]
            looked = made.status()
            assert (looked["ok"], [path in note for note in looked["notes"]]) == (True, [True])
            (finding,) = modes_found(made)
            assert (finding["name"], finding["subject"]) == ("untrusted", path)
            subprocess.run(problem["cure"], shell=True, check=True, timeout=60)
            assert made.status()["notes"] == []
            os.chmod(path, before[2].st_mode & 0o7777)
        assert made.perform("full", installed=True)["ok"]


def modes_found(made: StackUnderTest) -> t.List[t.Dict[str, t.Any]]:
    """Return what the doctor finds of owners and modes."""
    found = rollcall(made, "doctor", "--json").data["findings"]
    return [one for one in found if one["name"] in ("untrusted", "unsafe_mode", "unsafe_owner", "secret_exposed")]


@ROOT_ONLY
@pytest.mark.parametrize("way", ordinary(["owner", "mode", "both"], "both"))
def test_what_is_wrong_with_a_directory_is_one_finding_whose_cure_leaves_none(way: str) -> None:
    with stack(two_services(), user="root") as made:
        assert made.perform()["ok"]
        for path in (in_other_hands(made)[name] for name in ("state", "lib", "engine")):
            before = os.stat(path)
            os.chmod(path, before.st_mode & 0o7777 if way == "owner" else 0o777)
            os.chown(path, 0 if way == "mode" else EVE, -1)
            (finding,) = modes_found(made)
            assert (finding["name"], finding["subject"]) == ("untrusted", path)
            assert finding["fixable"] == (way == "mode")
            subprocess.run(finding["cure"], shell=True, check=True, timeout=60)
            after = os.stat(path)
            assert (after.st_mode, after.st_uid) == (before.st_mode, 0)
            assert modes_found(made) == []


@ROOT_ONLY
@pytest.mark.parametrize("given", ordinary([USER, f"{USER}:"], USER))
@pytest.mark.parametrize("told_by", ["start", "doctor"])
def test_a_stack_that_was_given_to_its_user_as_a_whole_is_mended_by_what_is_printed(given: str, told_by: str) -> None:
    web = {"command": ["sleep", "600"], "secrets": {"TOKEN": "planted-1"}}
    with stack({"web": web}, user=USER) as made:
        os.chmod(made.root, 0o755)
        for path in (made.paths.run, made.paths.logs):
            shutil.chown(path, USER, -1)
        assert made.perform()["ok"]
        assert made.perform("full")["ok"]
        assert rollcall(made, "stop").code == 0
        subprocess.run(["chown", "-R", given, made.root], check=True, timeout=60)

        # As the unit does it after a boot.
        refused = rollcall(made, "start", "--automatic", "--json")

        assert (refused.code, refused.data["error"]["standing"]["state"]) == (2, "as_it_was")
        found = modes_found(made)
        told = [one["cure"] for one in refused.data["error"]["evidence"]["problems"]]
        assert sorted(one["cure"] for one in found if one["name"] == "untrusted") == sorted(told)
        for cure in told if told_by == "start" else [one["cure"] for one in found]:
            subprocess.run(cure, shell=True, check=True, timeout=60)
        assert rollcall(made, "start", "--automatic").code == 0
        assert rollcall(made, "status").code == 0
        assert modes_found(made) == []
        for name in ("engine", "bin", "lib", "generations"):
            for top, folders, files in os.walk(os.path.join(made.root, name)):
                owners = {os.lstat(os.path.join(top, one)).st_uid for one in (*folders, *files) if one != "env"}
                assert owners <= {0} or top.endswith("/env"), top


@ROOT_ONLY
def test_what_others_can_change_is_stopped_all_the_same() -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        os.chown(made.root, EVE, -1)

        assert made.perform("stop", installed=True)["ok"]
        assert made.pids() == {}


@ROOT_ONLY
def test_nothing_is_made_below_a_directory_of_another_user(tmp_path: Path) -> None:
    (tmp_path / "eves" / "deep").mkdir(parents=True)
    os.chown(tmp_path / "eves", EVE, -1)
    above = str(tmp_path / "eves")

    told = refusal(lambda: places.require(a_stack(f"{above}/deep/stack")))

    assert [(one["place"], one["cure"]) for one in told.evidence["problems"]] == [(above, cures.trust("root", above))]
    subprocess.run(told.remedies[0], shell=True, check=True, timeout=60)
    places.require(a_stack(f"{above}/deep/stack"))


@ROOT_ONLY
def test_nothing_is_made_through_a_link_that_another_user_can_turn(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.lchown(tmp_path / "link", EVE, EVE)

    told = refusal(lambda: places.require(a_stack(str(tmp_path / "link" / "stack"))))

    assert told.evidence["problems"][0]["place"] == str(tmp_path / "link")


def a_stack(root: str) -> Stack:
    checked = check_manifest(
        {"name": "x", "root": root, "paths": {"run": "/run/x"}, "services": {"web": {"command": ["/x"]}}}
    )
    assert checked.stack is not None, checked.problems
    return checked.stack
