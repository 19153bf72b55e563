# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Who uses a port on which nothing listens and which cannot be bound all the same."""

from __future__ import annotations

import time
import typing as t

from ..host import listeners, processes, socket_owners
from ..host.model import Owners, Process


class PortTraces(t.NamedTuple):
    """What the kernel shows of a port on which nothing listens.

    Attributes:
        owners: of the sockets that use it.
        users: processes that use it without listening.
        remembered: how many closed connections the kernel still remembers.
        closing: whether nothing but closed connections has the port: there is no process to end, and they pass.
    """

    owners: Owners
    users: t.Sequence[Process]
    remembered: int
    closing: bool

    @property
    def all_seen(self) -> bool:
        """Whether a process uses it, and none could not be looked into."""
        return bool(self.users) and not (self.owners.unreadable or self.owners.hidden)

    @property
    def hints(self) -> t.List[str]:
        """Each of them in words."""
        found = [f"{described(process)} uses it without listening" for process in self.users]
        if self.remembered:
            found.append(
                f"the kernel still remembers {self.remembered} closed connections (TIME_WAIT), which pass in 60 s"
            )
        return found


def traces(port: int) -> PortTraces:
    """Return who uses a port on which nothing listens."""
    using, remembered = listeners.users(port), listeners.count_closed(port)
    owners = socket_owners.find_owners([user.inode for user in using], sharing=socket_owners.EVERY)
    pids = {pid for holding in owners.pids.values() for pid in holding}
    users = [process for process in map(processes.describe, sorted(pids)) if process is not None]
    # A connection that its process has closed has inode 0 until the other side has closed it too.
    closing = bool(remembered or using) and not any(user.inode for user in using)
    return PortTraces(owners, users, remembered, closing)


def described(process: Process) -> str:
    """Return pid, command and user of a process, and since when it runs."""
    return f"{process.summary} since {_since(process.started_at)}"


def _since(started_at: float) -> str:
    started, today = time.localtime(started_at), time.localtime()
    same_day = (started.tm_year, started.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M", started)
