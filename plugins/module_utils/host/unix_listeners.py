# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which unix sockets there are, by the path that they were bound to, and which processes listen on them."""

from __future__ import annotations

import os
import re
import typing as t

from . import socket_owners

# The flag in /proc/net/unix of a socket that listens (linux/net.h, __SO_ACCEPTCON).
_ACCEPTS = 0x10000
# A row of it (net/unix/af_unix.c, unix_seq_show): flags, inode and path. Anybody may bind to a path with line ends in
# it: the kernel writes them as they are, and what follows them is no row.
_ROW = re.compile(r"[^ ]+: [0-9A-F]{8} [0-9A-F]{8} ([0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +([0-9]+) (.+)")


class UnixSocket(t.NamedTuple):
    """A unix socket that is bound to a path, also one whose file is gone.

    Attributes:
        inode: by which /proc/PID/fd names it.
        path: as it was bound: relative where its process gave a relative one.
        listens: whether it takes connections; else it is one of these connections, or waits for its listen(2).
    """

    inode: int
    path: str
    listens: bool


def bound() -> t.List[UnixSocket]:
    """Return every unix socket of our network namespace that has a path (proc(5), /proc/net/unix); elsewhere none."""
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            rows = [_ROW.fullmatch(line) for line in stream.read().split("\n")]
    except FileNotFoundError:
        return []
    told = (row.groups() for row in rows if row is not None)
    # An abstract one, which has no file, is shown with @ in front.
    return [
        UnixSocket(int(inode), path, bool(int(flags, 16) & _ACCEPTS))
        for flags, inode, path in told
        if not path.startswith("@")
    ]


def at_path(path: str, among: t.Iterable[UnixSocket]) -> t.List[UnixSocket]:
    """Return which of some sockets were bound to an absolute path, whatever links lead to its directory.

    One that was bound to a relative path is not among them.
    """
    above, name = os.path.split(path)
    alike = [one for one in among if one.path == path or (one.path.startswith("/") and one.path.endswith(f"/{name}"))]
    real = os.path.realpath(above) if any(one.path != path for one in alike) else above
    return [one for one in alike if one.path == path or os.path.realpath(os.path.dirname(one.path)) == real]


def in_other_network(pid: int) -> bool:
    """Return whether a process is seen to live in another network namespace, whose sockets `bound` does not tell."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    except OSError:
        # It has ended, belongs to another user, or there is no /proc.
        return False


def listening(path: str) -> t.List[int]:
    """Return the inodes of the sockets of a supervisord that listen on this path; of other systems none.

    There are several when one was bound to a path from which another had been removed.
    """
    # supervisord binds to the path with its pid appended, and then links that to the wanted path.
    return [one.inode for one in bound() if one.listens and re.sub(r"\.\d+$", "", one.path) == path]


def holders(path: str) -> t.Set[int]:
    """Return the pids of all processes that hold a socket of a supervisord which listens on this path."""
    inodes = listening(path)
    found = socket_owners.find_owners(inodes, sharing=socket_owners.EVERY) if inodes else None
    return set() if found is None else {pid for holding in found.pids.values() for pid in holding}
