# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The number of a stack, which its supervisord gets before it executes, and which all that descends from it inherits.

It is the soft limit on file locks (RLIMIT_LOCKS in getrlimit(2)). Linux keeps it for every process, and has heeded it
for none since 2.4. fork and execve keep it, whatever a program does to its environment, user, session or namespaces. A
process that systemd starts has another one.
"""

from __future__ import annotations

import resource

from . import processes
from .proc import RLIMIT_LOCKS
from .roots import file_id


def number_of(root: str) -> int:
    """Return the number of the stack at ``root``, made of the directory's device and inode; 0 where there is none.

    It is at least 2**61, which nobody else takes for a number of locks.
    """
    place = file_id(root)
    if place is None or not processes.LINUX:
        return 0
    device, inode = place
    return 2**61 + (device * 2**40 + inode) % 2**61


def take(number: int) -> None:
    """Give this process a number, and so all that will descend from it; 0 gives none.

    The hard limit stays, so that whoever sets limits for a login (pam_limits) may do so.
    """
    if not number:
        return
    hard = resource.getrlimit(RLIMIT_LOCKS)[1]
    if hard == resource.RLIM_INFINITY or hard >= number:
        try:
            resource.setrlimit(RLIMIT_LOCKS, (number, hard))
        except OSError:
            # A sandbox may refuse. What its services leave is then known by the other proofs alone.
            return
