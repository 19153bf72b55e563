# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a child ends by its deadline, whatever it hangs in, and brings back its answer or its error."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.apart import TooLong, Works, apart, in_turn
from tests.support.processes import eventually, is_alive


def test_the_answer_comes_back_whatever_its_size() -> None:
    assert apart(lambda: {"pid": os.getppid()}, 60) == {"pid": os.getpid()}
    assert len(apart(lambda: "x" * 3_000_000, 60)) == 3_000_000


@pytest.mark.parametrize(
    "error",
    [RollcallError("no", kind="refused", evidence={"a": 1}, remedies=["b"]), OSError(errno.EACCES, "no", "/there")],
)
def test_an_error_comes_back_as_it_is(error: t.Union[RollcallError, OSError]) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        apart(work, 60)
    told = caught.value
    if isinstance(told, RollcallError) and isinstance(error, RollcallError):
        assert told.as_dict() == error.as_dict()
    else:
        assert isinstance(told, OSError)
        assert (told.errno, told.filename) == (errno.EACCES, "/there")


def test_a_fault_of_the_work_is_told() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        apart(lambda: 1 // 0, 60)
    with pytest.raises(RuntimeError, match="killed"):
        apart(lambda: os._exit(3), 60)


def test_what_hangs_is_given_up_and_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    pids = tmp_path / "pids"

    def opens() -> str:
        pids.write_text(str(os.getpid()), encoding="ascii")
        return (tmp_path / "fifo").read_text(encoding="utf-8")

    def spins() -> bool:
        pids.write_text(str(os.getpid()), encoding="ascii")
        return re.search(r"ERROR (\w+\s?)+$", "ERROR " + "word " * 40 + "!") is not None

    for work in (opens, spins):
        with pytest.raises(TooLong):
            apart(work, 2.0)
        assert eventually(lambda: not is_alive(int(pids.read_text(encoding="ascii"))))


def test_the_child_has_no_file_of_its_parent_open_so_that_it_keeps_no_lock(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        links = apart(lambda: [os.path.realpath(f"/dev/fd/{name}") for name in os.listdir("/dev/fd")], 60)
    assert str(tmp_path / "lock") not in links


def test_a_child_whose_parent_was_killed_ends_by_itself(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def spins() -> None:
        pids.write_text(str(os.getpid()), encoding="ascii")
        while True:
            pass

    parent = os.fork()
    if parent == 0:
        try:
            apart(spins, 5.0)
        finally:
            os._exit(0)
    assert eventually(pids.exists)
    assert eventually(lambda: bool(pids.read_text(encoding="ascii")))
    os.kill(parent, 9)
    os.waitpid(parent, 0)
    assert eventually(lambda: not is_alive(int(pids.read_text(encoding="ascii"))))


def test_two_sets_of_work_are_done_in_turn_by_one_child() -> None:
    both = Works({"a": os.getpid, "b": os.getpid}, 60), Works({"a": os.getpid, "c": lambda: "later"}, 60)
    first, then = in_turn(*both)
    assert first["a"] == first["b"] == then["a"] != os.getpid()
    assert then["c"] == "later"
    assert in_turn(Works({}, 60), Works({}, 60)) == ({}, {})


@pytest.mark.parametrize("hangs", ["first", "then"])
def test_which_of_two_sets_of_work_took_too_long_is_told_by_what_is_missing(tmp_path: Path, hangs: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    slow = {"quick": os.getpid, "hangs": lambda: (tmp_path / "fifo").read_text(encoding="utf-8"), "waits": os.getpid}
    quick = {"one": lambda: 1, "two": lambda: 2}
    if hangs == "first":
        late, done = in_turn(Works(slow, 2.0), Works(quick, 60))
    else:
        done, late = in_turn(Works(quick, 60), Works(slow, 2.0))
    assert done == {"one": 1, "two": 2}
    assert set(late) == {"quick"}


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_child_that_is_killed_is_no_child_that_took_too_long(number: int) -> None:
    works: t.List[t.Callable[[], t.Any]] = [lambda: 1] * 4
    works[number] = lambda: os._exit(3)
    first, then = (
        Works({str(number): work for number, work in enumerate(some)}, 60) for some in (works[:2], works[2:])
    )
    with pytest.raises(RuntimeError, match="killed"):
        in_turn(first, then)
