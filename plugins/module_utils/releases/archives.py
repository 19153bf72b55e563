# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Archives of an application's code: packed the same from the same tree, and unpacked without trusting them.

What is packed and unpacked are directories, files with their executable bit, and symbolic links that stay inside.
Owners, times and all other bits of the mode are not.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import typing as t
import zipfile
import zlib

from ..base import cures
from ..base.errors import RollcallError

DIRECTORY, FILE, LINK = "directory", "file", "link"
BLOCK = 1024 * 1024
# Problems that are told at once; the rest is counted.
TOLD = 10


class Entry(t.NamedTuple):
    """One thing in a tree.

    Attributes:
        name: its path from the top of the tree, with ``/`` and without ``.``.
        kind: DIRECTORY, FILE or LINK.
        executable: of a file: whether its owner may execute it.
        target: of a link: what it says.
        size: of a file, in bytes.
    """

    name: str
    kind: str
    executable: bool = False
    target: str = ""
    size: int = 0


Opener = t.Callable[[], t.IO[bytes]]


def link_problem(name: str, target: str) -> t.Optional[str]:
    """Return why a symbolic link does not surely stay inside the tree; None when it does.

    ``..`` is only taken at its beginning, where the directories it goes up through are real ones: further on they may
    be links themselves, and then `a/..` is not where it seems to be.
    """
    if not target or target.startswith("/"):
        return f"is a link to {target or 'nothing'}, and links have to be relative"
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    if up > name.count("/"):
        return f"is a link to {target}, which leads out of it"
    if ".." in parts[up:]:
        return f"is a link to {target}, of which nobody can say whether it leads out of it"
    return None


# --- packing ------------------------------------------------------------------------------------------------------


def scan(directory: str, exclude: t.Sequence[str] = ()) -> t.List[Entry]:
    """Return what is in a directory, in the order of the names.

    Args:
        directory: the tree.
        exclude: patterns of what is left out, directories with all that is in them: with a ``/``, of the path from
            the top, else of the name alone.

    Raises:
        RollcallError: ``wrong_use``: it is no directory, has nothing in it, or has something in it that cannot be sent.
        OSError: something cannot be read.
    """
    if not os.path.isdir(directory):
        raise RollcallError(f"There is no directory {directory} on the controller.", kind="wrong_use")
    entries: t.List[Entry] = []
    problems: t.List[str] = []
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.path.join(directory, folder)) as listing:
            for item in listing:
                name = f"{folder}/{item.name}" if folder else item.name
                if _excluded(name, exclude):
                    continue
                entry, problem = _entry(name, item)
                problems += [f"{name} {problem}"] if problem else []
                entries.append(entry)
                if entry.kind == DIRECTORY:
                    waiting.append(name)
    _refuse(directory, problems)
    if not entries:
        raise RollcallError(f"There is nothing in {directory} that could be a release.", kind="wrong_use")
    return sorted(entries)


def _excluded(name: str, patterns: t.Sequence[str]) -> bool:
    last = name.rpartition("/")[2]
    return any(
        fnmatch.fnmatchcase(name, pattern.strip("/"))
        if "/" in pattern.rstrip("/")
        else fnmatch.fnmatchcase(last, pattern.rstrip("/"))
        for pattern in patterns
    )


def _entry(name: str, item: os.DirEntry[str]) -> t.Tuple[Entry, t.Optional[str]]:
    if item.is_symlink():
        target = os.readlink(item.path)
        return Entry(name, LINK, target=target), link_problem(name, target)
    status = item.stat(follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        return Entry(name, DIRECTORY), None
    entry = Entry(name, FILE, bool(status.st_mode & stat.S_IXUSR), size=status.st_size)
    return entry, None if stat.S_ISREG(status.st_mode) else "is neither a file nor a directory nor a link"


def tree_digest(directory: str, entries: t.Iterable[Entry]) -> str:
    """Return a sha256 in hex over names, contents, executable bits and links: equal trees have equal ones."""
    digest = hashlib.sha256()
    for entry in entries:
        facts = [entry.kind, entry.name, str(entry.executable), entry.target]
        if entry.kind == FILE:
            facts.append(file_digest(os.path.join(directory, entry.name)))
        # Each with its length before it: no two lists of facts come to the same text.
        for fact in facts:
            text = os.fsencode(fact)
            digest.update(b"%d:%s" % (len(text), text))
    return digest.hexdigest()


def file_digest(path: str) -> str:
    """Return the sha256 of a file's content, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def pack(directory: str, entries: t.Iterable[Entry], path: str) -> None:
    """Write a tree into the archive ``path``: the same bytes for the same tree.

    Raises:
        OSError: something cannot be read or written, or has changed its size meanwhile.
    """
    with (
        open(path, "wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for entry in entries:
            member = tarfile.TarInfo(entry.name)
            member.mode = 0o755 if entry.executable or entry.kind == DIRECTORY else 0o644
            if entry.kind == FILE:
                member.size = entry.size
                with open(os.path.join(directory, entry.name), "rb") as stream:
                    archive.addfile(member, stream)
            else:
                member.type = tarfile.DIRTYPE if entry.kind == DIRECTORY else tarfile.SYMTYPE
                member.linkname = entry.target
                archive.addfile(member)


# --- unpacking ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(path: str, strip: int = 0, *, name: str = "") -> t.Iterator[t.List[t.Tuple[Entry, Opener]]]:
    """Yield all that is in an archive, once nothing in it is against the rules.

    Args:
        path: a tar archive, compressed or not, or a zip archive.
        strip: how many leading directories of each name are taken off; what has no more of them is left out.
        name: what people know the archive by; by default its path.

    Raises:
        RollcallError: ``wrong_use``: it is no archive, is damaged, or holds what is not unpacked: absolute paths and
            ``..``, names that appear twice or below something that is no directory, links that lead out, devices.
    """
    with contextlib.ExitStack() as stack:
        try:
            members = list(_members(path, stack))
            found = [(_normal(entry, strip), opener, problem) for entry, opener, problem in members]
        except _DAMAGED as exc:
            # tarfile tells on further lines what it has tried, and some say nothing at all.
            why = (str(exc).splitlines() or [type(exc).__name__])[0].rstrip(":")
            raise RollcallError(
                f"{name or path} is not an archive that can be unpacked: {why}.",
                kind="wrong_use",
                remedies=[cures.then("give a tar, tar.gz, tar.bz2, tar.xz or zip")],
            ) from exc
        kept = [(entry, opener) for entry, opener, problem in found if entry is not None]
        problems = [f"{entry.name} {problem}" for entry, _opener, problem in found if entry is not None and problem]
        _refuse(name or path, [*problems, *_problems(entry for entry, _opener in kept)])
        yield kept


# gzip says OSError and EOFError; the others have errors of their own.
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, ValueError)


def unpack(members: t.Iterable[t.Tuple[Entry, Opener]], directory: str) -> None:
    """Write what ``opened`` has yielded into an empty directory, with modes 0755 and 0644 whatever the umask.

    Raises:
        RollcallError: the archive turned out to be damaged.
        OSError: something cannot be written.
    """
    made = {""}
    try:
        for entry, opener in members:
            _make_directories(directory, entry.name if entry.kind == DIRECTORY else os.path.dirname(entry.name), made)
            path = os.path.join(directory, entry.name)
            if entry.kind == LINK:
                os.symlink(entry.target, path)
            elif entry.kind == FILE:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
                with open(descriptor, "wb") as written, opener() as content:
                    shutil.copyfileobj(content, written, BLOCK)
                    os.fchmod(written.fileno(), 0o755 if entry.executable else 0o644)
    except _DAMAGED as exc:
        raise RollcallError(f"The archive is damaged: {exc}.", kind="wrong_use") from exc


def _make_directories(top: str, name: str, made: t.Set[str]) -> None:
    if name in made:
        return
    _make_directories(top, os.path.dirname(name), made)
    path = os.path.join(top, name)
    os.mkdir(path, 0o700)
    os.chmod(path, 0o755)
    made.add(name)


def _members(path: str, stack: contextlib.ExitStack) -> t.Iterator[t.Tuple[Entry, Opener, t.Optional[str]]]:
    """Yield entries as the archive has them, with how to read each and what is wrong with its kind."""
    if _is_zip(path):
        packed = stack.enter_context(zipfile.ZipFile(path))
        for info in packed.infolist():
            yield _of_zip(packed, info)
    else:
        archive = stack.enter_context(tarfile.open(path, "r:*"))  # noqa: SIM115
        for member in archive.getmembers():
            yield _of_tar(archive, member)


def _is_zip(path: str) -> bool:
    """Return whether a file begins as zip archives do; zipfile looks at the end, where a tar archive may have one."""
    with open(path, "rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _of_zip(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> t.Tuple[Entry, Opener, t.Optional[str]]:
    mode = info.external_attr >> 16  # 0 where it was packed on a system without modes
    problem = "is encrypted" if info.flag_bits & 1 else None
    if info.is_dir():
        entry = Entry(info.filename, DIRECTORY)
    elif stat.S_ISLNK(mode):
        entry = Entry(info.filename, LINK, target="" if problem else os.fsdecode(packed.read(info)))
    else:
        entry = Entry(info.filename, FILE, bool(mode & stat.S_IXUSR), size=info.file_size)
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            problem = "is neither a file nor a directory nor a link"
    return entry, lambda: packed.open(info), problem


def _of_tar(archive: tarfile.TarFile, member: tarfile.TarInfo) -> t.Tuple[Entry, Opener, t.Optional[str]]:
    def content() -> t.IO[bytes]:
        try:
            stream = archive.extractfile(member)
        except KeyError as exc:  # what a hard link names is not in it
            raise tarfile.ExtractError(f"{member.name} is a link to {member.linkname}, which is not in it") from exc
        if stream is None:
            raise tarfile.ExtractError(f"{member.name} has no content")
        return stream

    executable = bool(member.mode & stat.S_IXUSR)
    problem = None
    if member.isdir():
        entry = Entry(member.name, DIRECTORY)
    elif member.issym():
        entry = Entry(member.name, LINK, target=member.linkname)
    else:
        entry = Entry(member.name, FILE, executable, size=member.size)
        if not (member.isreg() or member.islnk()):
            problem = "is neither a file nor a directory nor a link"
    return entry, content, problem


def _normal(entry: Entry, strip: int) -> t.Optional[Entry]:
    """Return the entry by its name in the tree; None for what has no name there. Bad names stay as they are."""
    if entry.name.startswith("/"):
        return entry
    parts = [part for part in entry.name.split("/") if part not in ("", ".")][strip:]
    return entry._replace(name="/".join(parts)) if parts else None


def _problems(entries: t.Iterable[Entry]) -> t.Iterator[str]:
    """Find what is wrong with names and links."""
    kinds: t.Dict[str, str] = {}
    every = list(entries)
    for entry in every:
        if entry.name.startswith("/") or ".." in entry.name.split("/") or "\0" in entry.name:
            yield f"{entry.name!r} is a path that leads out of it"
        elif entry.kind == LINK and link_problem(entry.name, entry.target):
            yield f"{entry.name} {link_problem(entry.name, entry.target)}"
        # A directory may well be named again.
        if entry.name in kinds and not entry.kind == kinds[entry.name] == DIRECTORY:
            yield f"{entry.name} is in it twice"
        kinds[entry.name] = entry.kind
    for entry in every:
        above = os.path.dirname(entry.name)
        while above and above != "/":
            if kinds.get(above, DIRECTORY) != DIRECTORY:
                yield f"{entry.name} is below {above}, which is a {kinds[above]}"
                break
            above = os.path.dirname(above)


def _refuse(what: str, problems: t.Sequence[str]) -> None:
    if problems:
        told = [f"  {problem}" for problem in problems[:TOLD]]
        told += [f"  and {len(problems) - TOLD} more"] if len(problems) > TOLD else []
        raise RollcallError(
            f"{what} cannot be a release:\n" + "\n".join(told),
            kind="wrong_use",
            evidence={"problems": list(problems)},
            remedies=[cures.correct("the archive, or leave it out of a directory with `exclude`")],
        )
