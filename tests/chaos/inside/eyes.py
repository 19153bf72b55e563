# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyes that know nothing of Rollcall: what /proc, the ports and the services' own answers say, and what is wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from tests.chaos.inside.places import APPLICATION, CONFIG, SOCKET

Identity = tuple[int, int]
PATIENCE = 20.0

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it; ``start`` is in clock ticks since the boot."""

    pid: int
    ppid: int
    start: int
    state: str
    uid: int
    argv: tuple[str, ...]

    @property
    def identity(self) -> Identity:
        """What no other process ever has in common with it."""
        return (self.pid, self.start)


@dataclass
class View:
    """The stack at one moment.

    Attributes:
        processes: all that live, by pid; no zombies.
        daemons: the supervisords over the stack's config.
        services: the processes of each service, wherever they came from.
        listeners: the pids that hold a listening socket on each port.
    """

    processes: dict[int, Process]
    daemons: list[Process]
    services: dict[str, list[Process]]
    listeners: dict[int, set[int]] = field(default_factory=dict)

    def ancestors(self, pid: int) -> list[int]:
        """Return the pids above ``pid``, its parent first."""
        found = []
        while pid in self.processes and self.processes[pid].ppid:
            pid = self.processes[pid].ppid
            found.append(pid)
        return found

    def identities(self) -> dict[str, set[Identity]]:
        """Return who runs as each service."""
        return {name: {process.identity for process in running} for name, running in self.services.items()}


class Eyes:
    """The looker.

    Args:
        services: the port of each service; None for one that has none.
    """

    def __init__(self, services: Mapping[str, int | None]) -> None:
        self.services = services

    def look(self, strangers: Collection[int] = ()) -> View:
        """Return what is there now.

        Args:
            strangers: pids of processes that only look as if they were of the stack.
        """
        processes = {process.pid: process for process in map(read, _pids()) if process is not None}
        over_config = [
            process
            for process in processes.values()
            if _is_supervisord(process.argv) and CONFIG in process.argv and process.pid not in strangers
        ]
        pids = {process.pid for process in over_config}
        services: dict[str, list[Process]] = {name: [] for name in self.services}
        for process in processes.values():
            name = process.argv[2] if process.argv[1:2] == (str(APPLICATION),) and len(process.argv) > 2 else ""
            if name in services and process.pid not in strangers:
                services[name].append(process)
        return View(
            processes=processes,
            # A program that is just being spawned is a fork of supervisord, with its command line.
            daemons=[process for process in over_config if process.ppid not in pids],
            services=services,
            listeners=_listeners(processes),
        )

    def wrong(self, view: View, old: Mapping[str, Collection[Identity]] | None = None) -> list[str]:
        """Return what is not as a running stack is; nothing when all is well.

        Args:
            view: what was seen.
            old: processes that must have been replaced, by service.
        """
        found = []
        if len(view.daemons) != 1:
            pids = " ".join(str(process.pid) for process in view.daemons)
            return [f"{len(view.daemons)} supervisords {pids}".rstrip()]
        daemon = view.daemons[0]
        if daemon.state in "Tt":
            found.append(f"supervisord {daemon.pid} is stopped")
        else:
            answering = answering_daemon()
            if answering != daemon.pid:
                found.append(f"supervisord is pid {daemon.pid}, and its socket is answered by {answering or 'nobody'}")
        for name, port in self.services.items():
            found += [f"{name}: {problem}" for problem in self._wrong_service(view, name, port, daemon.pid)]
            again = {process.identity for process in view.services[name]} & set((old or {}).get(name, ()))
            found += [f"{name}: still pid {pid}" for pid, _start in again]
        return found

    def _wrong_service(self, view: View, name: str, port: int | None, daemon: int) -> list[str]:
        running = view.services[name]
        if len(running) != 1:
            return [f"{len(running)} processes {' '.join(str(process.pid) for process in running)}".rstrip()]
        (process,) = running
        found = []
        if daemon not in view.ancestors(process.pid):
            found.append(f"pid {process.pid} is an orphan")
        if process.state in "Tt":
            found.append(f"pid {process.pid} is stopped")
        elif port is not None:
            if view.listeners.get(port) != {process.pid}:
                found.append(f"pid {process.pid}, and port {port} is taken by {view.listeners.get(port) or 'nobody'}")
            else:
                found += _unwell(name, port, process.pid)
        return found


def read(pid: int) -> Process | None:
    """Return a process; None when it has ended or is a zombie."""
    place = Path("/proc") / str(pid)
    try:
        stat = (place / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        argv = (place / "cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
        uid = place.stat().st_uid
    except OSError:
        return None
    if stat[0] in "ZX":
        return None
    return Process(pid, int(stat[1]), int(stat[19]), stat[0], uid, tuple(argv))


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _is_supervisord(argv: tuple[str, ...]) -> bool:
    """Whether a command line runs supervisord, as a script or as a module."""
    return any(os.path.basename(word) in ("supervisord", "supervisor.supervisord") for word in argv[:6])


def _listeners(processes: Mapping[int, Process]) -> dict[int, set[int]]:
    """Return the pids that hold a listening socket on each port."""
    inodes: dict[str, int] = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                inodes[f"socket:[{words[9]}]"] = int(words[1].rpartition(":")[2], 16)
    found: dict[int, set[int]] = {port: set() for port in inodes.values()}
    for pid in processes:
        for link in _descriptors(pid):
            if link in inodes:
                found[inodes[link]].add(pid)
    return found


def _descriptors(pid: int) -> list[str]:
    """Return what the descriptors of a process lead to; what was closed or has ended meanwhile leads nowhere."""
    found = []
    place = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for name in os.listdir(place):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"{place}/{name}"))
    return found


def _unwell(name: str, port: int, pid: int) -> list[str]:
    """Return what is wrong with the answer of a service's /health."""
    try:
        with _OPENER.open(f"http://127.0.0.1:{port}/health", timeout=PATIENCE) as answer:
            body = json.loads(answer.read(65536))
    except (OSError, HTTPException, ValueError) as exc:
        return [f"/health on port {port}: {exc}"]
    said = (body.get("service"), body.get("pid"), body.get("status"))
    return [] if said == (name, pid, "ok") else [f"pid {pid}, and /health on port {port} says {said}"]


def answering_daemon() -> int | None:
    """Return the pid that whoever answers on supervisord's socket calls its own; None when nobody does."""
    body = b"<?xml version='1.0'?><methodCall><methodName>supervisor.getPID</methodName></methodCall>"
    head = b"POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer = b""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(PATIENCE)
        try:
            line.connect(SOCKET)
            line.sendall(head + body)
            while chunk := line.recv(65536):
                answer += chunk
        except OSError:
            return None
    number = re.search(rb"<int>(\d+)</int>", answer)
    return None if number is None else int(number.group(1))
