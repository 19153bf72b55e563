# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Work with the rights of whoever runs a process, for a child that gives up root's for good: see host/apart.py.

What a stranger's command line names may be root's to read and not his, or made to take for ever.
"""

from __future__ import annotations

import errno
import os
import typing as t

from . import processes
from .accounts import find_account
from .model import Process

# Bytes that such a child may have beside what it has from its parent.
MORE_MEMORY = 128 * 1024 * 1024


def with_rights_of(process: Process, work: t.Callable[[], t.Any]) -> t.Callable[[], t.Any]:
    """Return ``work`` so that it is done with the rights of a process, and with little memory.

    Args:
        process: whose user, group and groups it gets, unless this is not root and so has its own rights alone.
        work: as for `apart.apart`.
    """

    def done() -> t.Any:
        _limit_memory()
        if os.geteuid() == 0 and process.uid != 0:
            gid, groups = _groups_of(process)
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(process.uid, process.uid, process.uid)
        return work()

    return done


def _limit_memory() -> None:
    """Let this process have only so much more memory (getrlimit(2), RLIMIT_DATA); on other systems nothing does it."""
    if not processes.LINUX:
        return
    import resource

    # Of its seven numbers, in pages, the sixth is data and stack (proc(5), /proc/PID/statm).
    with open("/proc/self/statm", encoding="ascii") as stream:
        has = int(stream.read().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (has + MORE_MEMORY, has + MORE_MEMORY))


def _groups_of(process: Process) -> t.Tuple[int, t.List[int]]:
    """Return the group and the other groups of a process (proc(5), /proc/PID/status).

    Raises:
        OSError: it has ended, and its pid may be another user's process by now.
        RollcallError: it has to be looked up by its name on this system, and has none.
    """
    if not processes.LINUX:
        who = find_account(process.user)
        return who.gid, who.groups
    with open(f"/proc/{process.pid}/status", encoding="utf-8", errors="replace") as stream:
        fields = dict(line.split(":", 1) for line in stream if ":" in line)
    if int(fields["Uid"].split()[0]) != process.uid:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), f"pid {process.pid}")
    return int(fields["Gid"].split()[0]), [int(number) for number in fields["Groups"].split()]
