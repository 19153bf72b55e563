# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What stands at the path of a unix socket, and whether somebody listens there."""

from __future__ import annotations

import errno
import os
import socket
import stat
import typing as t

from .trust import peer_of

# What `look` says of a path.
MISSING = "missing"
STALE = "stale"
LISTENED = "listened"
UNKNOWN = "unknown"
OTHER = "other"

_KINDS: t.Mapping[int, str] = {
    stat.S_IFREG: "a regular file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class SocketFile(t.NamedTuple):
    """What stands at a path.

    Attributes:
        state: ``missing``: nothing; ``stale``: a socket that refuses connections, so nobody listens; ``listened``: one
            that takes them; ``unknown``: one that may not be asked; ``other``: something else.
        what: for ``other`` and ``unknown``: what it is, or why it is not known.
        uid: whose it is; -1 for ``missing``.
        peer: for ``listened``: the pid that has called listen(2), 0 where that is not told. It may have ended since,
            or have handed the socket on (unix(7), SO_PEERCRED).
        bound: for ``listened``: the path that it was bound to (getpeername(2)), which is another one when the file was
            renamed or linked, and may be relative; empty where that is not told.
    """

    state: str
    what: str = ""
    uid: int = -1
    peer: int = 0
    bound: str = ""


def look(path: str, *, known: bool = False) -> SocketFile:
    """Return what stands at a path; a link is not followed.

    Args:
        path: absolute.
        known: whether somebody is known to listen there. Then it is not connected to: whoever listens would see a
            connection that says nothing.
    """
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return SocketFile(MISSING)
    except OSError as exc:
        return SocketFile(UNKNOWN, f"it cannot be looked at: {exc.strerror}")
    if not stat.S_ISSOCK(found.st_mode):
        return SocketFile(OTHER, _KINDS.get(stat.S_IFMT(found.st_mode), "no socket"), found.st_uid)
    return SocketFile(LISTENED, uid=found.st_uid) if known else _connected(path, found.st_uid)


def _connected(path: str, uid: int) -> SocketFile:
    """Return whether a socket takes a connection (connect(2), unix(7))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # One with a full queue would have us wait; somebody listens there (EAGAIN).
        probe.setblocking(False)
        try:
            probe.connect(path)
            peer, name = peer_of(probe), probe.getpeername()
        except ConnectionRefusedError:
            return SocketFile(STALE, uid=uid)
        except FileNotFoundError:
            return SocketFile(MISSING)
        except OSError as exc:
            if exc.errno == errno.EPROTOTYPE:
                return SocketFile(OTHER, "a socket of another kind, which takes no connections", uid)
            if exc.errno in (errno.EAGAIN, errno.EINPROGRESS):
                return SocketFile(LISTENED, uid=uid)
            return SocketFile(UNKNOWN, f"it cannot be connected to: {exc.strerror}", uid)
    bound = name if isinstance(name, str) else ""
    return SocketFile(LISTENED, uid=uid, peer=0 if peer is None else peer.pid, bound=bound)
