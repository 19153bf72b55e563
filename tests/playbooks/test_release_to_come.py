# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode for a release that the host does not have yet: it says what the run then does, and what it cannot know.

And a manifest that comes without its release, although services run from one.
"""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.release_paths import release_directory
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from ansible_collections.rollcall.supervisor.plugins.module_utils.run.request import Request
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import Generation
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.environment import private_files
from tests.support.releases import write
from tests.support.rendering import render
from tests.support.stacks import APP, StackUnderTest, stack

pytestmark = pytest.mark.usefixtures("bystander")


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    """Services whose directory, program, program along the PATH or required file is in the release; one beside it."""
    services = {
        "inside": {"directory": "current", "requires_files": ["current/licence"]},
        "program": {"command": ["current/bin/run", APP, "{name}"]},
        "looked_up": {"command": ["run", APP, "{name}"]},
        "beside": {},
    }
    with stack(services) as made:
        made.raw["services"]["looked_up"]["env"] = {"PATH": f"{made.root}/current/bin:/usr/bin:/bin"}
        bring(made, "one")
        # Nobody is held, although the file that one requires is not below `current` before the first install.
        assert made.perform_generation(of_release(made, "one"))["ok"]
        yield made


def bring(made: StackUnderTest, name: str) -> None:
    """Do what the role release does: the code is on the host before the services are brought to it."""
    directory = write(Path(release_directory(made.root, name)), {"licence": name})
    (directory / "bin").mkdir()
    (directory / "bin" / "run").symlink_to(os.path.join(made.root, "python"))


def of_release(made: StackUnderTest, name: str) -> Generation:
    checked = check_manifest({"stack": made.raw}, release=name).stack
    assert checked is not None
    return Generation(checked, render(checked), private_files(checked, {}))


def asks(made: StackUnderTest, name: str) -> Request:
    return made.request(installed=True)._replace(wanted=of_release(made, name))


def test_the_services_that_a_release_to_come_restarts_are_those_that_it_restarts(running: StackUnderTest) -> None:
    before, place = running.pids(), os.readlink(running.paths.etc)
    planned = restart.describe_plan(asks(running, "two"))
    assert {entry["subject"] for entry in planned["actions"] if entry["action"] == "restart"} == {
        *("inside", "program", "looked_up"),
    }
    assert planned["notes"] == ["release two is not on this host yet, so nothing inside of it could be checked"]
    assert (planned["held"], running.pids(), os.readlink(running.paths.etc)) == ({}, before, place)

    bring(running, "two")
    assert restart.describe_plan(asks(running, "two"))["notes"] == []
    done = running.perform_generation(of_release(running, "two"))
    assert done["ok"]
    assert done["actions"] == planned["actions"]
    after = running.pids()
    assert {name for name in before if after[name] == before[name]} == {"beside"}


def test_what_is_not_inside_of_the_release_is_proved_all_the_same(running: StackUnderTest) -> None:
    running.raw["services"]["beside"]["command"] = ["/nowhere/run"]
    running.raw["services"]["beside"]["directory"] = "gone"
    with pytest.raises(RollcallError) as caught:
        restart.describe_plan(asks(running, "two"))
    assert [problem["place"] for problem in caught.value.evidence["problems"]] == [
        "stack.services.beside.directory",
        "stack.services.beside.command[0]",
    ]


def test_a_real_run_without_the_release_is_refused(running: StackUnderTest) -> None:
    before = running.pids()
    with pytest.raises(RollcallError, match="the release does not exist on this host"):
        running.perform_generation(of_release(running, "two"))
    assert running.pids() == before


@pytest.mark.parametrize("mode", ["full", "rollback"])
def test_a_release_that_nobody_brings_is_missing_in_check_mode_as_well(running: StackUnderTest, mode: str) -> None:
    bring(running, "two")
    assert running.perform_generation(of_release(running, "two"))["ok"]
    shutil.rmtree(release_directory(running.root, "two" if mode == "full" else "one"))
    with pytest.raises(RollcallError, match="the release does not exist on this host"):
        restart.describe_plan(running.request(mode, installed=True))


def test_a_manifest_without_the_release_that_services_run_from_is_refused(running: StackUnderTest) -> None:
    before, place = running.pids(), os.readlink(running.paths.etc)
    for attempt in (restart.describe_plan, lambda request: running.perform_generation(request.wanted)):
        with pytest.raises(RollcallError) as caught:
            attempt(running.request())
        (problem,) = caught.value.evidence["problems"]
        assert problem["place"] == "rollcall_release"
        assert problem["message"].startswith(
            f"there is none, and inside, program, looked_up run from {running.root}/current"
        )
    assert (running.pids(), os.readlink(running.paths.etc)) == (before, place)

    for name in ("inside", "program", "looked_up"):
        running.raw["services"][name] = {}
    assert running.perform()["ok"], "nobody needs it any more"


def test_a_directory_of_that_name_that_is_no_release_is_the_applications_own() -> None:
    with stack({"web": {"directory": "current"}}) as made:
        os.mkdir(os.path.join(made.root, "current"))
        assert made.perform()["ok"]


def test_the_link_to_the_release_comes_back_when_somebody_has_deleted_it(running: StackUnderTest) -> None:
    link = Path(running.root, "current")
    before = running.pids()
    link.unlink()
    assert running.perform_generation(of_release(running, "one"))["ok"]
    assert (link / "licence").read_text(encoding="utf-8") == "one"
    assert running.pids() == before

    bring(running, "two")
    assert running.perform_generation(of_release(running, "two"))["ok"]
    link.unlink()
    assert running.perform("rollback", installed=True)["ok"]
    assert (link / "licence").read_text(encoding="utf-8") == "one"
