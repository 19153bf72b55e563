# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Is what an install has put on this host still there, and whole? A program of its own, for the engine's Python.

``python -I installation.py PART ROOT USER [DIRECTORY ...]`` prints a line for each thing that is broken, and at the end
``whole yes`` when there is none. It looks with the rights of the stack's user, who will have to use all of it. Nothing
of the engine is imported: the engine may be what is broken.
"""

from __future__ import annotations

import hashlib
import os
import sys

# To load `typing` takes longer than all of this, and a type checker takes this for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

# What is looked at: of the packages alone, of the engine as well, and of the account and the directories as well.
PACKAGES, ENGINE, ALL = "packages", "engine", "all"
# In the engine's directory: a line `SHA256  PATH` for each file of the engine, the path from the stack's root.
FILES = "files"
# What the services of a stack find their ports with.
LIBRARY = os.path.join("lib", "rollcall_ports.py")
NOBODY = 65534


class Broken:
    """One thing that is broken: which file, directory or account, and in what way."""

    def __init__(self, subject: str, what: str) -> None:
        self.subject = subject
        self.what = what


def main(arguments: t.Sequence[str]) -> None:
    """Look, and print what is broken."""
    part, root, user, *directories = arguments
    found = list(broken(part, root, user, directories))
    for one in found:
        sys.stdout.write(f"broken {one.subject}: {one.what}\n")
    if not found:
        sys.stdout.write("whole yes\n")


def broken(part: str, root: str, user: str, directories: t.Sequence[str]) -> t.Iterator[Broken]:
    """Find what is broken. As root, this process takes the rights of the stack's user, for good.

    Args:
        part: what is looked at: ``packages``, ``engine`` or ``all``.
        root: of the stack.
        user: of the stack; empty for the one that this process has.
        directories: that the user must be able to write to.
    """
    who = _account(user)
    if who is None:
        yield Broken(user, "there is no such user")
        return
    if part == ALL:
        yield from _missing(root, directories)
    if os.geteuid() == 0 and who.uid != 0:
        _become(who)
    engine = os.path.join(root, "engine")
    yield from _interpreter(who.name)
    yield from _packages(engine, [path for path in sys.path if os.path.basename(path) == "site-packages"])
    if part != PACKAGES:
        yield from damaged_files(root)
    if part == ALL:
        yield from (Broken(path, f"user {who.name} may not write to it") for path in directories if not _writable(path))


class _Account:
    def __init__(self, name: str, uid: int, gid: int, groups: t.Sequence[int]) -> None:
        self.name = name
        self.uid = uid
        self.gid = gid
        self.groups = groups


def _account(user: str) -> t.Optional[_Account]:
    import pwd

    try:
        entry = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
    except KeyError:
        return None if user else _Account(str(os.geteuid()), os.geteuid(), os.getegid(), ())
    return _Account(entry.pw_name, entry.pw_uid, entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid))


def _become(who: _Account) -> None:
    os.setgroups(who.groups)
    os.setgid(who.gid)
    os.setuid(who.uid)


def _writable(path: str) -> bool:
    return os.access(path, os.W_OK | os.X_OK)


def _missing(root: str, directories: t.Sequence[str]) -> t.Iterator[Broken]:
    wanted = [os.path.join(root, "bin"), os.path.join(root, "lib"), *directories]
    yield from (Broken(path, "it does not exist") for path in wanted if not os.path.isdir(path))
    library = os.path.join(root, LIBRARY)
    if not os.path.isfile(library):
        yield Broken(library, "it does not exist")


def _interpreter(user: str) -> t.Iterator[Broken]:
    """See whether this very Python can be executed and its library read, through all directories above them."""
    if not os.access(sys.executable, os.X_OK):
        real = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
        yield Broken(sys.executable, f"user {user} may not execute it: it leads to {real}")
    elif not os.access(os.__file__, os.R_OK):
        yield Broken(sys.executable, f"user {user} may not read its library, {os.path.dirname(os.__file__)}")


def _packages(engine: str, places: t.Sequence[str]) -> t.Iterator[Broken]:
    """See whether every package of the list is there with each of its files, as pip has recorded them."""
    listed = os.path.join(engine, "requirements.txt")
    try:
        with open(listed, encoding="utf-8") as stream:
            wanted = [_requirement(line) for line in stream]
    except OSError as exc:
        yield Broken(listed, f"it cannot be read: {exc.strerror}")
        return
    there = {
        _normal(entry[: -len(".dist-info")]): os.path.join(place, entry)
        for place in places
        for entry in (os.listdir(place) if os.access(place, os.R_OK) else ())
        if entry.endswith(".dist-info")
    }
    for requirement in filter(None, wanted):
        name, _equals, version = requirement.partition("==")
        record = there.get(_normal(f"{name}-{version}")) if version else _any_version(there, name)
        if record is None:
            yield Broken(engine, f"package {requirement} is not installed in its environment")
            continue
        what = _first_damage(record)
        if what:
            yield Broken(engine, f"package {requirement} is damaged: {what}")
            continue
    yield from _loads(engine, places)


def _requirement(line: str) -> str:
    """Return the package that a line of a list names, without its conditions; empty where the line names none."""
    # What a line is continued with is its digests, indented.
    return "" if line[:1].isspace() else line.partition("#")[0].partition("\\")[0].partition(";")[0].strip()


def _normal(name: str) -> str:
    # Not by an expression: to load what reads those takes longer than all of this.
    return name.replace("_", "-").replace(".", "-").lower()


def _any_version(there: t.Mapping[str, str], name: str) -> t.Optional[str]:
    beginning = f"{_normal(name)}-"
    return next((path for known, path in there.items() if known.startswith(beginning)), None)


def _first_damage(record: str) -> str:
    """Return which file of a package is not as pip has recorded it; empty when all are."""
    place = os.path.dirname(record)
    try:
        with open(os.path.join(record, "RECORD"), encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except OSError as exc:
        return f"{record}/RECORD: {exc.strerror}"
    for line in lines:
        name, _hash, size = line.rsplit(",", 2)
        if name.endswith((".pyc", "RECORD")):
            continue
        path = os.path.join(place, name.strip('"'))
        try:
            seen = os.stat(path).st_size
        except OSError as exc:
            return f"{path}: {exc.strerror}"
        if size and seen != int(size):
            return f"{path} has {seen} bytes and not {size}"
    return "" if lines else f"{record}/RECORD is empty"


def _loads(engine: str, places: t.Sequence[str]) -> t.Iterator[Broken]:
    """See whether the one package with machine code fits this Python and this machine. That code alone is loaded."""
    from importlib import machinery

    for place in places:
        directory = os.path.join(place, "psutil")
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            if not name.startswith("_psutil_") or not name.endswith(tuple(machinery.EXTENSION_SUFFIXES)):
                continue
            loader = machinery.ExtensionFileLoader(name.partition(".")[0], os.path.join(directory, name))
            try:
                loader.create_module(machinery.ModuleSpec(loader.name, loader, origin=loader.path))
            except ImportError as exc:
                yield Broken(engine, f"package psutil cannot be loaded: {exc}")


def damaged_files(root: str) -> t.Iterator[Broken]:
    """Find the files of the engine that are missing, or are not those that were installed."""
    listed = os.path.join(root, "engine", FILES)
    try:
        with open(listed, encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except OSError as exc:
        yield Broken(listed, f"it cannot be read: {exc.strerror}")
        return
    if not lines:
        yield Broken(listed, "it is empty")
    for line in lines:
        wanted, _blanks, name = line.partition("  ")
        path = os.path.join(root, name)
        try:
            with open(path, "rb") as stream:
                if hashlib.sha256(stream.read()).hexdigest() != wanted:
                    yield Broken(path, "it is not the file that was installed")
        except OSError as exc:
            yield Broken(path, f"it cannot be read: {exc.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
