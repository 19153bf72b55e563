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

from ..base.opening import open_followed

DIRECTORY, FILE, LINK = "directory", "file", "link"
BLOCK = 1024 * 1024
# The tree of an application with all packages of Node has a hundred thousand.
MOST_MEMBERS = 200_000
# Characters of all names and of all that links say: they are kept in memory.
MOST_NAMES = 64 * 1024 * 1024
# Bytes of all that is in an archive, unpacked. More than the second number has to be packed in at least the part of it
# that the third tells: code is packed to a fifth, and what is made to fill a disk to a thousandth.
MOST_BYTES, ALWAYS, MOST_GROWTH = 32 * 1024**3, 1024**3, 200
# Of the table of a zip archive, which the standard library reads as a whole; each member takes 46 and its name.
_MOST_TABLE = 64 * 1024 * 1024
_OF_MEMBER = b"PK\x01\x02"
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
    most = min(MOST_BYTES, max(ALWAYS, MOST_GROWTH * os.path.getsize(path)))
    found = _zip_members(path, stack) if is_zip else _tar_members(path, stack, most)
    size = names = 0
    for number, member in enumerate(found):
        size += member[0].size
        names += len(member[0].name) + len(member[0].target)
        if number == MOST_MEMBERS:
            raise tarfile.ReadError(f"it has more than {MOST_MEMBERS} members")
        if size > most:
            raise _too_large(most)
        if names > MOST_NAMES:
            raise tarfile.ReadError(f"its names have more than {MOST_NAMES} characters")
        yield member


def _too_large(most: int) -> tarfile.ReadError:
    grown = "" if most == MOST_BYTES else f": only an archive of more than {most // MOST_GROWTH // 1024} KiB may"
    return tarfile.ReadError(f"it would become more than {most // 1024**2} MiB{grown}")


def _begins(path: str, *signs: bytes) -> bool:
    """Return whether a file begins so; zipfile looks at the end, where a tar archive may have a zip archive."""
    with _opened(path) as stream:
        return stream.read(6).startswith(signs)


def _opened(path: str) -> t.BinaryIO:
    """Open an archive. One of git's is in a directory of the user's, who could put a pipe in its place."""
    return os.fdopen(open_followed(path), "rb")


# --- zip ----------------------------------------------------------------------------------------------------------


def _zip_members(path: str, stack: contextlib.ExitStack) -> t.Iterator[Member]:
    stream = stack.enter_context(_ZipStream(io.FileIO(open_followed(path))))
    packed = stack.enter_context(zipfile.ZipFile(stream))
    for info in packed.infolist():
        yield _of_zip(packed, info)


class _ZipStream(io.BufferedReader):
    """A zip archive for the standard library, which makes an object of a kilobyte for each member in its table."""

    def read(self, size: t.Optional[int] = -1) -> bytes:
        """Return so many bytes, but of no table that is too large."""
        wanted = os.fstat(self.fileno()).st_size - self.tell() if size is None or size < 0 else size
        data = super().read(wanted) if wanted <= _MOST_TABLE else None
        if data is None or data.count(_OF_MEMBER) > MOST_MEMBERS:
            raise zipfile.BadZipFile(f"it has more than {MOST_MEMBERS} members")
        return data


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


def _tar_members(path: str, stack: contextlib.ExitStack, most: int) -> t.Iterator[Member]:
    stream = stack.enter_context(_decompressed(path, stack))
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
        if archive.offset > most + MOST_MEMBERS * tarfile.BLOCKSIZE * 4:
            # What it would skip to find the next one has to be unpacked as well, and a header may be large.
            raise _too_large(most)
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


def _decompressed(path: str, stack: contextlib.ExitStack) -> t.IO[bytes]:
    packed = stack.enter_context(_opened(path))
    first = packed.read(6)
    packed.seek(0)
    if first.startswith(b"\x1f\x8b"):
        return t.cast("t.IO[bytes]", gzip.GzipFile(fileobj=packed))
    if first.startswith(b"BZh"):
        return t.cast("t.IO[bytes]", bz2.BZ2File(packed))
    if first.startswith((b"\xfd7zXZ", b"\x5d\x00\x00")):
        return t.cast("t.IO[bytes]", io.BufferedReader(_XzStream(packed), BLOCK))
    return packed


class _XzStream(io.RawIOBase):
    """What is packed by xz or lzma. `lzma.open` sets no limit to the memory that each block of it may ask for."""

    def __init__(self, packed: t.IO[bytes]) -> None:
        super().__init__()
        self._file = packed
        self._begin()

    def _begin(self) -> None:
        self._file.seek(0)
        self._position = 0
        self._decoder = lzma.LZMADecompressor(memlimit=XZ_MEMORY)

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read again from anywhere; backwards it begins anew."""
        return True

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go on at a place in what is unpacked; the end, which is not known, is none."""
        wanted = offset + (self._position if whence == os.SEEK_CUR else 0)
        if whence == os.SEEK_END or wanted < 0:
            raise io.UnsupportedOperation("seek")
        if wanted < self._position:
            self._begin()
        buffer = memoryview(bytearray(BLOCK))
        while self._position < wanted and self.readinto(buffer[: wanted - self._position]):
            pass
        return self._position

    def _after_stream(self) -> bytes:
        """Return what comes after a stream, without the zero bytes between; empty at the end."""
        packed = self._decoder.unused_data.lstrip(b"\0")
        while not packed:
            read = self._file.read(BLOCK)
            if not read:
                return b""
            packed = read.lstrip(b"\0")
        return packed

    def readinto(self, buffer: t.Any) -> int:
        """Read into a buffer and return how many bytes. Raises LZMAError or EOFError when it is damaged."""
        while True:
            if self._decoder.eof is True:
                # Streams may follow each other, with zero bytes between them (xz-file-format.txt, 2.2).
                packed = self._after_stream()
                if not packed:
                    return 0
                self._decoder = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
            else:
                packed = self._file.read(BLOCK) if self._decoder.needs_input is True else b""
                if self._decoder.needs_input and not packed:
                    raise EOFError("it ends within what is packed")
            data = self._decoder.decompress(packed, len(buffer))
            if data:
                buffer[: len(data)] = data
                self._position += len(data)
                return len(data)


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
