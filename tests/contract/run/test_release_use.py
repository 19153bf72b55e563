# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new release is what is served, however a service spells the path to it; the old code is never served under OK."""

from __future__ import annotations

import json
import os
import shutil
import typing as t
import urllib.request
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict.release_use import running_releases
from tests.support.cases import ordinary
from tests.support.processes import free_port
from tests.support.stacks import APP, StackUnderTest, check_of, failed_checks, stack

# How a service may come to its release without naming it as it is called: Rollcall does not see it in the manifest.
SPELLINGS: t.Mapping[str, t.Callable[[str, str], t.List[str]]] = {
    "a variable": lambda _root, python: ["sh", "-c", f"exec {python} $ROLLCALL_ROOT/current/app.py web"],
    "a variable and a change of directory": lambda _root, python: [
        *("sh", "-c"),
        f"cd $ROLLCALL_ROOT/current && exec {python} app.py web",
    ],
    "a dot": lambda root, python: [python, f"{root}/./current/app.py", "web"],
    "two slashes": lambda root, python: [python, f"{root}//current/app.py", "web"],
    "through the generation": lambda root, python: [python, f"{root}/etc/release/app.py", "web"],
    "a script of its own": lambda root, _python: [f"{root}/start"],
    "a script that stays": lambda root, _python: [f"{root}/start-and-wait"],
    "a module path": lambda _root, python: ["sh", "-c", f"PYTHONPATH=$ROLLCALL_ROOT/current exec {python} -m app web"],
}


def add_release(made: StackUnderTest, name: str) -> None:
    place = Path(made.root, "releases", name)
    place.mkdir(parents=True)
    text = Path(APP).read_text(encoding="utf-8")
    (place / "app.py").write_text(text.replace('{"status": "ok"}', f"served by {name}"), encoding="utf-8")
    made.release = name


def served(made: StackUnderTest) -> str:
    port = made.raw["services"]["web"]["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as answer:
        return str(answer.read().decode())


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    with stack({"web": {"port": free_port(), "health": {"http": "/health"}}, "worker": {}}) as one:
        for name, how in (("start", "exec"), ("start-and-wait", "")):
            script = Path(one.root, name)
            script.write_text(f"#!/bin/sh\n{how} {one.program} {one.root}/current/app.py web\n", encoding="utf-8")
            script.chmod(0o755)
        add_release(one, "r1")
        yield one


@pytest.mark.parametrize("spelling", ordinary(SPELLINGS, "a variable", "through the generation", "a script that stays"))
def test_a_new_release_is_what_is_served(made: StackUnderTest, spelling: str) -> None:
    made.raw["services"]["web"]["command"] = SPELLINGS[spelling](made.root, made.program)
    assert made.perform()["ok"]
    worker = made.pids()["worker"]
    assert served(made) == "served by r1"

    add_release(made, "r2")
    report = made.perform()

    assert report["ok"], failed_checks(report)
    assert served(made) == "served by r2"
    assert made.pids()["worker"] == worker, "what has nothing to do with the release was not touched"
    assert not made.perform()["changed"]


def test_a_service_that_stays_with_an_old_release_is_not_called_well(made: StackUnderTest) -> None:
    pinned = f"cd {made.root}/releases/r1 && exec {made.program} app.py web"
    made.raw["services"]["web"]["command"] = ["sh", "-c", pinned]
    assert made.perform()["ok"]
    add_release(made, "r2")
    report = made.perform()
    check = check_of(report, "release", "web")
    assert (check["ok"], check["code"], check["data"]["others"]) == (False, "other", ["r1"])
    report = made.status()
    assert ("release", "web") in failed_checks(report)
    assert running_releases(made.generation().stack, report) == {"r1"}


def test_a_child_that_stays_with_an_old_release_is_not_called_well(made: StackUnderTest) -> None:
    # Its parent has taken the new one.
    works = f"(cd {made.root}/releases/r1 && exec sleep 600) & exec {made.program} {made.root}/./current/app.py web"
    made.raw["services"]["web"]["command"] = ["sh", "-c", works]
    assert made.perform()["ok"]
    add_release(made, "r2")
    check = check_of(made.perform(), "release", "web")
    assert (check["ok"], check["data"]["others"]) == (False, ["r1"])
    assert running_releases(made.generation().stack, made.status()) == {"r1", "r2"}


def test_a_link_to_the_release_that_was_switched_by_hand_is_not_ok_and_a_run_mends_it(made: StackUnderTest) -> None:
    """What runs is the right release, and would not be when it is started again."""
    made.raw["services"]["web"]["command"] = SPELLINGS["a variable and a change of directory"](made.root, made.program)
    assert made.perform()["ok"]
    add_release(made, "r2")
    assert made.perform()["ok"]
    os.unlink(f"{made.paths.etc}/release")
    os.symlink("../../releases/r1", f"{made.paths.etc}/release")
    assert ("config", "test") in failed_checks(made.status())
    assert made.perform()["ok"]
    assert served(made) == "served by r2"
    assert made.status()["ok"]


def test_a_process_that_lives_on_in_an_old_release_is_seen_when_that_is_removed(made: StackUnderTest) -> None:
    """The link is switched by hand, and the old code goes: what runs has it open, and only the kernel knows."""
    text = "import os, signal; held = open(__file__); signal.pause()"
    Path(made.root, "releases", "r1", "hold.py").write_text(text, encoding="utf-8")
    made.raw["services"]["worker"]["command"] = [*("sh", "-c"), f"exec {made.program} $ROLLCALL_ROOT/current/hold.py"]
    del made.raw["services"]["web"]
    assert made.perform()["ok"]
    add_release(made, "r2")
    shutil.copy(f"{made.root}/releases/r1/hold.py", f"{made.root}/releases/r2/hold.py")
    generation = made.generation()
    os.unlink(f"{made.paths.etc}/release")
    os.symlink("../../releases/r2", f"{made.paths.etc}/release")
    Path(made.paths.manifest).write_text(json.dumps(generation.stack.to_dict()), encoding="utf-8")
    shutil.rmtree(f"{made.root}/releases/r1")
    check = check_of(made.status(), "release", "worker")
    assert (check["ok"], check["data"]["others"]) == (False, ["r1"])
