# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Directories that whoever runs Rollcall must be able to trust: who writes to one can have them run anything.

Such a directory, and each one above it, belongs to root or to the user who runs this, and nobody else may write to it.
A directory in which everybody may write is fine above it when it is sticky, as /tmp is: what is in it then can be moved
only by its owner, who is looked at in turn (inode(7), unlink(2)).
"""

from __future__ import annotations

import functools
import os
import stat
import typing as t

from .accounts import user_name

# The kernel gives up on a path that leads through more links (path_resolution(7)).
MOST_LINKS = 40
_ACL = "system.posix_acl_access"
_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class Untrusted(t.NamedTuple):
    """A directory, or a link on the way to one, that others can change.

    Attributes:
        path: of it.
        reason: why, for people.
        by_mode: whether its owner is as it should be, and its mode lets others write.
        inside: whether it is a directory in which others can change something.
    """

    path: str
    reason: str
    by_mode: bool = False
    inside: bool = False


def untrusted(paths: t.Iterable[str]) -> t.List[Untrusted]:
    """Return what others can change of some paths, or above them, each once; what is not there yet is no harm.

    Args:
        paths: absolute. Links are followed, and where they lead is looked at as well.
    """
    look = _TrustSearch(os.geteuid())
    for path in paths:
        look.along(path)
    return list(look.found.values())


def untrusted_within(top: str, known: t.Container[str] = (), skipped: t.Container[str] = ()) -> t.Optional[Untrusted]:
    """Return that others can change something in a directory, of which the first is named; None when they cannot.

    Args:
        top: the directory. No link in it is followed.
        known: paths in it that do not count.
        skipped: names of directories in it that are somebody else's, and are not looked into.
    """
    look = _TrustSearch(os.geteuid())
    waiting = [top]
    while waiting:
        place = waiting.pop()
        found, directories = _listed(place, look.trusted)
        for name in sorted(found):
            path = os.path.join(place, name)
            reason = look.reason(path, found[name], last=True) if path not in known else ""
            if reason and not (name in skipped and name in directories):
                return Untrusted(top, f"has {os.path.relpath(path, top)} in it, which {reason}", inside=True)
        waiting += [os.path.join(place, name) for name in sorted(directories) if name not in skipped]
    return None


def _listed(place: str, trusted: t.Container[int]) -> t.Tuple[t.Dict[str, os.stat_result], t.List[str]]:
    """Return by name what in a directory others may be able to change, and the names of the directories in it.

    A virtual environment has thousands of files: each is looked up in its open directory, and not from the root on.
    """
    found: t.Dict[str, os.stat_result] = {}
    directories: t.List[str] = []
    try:
        handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return found, directories
    try:
        with os.scandir(handle) as entries:
            for entry in entries:
                try:
                    seen = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if seen.st_mode & _BY_OTHERS or seen.st_uid not in trusted:
                    found[entry.name] = seen
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.name)
    except OSError:
        # What was listed until then counts.
        return found, directories
    finally:
        os.close(handle)
    return found, directories


class _TrustSearch:
    """One look at several paths, most of which have the same directories above them."""

    def __init__(self, uid: int) -> None:
        self._uid = uid
        self.trusted = (0, uid)
        self._seen: t.Dict[str, t.Optional[os.stat_result]] = {}
        self.found: t.Dict[str, Untrusted] = {}

    def along(self, path: str) -> None:
        """Look at every part of a path, as the kernel follows it."""
        waiting, here, links = path.split("/")[::-1], "/", 0
        self._judge("/", last=False)
        while waiting:
            part = waiting.pop()
            if part in ("", "."):
                continue
            here = os.path.dirname(here) if part == ".." else os.path.join(here, part)
            seen = self._judge(here, last=not any(waiting))
            if seen is None:
                return
            if stat.S_ISLNK(seen.st_mode):
                links += 1
                target = _target(here)
                if links > MOST_LINKS or not target:
                    return
                here = "/" if target.startswith("/") else os.path.dirname(here)
                waiting += target.split("/")[::-1]

    def _judge(self, path: str, *, last: bool) -> t.Optional[os.stat_result]:
        """Return what a path is, itself and not where it leads; None when that cannot be seen."""
        if path not in self._seen:
            try:
                self._seen[path] = os.lstat(path)
            except OSError:
                self._seen[path] = None
        seen = self._seen[path]
        reason = "" if seen is None else self.reason(path, seen, last=last)
        if reason:
            by_mode = seen is not None and seen.st_uid in self.trusted
            self.found.setdefault(path, Untrusted(path, reason, by_mode))
        return seen

    def reason(self, path: str, seen: os.stat_result, *, last: bool) -> str:
        """Return why others can change what is at a path, for people; empty when they cannot."""
        if seen.st_uid not in self.trusted:
            return f"belongs to user {user_name(seen.st_uid)}"
        if stat.S_ISLNK(seen.st_mode):
            # A link has no mode of its own; who may replace it is told by the directory that it is in.
            return ""
        by_group = seen.st_mode & stat.S_IWGRP and not _is_own_group(path, seen.st_gid, self._uid)
        if not (by_group or seen.st_mode & stat.S_IWOTH) or (not last and seen.st_mode & stat.S_ISVTX):
            return ""
        return f"has mode {stat.S_IMODE(seen.st_mode):04o}, so that others may write to it"


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _is_own_group(path: str, gid: int, uid: int) -> bool:
    """Return whether what a group may do, only root and the user may: an ACL shows its mask as the group's (acl(5))."""
    if gid != 0 and gid not in _own_groups(uid):
        return False
    try:
        return _ACL not in os.listxattr(path, follow_symlinks=False)
    except (AttributeError, OSError):
        # Neither macOS nor every file system has them.
        return True


@functools.lru_cache(maxsize=1)
def _own_groups(uid: int) -> t.FrozenSet[int]:
    """Return the group in which only a user is, as many systems make one for each: it has their name."""
    import grp
    import pwd

    try:
        user = pwd.getpwuid(uid)
        group = grp.getgrgid(user.pw_gid)
    except KeyError:
        return frozenset()
    alone = group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
    return frozenset({user.pw_gid}) if alone else frozenset()
