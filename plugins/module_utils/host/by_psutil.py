# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What ``proc`` and ``netlink`` answer, answered by psutil for systems other than Linux; loaded only there."""

from __future__ import annotations

import os
import socket
import sys
import time
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.port_numbers import UdpPort
from .accounts import user_name
from .model import Activity, Listener, Owners, Place, Process

_STATES = {"running": "R", "disk-sleep": "D", "stopped": "T", "tracing-stop": "T", "zombie": "Z", "dead": "X"}


def load_psutil() -> t.Any:
    """Return psutil.

    Raises:
        RollcallError: it is not installed.
    """
    try:
        import psutil
    except ImportError as exc:
        raise RollcallError(
            f"Looking at processes on {sys.platform} takes psutil, which this Python does not have.",
            evidence={"python": sys.executable},
            remedies=[cures.INSTALL],
        ) from exc
    return psutil


# --- processes ----------------------------------------------------------------------------------------------------


def describe(pid: int) -> t.Optional[Process]:
    """Return the process with this pid; None when there is none."""
    psutil = load_psutil()
    try:
        # What may not be read, and what a zombie no longer has, is None.
        facts = psutil.Process(pid).as_dict(["ppid", "create_time", "uids", "exe", "cmdline", "status", "name"])
    except (psutil.Error, OSError):
        return None
    if facts["create_time"] is None:
        # Without its start it could not be told from the next one with its pid.
        return None
    uid = facts["uids"].real if facts["uids"] is not None else -1
    return Process(
        pid=pid,
        ppid=facts["ppid"] or 0,
        start=int(facts["create_time"] * 100),
        uid=uid,
        user=user_name(uid) if uid >= 0 else "?",
        exe=facts["exe"] or "",
        command=tuple(facts["cmdline"] or ()) or (f"[{facts['name'] or '?'}]",),
        state=_STATES.get(facts["status"], "S"),
        started_at=facts["create_time"],
        group=_asked_of_kernel(os.getpgid, pid),
        session=_asked_of_kernel(os.getsid, pid),
    )


def place_of(pid: int) -> t.Optional[Place]:
    """Return where a process stands among the others; None when there is none to be seen."""
    process = describe(pid)
    return None if process is None else process.place


def session_serial(_pid: int) -> int:
    """Return 0: other systems do not number their sessions."""
    return 0


def locks_limit(_pid: int) -> int:
    """Return 0: other systems keep no limit on file locks."""
    return 0


def _asked_of_kernel(ask: t.Callable[[int], int], pid: int) -> int:
    try:
        return ask(pid)
    except OSError:
        return 0


def look_again(process: Process) -> t.Optional[Process]:
    """Return a process as it is now, None when it is gone."""
    return describe(process.pid)


def alive(pid: int, start: int) -> bool:
    """Return whether the process with this pid and start time still runs; a zombie does not."""
    process = describe(pid)
    return process is not None and process.start == start and not process.ended


def start_time(pid: int) -> int:
    """Return the start time of a process in hundredths of a second; 0 when there is none to be seen."""
    return int(float(_ask(pid, "create_time") or 0) * 100)


def age(start: int) -> float:
    """Return for how many seconds a process with this start time has lived."""
    return max(0.0, time.time() - start / 100)


def state(pid: int) -> str:
    """Return the letter of a process's state; empty when there is none, or it may not be looked at."""
    found = _ask(pid, "status")
    return "" if found is None else _STATES.get(found, "S")


def activity(pid: int) -> t.Optional[Activity]:
    """Return whether a process runs; None when there is none, or it may not be looked at."""
    state, switches = _ask(pid, "status"), _ask(pid, "num_ctx_switches")
    if state is None or switches is None:
        return None
    return Activity(_STATES.get(state, "S"), switches.voluntary + switches.involuntary)


def parent(pid: int) -> int:
    """Return the pid of the parent; 0 when there is none to be seen."""
    return int(_ask(pid, "ppid") or 0)


def command(pid: int, having: str = "") -> t.Tuple[str, ...]:
    """Return the arguments of a process; empty when it has none, they may not be read, or a word is not in them."""
    arguments = tuple(_ask(pid, "cmdline") or ())
    return arguments if any(having in argument for argument in arguments) else ()


def environment(pid: int, prefix: str) -> t.Dict[str, str]:
    """Return the variables of a process that begin so; empty when it has none or they may not be read."""
    variables = _ask(pid, "environ") or {}
    return {name: value for name, value in variables.items() if name.startswith(prefix)}


def environment_hidden(pid: int) -> bool:
    """Return whether the environment of a process may not be read."""
    return _ask(pid, "environ") is None


def working_directory(pid: int) -> str:
    """Return the working directory of a process; empty when it may not be read."""
    return str(_ask(pid, "cwd") or "")


def open_paths(pid: int) -> t.Set[str]:
    """Return the paths of what a process works in, executes or has open, as far as they may be seen."""
    files = _ask(pid, "open_files") or ()
    return {
        path for path in (working_directory(pid), str(_ask(pid, "exe") or ""), *(one.path for one in files)) if path
    }


def words(pid: int) -> t.Tuple[t.List[str], t.List[str]]:
    """Return the arguments and the variables of a process; none when they may not be read."""
    return list(command(pid)), [f"{name}={value}" for name, value in environment(pid, "").items()]


def in_container(_pid: int) -> bool:
    """Return False: other systems have no pid namespaces."""
    return False


def cgroups(_pid: int) -> t.List[str]:
    """Return nothing: other systems have no cgroups."""
    return []


def pids() -> t.List[int]:
    """Return every pid, the highest first."""
    return sorted(load_psutil().pids(), reverse=True)


def children(pid: int) -> t.List[int]:
    """Return the pids of the children of a process."""
    return [other for other in pids() if parent(other) == pid]


def boot_id() -> str:
    """Return what tells this boot from all others: its time."""
    return str(int(load_psutil().boot_time()))


def _ask(pid: int, name: str) -> t.Any:
    """Return what a method of psutil.Process answers; None when there is no such process or it may not be read."""
    psutil = load_psutil()
    try:
        return getattr(psutil.Process(pid), name)()
    except (psutil.Error, OSError):
        return None


# --- sockets ------------------------------------------------------------------------------------------------------


def find_listeners(ports: t.Optional[t.Container[int]]) -> t.List[Listener]:
    """Return the listeners of the processes that may be looked into: all of them for root, else those of our user."""
    listening = load_psutil().CONN_LISTEN
    return [
        _listener(entry, pid, entry.laddr.port)
        for pid, entry in _all_connections("tcp")
        if entry.status == listening and entry.laddr and (ports is None or entry.laddr.port in ports)
    ]


def find_bound(ports: t.Sequence[int]) -> t.List[Listener]:
    """Return the sockets of those processes that are bound to one of the ports, which are of UDP."""
    return [
        _listener(entry, pid, UdpPort(entry.laddr.port))
        for pid, entry in _all_connections("udp")
        if entry.laddr and UdpPort(entry.laddr.port) in ports
    ]


def _all_connections(kind: str) -> t.List[t.Tuple[t.Optional[int], t.Any]]:
    psutil = load_psutil()
    try:
        return [(entry.pid, entry) for entry in psutil.net_connections(kind=kind)]
    except (psutil.Error, OSError):
        # macOS shows the sockets of a process to its user and to root, and psutil gives up at the first refusal.
        every = psutil.process_iter()
        return [(process.pid, entry) for process in every for entry in _connections(process, kind)]


def _connections(process: t.Any, kind: str) -> t.Sequence[t.Any]:
    psutil = load_psutil()
    try:
        return t.cast(t.Sequence[t.Any], process.net_connections(kind=kind))
    except (psutil.Error, OSError):
        # Gone, or another user's: `find_owners` counts those.
        return ()


def _listener(entry: t.Any, pid: t.Optional[int], port: int) -> Listener:
    family, address = ("ipv6" if entry.family == socket.AF_INET6 else "ipv4"), entry.laddr.ip
    if family == "ipv6" and address.lower().startswith("::ffff:") and "." in address:
        family, address = "ipv4", address[len("::ffff:") :]
    # A link-local address may come with its interface.
    return Listener(family, address.partition("%")[0], port, -(pid or 0), -1)


def find_owners(numbers: t.Sequence[int]) -> Owners:
    """Return the owners by the numbers that `find_listeners` has given, and how many processes it could not ask."""
    found: t.Dict[int, t.List[int]] = {inode: [-inode] for inode in numbers if inode < 0}
    unreadable = 0
    if os.geteuid() != 0:
        users = (process.info["uids"] for process in load_psutil().process_iter(["uids"]))
        unreadable = sum(uids is None or uids.real != os.geteuid() for uids in users)
    return Owners(found, not (unreadable and 0 in numbers), unreadable)
