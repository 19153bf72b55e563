# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is removed, and what never is: across a mount, through a link, or elsewhere than where it was asked for."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import removing
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.removing import remove, remove_empty
from tests.support.namespaces import NOBODY, as_nobody, seen_with

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with files, a closed directory, and links to what is not in it."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "data").write_text("theirs", encoding="utf-8")
    made = tmp_path / "tree"
    for path in ("a/b/c", "media", "closed"):
        (made / path).mkdir(parents=True)
    for path in ("a/file", "a/b/c/file", "closed/file"):
        (made / path).touch()
    (made / "a" / "out").symlink_to(precious)
    (made / "a" / "out.txt").symlink_to(precious / "data")
    (made / "closed").chmod(0)
    return made


def test_a_tree_goes_and_what_its_links_lead_to_stays(tree: Path) -> None:
    remove(str(tree))
    assert not tree.exists()
    assert (tree.parent / "precious" / "data").read_text(encoding="utf-8") == "theirs"


def test_a_link_goes_and_the_tree_stays(tree: Path) -> None:
    link = tree.parent / "link"
    link.symlink_to(tree)
    remove(str(link))
    assert not link.is_symlink()
    assert (tree / "a" / "b" / "c" / "file").exists()


def test_what_is_gone_is_an_error_unless_it_may_be(tree: Path) -> None:
    for missing in (tree / "none", tree / "none" / "below"):
        remove(str(missing), missing_ok=True)
        with pytest.raises(FileNotFoundError):
            remove(str(missing))


def test_only_an_empty_directory_goes_as_one(tree: Path) -> None:
    assert not remove_empty(str(tree))
    assert remove_empty(str(tree / "media"))
    assert not remove_empty(str(tree / "none"))


@ROOT_ONLY
def test_no_empty_directory_behind_a_link_of_others_goes(tree: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="rc-") as name:
        place = Path(name)
        (place / "theirs").mkdir()
        os.chown(place / "theirs", 60123, 60123)
        (place / "theirs" / "link").symlink_to(tree)
        assert not remove_empty(str(place / "theirs" / "link" / "media"))
        assert (tree / "media").is_dir()


@ROOT_ONLY
def test_an_owner_who_has_closed_a_directory_of_his_own_can_remove_it() -> None:
    # Not tmp_path: only its user may go there.
    with tempfile.TemporaryDirectory(prefix="rc-") as name:
        place = Path(name)
        (place / "tree" / "closed").mkdir(parents=True)
        (place / "tree" / "closed" / "file").touch()
        (place / "tree" / "closed").chmod(0)
        for path in (place, *place.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        assert as_nobody(lambda: remove(str(place / "tree"))) is None
        assert not (place / "tree").exists()


def bind(place: Path, what: Path) -> t.Callable[[], None]:
    def mount() -> None:
        subprocess.run(["mount", "--bind", str(what), str(place)], check=True)

    return mount


def tmpfs(place: Path) -> t.Callable[[], None]:
    def mount() -> None:
        subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=True)
        (place / "data").touch()

    return mount


def tried(path: Path) -> str:
    """Return how the removal of a path was refused."""
    try:
        remove(str(path))
    except RollcallError as exc:
        return exc.message
    return "removed"


@ROOT_ONLY
@pytest.mark.parametrize("kind", ["bind", "bind of a file", "tmpfs", "the top"])
def test_nothing_is_removed_where_something_is_mounted_in_it(tree: Path, kind: str) -> None:
    precious = tree.parent / "precious"
    place, mount = {
        "bind": (tree / "media", bind(tree / "media", precious)),
        "bind of a file": (tree / "a" / "file", bind(tree / "a" / "file", precious / "data")),
        "tmpfs": (tree / "a" / "b", tmpfs(tree / "a" / "b")),
        "the top": (tree, bind(tree, precious)),
    }[kind]
    there = set(tree.rglob("*"))

    assert seen_with(mount, lambda: tried(tree)) == f"{tree} is not removed: something is mounted in it: {place}."

    assert set(tree.rglob("*")) == there
    assert (precious / "data").read_text(encoding="utf-8") == "theirs"


@ROOT_ONLY
def test_a_mount_that_comes_after_the_look_is_not_crossed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bind mount of the same file system has the same device: it is known by the number of the mount."""
    precious = tree.parent / "precious"
    monkeypatch.setattr(removing, "require_unmounted", lambda _path: None)
    assert "something is mounted in it" in seen_with(bind(tree / "media", precious), lambda: tried(tree))
    assert (precious / "data").exists()
    assert (tree / "media").exists()


def test_a_directory_that_becomes_a_link_meanwhile_is_not_followed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    precious, real = tree.parent / "precious", os.open

    def swapped(path: t.Any, flags: int, *more: t.Any, **named: t.Any) -> int:
        if path == "a" and not (tree / "a").is_symlink():
            (tree / "a").rename(tree.parent / "aside")
            (tree / "a").symlink_to(precious)
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", swapped)
    with pytest.raises(OSError, match=r"symbolic|directory"):
        remove(str(tree))
    assert (precious / "data").exists()


def test_what_cannot_be_removed_is_named_with_its_whole_path() -> None:
    with tempfile.TemporaryDirectory(prefix="rc-") as name:
        inner = Path(name, "a", "b")
        inner.mkdir(parents=True)
        (inner / "file").touch()
        inner.chmod(0o555)
        with immutable(inner / "file"), pytest.raises(PermissionError, match=re.escape(f"{inner}/file")):
            remove(str(Path(name, "a")))


@contextlib.contextmanager
def immutable(path: Path) -> t.Iterator[None]:
    if os.geteuid() != 0 or subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False).returncode:
        pytest.skip("this file system, or this user, makes nothing immutable")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def test_directories_that_are_nested_as_deep_as_nobody_can_name_them_are_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "beside").write_text("x", encoding="utf-8")
    handle = os.open(tree, os.O_RDONLY)
    for number in range(3000):
        name = f"directory-{number}"
        os.mkdir(name, dir_fd=handle)
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=handle))
        below = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    remove(str(tree))
    assert list(tmp_path.iterdir()) == []
