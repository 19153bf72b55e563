# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Accounts of the host, and acting with the rights of one."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import stat
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.opening import Judge
from ..manifest.model import DEFAULT_PATH


class Account(t.NamedTuple):
    """An account of the host.

    Attributes:
        name: of the user.
        uid: of the user.
        gid: of its first group.
        home: its directory, which need not exist.
        comment: what the database of accounts says beside it.
    """

    name: str
    uid: int
    gid: int
    home: str
    comment: str = ""

    @property
    def other(self) -> bool:
        """Whether it is another one than this process's, so that this process is root and has to become it."""
        return self.uid != os.geteuid()

    @property
    def groups(self) -> t.List[int]:
        """The numbers of all its groups."""
        return os.getgrouplist(self.name, self.gid)

    @property
    def identity(self) -> t.Dict[str, t.Any]:
        """What ``subprocess.Popen`` is told so that a child runs as this account; empty when it does anyway."""
        return {"user": self.uid, "group": self.gid, "extra_groups": self.groups} if self.other else {}


# System accounts have lower numbers; the home of one may be the root of its stack.
FIRST_PERSON = 1000


def is_of_stack(account: Account, user: t.Optional[str]) -> bool:
    """Return whether an account is the one that runs a stack as ``user``, and no person's."""
    return account.name == user and account.uid < FIRST_PERSON


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_gecos)


def all_accounts() -> t.List[Account]:
    """Return every account that the host lists; a directory service may know more than it lists."""
    return [_account(entry) for entry in pwd.getpwall()]


def find_account(user: t.Optional[str]) -> Account:
    """Return the account called ``user``, or with None the one this process runs as.

    Raises:
        RollcallError: ``wrong_use``: there is none.
    """
    try:
        entry = pwd.getpwuid(os.geteuid()) if user is None else pwd.getpwnam(user)
    except KeyError as exc:
        raise RollcallError(
            f"{f'User {user!r}' if user else f'uid {os.geteuid()}'} does not exist on this host.",
            kind="wrong_use",
            evidence={"user": user, "uid": os.geteuid()},
            remedies=[cures.INSTALL],
        ) from exc
    return _account(entry)


def require_account(user: t.Optional[str]) -> Account:
    """Return the account called ``user`` (None: the current one), with whose rights this process can act.

    Raises:
        RollcallError: ``wrong_use``: there is none, or it is another one and this is not root.
    """
    found = find_account(user)
    if os.geteuid() not in (0, found.uid):
        raise RollcallError(
            f"This has to be done as user '{found.name}', and it runs as '{user_name(os.geteuid())}', "
            "which is neither that user nor root.",
            kind="wrong_use",
            evidence={"user": found.name, "uid": os.geteuid()},
            remedies=[cures.AS_ROOT, cures.BECOME],
        )
    return found


@functools.lru_cache(maxsize=256)
def user_name(uid: int) -> str:
    """Return the name of a user, or its number when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def clean_environment(who: Account, first: str = "") -> t.Dict[str, str]:
    """Return variables for what runs as ``who``, with nothing of the caller's: UTF-8, and the directory ``first`` and
    the usual ones as ``PATH``.
    """
    return {
        "PATH": f"{first}:{DEFAULT_PATH}" if first else DEFAULT_PATH,
        "USER": who.name,
        "LOGNAME": who.name,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
    }


def readable_by(user: t.Optional[str]) -> Judge:
    """Return what judges whether a user may read a file, by its owner and mode.

    Args:
        user: its name; None for the current one. A name that no account has may read what everybody may.
    """
    try:
        return readable_by_uid(find_account(user).uid)
    except RollcallError:
        return _readable_by_all


def readable_by_uid(uid: int) -> Judge:
    """Return what judges whether a user may read a file, by its owner and mode.

    Root may read everything, and must not be led by others to what they may not. For who is not root the kernel judges.
    """
    if os.geteuid() != 0 or uid == 0:
        return lambda _seen: True

    @functools.lru_cache(maxsize=1)
    def groups() -> t.List[int]:
        # Late: it may ask a directory service.
        try:
            return _account(pwd.getpwuid(uid)).groups
        except KeyError:
            return []

    def may(seen: os.stat_result) -> bool:
        if seen.st_uid == uid or _readable_by_all(seen):
            return True
        return bool(seen.st_mode & stat.S_IRGRP) and seen.st_gid in groups()

    return may


def _readable_by_all(seen: os.stat_result) -> bool:
    return bool(seen.st_mode & stat.S_IROTH)


@contextlib.contextmanager
def acting_as(who: Account) -> t.Iterator[None]:
    """Have the kernel judge file access by the rights of ``who`` (seteuid(2)): root would follow that user's links."""
    if not who.other:
        yield
        return
    uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
    try:
        os.setgroups(who.groups)
        os.setegid(who.gid)
        os.seteuid(who.uid)
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)
        os.setgroups(groups)
