# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts real processes that a test may have ended, and bystanders that must survive; ends them by their pids."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import typing as t
from pathlib import Path

import psutil

from tests.support.processes import READY_TIMEOUT, free_port, is_alive

PROGRAM = Path(__file__).with_name("port_holders.py")


class Victim:
    """A started victim.

    Attributes:
        pid: of the process that matters: the master, the daemon, the listener.
        port: it holds.
        pids: all its processes, as far as it has said so.
    """

    def __init__(self, process: subprocess.Popen[str], said: t.Mapping[str, t.Any]) -> None:
        self.process = process
        self.said = said
        self.pid: int = said["pid"]
        self.port: int = said["port"]
        self.pids: t.List[int] = said["pids"]

    @property
    def alive(self) -> bool:
        """Whether the process that matters runs."""
        return is_alive(self.pid)

    def end(self) -> None:
        """End all its processes, the parents first so that nothing is started again, and reap our own child."""
        for pid in dict.fromkeys([self.process.pid, self.pid, *self.pids]):
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                family = psutil.Process(pid)
                # A pid may be another process by now.
                if pid != self.process.pid and PROGRAM.name not in " ".join(family.cmdline()):
                    continue
                descendants = family.children(recursive=True)
                family.kill()
                for child in descendants:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
        self.process.wait(READY_TIMEOUT)
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextlib.contextmanager
def victim(
    kind: str,
    port: int = 0,
    *options: str,
    label: t.Optional[t.Mapping[str, str]] = None,
    python: str = sys.executable,
    prefix: t.Sequence[str] = (),
) -> t.Iterator[Victim]:
    """Start a victim and end it afterwards.

    Args:
        kind: a function of port_holders.py.
        port: to hold; 0 means any free one.
        options: options of that program.
        label: environment to add, such as the label of a stack.
        python: the interpreter, by another name perhaps.
        prefix: a command that runs the victim, such as ``unshare``.
    """
    started = start(kind, port, *options, label=label, python=python, prefix=prefix)
    try:
        yield started
    finally:
        started.end()


@contextlib.contextmanager
def innocent() -> t.Iterator[Victim]:
    """Run a listener that no test may end; it must be alive afterwards."""
    held = start("listen")
    try:
        yield held
        assert held.alive, "a bystander was ended"
    finally:
        held.end()


def start(
    kind: str,
    port: int = 0,
    *options: str,
    label: t.Optional[t.Mapping[str, str]] = None,
    python: str = sys.executable,
    prefix: t.Sequence[str] = (),
) -> Victim:
    """Start a victim and wait until it says that it is ready; the caller ends it."""
    process = subprocess.Popen(
        [*prefix, python, str(PROGRAM), kind, str(port or free_port()), *options],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], **(label or {})},
        start_new_session=True,
    )
    stdout = t.cast(t.TextIO, process.stdout)
    readable, _unused, _unused = select.select([stdout], [], [], READY_TIMEOUT)
    line = stdout.readline() if readable else ""
    if not line:
        process.kill()
        process.wait()
        stdout.close()
        raise AssertionError(f"the victim {kind} did not get ready")
    return Victim(process, json.loads(line))
