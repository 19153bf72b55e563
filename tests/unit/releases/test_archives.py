# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of a release: the same tree is the same archive, and nothing leads out of where it is unpacked to."""

from __future__ import annotations

import gzip
import io
import os
import socket
import stat
import tarfile
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases import archives
from tests.support.releases import write

EXCLUDE = [".git", "__pycache__", "*.log", "docs/internal"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = write(tmp_path / "app", {"app.py": "print()", "bin/run": "#!/bin/sh", "lib/deep/a.txt": "a", "data/x": ""})
    (made / "bin" / "run").chmod(0o700)
    (made / "lib" / "b.txt").symlink_to("deep/a.txt")
    (made / "empty").mkdir()
    return made


def packed(tree: Path, place: Path) -> bytes:
    archives.pack(str(tree), archives.scan(str(tree), EXCLUDE), str(place))
    return place.read_bytes()


def digest(tree: Path) -> str:
    return archives.tree_digest(str(tree), archives.scan(str(tree), EXCLUDE))


def unpacked(path: Path, into: Path, strip: int = 0) -> Path:
    into.mkdir()
    with archives.opened(str(path), strip) as members:
        archives.unpack(members, str(into))
    return into


def test_the_same_tree_is_the_same_archive_whenever_and_by_whom_it_is_packed(tree: Path, tmp_path: Path) -> None:
    before, its_digest = packed(tree, tmp_path / "1"), digest(tree)
    os.utime(tree / "app.py", (1, 1))
    (tree / "app.py").chmod(0o600)
    (tree / "lib").chmod(0o700)
    write(tree, {"lib/__pycache__/a.pyc": "new", ".git/HEAD": "new", "x.log": "new", "docs/internal/x": "new"})
    (tree / "docs" / "internal" / "x").unlink()
    (tree / "docs" / "internal").rmdir()
    (tree / "docs").rmdir()
    assert (packed(tree, tmp_path / "2"), digest(tree)) == (before, its_digest)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "app.py").write_text("print(1)"),
        lambda tree: (tree / "app.py").chmod(0o755),
        lambda tree: (tree / "empty").rmdir(),
        lambda tree: (tree / "data" / "x").rename(tree / "data" / "y"),
        lambda tree: ((tree / "lib" / "b.txt").unlink(), (tree / "lib" / "b.txt").symlink_to("deep")),
    ],
    ids=["content", "executable", "directory", "name", "link"],
)
def test_any_change_is_another_digest(tree: Path, change: t.Callable[[Path], object]) -> None:
    before = digest(tree)
    change(tree)
    assert digest(tree) != before


def test_excluded_by_name_anywhere_and_by_path_from_the_top(tree: Path) -> None:
    write(tree, {"docs/internal/x": "", "docs/y": "", "lib/docs/internal/z": "", "lib/a.log": ""})
    names = {entry.name for entry in archives.scan(str(tree), EXCLUDE)}
    assert {"docs/y", "lib/docs/internal/z"} <= names
    assert not {name for name in names if name.endswith(".log") or name.startswith("docs/internal")}


def test_what_is_unpacked_is_what_was_packed(tree: Path, tmp_path: Path) -> None:
    packed(tree, tmp_path / "archive")
    old = os.umask(0o077)
    try:
        made = unpacked(tmp_path / "archive", tmp_path / "made")
    finally:
        os.umask(old)
    assert digest(made) == digest(tree)
    assert stat.S_IMODE((made / "bin" / "run").stat().st_mode) == 0o755
    assert stat.S_IMODE((made / "app.py").stat().st_mode) == 0o644
    assert stat.S_IMODE((made / "lib" / "deep").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("name", "target", "stays"),
    [
        ("a", "b", True),
        ("a/b/c", "../../d", True),
        ("a/b", "./c//d", True),
        ("a", ".", True),
        ("a", "..", False),
        ("a/b", "../../c", False),
        ("a", "/etc/passwd", False),
        ("a", "b/../c", False),
        ("a/b", "../c/../../d", False),
        ("a", "", False),
    ],
)
def test_a_link_is_taken_only_when_it_surely_stays_inside(name: str, target: str, stays: bool) -> None:
    assert (archives.link_problem(name, target) is None) is stays


def test_what_cannot_be_sent_is_told_all_at_once(tree: Path) -> None:
    (tree / "out").symlink_to("../outside")
    (tree / "abs").symlink_to("/etc")
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        place = os.getcwd()
        os.chdir(tree)  # the path of a test's directory may be too long for a socket
        try:
            bound.bind("sock")
        finally:
            os.chdir(place)
        with pytest.raises(RollcallError) as told:
            archives.scan(str(tree))
    assert told.value.kind == "wrong_use"
    for name in ("out is a link", "abs is a link", "pipe is neither", "sock is neither"):
        assert name in told.value.message


def test_no_directory_and_an_empty_one_are_no_release(tmp_path: Path) -> None:
    with pytest.raises(RollcallError, match="There is nothing in"):
        archives.scan(str(tmp_path))
    with pytest.raises(RollcallError, match="There is no directory"):
        archives.scan(str(tmp_path / "app"))


# --- archives that were made by others ----------------------------------------------------------------------------


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, link, mode
    return made


def tar(place: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(place, "w:gz") as archive:
        for one in members:
            content = b"content" if one.isreg() else b""
            one.size = len(content)
            archive.addfile(one, io.BytesIO(content))
    return place


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([member("../evil")], "leads out"),
        ([member("a/../../evil")], "leads out"),
        ([member("/etc/evil")], "leads out"),
        ([member("a", tarfile.SYMTYPE, "/etc")], "relative"),
        ([member("a", tarfile.SYMTYPE, "../..")], "leads out"),
        ([member("d/e", tarfile.SYMTYPE, ".."), member("x", tarfile.SYMTYPE, "d/e/../y")], "nobody can say"),
        ([member("a", tarfile.SYMTYPE, "b"), member("a/evil")], "below a, which is a link"),
        ([member("a"), member("a/b/c")], "below a, which is a file"),
        ([member("a", tarfile.SYMTYPE, "b"), member("a")], "twice"),
        ([member("a"), member("./a")], "twice"),
        ([member("null", tarfile.CHRTYPE)], "neither"),
        ([member("sda", tarfile.BLKTYPE)], "neither"),
        ([member("pipe", tarfile.FIFOTYPE)], "neither"),
    ],
)
def test_an_archive_that_leads_out_is_refused_before_anything_is_written(
    tmp_path: Path, members: t.List[tarfile.TarInfo], said: str
) -> None:
    path = tar(tmp_path / "evil.tar.gz", member("good"), *members)
    with pytest.raises(RollcallError, match=said) as told:
        unpacked(path, tmp_path / "made")
    assert told.value.kind == "wrong_use"
    assert list((tmp_path / "made").iterdir()) == []
    assert {entry.name for entry in tmp_path.iterdir()} == {"evil.tar.gz", "made"}


def test_special_bits_are_not_taken_over(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar.gz", member("run", mode=0o6755), member("open", mode=0o1666))
    made = unpacked(path, tmp_path / "made")
    assert {one.name: stat.S_IMODE(one.stat().st_mode) for one in made.iterdir()} == {"run": 0o755, "open": 0o644}


def test_a_hard_link_becomes_a_file_with_the_same_content(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar.gz", member("one"), member("two", tarfile.LNKTYPE, "one"))
    made = unpacked(path, tmp_path / "made")
    assert (made / "two").read_text() == "content"
    assert (made / "two").stat().st_nlink == 1


def test_a_hard_link_to_a_file_of_the_host_is_refused(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar.gz", member("two", tarfile.LNKTYPE, "/etc/hostname"))
    with pytest.raises(RollcallError, match="not in it"):
        unpacked(path, tmp_path / "made")


def test_leading_directories_are_taken_off(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar.gz", member("app-1.0/", tarfile.DIRTYPE), member("app-1.0/bin/run"), member("README"))
    made = unpacked(path, tmp_path / "made", strip=1)
    assert [entry.name for entry in archives.scan(str(made))] == ["bin", "bin/run"]


def test_a_tar_archive_that_ends_with_a_zip_archive_is_a_tar_archive(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", ("x", 0, "x"))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(inner, "inner.zip")
    assert [one.name for one in unpacked(tmp_path / "a.tar", tmp_path / "made").iterdir()] == ["inner.zip"]


def zipped(place: Path, *members: t.Tuple[str, int, str]) -> Path:
    with zipfile.ZipFile(place, "w") as packed_file:
        for name, mode, text in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            packed_file.writestr(info, text)
    return place


def test_a_zip_archive_is_unpacked_the_same_way(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "a.zip",
        ("d/", stat.S_IFDIR | 0o755, ""),
        ("d/run", stat.S_IFREG | 0o4755, "x"),
        ("l", stat.S_IFLNK | 0o777, "d/run"),
        ("plain", 0, "y"),
    )
    made = unpacked(path, tmp_path / "made")
    assert stat.S_IMODE((made / "d" / "run").stat().st_mode) == 0o755
    assert ((made / "l").read_text(), (made / "plain").read_text()) == ("x", "y")


@pytest.mark.parametrize(
    ("name", "mode", "text", "said"),
    [
        ("../evil", 0, "", "leads out"),
        ("/evil", 0, "", "leads out"),
        ("l", stat.S_IFLNK, "../../etc", "leads out"),
        ("p", stat.S_IFIFO, "", "neither"),
    ],
)
def test_a_zip_archive_that_leads_out_is_refused(tmp_path: Path, name: str, mode: int, text: str, said: str) -> None:
    with pytest.raises(RollcallError, match=said):
        unpacked(zipped(tmp_path / "a.zip", (name, mode, text)), tmp_path / "made")
    assert list((tmp_path / "made").iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"no archive at all", b"", gzip.compress(b"no tar archive"), b"PK\x03\x04 broken"],
    ids=["text", "empty", "gzip", "zip"],
)
def test_what_is_no_archive_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(RollcallError, match="not an archive"):
        unpacked(tmp_path / "a", tmp_path / "made")


def test_an_archive_that_was_cut_short_is_said(tmp_path: Path) -> None:
    whole = tar(tmp_path / "a.tar.gz", *[member(f"file{number}") for number in range(200)]).read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RollcallError, match=r"not an archive|damaged"):
        unpacked(tmp_path / "a.tar.gz", tmp_path / "made")
