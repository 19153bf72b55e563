# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds some ports: ours in process, against what people use, on a quiet machine and on one with many sockets."""

from __future__ import annotations

import functools
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psutil

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import listeners, socket_owners
from tests.benchmark.arena import HERE, Arena, Failure, Stopwatch, Took, end_tree
from tests.benchmark.crowd import EACH

CROWD = 20_000


@contextmanager
def crowd(arena: Arena, count: int) -> Iterator[None]:
    """Have this many other sockets open on the machine."""
    if count == 0:
        yield
        return
    command = [sys.executable, str(HERE / "crowd.py"), str(arena.path), str(count)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        wanted = math.ceil(count / EACH)
        if parent.stdout is None or parent.stdout.read(wanted) != b"." * wanted:
            raise Failure(f"{count} sockets could not be opened")
        yield
    finally:
        end_tree(parent.pid)
        parent.wait()
        if parent.stdout is not None:
            parent.stdout.close()


def ours(ports: Sequence[int], pids: Sequence[int]) -> Took:
    """Return what the engine takes, not knowing where to look first."""
    watch = Stopwatch()
    found = listeners.find_listeners(ports)
    owners = socket_owners.find_owners([listener.inode for listener in found])
    took = watch.read()
    held = {pid for holding in owners.pids.values() for pid in holding}
    if held != set(pids):
        raise Failure(f"the owners are {sorted(pids)}, found were {sorted(held)}")
    return took


def by_psutil(ports: Sequence[int], pids: Sequence[int]) -> Took:
    """Return what psutil takes, in process as well."""
    watch = Stopwatch()
    held = {
        entry.pid
        for entry in psutil.net_connections(kind="tcp")
        if entry.status == psutil.CONN_LISTEN and getattr(entry.laddr, "port", None) in ports
    }
    took = watch.read()
    if held != set(pids):
        raise Failure(f"the owners are {sorted(pids)}, psutil found {sorted(map(str, held))}")
    return took


def rivals(arena: Arena, ports: Sequence[int], pids: Sequence[int]) -> dict[str, Callable[[], Took]]:
    """Return what ours is compared with, by its name."""

    def command(*words: str) -> Took:
        return arena.run(words).must(words[0]).took

    loop = 'for port in "$@"; do lsof -ti ":$port"; done'
    return {
        "one lsof a port": functools.partial(command, "bash", "-c", loop, "bash", *map(str, ports)),
        "one lsof": functools.partial(command, "lsof", "-nP", "-iTCP", "-sTCP:LISTEN", "-Fpn"),
        "ss -ltnp": functools.partial(command, "ss", "-ltnp"),
        "psutil": functools.partial(by_psutil, ports, pids),
    }
