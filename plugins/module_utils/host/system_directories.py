# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Whether a directory of a stack is, on this host, one of the system or of a user: by its links, mounts and inodes."""

from __future__ import annotations

import functools
import os
import typing as t

from ..base import cures
from ..base.errors import Problem
from ..manifest.model import Stack
from ..manifest.system_directories import ALONE, WHOLE, known_directory, normal, upwards, why_not
from .accounts import all_accounts, is_of_stack
from .mounts import Mount, may_hang, mount_of, mounts, other_names
from .roots import MOST_LINKS, FileId, file_id


def forbidden(stack: Stack) -> t.Iterator[Problem]:
    """Find the root and those paths of a stack that no stack can have on this host, each with its cure."""
    paths = stack.paths
    homes, mounted = frozenset(homes_of_others(stack.user)), mounts()
    for place, path in (("root", stack.root), ("paths.run", paths.run), ("paths.logs", paths.logs)):
        against = why_not_on_host(path, homes, mounted)
        if against:
            cure = cures.then(f"give the stack another directory: stack.{place}")
            yield Problem(place=f"stack.{place}", message=against, cure=cure, severity="error")


def why_not_on_host(path: str, homes: t.FrozenSet[str], mounted: t.Sequence[Mount]) -> str:
    """Return why no stack can have a directory on this host; empty when nothing speaks against it.

    Args:
        path: absolute; it need not be there. Its file system must answer.
        homes: of all accounts but the one that runs the stack.
        mounted: what is mounted here.
    """
    said = why_not(path, homes) or _link_of_proc(path, mounted)
    if said:
        return said
    try:
        real = os.path.realpath(path)
    except OSError as exc:
        return f"leads to where nobody can follow it: {exc.strerror}"
    there = next(place for place in upwards(real) if os.path.exists(place))
    rest = os.path.relpath(real, there)
    twins = [normal(os.path.join(name, rest)) for name in _visible(other_names(there, mounted), there)]
    for name in dict.fromkeys((normal(path), real, *twins)):
        said = why_not(name, homes)
        if said:
            return said if name == path else f"leads to {name}: it {said}"
    # The kernel may see more than names tell, as behind /proc/PID/root.
    return _by_inode(path, True) if os.path.exists(path) else _by_inode(there, False)


def _link_of_proc(path: str, mounted: t.Sequence[Mount]) -> str:
    """Return that a path leads through a link of proc(5), such as /proc/self/cwd; empty when it does not.

    Each process sees something else behind it, and whoever looks would judge what is behind it here and now.
    """
    left, here, links = list(reversed(path.split("/"))), "/", 0
    while left and links <= MOST_LINKS:
        name = left.pop()
        if name in ("", ".", ".."):
            here = os.path.dirname(here) if name == ".." else here
            continue
        place = os.path.join(here, name)
        if not os.path.islink(place):
            here = place
            continue
        if mount_of(place, mounted).kind == "proc":
            return f"leads to {place}: it is in /proc, which belongs to the system"
        try:
            target, links = os.readlink(place), links + 1
        except OSError:
            # It has gone at this moment; what there is now is judged next.
            return ""
        left += reversed(target.split("/"))
        here = "/" if target.startswith("/") else here
    return ""


def _visible(names: t.Sequence[str], path: str) -> t.List[str]:
    """Return those names that are not hidden by another mount."""
    return [name for name in names if file_id(name) == file_id(path)]


def _by_inode(place: str, whole: bool) -> str:
    """Return what the nearest directory of the list is, from an existing path upwards, when it is refused."""
    known, before = _inodes(), None
    while True:
        here = file_id(place)
        if here is None or here == before:
            return ""
        name = known.get(here, "")
        found = known_directory(name) if name else None
        if found is not None:
            refused = found.whole or (whole and before is None)
            return f"leads to {name}, {found.words}" if refused else ""
        before, place = here, f"{place}/.."


@functools.lru_cache(maxsize=1)
def _inodes() -> t.Mapping[FileId, str]:
    """Return by device and inode the directories of the list that are on this host."""
    mounted = mounts()
    names = [name for name in (*WHOLE, *ALONE) if not may_hang(name, mounted)]
    found = {file_id(name): name for name in names}
    return {number: name for number, name in found.items() if number is not None}


def homes_of_others(user: t.Optional[str]) -> t.Iterator[str]:
    """Yield the homes of all accounts, but of the one that was made for the stack."""
    for account in all_accounts():
        if account.home not in ("", "/", "/nonexistent") and not is_of_stack(account, user):
            yield normal(account.home)
