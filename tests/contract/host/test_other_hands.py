# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others can change of a directory, or above it, is found, and nothing else."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host.other_hands import untrusted

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
EVE = 60123


@pytest.fixture
def place() -> t.Iterator[Path]:
    """A directory of root's in one that is sticky and everybody's, with others below it."""
    place = Path(tempfile.mkdtemp(prefix="trust-"))
    place.chmod(0o755)
    for name in ("above", "above/root", "above/root/bin"):
        (place / name).mkdir(mode=0o755)
    yield place
    shutil.rmtree(place)


def found(place: Path) -> t.List[str]:
    paths = [str(place / "above/root"), str(place / "above/root/bin"), str(place / "above/root/not/there")]
    return [os.path.relpath(one.path, place) for one in untrusted(paths)]


def test_what_is_roots_below_a_sticky_directory_is_fine(place: Path) -> None:
    assert found(place) == []


@pytest.mark.parametrize("name", ["above", "above/root", "above/root/bin"])
def test_what_belongs_to_another_user_is_found_wherever_it_is(place: Path, name: str) -> None:
    os.chown(place / name, EVE, -1)

    assert found(place) == [name]


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o770])
@pytest.mark.parametrize("name", ["above", "above/root", "above/root/bin"])
def test_what_others_may_write_to_is_found_wherever_it_is(place: Path, name: str, mode: int) -> None:
    os.chown(place / name, -1, EVE)
    (place / name).chmod(mode)

    assert found(place) == [name]


@pytest.mark.parametrize(("name", "told"), [("above", []), ("above/root/bin", ["above/root/bin"])])
def test_sticky_is_enough_above_a_directory_and_not_for_it(place: Path, name: str, told: t.List[str]) -> None:
    (place / name).chmod(0o1777)

    assert found(place) == told


def test_in_a_sticky_directory_what_another_user_has_made_is_found(place: Path) -> None:
    (place / "above").chmod(0o1777)
    os.chown(place / "above/root", EVE, -1)

    assert found(place) == ["above/root"]


def test_a_link_is_followed_and_may_not_be_another_users(place: Path) -> None:
    (place / "above/root").rename(place / "moved")
    (place / "above/root").symlink_to("../moved")
    assert found(place) == []
    os.lchown(place / "above/root", EVE, EVE)
    assert found(place) == ["above/root"]
    os.lchown(place / "above/root", 0, 0)
    os.chown(place / "moved", EVE, -1)
    assert found(place) == ["moved"]


def test_a_link_through_the_directory_of_another_user_is_found(place: Path) -> None:
    (place / "eves").mkdir()
    (place / "above/root").rename(place / "moved")
    (place / "eves/hop").symlink_to(place / "moved")
    (place / "above/root").symlink_to(place / "eves/hop")
    os.chown(place / "eves", EVE, -1)

    assert found(place) == ["eves"]


def test_a_circle_of_links_ends(place: Path) -> None:
    shutil.rmtree(place / "above/root")
    (place / "above/root").symlink_to("root")

    assert found(place) == []


def test_an_acl_that_lets_another_user_write_is_found_in_roots_own_group(place: Path) -> None:
    # acl(5) as the kernel keeps it (linux/posix_acl_xattr.h): tag, rights and id of user, EVE, group, mask and others.
    nobody = 0xFFFFFFFF
    entries = [(0x01, 7, nobody), (0x02, 7, EVE), (0x04, 5, nobody), (0x10, 7, nobody), (0x20, 5, nobody)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(place / "above", "system.posix_acl_access", value)
    except OSError as exc:
        pytest.skip(f"no ACL can be set here: {exc.strerror}")

    assert found(place) == ["above"]


def test_the_group_of_root_may_write(place: Path) -> None:
    (place / "above/root").chmod(0o775)

    assert found(place) == []


def test_for_another_user_its_own_directories_are_fine_and_roots_too(place: Path) -> None:
    os.chown(place / "above/root", EVE, -1)

    assert as_user(EVE, lambda: found(place)) == []
    assert as_user(EVE + 1, lambda: found(place)) == ["above/root"]


def as_user(uid: int, call: t.Callable[[], t.List[str]]) -> t.List[str]:
    """Return what a call returns to a user: a child, for whom nothing is root's any more."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.write(writer, "\n".join(call()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with open(reader, encoding="utf-8") as stream:
        return stream.read().splitlines()
