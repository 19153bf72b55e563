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
import errno
import fnmatch
import gzip
import hashlib
import os
import shutil
import stat
import tarfile
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from .members import (
    BLOCK,
    DAMAGED,
    DIRECTORY,
    FILE,
    LINK,
    LONGEST_NAME,
    LONGEST_PATH,
    MOST_MEMBERS,
    Entry,
    Opener,
    members_of,
)

# Problems that are told at once, and that are kept as data; the rest is counted.
TOLD, KEPT = 10, 1000
# No tree is deeper, and no file system takes a path without an end.
DEEPEST = 100


def link_problem(name: str, target: str) -> t.Optional[str]:
    """Return why a symbolic link does not surely stay inside the tree; None when it does.

    ``..`` is only taken at its beginning, where the directories it goes up through are real ones: further on they may
    be links themselves, and then `a/..` is not where it seems to be.
    """
    if len(target) >= LONGEST_PATH:
        return "is a link to a path that is too long"
    if "\0" in target or not target or target.startswith("/"):
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
            found = [(_normal(entry, strip), opener, problem) for entry, opener, problem in members_of(path, stack)]
        except (*DAMAGED, OSError) as exc:
            _raise_if_of_host(exc)
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


def _raise_if_of_host(exc: Exception) -> None:
    """Raise the error of a file system again, but not that of an archive: of bz2, or of a place that none has."""
    if isinstance(exc, OSError) and exc.errno not in (None, errno.EINVAL):
        raise exc


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
                with open(descriptor, "wb") as written, _content(directory, entry, opener) as content:
                    shutil.copyfileobj(content, written, BLOCK)
                    os.fchmod(written.fileno(), 0o755 if entry.executable else 0o644)
    except (*DAMAGED, OSError) as exc:
        _raise_if_of_host(exc)
        raise RollcallError(f"The archive is damaged: {exc}.", kind="wrong_use") from exc


def _content(directory: str, entry: Entry, opener: Opener) -> t.IO[bytes]:
    """Return what a file is read from: the archive, or for a hard link the file that was unpacked before."""
    if not entry.target:
        return opener()
    return open(os.open(os.path.join(directory, entry.target), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _make_directories(top: str, name: str, made: t.Set[str]) -> None:
    if name in made:
        return
    _make_directories(top, os.path.dirname(name), made)
    path = os.path.join(top, name)
    os.mkdir(path, 0o700)
    os.chmod(path, 0o755)
    made.add(name)


def _normal(entry: Entry, strip: int) -> t.Optional[Entry]:
    """Return the entry by its name in the tree; None for what has no name there. Bad names stay as they are."""
    if entry.name.startswith("/"):
        return entry
    name = _stripped(entry.name, strip)
    target = _stripped(entry.target, strip) if entry.kind == FILE else entry.target
    return entry._replace(name=name, target=target) if name else None


def _stripped(name: str, strip: int) -> str:
    return "/".join([part for part in name.split("/") if part not in ("", ".")][strip:])


def _problems(entries: t.Iterable[Entry]) -> t.Iterator[str]:
    """Find what is wrong with names and links."""
    kinds: t.Dict[str, str] = {}
    every = []
    for entry in entries:
        problem = _path_problem(entry.name)
        if problem:
            # Nothing else is looked for in a path that nobody could look through.
            yield f"{entry.name[:LONGEST_NAME]!r} {problem}"
            continue
        every.append(entry)
        if entry.kind == LINK and link_problem(entry.name, entry.target):
            yield f"{entry.name} {link_problem(entry.name, entry.target)}"
        elif entry.kind == FILE and entry.target and kinds.get(entry.target) != FILE:
            yield f"{entry.name} is a link to {entry.target}, which is not in it before"
        # A directory may well be named again.
        if entry.name in kinds and not entry.kind == kinds[entry.name] == DIRECTORY:
            yield f"{entry.name} is in it twice"
        kinds[entry.name] = entry.kind
    below: t.Dict[str, str] = {"": ""}
    for entry in every:
        found = _no_directory_above(entry.name, kinds, below)
        if found:
            yield f"{entry.name} is below {found}, which is a {kinds[found]}"
        if len(below) > MOST_MEMBERS:
            yield f"its names have more than {MOST_MEMBERS} directories"
            return


def _no_directory_above(name: str, kinds: t.Mapping[str, str], below: t.Dict[str, str]) -> str:
    """Return what is above a name, the next to it, and no directory; empty when nothing is.

    Args:
        name: in the tree.
        kinds: of what the archive has, by name.
        below: the same for each directory that was asked for; is added to.
    """
    unknown = []
    above = os.path.dirname(name)
    while above not in below:
        unknown.append(above)
        above = os.path.dirname(above)
    for directory in reversed(unknown):
        own = kinds.get(directory, DIRECTORY) != DIRECTORY
        below[directory] = directory if own else below[os.path.dirname(directory)]
    return below[os.path.dirname(name)]


def room_for(entries: t.Iterable[Entry], block: int) -> t.Tuple[int, int]:
    """Return the bytes and the number of files that a tree takes on a disk, directories and links included.

    Args:
        entries: of the tree.
        block: bytes that the file system gives to a file at once.
    """
    directories = {""}
    files = size = 0
    for entry in entries:
        above = entry.name if entry.kind == DIRECTORY else os.path.dirname(entry.name)
        while above not in directories:
            directories.add(above)
            above = os.path.dirname(above)
        files += entry.kind != DIRECTORY
        size += -(-entry.size // block) * block
    return size + block * len(directories), files + len(directories)


def _path_problem(name: str) -> t.Optional[str]:
    """Return why nothing can have this path in a tree; None when something can."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\0" in name:
        return "is a path that leads out of it"
    if len(os.fsencode(name)) >= LONGEST_PATH or any(len(os.fsencode(part)) > LONGEST_NAME for part in parts):
        return "is a path that is too long for a file system"
    return f"is below more than {DEEPEST} directories" if len(parts) > DEEPEST else None


def _refuse(what: str, problems: t.Sequence[str]) -> None:
    if problems:
        told = [f"  {problem}" for problem in problems[:TOLD]]
        told += [f"  and {len(problems) - TOLD} more"] if len(problems) > TOLD else []
        raise RollcallError(
            f"{what} cannot be a release:\n" + "\n".join(told),
            kind="wrong_use",
            evidence={"problems": list(problems[:KEPT])},
            remedies=[cures.correct("the archive, or leave it out of a directory with `exclude`")],
        )
