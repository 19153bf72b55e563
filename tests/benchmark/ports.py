# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports in process: whose they are, and freeing them, against one lsof after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import listeners, socket_owners
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.environment import label_variables
from tests.benchmark.arena import HERE, Arena, Failure, Stopwatch, Took, end_tree, is_free
from tests.benchmark.places import Host

LSOF_LOOP = 'for port in "$@"; do lsof -ti ":$port" | xargs -r kill -9; done'
LSOF_LOOK = 'for port in "$@"; do lsof -ti ":$port"; done'


def stack_of(arena: Arena, ports: Sequence[int]) -> Stack:
    """Return a stack whose services listen on these ports and do nothing else."""
    raw = {
        "name": "flush",
        "root": str(arena.path / "flush"),
        "ports": {"range": [20000, 32767]},
        "services": {f"service_{port}": {"command": ["/bin/true"], "port": port} for port in ports},
    }
    checked = check_manifest({"stack": raw})
    if checked.stack is None:
        raise Failure(json.dumps([problem.as_dict() for problem in checked.problems], indent=1))
    return checked.stack


@contextmanager
def orphans(arena: Arena, stack: Stack, ports: Sequence[int]) -> Iterator[list[int]]:
    """Have one process listen on each port, labelled as a left-over of the stack; their pids."""
    command = [sys.executable, str(HERE / "listeners.py"), str(arena.path), ",".join(map(str, ports))]
    labels = {**os.environ, **label_variables(stack, stack.services[0])}
    parent = subprocess.Popen(command, env=labels, stdout=subprocess.PIPE)
    try:
        output = parent.stdout
        # A dot from each that listens.
        if output is None or output.read(len(ports)) != b"." * len(ports):
            raise Failure("the listeners did not come up")
        yield [child.pid for child in psutil.Process(parent.pid).children()]
    finally:
        end_tree(parent.pid)
        parent.wait()
        if parent.stdout is not None:
            parent.stdout.close()


def flush_in_process(arena: Arena, stack: Stack, ports: Sequence[int]) -> Took:
    """Return what the engine takes to end them and prove the ports free."""
    with orphans(arena, stack, ports):
        watch = Stopwatch()
        done = flush.flush(stack, ports, max_victims=len(ports))
        took = watch.read()
        if sorted(done.freed) != sorted(ports):
            raise Failure(f"the flush freed {done.freed} of {ports}")
    return took


def flush_by_lsof(arena: Arena, stack: Stack, ports: Sequence[int]) -> Took:
    """Return what the shell loop takes; it proves nothing."""
    with orphans(arena, stack, ports):
        took = arena.run(["bash", "-c", LSOF_LOOP, "bash", *map(str, ports)]).took
        if not all(is_free(port) for port in ports):
            raise Failure("the lsof loop left a port held")
    return took


def owners_in_process(host: Host, hints: Sequence[int]) -> Took:
    """Return what the engine takes to find who holds the ports of a host.

    Args:
        host: with all its services running.
        hints: the pids that its supervisord reports; without any, every process may have to be looked at.
    """
    watch = Stopwatch()
    found = listeners.find_listeners(host.ports)
    owners = socket_owners.find_owners([listener.inode for listener in found], hints)
    took = watch.read()
    held = {pid for pids in owners.pids.values() for pid in pids}
    expected = {pid for name, pids in host.pids().items() if "port" in host.services[name] for pid in pids}
    if held != expected:
        raise Failure(f"the owners are {sorted(expected)}, found were {sorted(held)}")
    return took


def owners_by_lsof(arena: Arena, host: Host) -> Took:
    """Return what one lsof a port takes."""
    return arena.run(["bash", "-c", LSOF_LOOK, "bash", *map(str, host.ports)]).must("lsof").took
