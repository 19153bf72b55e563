# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and ports of a test: whether one lives, ending it by its pid, waiting, a port that is free."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import socket
import time
import typing as t
from pathlib import Path

# Nothing takes as long as this when all is well: a process that starts beside many others may take seconds.
READY_TIMEOUT = 60.0


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def eventually(condition: t.Callable[[], bool], seconds: float = READY_TIMEOUT) -> bool:
    """Return whether the condition became true in time."""
    end = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if condition():
            return True
        now = time.monotonic()
        if now > end:
            return False
        # Who waits leaves the machine to those that it waits for: a condition may be a whole command.
        time.sleep(min(max(0.005, now - asked), 0.2))


def accepts(path: str) -> bool:
    """Return whether somebody listens on a unix socket: it has its name before that."""
    with socket.socket(socket.AF_UNIX) as line:
        return line.connect_ex(path) == 0


def listening_socket(address: str, *, v6only: bool = False, port: int = 0) -> socket.socket:
    """Return a socket of this process that listens on an address; on a free port when none is given."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    if made.family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
    made.bind((address, port or free_port()))
    made.listen()
    return made


def signal_mask(pid: int, name: str) -> str:
    """Return a set of signals of a process, such as SigIgn, as the kernel writes it: a hexadecimal mask."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


# Ports for tests lie below the range that the kernel gives out by itself. Every worker of pytest has a part of them. It
# gives out none again that it has just given: between the answer and the listener there may be a second.
_PORTS, _PARTS = range(10001, 30001), 16
_given: t.Deque[int] = collections.deque(maxlen=200)


def free_port() -> int:
    """Return a port that was free on every address just now."""
    part = len(_PORTS) // _PARTS
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PARTS
    for _unused in range(300):
        port = _PORTS[worker * part + int.from_bytes(os.urandom(2), "big") % part]
        # 10080 is refused by every browser, and so by a manifest.
        if port in _given or port == 10_080:
            continue
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::", port))
            except OSError:
                continue
        _given.append(port)
        return port
    raise AssertionError("no free port")


def free_pair() -> int:
    """Return the first of two ports side by side that were free just now."""
    while True:
        port = free_port()
        with socket.socket(socket.AF_INET6) as beside, contextlib.suppress(OSError):
            beside.bind(("::", port + 1))
            return port


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Signal a process of the test's own; it may have ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
