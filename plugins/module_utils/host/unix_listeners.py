# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which processes listen on a unix socket, by the path that supervisord has bound it to."""

from __future__ import annotations

import re
import typing as t

from . import socket_owners

# The flag in /proc/net/unix of a socket that listens (linux/net.h, __SO_ACCEPTCON).
_ACCEPTS = 0x10000


def listening(path: str) -> t.List[int]:
    """Return the inodes of the sockets that listen on this path (proc(5), /proc/net/unix); of other systems none.

    There are several when one was bound to a path from which another had been removed.
    """
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as stream:
            lines = stream.read().splitlines()[1:]
    except FileNotFoundError:
        return []
    rows = (line.split(None, 7) for line in lines)
    # supervisord binds to the path with its pid appended, and then links that to the wanted path.
    return [
        int(row[6])
        for row in rows
        if len(row) == 8 and int(row[3], 16) & _ACCEPTS and re.sub(r"\.\d+$", "", row[7]) == path
    ]


def holders(path: str) -> t.Set[int]:
    """Return the pids of all processes that hold a socket which listens on this path."""
    inodes = listening(path)
    found = socket_owners.find_owners(inodes, sharing=socket_owners.EVERY) if inodes else None
    return set() if found is None else {pid for holding in found.pids.values() for pid in holding}
