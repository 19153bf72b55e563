# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Become another program, for good: with the rights of an account, and with nothing of this process but its terminal.

Pid, process group, session, standard input, output and error output stay, and so does whatever the caller ignores.
"""

from __future__ import annotations

import os
import typing as t

from . import processes, rlimits
from .accounts import Account


class Rights(t.NamedTuple):
    """With which rights a program runs.

    Attributes:
        who: the account.
        umask: of the process.
        limits: what its hard limits must let it set, where this process may raise them.
    """

    who: Account
    umask: int
    limits: rlimits.Limits


def become(
    argv: t.Sequence[str],
    environment: t.Mapping[str, str],
    directory: str,
    rights: Rights,
    output: t.Optional[t.Callable[[], int]] = None,
) -> t.NoReturn:
    """Execute a program in the place of this process.

    Args:
        argv: program, by its absolute path, and arguments.
        environment: all its variables.
        directory: where it runs.
        rights: with which it runs.
        output: opens, with these rights, the file that takes what it prints; None for what this process has.

    Raises:
        OSError: the directory or the program is of no use to that account. The rights are given up already.
    """
    _close_others()
    with rlimits.unaffected(rights.limits):
        who = rights.who
        if who.other:
            os.setgroups(who.groups)
            os.setgid(who.gid)
            os.setuid(who.uid)
        if output is not None:
            descriptor = output()
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
        os.umask(rights.umask)
        os.chdir(directory)
        os.execve(argv[0], list(argv), dict(environment))


def _close_others() -> None:
    """Let the program have no file of this process or of its caller but the three standard ones."""
    for name in os.listdir("/proc/self/fd" if processes.LINUX else "/dev/fd"):
        if int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:
                # That of the listing itself is closed by now.
                continue
