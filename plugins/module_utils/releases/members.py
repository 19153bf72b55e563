# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is in an archive that somebody else has made: each member, how its content is read, and what is wrong with it.

Some archives are made to harm their reader. So no header is larger than a block, none leads back to one before it,
there is a limit to the number of members, and of a member nothing is kept but its entry and where its content is.
"""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import typing as t
import zipfile
import zlib

DIRECTORY, FILE, LINK = "directory", "file", "link"
BLOCK = 1024 * 1024
# The tree of an application with all packages of Node has a hundred thousand.
MOST_MEMBERS = 200_000
# Bytes of a path on Linux (limits.h, PATH_MAX), and of a name in it (NAME_MAX).
LONGEST_PATH, LONGEST_NAME = 4096, 255
# Memory that a member of .xz may ask for; xz -9 asks for 65 MiB.
XZ_MEMORY = 128 * 1024 * 1024
# gzip says OSError and EOFError; the others have errors of their own, and for some headers they have none at all.
DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, struct.error),
    *(ValueError, RuntimeError, LookupError, ArithmeticError, TypeError, AttributeError),
)


class Entry(t.NamedTuple):
    """One thing in a tree.

    Attributes:
        name: its path from the top of the tree, with ``/`` and without ``.``.
        kind: DIRECTORY, FILE or LINK.
        executable: of a file: whether its owner may execute it.
        target: of a link: what it says; of a file: the name of an earlier one that has the same content, or nothing.
        size: of a file, in bytes.
    """

    name: str
    kind: str
    executable: bool = False
    target: str = ""
    size: int = 0


Opener = t.Callable[[], t.IO[bytes]]
Member = t.Tuple[Entry, Opener, t.Optional[str]]


def members_of(path: str, stack: contextlib.ExitStack) -> t.Iterator[Member]:
    """Yield entries as an archive has them, with how to read each and what is wrong with its kind.

    Args:
        path: a tar archive, compressed or not, or a zip archive.
        stack: closes it.

    Raises:
        OSError or one of DAMAGED: it is none, or broken.
    """
    is_zip = _begins(path, b"PK\x03\x04", b"PK\x05\x06")
    found = _zip_members(path, stack) if is_zip else _tar_members(path, stack)
    for number, member in enumerate(found):
        if number == MOST_MEMBERS:
            raise tarfile.ReadError(f"it has more than {MOST_MEMBERS} members")
        yield member


def _begins(path: str, *signs: bytes) -> bool:
    """Return whether a file begins so; zipfile looks at the end, where a tar archive may have a zip archive."""
    with open(path, "rb") as stream:
        return stream.read(6).startswith(signs)


# --- zip ----------------------------------------------------------------------------------------------------------


def _zip_members(path: str, stack: contextlib.ExitStack) -> t.Iterator[Member]:
    packed = stack.enter_context(zipfile.ZipFile(path))
    for info in packed.infolist():
        yield _of_zip(packed, info)


def _of_zip(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    mode = info.external_attr >> 16  # 0 where it was packed on a system without modes
    problem = "is encrypted" if info.flag_bits & 1 else None
    if info.is_dir():
        entry = Entry(info.filename, DIRECTORY)
    elif stat.S_ISLNK(mode):
        if info.file_size > LONGEST_PATH:
            problem = "is a link to a path that is too long"
        entry = Entry(info.filename, LINK, target="" if problem else os.fsdecode(packed.read(info)))
    else:
        entry = Entry(info.filename, FILE, bool(mode & stat.S_IXUSR), size=info.file_size)
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            problem = "is neither a file nor a directory nor a link"
    return entry, functools.partial(packed.open, info), problem


# --- tar ----------------------------------------------------------------------------------------------------------


def _tar_members(path: str, stack: contextlib.ExitStack) -> t.Iterator[Member]:
    stream = stack.enter_context(_decompressed(path))
    headers = _Headers(stream)
    archive: t.Any = tarfile.open(fileobj=t.cast("t.IO[bytes]", headers), mode="r:")  # noqa: SIM115
    stack.enter_context(archive)
    last = -1
    sizes: t.Dict[str, int] = {}
    while True:
        member = archive.next()
        if member is None:
            return
        if member.offset <= last or member.size < 0:
            # A size below 0 leads tarfile back to where it was (CVE-2025-8194).
            raise tarfile.ReadError(f"{member.name[:LONGEST_NAME]} leads back to a member before it")
        last = member.offset
        # It keeps all of them otherwise, of a kilobyte each.
        archive.members = []
        entry, problem = _of_tar(member, sizes)
        if entry.kind == FILE:
            sizes[_plain(entry.name)] = entry.size
        yield entry, t.cast("Opener", functools.partial(_Content, stream, member.offset_data, entry.size)), problem


def _of_tar(member: tarfile.TarInfo, sizes: t.Mapping[str, int]) -> t.Tuple[Entry, t.Optional[str]]:
    executable = bool(member.mode & stat.S_IXUSR)
    if member.isdir():
        return Entry(member.name, DIRECTORY), None
    if member.issym():
        return Entry(member.name, LINK, target=member.linkname), None
    if member.islnk():
        target = _plain(member.linkname)
        problem = None if target in sizes else f"is a link to {member.linkname}, a file which is not in it before"
        return Entry(member.name, FILE, executable, target, sizes.get(target, 0)), problem
    entry = Entry(member.name, FILE, executable, size=member.size)
    if member.issparse():
        return entry, "is a sparse file: pack it without --sparse"
    return entry, None if member.isreg() else "is neither a file nor a directory nor a link"


def _plain(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _decompressed(path: str) -> t.IO[bytes]:
    if _begins(path, b"\x1f\x8b"):
        return t.cast("t.IO[bytes]", gzip.open(path))
    if _begins(path, b"BZh"):
        return t.cast("t.IO[bytes]", bz2.open(path))
    if _begins(path, b"\xfd7zXZ", b"\x5d\x00\x00"):
        with open(path, "rb") as stream:
            lzma.LZMADecompressor(memlimit=XZ_MEMORY).decompress(stream.read(BLOCK), 1)
        return t.cast("t.IO[bytes]", lzma.open(path))
    return open(path, "rb")


class _Headers:
    """A tar archive for the reader of its headers, which takes whole names and tables into memory."""

    def __init__(self, stream: t.IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        """Return so many bytes, but of nothing more than a block."""
        if not 0 <= size <= BLOCK:
            raise tarfile.ReadError("a header of it is larger than 1 MiB")
        return self._stream.read(size)


class _Content(io.RawIOBase):
    """The content of a member.

    Args:
        stream: the archive.
        offset: where the content begins in it.
        size: of it, in bytes.
    """

    def __init__(self, stream: t.IO[bytes], offset: int, size: int) -> None:
        super().__init__()
        self._stream = stream
        self._left = size
        stream.seek(offset)

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: t.Any) -> int:
        """Read into a buffer and return how many bytes. Raises EOFError when the archive ends before."""
        data = self._stream.read(min(len(buffer), self._left))
        if self._left and not data:
            raise EOFError("it ends within the content of a file")
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)
