# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Who may be the supervisord of a stack. Whoever else looks like it is a stranger: what he says and is counts nothing.

A command line, an environment and an answer can be anybody's. The user of a process is the kernel's word.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import sys
import typing as t

from ..base.errors import RollcallError
from . import processes
from .accounts import find_account
from .births import recorded
from .labels import trusted_uids

if t.TYPE_CHECKING:
    from ..manifest.model import Stack
    from .model import Process

# struct ucred is pid, uid and gid, four bytes each (unix(7)).
_UCRED_BYTES = 12
# Of the auxiliary vector, which is pairs of machine words (getauxval(3), linux/auxvec.h).
_AT_UID, _AT_EUID = 11, 12
_MOST_AUXV = 4096


class Peer(t.NamedTuple):
    """Who listens at the other end of a unix socket.

    Attributes:
        pid: of the process that called listen(2). It may have forked into the background and ended since; 0 when it is
            not of this pid namespace.
        uid: its effective user at that time.
    """

    pid: int
    uid: int


def peer_of(connected: socket.socket) -> t.Optional[Peer]:
    """Return who listens at the other end of a connected unix socket; None where the kernel does not say it.

    Raises:
        OSError: the socket is not connected.
    """
    # Not by the attribute, which checkers of types for other systems do not know.
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    told = connected.getsockopt(socket.SOL_SOCKET, option, _UCRED_BYTES)
    return Peer(int.from_bytes(told[:4], sys.byteorder), int.from_bytes(told[4:8], sys.byteorder))


class Trust:
    """Who may be the supervisord of the stack at ``root``: root, and the stack's own user.

    That is who the manifest names, and who owns the stack's directories. A supervisord that a run has recorded counts
    besides, so that it can be stopped after the manifest has named another user.

    Args:
        root: the stack's root directory.
        user: the stack's user; None when the manifest names none, or is not known.
        places: more directories of the stack, whose owner is its user.
    """

    def __init__(self, root: str, user: t.Optional[str] = None, places: t.Iterable[str] = ()) -> None:
        self._root = root
        self._user = user
        self._places = tuple(places)

    @classmethod
    def of(cls, stack: Stack) -> Trust:
        """Return who may be the supervisord of a stack."""
        return cls(stack.root, stack.user, (stack.paths.run, stack.paths.state))

    @functools.cached_property
    def uids(self) -> t.FrozenSet[int]:
        """The users whose supervisord counts."""
        found = set(trusted_uids(self._root))
        found.update(os.stat(place).st_uid for place in self._places if os.path.isdir(place))
        if self._user is not None:
            # Where there is no such user, who has to act as it says so.
            with contextlib.suppress(RollcallError):
                found.add(find_account(self._user).uid)
        return frozenset(found)

    def covers(self, pid: int, uid: int) -> bool:
        """Return whether a process of this user may be the stack's supervisord."""
        return uid in self.uids or self._is_recorded(pid, uid)

    def accepts(self, process: Process) -> bool:
        """Return whether a process that looks like the stack's supervisord may be it.

        Whoever starts a program that is set-uid chooses its command line, and the kernel says that it is another
        user's (execve(2)).
        """
        return self.covers(process.pid, process.uid) and not _was_lent_rights(process.pid)

    def _is_recorded(self, pid: int, uid: int) -> bool:
        try:
            births = recorded(self._root)
        except RollcallError:
            # It proves nothing; what needs the record tells that it is broken.
            return False
        if births.writer != 0 and os.geteuid() == 0 and births.writer != uid:
            return False
        return (pid, processes.start_time(pid)) in births.sessions


def _was_lent_rights(pid: int) -> bool:
    """Return whether a process got the rights of a program's owner when it executed it; false where that is not seen.

    What the kernel tells a program has the real and the effective user of that moment (getauxval(3), AT_UID, AT_EUID);
    the program may have made them the same since. Its file is not looked at: the file system may not answer.
    """
    try:
        with open(f"/proc/{pid}/auxv", "rb") as stream:
            told = memoryview(stream.read(_MOST_AUXV)).cast("L")
    except (OSError, TypeError):
        return False
    values = dict(zip(told[::2], told[1::2]))
    return values.get(_AT_UID) != values.get(_AT_EUID)
