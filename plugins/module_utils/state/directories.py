# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Makes the directories of a stack, each part of a path in the one before, and gives no other user's directory away."""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from ..base import cures
from ..base.descending import DIRECTORY, open_parent
from ..base.errors import RollcallError
from ..base.opening import open_directory
from ..host.accounts import Account, find_account, user_name
from ..host.mounts import is_within
from ..manifest.model import Stack

# The most that the modes of a stack's directories may be.
PRIVATE, LOGS, PUBLIC = 0o700, 0o750, 0o755


class Wanted(t.NamedTuple):
    """A directory that a stack has for good.

    Attributes:
        path: absolute.
        mode: with which it is made.
        of_user: whether it is the stack's user's, and not of whoever runs this.
    """

    path: str
    mode: int
    of_user: bool = False


def wanted_directories(stack: Stack) -> t.List[Wanted]:
    """Return the directories that an installation makes, those above others first."""
    own = [os.path.join(stack.root, name) for name in ("bin", "lib", "engine")]
    return [
        *(Wanted(path, PUBLIC) for path in (stack.root, *own)),
        Wanted(stack.paths.state, PRIVATE),
        Wanted(stack.paths.run, PRIVATE, of_user=True),
        Wanted(stack.paths.logs, LOGS, of_user=True),
    ]


def make_directories(stack: Stack, *, dry_run: bool = False) -> t.List[str]:
    """Make what is missing of a stack's directories, with their modes and owners; return what was not so before.

    Raises:
        RollcallError: ``refused``: the stack's user could lead a directory of theirs elsewhere.
        OSError: one cannot be made.
    """
    if dry_run:
        return [one.path for one in wanted_directories(stack) if not os.path.isdir(one.path)]
    who = find_account(stack.user if os.geteuid() == 0 else None)
    return [
        one.path
        for one in wanted_directories(stack)
        if make_directory(one.path, one.mode, who if one.of_user else find_account(None), stack.root)
    ]


def make_directory(path: str, mode: int, who: Account, root: str) -> bool:
    """Make a directory unless it is there; return whether anything changed.

    What is above it is made as well, and is root's. One that is there is given to the user only where it is root's and
    below the stack's root, where nobody else can have put it.

    Args:
        path: of the directory.
        mode: of it.
        who: to have it.
        root: of the stack.

    Raises:
        RollcallError, OSError: as `make_directories`.
    """
    parent, name = _open_made_parent(path, who, root)
    try:
        made = False
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            made = True
        linked = not made and stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
        handle = open_directory(path) if linked else os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            return _settle(handle, mode, who, ours=made or (not linked and is_within(path, root))) or made
        finally:
            os.close(handle)
    finally:
        os.close(parent)


def _settle(handle: int, mode: int, who: Account, *, ours: bool) -> bool:
    """Give an open directory its owner and mode; return whether either was another."""
    seen = os.fstat(handle)
    given = ours and seen.st_uid == os.geteuid() != who.uid
    if given:
        os.fchown(handle, who.uid, who.gid)
    if (given or seen.st_uid == who.uid) and stat.S_IMODE(seen.st_mode) != mode:
        os.fchmod(handle, mode)
        return True
    return given


def _open_made_parent(path: str, who: Account, root: str) -> t.Tuple[int, str]:
    """Open the directory that a path is in, and make it where it is missing.

    Raises:
        RollcallError: ``refused``: the user could put something in the place of what is made there.
    """
    above = os.path.dirname(os.path.abspath(path))
    try:
        parent, name = open_parent(path)
    except FileNotFoundError:
        make_directory(above, PUBLIC, find_account(None), root)
        parent, name = open_parent(path)
    seen = os.fstat(parent)
    if who.other and not seen.st_mode & stat.S_ISVTX:
        by_group = seen.st_mode & stat.S_IWGRP and seen.st_gid in who.groups
        if seen.st_uid == who.uid or seen.st_mode & stat.S_IWOTH or by_group:
            os.close(parent)
            raise RollcallError(
                f"{path} is not made: user {who.name} can change {above}, and so lead it elsewhere.",
                kind="refused",
                evidence={"path": path, "directory": above},
                remedies=[cures.trust(user_name(os.geteuid()), above), cures.AGAIN],
            )
    return parent, name
