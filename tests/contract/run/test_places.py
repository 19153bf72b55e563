# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a stack cannot be is refused before anything is made or stopped; inner stacks go before outer ones."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import removal
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import places
from tests.support.stacks import StackUnderTest, stack, two_services

pytestmark = pytest.mark.usefixtures("bystander")


def refusal(call: t.Callable[[], t.Any]) -> RollcallError:
    with pytest.raises(RollcallError) as told:
        call()
    return told.value


@pytest.mark.parametrize("key", ["logs", "run"])
@pytest.mark.parametrize("target", ["/var/log", "/etc", "/usr/lib", "/proc/1/root/var/log"])
def test_a_path_that_a_link_leads_to_the_system_is_refused_and_everything_runs_on(key: str, target: str) -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        before = made.pids(), os.readlink(made.paths.etc)
        os.symlink(target, os.path.join(made.root, "led"))
        made.raw["paths"] = {key: os.path.join(made.root, "led")}

        told = refusal(made.perform)

        assert told.kind == "wrong_use"
        assert f"stack.paths.{key}" in {one["place"] for one in told.evidence["problems"]}
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
        os.rename(os.path.join(around.root, "engine"), tmp_path / "engine")
        try:
            assert inner.perform()["ok"]
            os.rename(tmp_path / "engine", os.path.join(around.root, "engine"))
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


def a_stack(root: str) -> Stack:
    checked = check_manifest(
        {"name": "x", "root": root, "paths": {"run": "/run/x"}, "services": {"web": {"command": ["/x"]}}}
    )
    assert checked.stack is not None, checked.problems
    return checked.stack
