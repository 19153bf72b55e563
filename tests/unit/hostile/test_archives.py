# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is in the archive of a release, it is unpacked within its directory or refused, and both soon."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import typing as t
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases import archives, members
from tests.support.hostile import FUZZ, contained, mutated

# What is left of a disk, by which an archive that needs more is refused (releases/source.py).
ROOM = 2 << 20
PACKERS: t.Sequence[t.Callable[[bytes], bytes]] = (bytes, gzip.compress, bz2.compress, lzma.compress)

NAMES = st.one_of(
    st.sampled_from(["a", "b", "a/b", "d/", "./a", "d/x", "../a", "/a", "a/../../b", "", ".", "..", "a//b", "\udcff"]),
    st.sampled_from(
        ["x" * 300, "x/" * 150 + "x", "y" * 5000, "a\0b", "a\nb", "\x1b[2J", "d/x/y", "PaxHeader/a", "\u202e"]
    ),
)
SIZES = st.sampled_from([0, 1, 5, 512, 513, 10**6, 2**33 - 1, 2**63, 2**70, -1, -512, -(2**40)])
KINDS = st.sampled_from([bytes([code]) for code in b"0123456789LKSVXgx\0DMZ"])


def raw_header(name: str, size: int, kind: bytes, link: str, mode: int) -> bytes:
    """Return a header with a right sum over whatever is in it."""
    fields = (
        name.encode("utf-8", "surrogateescape")[:100].ljust(100, b"\0"),
        *(b"%07o\0" % value for value in (mode, 0, 0)),
        (0x80 << 88 | size).to_bytes(12, "big") if size >= 0 else ((1 << 96) + size).to_bytes(12, "big"),
        *(b"00000000000\0", b" " * 8, kind, link.encode("utf-8", "surrogateescape")[:100].ljust(100, b"\0")),
        b"ustar  \0".ljust(255, b"\0"),
    )
    block = b"".join(fields)
    total = sum(block)
    return block[:148] + b"%06o\0 " % total + block[156:]


def pax(key: str, value: str) -> bytes:
    """Return a header that gives the next member another value (pax(1))."""
    record = f"{key}={value}\n".encode("utf-8", "surrogateescape")
    content = b"%d %s" % (len(record) + len(str(len(record) + 5)) + 1, record)
    return raw_header("x", len(content), b"x", "", 0) + content.ljust(-(-len(content) // 512) * 512, b"\0")


PAX = st.builds(
    pax,
    st.sampled_from(
        ["size", "path", "linkpath", "GNU.sparse.size", "GNU.sparse.map", "GNU.sparse.major", "mtime", "hdrcharset"]
    ),
    st.one_of(st.sampled_from(["-1", "0", "1", "x", "9" * 20, "-9999999", "1,2,3", "0,99999999999", "BINARY"]), NAMES),
)
TAR_MEMBERS = st.one_of(
    st.tuples(
        st.builds(raw_header, NAMES, SIZES, KINDS, NAMES, st.sampled_from([0, 0o644, 0o6777])),
        st.sampled_from([b"", b"x" * 512, b"\1" * 1024, b"9" * 512]),
    ).map(b"".join),
    PAX,
)
GOOD_MEMBERS = st.builds(
    lambda name, content: raw_header(name, len(content), b"0", "", 0o755) + content.ljust(512, b"\0"),
    st.sampled_from(["a", "b", "d/x"]),
    st.sampled_from([b"content", b"y"]),
)


def a_tar(form: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, kind in (
            ("d", tarfile.DIRTYPE),
            ("l", tarfile.SYMTYPE),
            ("d/f" + "x" * 120, tarfile.REGTYPE),
            ("é", b"0"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, "d/f", 5 if kind == b"0" else 0
            archive.addfile(member, io.BytesIO(b"hello"))
    return stream.getvalue()


def a_zip(method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, mode in (("d/", stat.S_IFDIR), ("d/f", stat.S_IFREG | 0o755), ("l", stat.S_IFLNK)):
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, method
            archive.writestr(info, b"" if name == "d/" else b"d/f")
    return stream.getvalue()


def unpacked(path: Path, tree: Path, strip: int = 0) -> t.Optional[RollcallError]:
    """Unpack an archive as a release is; return why not."""
    with contained():
        try:
            with archives.opened(str(path), strip, name="the archive") as found:
                if sum(entry.size for entry, _opener in found) <= ROOM:
                    archives.unpack(found, str(tree))
        except RollcallError as exc:
            return exc
    return None


def assert_dealt_with(place: Path, content: bytes, strip: int = 0) -> None:
    """Unpack an archive as a release is, and see that nothing is written beside its directory."""
    shutil.rmtree(place, ignore_errors=True)
    tree = place / "tree"
    tree.mkdir(parents=True)
    (place / "archive").write_bytes(content)
    refused = unpacked(place / "archive", tree, strip)
    assert refused is None or (refused.kind == "wrong_use" and len(refused.message) < 100_000)
    assert sorted(os.listdir(place)) == ["archive", "tree"]
    for above, folders, files in os.walk(tree):
        for name in [*folders, *files]:
            seen = os.lstat(os.path.join(above, name))
            assert stat.S_IFMT(seen.st_mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
            assert not seen.st_mode & 0o7022 or stat.S_ISLNK(seen.st_mode)
            # A link may well lead nowhere, or round and round.
            with contextlib.suppress(OSError):
                assert os.path.realpath(os.path.join(above, name), strict=True).startswith(str(tree))


@given(
    st.lists(st.one_of(TAR_MEMBERS, GOOD_MEMBERS), max_size=6).map(b"".join),
    st.sampled_from(PACKERS),
    st.sampled_from([b"", b"\0" * 1024]),
    st.integers(0, 2),
)
@FUZZ
def test_a_tar_archive_with_members_that_nobody_packs(
    tmp_path_factory: t.Any, content: bytes, packer: t.Callable[[bytes], bytes], end: bytes, strip: int
) -> None:
    assert_dealt_with(tmp_path_factory.getbasetemp() / "tar", packer(content + end), strip)


@given(
    mutated(*(packer(a_tar(form)) for packer in PACKERS for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))),
    st.sampled_from(PACKERS),
)
@FUZZ
def test_a_tar_archive_that_was_damaged(
    tmp_path_factory: t.Any, content: bytes, packer: t.Callable[[bytes], bytes]
) -> None:
    assert_dealt_with(tmp_path_factory.getbasetemp() / "damaged", packer(content))


@given(
    mutated(
        *(a_zip(method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    )
)
@FUZZ
def test_a_zip_archive_that_was_damaged(tmp_path_factory: t.Any, content: bytes) -> None:
    assert_dealt_with(tmp_path_factory.getbasetemp() / "zip", content)


def refusal(tmp_path: Path, content: bytes) -> str:
    """Return why an archive is not unpacked; nothing is written of it."""
    (tmp_path / "archive").write_bytes(content)
    (tmp_path / "tree").mkdir()
    refused = unpacked(tmp_path / "archive", tmp_path / "tree")
    assert refused is not None
    assert os.listdir(tmp_path / "tree") == []
    return refused.message


def hard_link(name: str, target: str) -> bytes:
    return raw_header(name, 0, b"1", target, 0o644)


A_FILE = raw_header("a", 5, b"0", "", 0o644) + b"hello".ljust(512, b"\0")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        # Those whose size is below 0 lead an older tarfile round and round.
        (A_FILE + raw_header("b", -1024, b"0", "", 0) * 2, "leads back"),
        (A_FILE + pax("size", "-2048") + raw_header("b", 0, b"0", "", 0), "leads back"),
        (raw_header("l", 0, b"2", "m", 0) + raw_header("m", 0, b"2", "l", 0) + hard_link("h", "l"), "not in it"),
        (hard_link("h", "h"), "not in it"),
        (hard_link("h", "a") + A_FILE, "not in it before"),
        (raw_header("d", 0, b"5", "", 0) + hard_link("h", "d"), "not in it"),
        (raw_header("big", 10**6, b"S", "", 0) + b"\0" * 10**6, "sparse"),
        (raw_header("x", 8 << 20, b"L", "", 0) + b"x" * (8 << 20) + A_FILE, "header of it is larger"),
        (raw_header("x", 8 << 20, b"x", "", 0) + b"9" * (8 << 20) + A_FILE, "header of it is larger"),
        (pax("a", "b") * 3000 + A_FILE, "recursion"),
        (pax("path", "d/" * 2000 + "f") + A_FILE, "more than 100 directories"),
        (pax("path", "x" * 300) + A_FILE, "too long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("packer", PACKERS)
def test_a_tar_archive_that_was_made_to_harm_its_reader_is_refused(
    tmp_path: Path, content: bytes, said: str, packer: t.Callable[[bytes], bytes]
) -> None:
    assert said in refusal(tmp_path, packer(content + b"\0" * 1024))


def test_a_bomb_of_members_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_MEMBERS", 1000)
    content = b"".join(raw_header(f"f{number}", 0, b"0", "", 0) for number in range(1001))

    assert "more than 1000 members" in refusal(tmp_path, gzip.compress(content + b"\0" * 1024))


def test_many_members_take_little_memory(tmp_path: Path) -> None:
    content = b"".join(raw_header(f"f{number}", 0, b"0", "", 0) for number in range(60_000))
    (tmp_path / "archive").write_bytes(gzip.compress(content + b"\0" * 1024, 1))

    with contained(seconds=60), archives.opened(str(tmp_path / "archive")) as found:
        assert len(found) == 60_000


def test_hard_links_count_as_what_they_become(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(A_FILE + hard_link("b", "a") + hard_link("c", "./b") + b"\0" * 1024)
    with archives.opened(str(tmp_path / "archive")) as found:
        assert [entry.size for entry, _opener in found] == [5, 5, 5]
        (tmp_path / "tree").mkdir()
        archives.unpack(found, str(tmp_path / "tree"))

    assert [(tmp_path / "tree" / name).read_text() for name in "abc"] == ["hello"] * 3


def test_a_link_of_a_zip_archive_is_not_unpacked_into_memory(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("l")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        with archive.open(info, "w") as member:
            for _number in range(128):
                member.write(b"x" * (1 << 20))

    assert "too long" in refusal(tmp_path, stream.getvalue())


def test_a_zip_archive_by_a_method_that_is_not_known_is_refused(tmp_path: Path) -> None:
    content = a_zip(zipfile.ZIP_STORED).replace(b"PK\x01\x02\x14\x03\x14\0\0\0\0\0", b"PK\x01\x02\x14\x03\x14\0\0\0c\0")
    content = content.replace(b"PK\x03\x04\x14\0\0\0\0\0", b"PK\x03\x04\x14\0\0\0c\0")

    assert "not supported" in refusal(tmp_path, content)


def test_an_archive_of_xz_asks_for_no_gigabyte_of_memory(tmp_path: Path) -> None:
    content = lzma.compress(A_FILE + b"\0" * 1024)
    # The size of the dictionary stands in the header of the block, in one byte (xz-file-format.txt, 5.3.1).
    block = bytearray(content[12:24])
    place = bytes(block).index(bytes([0x21, 0x01])) + 2
    block[place] = 36
    block[8:12] = zlib.crc32(bytes(block[:8])).to_bytes(4, "little")

    assert "Memory usage limit" in refusal(tmp_path, content[:12] + bytes(block) + content[24:])


def test_no_later_block_of_xz_asks_for_a_gigabyte_either(tmp_path: Path) -> None:
    first = lzma.compress(A_FILE)
    second = lzma.compress(raw_header("b", 0, b"0", "", 0) + b"\0" * 1024)
    block = bytearray(second[12:24])
    block[bytes(block).index(bytes([0x21, 0x01])) + 2] = 36
    block[8:12] = zlib.crc32(bytes(block[:8])).to_bytes(4, "little")

    assert "Memory usage limit" in refusal(tmp_path, first + second[:12] + bytes(block) + second[24:])


def test_streams_of_xz_that_follow_each_other_are_one_archive(tmp_path: Path) -> None:
    parts = (A_FILE, raw_header("b", 3 << 20, b"0", "", 0) + os.urandom(3 << 20), raw_header("c", 0, b"0", "", 0))
    (tmp_path / "archive").write_bytes((b"\0" * 8).join(lzma.compress(part) for part in (*parts, b"\0" * 1024)))
    (tmp_path / "tree").mkdir()
    with archives.opened(str(tmp_path / "archive")) as found:
        archives.unpack(reversed(found), str(tmp_path / "tree"))

    assert (tmp_path / "tree" / "b").read_bytes() == parts[1][512:]
    assert sorted(os.listdir(tmp_path / "tree")) == ["a", "b", "c"]


def zeros(size: int) -> t.Iterator[bytes]:
    for _number in range(size >> 20):
        yield b"\0" * (1 << 20)


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zip"])
def test_what_grows_without_measure_is_refused_though_the_disk_has_room(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "ALWAYS", 16 << 20)
    size, path = 20 << 20, tmp_path / "archive"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("big", "w") as member:
            for piece in zeros(size):
                member.write(piece)
    else:
        packers: t.Dict[str, t.Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
        with packers[suffix](path, "wb") as stream:
            stream.write(raw_header("big", size, b"0", "", 0))
            for piece in zeros(size + (1 << 20)):
                stream.write(piece)

    assert "it would become more than 16 MiB" in refusal(tmp_path, path.read_bytes())


def test_an_archive_larger_than_any_release_is_refused_before_it_is_read_through(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(raw_header("big", 40 << 30, b"0", "", 0))
    os.truncate(path, 41 << 30)
    (tmp_path / "tree").mkdir()

    refused = unpacked(path, tmp_path / "tree")
    assert refused is not None
    assert "it would become more than 32768 MiB" in refused.message


def test_headers_count_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "ALWAYS", 1 << 20)
    monkeypatch.setattr(members, "MOST_MEMBERS", 100)
    content = b"".join(pax("comment", "x" * 900_000) + raw_header(f"{n}", 0, b"0", "", 0) for n in range(8))

    assert "it would become more than 1 MiB" in refusal(tmp_path, gzip.compress(content + b"\0" * 1024))


def test_names_that_fill_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_NAMES", 100_000)
    content = b"".join(pax("path", f"{number}{'/' + 'x' * 200}" * 20) + A_FILE for number in range(30))

    assert "its names have more than 100000 characters" in refusal(tmp_path, content + b"\0" * 1024)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_directories_that_only_names_have_count_as_members(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in (members, archives):
        monkeypatch.setattr(room, "MOST_MEMBERS", 1000)
    names = [f"{number}/{'d/' * 90}f" for number in range(20)]
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as archive:
            for name in names:
                archive.writestr(name, b"")
    else:
        stream.write(b"".join(pax("path", name) + A_FILE for name in names) + b"\0" * 1024)

    assert "its names have more than 1000 directories" in refusal(tmp_path, stream.getvalue())


def test_a_table_of_very_many_members_is_refused_before_it_is_taken_into_memory(tmp_path: Path) -> None:
    number = 400_000
    entry = b"PK\x01\x02" + b"\0" * 42
    end = b"PK\x06\x06" + (44).to_bytes(8, "little") + b"\x2d\0\x2d\0" + b"\0" * 8
    sizes = [number, number, number * len(entry), 4]
    end += b"".join(value.to_bytes(8, "little") for value in sizes)
    locator = b"PK\x06\x07" + b"\0" * 4 + (4 + number * len(entry)).to_bytes(8, "little") + b"\1\0\0\0"
    last = b"PK\x05\x06" + b"\0" * 4 + b"\xff" * 12 + b"\0" * 2

    assert "more than 200000 members" in refusal(tmp_path, b"PK\x03\x04" + entry * number + end + locator + last)


def test_room_is_counted_in_blocks_and_directories(tmp_path: Path) -> None:
    content = b"".join(
        pax("path", f"{number}/a/f") + raw_header("f", 1, b"0", "", 0) + b"x" * 512 for number in range(9)
    )
    (tmp_path / "archive").write_bytes(content + b"\0" * 1024)
    with archives.opened(str(tmp_path / "archive")) as found:
        assert archives.room_for([entry for entry, _opener in found], 4096) == ((9 + 1 + 18) * 4096, 9 + 1 + 18)


def test_a_pipe_in_the_place_of_an_archive_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "archive")

    refused = unpacked(tmp_path / "archive", tmp_path)
    assert refused is not None
    assert "it is a pipe and no regular file" in refused.message
