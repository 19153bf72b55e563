# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root that was copied or moved while its stack runs: each command knows which of two supervisords is its own."""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor import doctor
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Paths
from tests.support.commands import rollcall
from tests.support.processes import free_port, is_alive
from tests.support.stacks import StackUnderTest, failed_checks, install_engine, stack, two_services

pytestmark = [pytest.mark.usefixtures("bystander"), pytest.mark.fault(20)]


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    with stack(two_services()) as one:
        assert one.perform()["ok"]
        yield one


@pytest.fixture
def elsewhere(made: StackUnderTest) -> t.Iterator[str]:
    """Another place for the root; what runs there ends, and the root is where it was, at the end."""
    place = f"{made.root}-2"
    try:
        yield place
    finally:
        at(made, place).end()
        if os.path.exists(made.root):
            shutil.rmtree(place, ignore_errors=True)
        else:
            os.rename(place, made.root)


def at(made: StackUnderTest, root: str) -> StackUnderTest:
    """Return the stack with its manifest for another root."""
    other = copy.copy(made)
    other.root, other.paths = root, Paths.of(root)
    other.program = os.path.join(root, "python")
    other.raw = copy.deepcopy(made.raw)
    other.raw["root"] = root
    other.raw["defaults"]["command"][0] = other.program
    return other


def prepared(other: StackUnderTest) -> StackUnderTest:
    """Do what the role bootstrap does in a root that is there: its command and its engine are for this root."""
    install_engine(other.root)
    return other


def everything(made: StackUnderTest) -> t.List[int]:
    return [*(daemon.pid for daemon in made.daemons()), *made.pids().values()]


def is_whole(made: StackUnderTest) -> None:
    """See that a stack runs once and that its own command says so."""
    assert len(made.daemons()) == 1
    assert made.pids().keys() == {"web", "worker"}
    status = rollcall(made, "status", "--json")
    assert (status.code, failed_checks(status.data)) == (0, [])
    assert [one for one in doctor.doctor(made.root)["findings"] if one["severity"] == "error"] == []


def test_a_stack_and_the_copy_of_it_run_beside_each_other_and_end_apart(made: StackUnderTest, elsewhere: str) -> None:
    subprocess.run(["cp", "-a", made.root, elsewhere], check=True, timeout=60)
    other = prepared(at(made, elsewhere))
    other.raw["services"]["web"]["port"] = free_port()
    first = everything(made)

    assert other.perform()["ok"]

    second = everything(other)
    assert not set(first) & set(second)
    is_whole(made)
    is_whole(other)
    assert everything(made) == first

    assert rollcall(other, "stop").code == 0
    assert everything(other) == []
    is_whole(made)
    assert everything(made) == first

    assert rollcall(other, "start").code == 0
    again = everything(other)
    assert rollcall(made, "stop").code == 0
    assert not any(map(is_alive, first))
    is_whole(other)
    assert everything(other) == again


def test_the_copy_on_the_same_port_is_refused_and_ends_nothing(made: StackUnderTest, elsewhere: str) -> None:
    subprocess.run(["cp", "-a", made.root, elsewhere], check=True, timeout=60)
    other = prepared(at(made, elsewhere))
    first = everything(made)
    for mode in ("auto", "full", "emergency"):
        with pytest.raises(Exception, match="is taken by"):
            other.perform(mode)
        assert everything(made) == first
    is_whole(made)


def test_the_command_of_a_copy_does_not_act_on_the_stack_that_it_was_copied_from(
    made: StackUnderTest, elsewhere: str
) -> None:
    subprocess.run(["cp", "-a", made.root, elsewhere], check=True, timeout=60)
    first = everything(made)
    for verb in ("status", "start", "stop", "doctor"):
        said = rollcall(at(made, elsewhere), verb)
        assert said.code == 2, said.out
        assert f"is a copy, and the stack that it is for is under {made.root}" in said.err
    assert everything(made) == first
    is_whole(made)


def test_a_root_that_was_moved_while_its_stack_ran_has_it_once_after_an_install(
    made: StackUnderTest, elsewhere: str
) -> None:
    first = everything(made)
    os.rename(made.root, elsewhere)
    for verb in ("status", "start", "stop", "doctor"):
        said = rollcall(at(made, elsewhere), verb)
        assert said.code != 0, said.out
        assert made.root in said.err
    assert all(map(is_alive, first)), "a command that cannot know what it is about touches nothing"
    other = prepared(at(made, elsewhere))

    report = other.perform()

    assert report["ok"], failed_checks(report)
    assert not any(map(is_alive, first)), "nothing of it runs twice"
    is_whole(other)
    second = everything(other)
    assert rollcall(other, "stop").code == 0
    assert not any(map(is_alive, second))
    assert rollcall(other, "start").code == 0
    is_whole(other)


def test_a_stack_that_is_installed_where_a_moved_one_was_takes_its_place(made: StackUnderTest, elsewhere: str) -> None:
    """The supervisord of the moved one was told this very config: left alone, it would run the stack a second time."""
    first = everything(made)
    os.rename(made.root, elsewhere)
    anew = StackUnderTest(made.root, made.raw["services"])
    try:
        assert anew.perform()["ok"]
        assert not any(map(is_alive, first))
        is_whole(anew)
        moved = rollcall(at(made, elsewhere), "stop")
        assert moved.code == 2
        assert "is a copy" in moved.err
        is_whole(anew)
    finally:
        anew.end()
        shutil.rmtree(made.root)


def test_the_command_that_a_copy_tells_works_with_a_blank_in_its_path() -> None:
    # Short: below pytest's own directory the path of the socket would be too long.
    with tempfile.TemporaryDirectory(prefix="rc-") as place:
        Path(place, "my stack").mkdir()
        made = StackUnderTest(os.path.join(place, "my stack"), {"worker": {}})
        try:
            assert made.perform()["ok"]
            elsewhere = os.path.join(place, "a copy")
            subprocess.run(["cp", "-a", made.root, elsewhere], check=True, timeout=60)
            (told,) = re.findall("next: (.*)", rollcall(at(made, elsewhere), "history").err)
            assert subprocess.run(["sh", "-c", told], check=False, timeout=60, capture_output=True).returncode == 0
        finally:
            made.end()
