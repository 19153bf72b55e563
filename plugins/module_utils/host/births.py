# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The record of what a stack has started: it proves whose a process is when its label can no longer be read.

It is written when supervisord is born, when services have come up, and before anything is stopped, and holds:

- each process by its identity, with the label that it was started with;
- each supervisord, which leads a session of its own: whatever it starts is of that session unless it leaves it;
- the sockets on which the services listened, by inode, and the control group of the stack's unit of systemd.

A record counts for the boot in which it was written, and for the very directory it was written for: a copy of a root
has a copy of the record, and the processes are not the copy's.
"""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.files import read_record, write_record
from . import processes
from .model import Identity, Label
from .roots import FileId, file_id


class Births(t.NamedTuple):
    """What was started for a stack.

    Attributes:
        processes: the label of each, by its identity.
        sessions: the serial number of each supervisord's session, by the supervisord's identity; 0 where the kernel has
            none.
        sockets: inodes of the sockets on which services listened, with the service.
        cgroup: the path of the control group of the stack's unit; empty when it has none.
        writer: uid of whoever wrote it; None when nothing is recorded.
    """

    processes: t.Mapping[Identity, Label] = {}
    sessions: t.Mapping[Identity, int] = {}
    sockets: t.Mapping[int, str] = {}
    cgroup: str = ""
    writer: t.Optional[int] = None


NONE = Births()


def recorded(root: str) -> Births:
    """Return what was recorded for the stack at ``root`` since the host was booted.

    Nothing when there is no record, or when it may not be read: without proof nobody is ours.

    Raises:
        RollcallError: the record is there and is none.
    """
    path = _path(root)

    def parse(data: t.Any) -> Births:
        # Records of 0.1.0 do not say which directory they are of.
        if data["boot"] != processes.boot_id() or tuple(data.get("root") or _id(root)) != _id(root):
            return NONE
        return Births(
            processes={(int(row[0]), int(row[1])): Label(*map(str, row[2:])) for row in data["processes"]},
            sessions={(int(row[0]), int(row[1])): int(row[2]) for row in data.get("sessions", ())},
            sockets={int(inode): str(name) for inode, name in data.get("sockets", ())},
            cgroup=str(data.get("cgroup", "")),
            writer=os.stat(path).st_uid,
        )

    subject = "The record of the processes that this stack has started"
    try:
        return read_record(path, parse, NONE, subject, [cures.remove(path)])
    except RollcallError as exc:
        if isinstance(exc.__cause__, PermissionError):
            return NONE
        raise


def remember(
    root: str,
    started: t.Optional[t.Mapping[Identity, Label]] = None,
    *,
    supervisord: int = 0,
    sockets: t.Optional[t.Mapping[int, str]] = None,
    cgroup: t.Optional[str] = None,
) -> None:
    """Add to the record of the stack at ``root``, and drop from it what is no more.

    Args:
        root: the stack's root directory.
        started: the label of each process, by its identity.
        supervisord: pid of one that was started in a session of its own; 0 for none.
        sockets: on which services listen, with the service, instead of those that were recorded.
        cgroup: of the stack's unit; None leaves what was recorded.

    Raises:
        OSError: as the kernel says it; the old record is untouched then.
        RollcallError: the record is there and is none.
    """
    known = recorded(root)
    sessions = dict(known.sessions)
    if supervisord:
        sessions[supervisord, processes.start_time(supervisord)] = processes.reader.session_serial(supervisord)
    now = Births(
        {one: label for one, label in {**known.processes, **(started or {})}.items() if processes.alive(one)},
        _that_live(sessions),
        known.sockets if sockets is None else sockets,
        known.cgroup if cgroup is None else cgroup,
        known.writer,
    )
    if now != known:
        _write(root, now)


def _that_live(sessions: t.Mapping[Identity, int]) -> t.Dict[Identity, int]:
    """Return the sessions that have a living member; nothing new can come from another one."""
    if len(sessions) == 1 and all(processes.alive(leader) for leader in sessions):
        return dict(sessions)
    wanted = {leader[0] for leader in sessions}
    # A call tells the session at a tenth of the price of the file that tells who has ended.
    places = [processes.reader.place_of(pid) for pid in processes.pids() if _session(pid) in wanted]
    numbers = {place.session for place in places if place is not None and not place.ended}
    return {leader: serial for leader, serial in sessions.items() if leader[0] in numbers}


def _session(pid: int) -> int:
    """Return the session of a process; 0 when there is none to be seen."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _write(root: str, births: Births) -> None:
    data = {
        "boot": processes.boot_id(),
        "root": _id(root),
        "processes": [[*identity, *label] for identity, label in sorted(births.processes.items())],
        "sessions": [[*leader, serial] for leader, serial in sorted(births.sessions.items())],
        "sockets": sorted(births.sockets.items()),
        "cgroup": births.cgroup,
    }
    write_record(_path(root), data)


def _id(root: str) -> FileId:
    return file_id(root) or (0, 0)


def _path(root: str) -> str:
    return os.path.join(root, "state", "started.json")
