# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Another user is to run a stack: proves that this user can, and gives them the stack's own directories and files.

Those are the run and log directories below the root, supervisord's and the services' logs, and the private files. What
the application has written is not touched: it is proved that the new user may write there, or the run is refused.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import typing as t

from ..base import cures
from ..base.descending import open_parent
from ..base.errors import Problem, RollcallError
from ..host.accounts import Account
from ..manifest.model import Stack
from ..verdict import fitness

_OF_SUPERVISORD = ("supervisord.log", "supervisord.out")
_TURNED = re.compile(r"\.[0-9]+$")


def check(stack: Stack, before: Stack) -> None:
    """Check that the user of a manifest can run what another user has run until now.

    Args:
        stack: the manifest that is wanted.
        before: the one that is installed.

    Raises:
        RollcallError: ``wrong_use``: with every directory that they may not write to. Nothing was changed.
    """
    if stack.user == before.user:
        return
    who = fitness.account(stack)
    problems = list(_closed(stack, who))
    if problems:
        raise RollcallError(
            f"Stack {stack.name} is to be run by {who.name} and no longer by {before.user or 'who installed it'}; "
            "nothing was stopped or changed:\n"
            + "\n".join(f"  {one.place}: {one.message}. {one.cure}" for one in problems),
            kind="wrong_use",
            evidence={"problems": [one.as_dict() for one in problems]},
            remedies=[*(one.cure for one in problems), cures.AGAIN],
        )


def _closed(stack: Stack, who: Account) -> t.Iterator[Problem]:
    shared = os.path.join(stack.root, "shared")
    for name in sorted(os.listdir(shared)) if os.path.isdir(shared) else ():
        path = os.path.join(shared, name)
        if os.path.isdir(path) and not os.path.islink(path) and not fitness.may(path, who, 0o7):
            yield fitness.problem(path, f"user {who.name} may not write to it", cures.give_all(who.name, path))


def give(stack: Stack, who: Account) -> None:
    """Give the user who is to run a stack its own directories and files; only root can, and nothing else is needed.

    Raises:
        OSError: one cannot be given.
    """
    if os.geteuid() != 0:
        return
    paths = stack.paths
    # The directories last: what is in one is known as its owner's by that.
    for path in [*_logs(stack), paths.pidfile, *_within(paths.env_dir), paths.env_dir]:
        _give(path, who)
    for path in (paths.run, paths.logs):
        if os.path.realpath(path).startswith(f"{os.path.realpath(stack.root)}/"):
            _give(path, who)


def _logs(stack: Stack) -> t.List[str]:
    """Return the logs of a stack, rotated ones included: in a directory that others may use as well, by their names."""
    own = {*_OF_SUPERVISORD, *(f"{service.name}.log" for service in stack.services)}
    return [path for path in _within(stack.paths.logs) if _TURNED.sub("", os.path.basename(path)) in own]


def _within(directory: str) -> t.List[str]:
    return [os.path.join(directory, name) for name in sorted(os.listdir(directory))] if os.path.isdir(directory) else []


def _give(path: str, who: Account) -> None:
    """Give a file or directory to a user: what is opened is what is given, and a link or a second name is neither.

    A file is given when it belongs to whom its directory does: one of somebody else may have got its name there, and
    lost its first one.
    """
    with contextlib.ExitStack() as stack:
        try:
            if os.lstat(path).st_uid == who.uid:
                # Mostly it is theirs, and to open it takes ten times as long.
                return
            parent, name = open_parent(path)
            stack.callback(os.close, parent)
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        except OSError:
            # It is not there, or a link or a socket, which are left as they are.
            return
        stack.callback(os.close, handle)
        seen = os.fstat(handle)
        own = seen.st_nlink == 1 and seen.st_uid == os.fstat(parent).st_uid
        plain = stat.S_ISDIR(seen.st_mode) or (stat.S_ISREG(seen.st_mode) and own)
        if plain and seen.st_uid != who.uid:
            os.fchown(handle, who.uid, who.gid)
