# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of manifest files: cut off, unreadable, changed by many at once, and by one that is killed meanwhile."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import stat
import tempfile
import typing as t
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.edit import Change, edit_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import check_file
from tests.support.namespaces import NOBODY
from tests.support.processes import eventually

WRITERS = 60
# Two cores start and run all of them.
PATIENCE = 200.0

# Forked, so that 200 of them share one interpreter's memory.
FORK = multiprocessing.get_context("fork")

YAML = """\
# The stack.
stack:
  name: trading     # as people call it
  root: /opt/trading
  services:
    web:
      command: [bin/web]
      port: 8000
      env:
        FIRST: 0    # the others come below

    worker: {command: [bin/work]}
"""
JSON = json.dumps(
    {
        "name": "trading",
        "root": "/opt/trading",
        "services": {"web": {"command": ["bin/web"], "env": {"FIRST": 0}}, "worker": {"command": ["bin/work"]}},
    },
    indent=4,
)


def variable(number: int, value: int = 1) -> Change:
    """Return the change that gives the service web one more variable."""
    return Change(("services", "web", "env", f"V{number:03}"), value)


def is_whole(path: Path) -> bool:
    """Whether a manifest can be read and has no problem."""
    return check_file(str(path)).problems == []


def variables(path: Path) -> dict[str, str]:
    """Return the environment of the service web."""
    stack = check_file(str(path)).stack
    assert stack is not None
    return {name: value for name, value in stack.service("web").env.items() if name != "FIRST"}


def fork(function: t.Callable[..., None], *arguments: t.Any) -> t.Any:
    """Start a process that runs a function; it is told by its exit code whether that returned."""
    process = FORK.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


# --- fault 38 -----------------------------------------------------------------------------------------------------


@pytest.mark.fault(38)
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.yml", b"", "is empty"),
        ("blank.json", b" \n", "is empty"),
        ("zeros.yml", b"\0" * 4096, "control character"),
        ("binary.yml", b"stack: \xff\xfe", "is not UTF-8"),
        ("half.json", JSON[: len(JSON) // 2].encode(), "is not JSON"),
        ("brace.json", JSON[:-1].encode(), "is not JSON"),
        ("json.yml", JSON[:-1].encode(), "is not JSON"),
        ("quote.yml", YAML.encode() + b'    api: {command: "bin/api', "is not YAML"),
        ("bracket.yml", YAML.encode()[: YAML.index("[bin/web") + 5], "is not YAML"),
        ("word.yml", YAML.encode()[: YAML.index("services") + 4], "is not YAML"),
        ("tagged.yml", b"token: !vault |\n  3132\nrollcall_stack: {name: x", "is not YAML"),
        ("scalar.yml", b"stac", "is text, not a mapping"),
    ],
)
def test_a_manifest_that_was_not_written_whole_is_an_error_and_stays(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RollcallError) as caught:
        edit_manifest(str(path), [Change(("services", "web", "port"), 8001)])

    assert caught.value.kind == "wrong_use"
    assert words in caught.value.message
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def open_directory() -> t.Iterator[Path]:
    """Give a directory to which every user may go."""
    path = Path(tempfile.mkdtemp(prefix="rollcall."))
    path.chmod(0o755)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


def edit_as_nobody(path: Path, told: t.Any) -> None:
    """Change a manifest as a user without rights, and tell what came of it."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        told.send(edit_manifest(str(path), [variable(1)]).changed)
    except RollcallError as exc:
        told.send(exc.message)
    except Exception as exc:  # whoever waits for an answer gets one
        told.send(repr(exc))
        raise


@pytest.mark.fault(38)
@pytest.mark.parametrize(
    ("file_mode", "directory_mode", "words"),
    [
        (0o000, 0o755, "Permission denied"),
        (0o444, 0o777, "Permission denied"),
        (0o666, 0o555, "Permission denied"),
    ],
    ids=["unreadable", "not to be written", "in a directory that is not to be written"],
)
def test_without_the_rights_nothing_is_changed(
    file_mode: int, directory_mode: int, words: str, open_directory: Path
) -> None:
    path = open_directory / "manifest.yml"
    path.write_text(YAML, encoding="utf-8")
    # The interpreter of the tests may be closed to that user: all that is needed is loaded before.
    assert check_file(str(path)).stack is not None
    path.chmod(file_mode)
    open_directory.chmod(directory_mode)
    told, tell = FORK.Pipe(duplex=False)
    process = fork(edit_as_nobody, path, tell)
    process.join(PATIENCE)

    assert words in told.recv()
    assert stat.S_IMODE(path.stat().st_mode) == file_mode
    path.chmod(0o600)
    assert path.read_text(encoding="utf-8") == YAML
    assert list(open_directory.iterdir()) == [path]


# --- fault 39 -----------------------------------------------------------------------------------------------------


def write(path: Path, number: int, start: t.Any) -> None:
    """Change a manifest once all others are there to do so, too."""
    start.wait(PATIENCE)
    edit_manifest(str(path), [variable(number)], timeout=PATIENCE)


def read(path: Path, end: t.Any, seen: t.Any) -> None:
    """Read a manifest over and over; end with an error when it is not whole, or when it has less than before."""
    before = 0
    while not end.is_set():
        assert is_whole(path), path.read_text(encoding="utf-8")
        now = len(variables(path))
        assert now >= before
        before = now
        seen.value += 1


@pytest.mark.fault(39)
@pytest.mark.parametrize(("name", "text"), [("manifest.yml", YAML), ("manifest.json", JSON)], ids=["yaml", "json"])
def test_of_many_changes_at_once_none_is_lost_and_every_reader_sees_a_whole_file(
    name: str, text: str, tmp_path: Path
) -> None:
    path, link = tmp_path / name, tmp_path / f"link-{name}"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o640)
    link.symlink_to(name)
    start, end, seen = FORK.Event(), FORK.Event(), FORK.Value("i", 0)
    reader = fork(read, path, end, seen)
    writers = [fork(write, link if number % 2 else path, number, start) for number in range(WRITERS)]
    start.set()
    for writer in writers:
        writer.join(PATIENCE)
    end.set()
    reader.join(PATIENCE)

    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    assert reader.exitcode == 0
    assert seen.value > 1
    assert variables(path) == {f"V{number:03}": "1" for number in range(WRITERS)}
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted([name, link.name])
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    # What was there is there, in its order, and nothing but the new lines is new.
    now = path.read_text(encoding="utf-8")
    if name.endswith(".yml"):
        assert [line for line in now.splitlines() if "V" not in line] == text.splitlines()


# --- a writer that is killed --------------------------------------------------------------------------------------


def write_until(call: str, path: Path, told: t.Any) -> None:
    """Change a manifest as far as a call of the kernel, say so, and wait there to be killed."""

    def wait(*_arguments: t.Any, **_named: t.Any) -> None:
        told.send(call)
        signal.pause()

    setattr(os, call, wait)
    edit_manifest(str(path), [variable(1)])


@pytest.mark.fault(39)
@pytest.mark.parametrize("call", ["fchmod", "fsync", "replace"])
def test_a_writer_that_is_killed_leaves_a_whole_file_no_lock_and_nothing_that_is_in_the_way(
    call: str, tmp_path: Path
) -> None:
    path = tmp_path / "manifest.yml"
    path.write_text(YAML, encoding="utf-8")
    told, tell = FORK.Pipe(duplex=False)
    process = fork(write_until, call, path, tell)
    assert told.poll(PATIENCE)
    with pytest.raises(RollcallError, match="Somebody else"):
        edit_manifest(str(path), [variable(2)], timeout=0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.join(PATIENCE)

    assert path.read_text(encoding="utf-8") == YAML
    assert len(list(tmp_path.iterdir())) == 2
    assert edit_manifest(str(path), [variable(2)], timeout=PATIENCE).changed
    assert variables(path) == {"V002": "1"}
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_of_the_same_pid_has_left_is_not_in_the_way(tmp_path: Path) -> None:
    # In a container a pid is soon used again.
    path, other = tmp_path / "manifest.yml", tmp_path / "manifest.yml.old.new"
    path.write_text(YAML, encoding="utf-8")
    other.touch()
    (tmp_path / f"manifest.yml.{os.getpid()}.new").write_text("half", encoding="utf-8")

    assert edit_manifest(str(path), [variable(1)]).changed
    assert sorted(tmp_path.iterdir()) == [path, other]


def count_up(path: Path) -> None:
    """Change a manifest over and over."""
    while True:
        found = int(variables(path).get("V000", 0))
        edit_manifest(str(path), [variable(0, found + 1)])


def has_changed(path: Path, before: bytes) -> bool:
    return path.read_bytes() != before


@pytest.mark.parametrize(("name", "text"), [("manifest.yml", YAML), ("manifest.json", JSON)], ids=["yaml", "json"])
def test_a_writer_may_be_killed_at_any_moment(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    moments = random.Random(39)
    for number in range(1, 21):
        before = path.read_bytes()
        process = fork(count_up, path)
        assert eventually(partial(has_changed, path, before), PATIENCE)
        process.join(moments.uniform(0, 0.03))
        os.kill(process.pid, signal.SIGKILL)
        process.join(PATIENCE)

        assert is_whole(path)
        assert edit_manifest(str(path), [variable(number)], timeout=PATIENCE).changed
    assert len(variables(path)) == 21
    assert list(tmp_path.iterdir()) == [path]
