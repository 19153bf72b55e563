# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Logs that were deleted or renamed while supervisord goes on writing to them, and how they are had back.

supervisord opens its logs again on SIGUSR2. What a deleted one has is lost then, so it is put into its place before.
"""

from __future__ import annotations

import os
import shutil
import signal
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..host import processes
from ..manifest.model import Stack
from ..state.log_spans import Held, held_files
from ..supervisord.places import log_file
from ..verdict.observation import Observation

# Seconds in which supervisord has opened its logs again.
REOPENED = 3.0
POLL = 0.02


def lost_logs(stack: Stack, seen: Observation) -> t.List[str]:
    """Return the logs of running services that are not the files to which supervisord writes."""
    if seen.supervisord is None:
        return []
    held = held_files([seen.supervisord.pid])
    running = [service.name for service in stack.services if _has_process(seen, service.name)]
    # Without a single file it may not be looked into.
    return [path for path in (log_file(stack, name) for name in running) if held and not _is_held(path, held)]


def _has_process(seen: Observation, name: str) -> bool:
    return name in seen.programs and seen.programs[name].pid > 0


def _is_held(path: str, held: t.Sequence[Held]) -> bool:
    try:
        inode = os.stat(path).st_ino
    except OSError:
        return False
    return any(one.inode == inode for one in held)


def reopen(stack: Stack, seen: Observation, *, clock: Clock = SYSTEM) -> str:
    """Have supervisord open its logs again, with what the deleted ones had in them; return what was done.

    Raises:
        OSError: a log cannot be written.
    """
    supervisord = seen.supervisord
    if supervisord is None or not processes.alive(supervisord.identity):
        return "could not: supervisord does not run any more"
    lost = lost_logs(stack, seen)
    kept = [(path, one) for path in lost for one in held_files([supervisord.pid]) if one.name == path]
    copies = [_Copy(path, one) for path, one in kept if not os.path.lexists(path)]
    os.kill(supervisord.pid, signal.SIGUSR2)
    done = Deadline(REOPENED, clock).poll(lambda: not lost_logs(stack, seen), POLL)
    for copy in copies:
        copy.finish()
    return "had supervisord open it again" if done else "could not: supervisord has not opened it again"


class _Copy:
    """A deleted log that is written into its place: up to now, and at last what came meanwhile."""

    def __init__(self, path: str, held: Held) -> None:
        self._path = path
        # It stays readable here when supervisord has closed it.
        self._old = open(held.path, "rb")  # noqa: SIM115 - until the end
        status = os.fstat(self._old.fileno())
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as new:
            os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, status.st_mode & 0o777)
            shutil.copyfileobj(self._old, new)

    def finish(self) -> None:
        """Write what supervisord had still written to the old one."""
        with self._old, open(self._path, "ab") as new:
            shutil.copyfileobj(self._old, new)
