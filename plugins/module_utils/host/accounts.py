# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Who something is done as: an account of the host, and acting with its rights."""

from __future__ import annotations

import contextlib
import os
import pwd
import typing as t

from ..base.errors import RollcallError


class Account(t.NamedTuple):
    """An account of the host.

    Attributes:
        name: of the user.
        uid: of the user.
        gid: of its first group.
        groups: all its groups.
        home: its directory, which need not exist.
    """

    name: str
    uid: int
    gid: int
    groups: t.Tuple[int, ...]
    home: str

    @property
    def other(self) -> bool:
        """Whether it is another one than this process's, so that this process is root and has to become it."""
        return self.uid != os.geteuid()

    @property
    def identity(self) -> t.Dict[str, t.Any]:
        """What ``subprocess.Popen`` is told so that a child runs as this account; empty when it does anyway."""
        return {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)} if self.other else {}


def account(user: t.Optional[str]) -> Account:
    """Return the account called ``user``; None is the current one.

    Raises:
        RollcallError: ``wrong_use``: there is none, or it is another one and this is not root.
    """
    try:
        entry = pwd.getpwuid(os.geteuid()) if user is None else pwd.getpwnam(user)
    except KeyError as exc:
        raise RollcallError(
            f"{f'User {user!r}' if user else f'uid {os.geteuid()}'} does not exist on this host.",
            kind="wrong_use",
            evidence={"user": user, "uid": os.geteuid()},
            remedies=["ansible-playbook site.yml makes it", f"useradd --system {user}"],
        ) from exc
    if os.geteuid() not in (0, entry.pw_uid):
        raise RollcallError(
            f"This has to be done as user '{entry.pw_name}', and is neither that user nor root.",
            kind="wrong_use",
            evidence={"user": entry.pw_name, "uid": os.geteuid()},
            remedies=["in a playbook: become: true"],
        )
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)


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
