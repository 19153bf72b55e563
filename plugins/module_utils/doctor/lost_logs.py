# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Logs that were deleted or renamed while supervisord goes on writing to them, and how they are had back.

supervisord opens its logs again on SIGUSR2. What a deleted one has is lost then, so it is put into its place before.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import typing as t

from ..base.clock import SYSTEM, Clock, Deadline
from ..base.opening import SIZE, Judge, NotPlain, OpenDirectory, open_followed
from ..host import processes
from ..host.accounts import readable_by
from ..manifest.model import Stack
from ..state.log_spans import Held, held_files
from ..supervisord.places import log_file
from ..verdict.observation import Observation

# Seconds in which supervisord has opened its logs again.
REOPENED = 3.0
POLL = 0.02
# Bytes of a deleted log that are put into its place: a size that it only claims to have would fill the disk.
MOST_COPIED = 1 << 30


def lost_logs(stack: Stack, seen: Observation) -> t.List[str]:
    """Return the logs of running services that are not the files to which supervisord writes."""
    if seen.supervisord is None:
        return []
    held = held_files([seen.supervisord.pid])
    # Asked after the files: what lives now has had its log open then.
    running = [service.name for service in stack.services if _has_process(seen, service.name)]
    # Without a single file it may not be looked into.
    return [path for path in (log_file(stack, name) for name in running) if held and not _is_held(path, held)]


def _has_process(seen: Observation, name: str) -> bool:
    """Return whether a service still has the process that was seen: supervisord closes the log of one that ends."""
    program = seen.programs.get(name)
    # One whose start is not known had ended by the time at which it was looked for.
    return program is not None and bool(program.born) and processes.alive((program.pid, program.born))


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
    judge = readable_by(stack.user)
    copies = [_Copy(path, one, judge) for path, one in kept if not os.path.lexists(path)]
    os.kill(supervisord.pid, signal.SIGUSR2)
    done = Deadline(REOPENED, clock).poll(lambda: not lost_logs(stack, seen), POLL)
    for copy in copies:
        copy.finish()
    return "had supervisord open it again" if done else "could not: supervisord has not opened it again"


class _Copy:
    """A deleted log that is written into its place: up to now, and at last what came meanwhile."""

    def __init__(self, path: str, held: Held, judge: Judge) -> None:
        # Both stay open until the end: supervisord closes the old one, and the name may be another file's by then.
        self._old = os.fdopen(open_followed(held.path, judge), "rb")
        status = os.fstat(self._old.fileno())
        if status.st_size > MOST_COPIED:
            self._old.close()
            raise NotPlain(errno.EFBIG, f"it is larger than {MOST_COPIED} bytes", path, SIZE)
        directory, name = os.path.split(path)
        with OpenDirectory(directory, judge) as place:
            self._new = os.fdopen(place.create(name, 0o600), "ab")
        os.fchown(self._new.fileno(), status.st_uid, status.st_gid)
        os.fchmod(self._new.fileno(), status.st_mode & 0o777)
        shutil.copyfileobj(self._old, self._new)
        self._new.flush()

    def finish(self) -> None:
        """Write what supervisord had still written to the old one."""
        with self._old, self._new:
            shutil.copyfileobj(self._old, self._new)
