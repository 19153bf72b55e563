# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place everything happens in: a directory of its own, free ports, commands that are timed, and an end by pid."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# As tests/tools/lib.sh has it.
_CACHES = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
CACHE = Path(os.environ.get("ROLLCALL_CACHE") or Path(_CACHES) / "rollcall")

# Below what the kernel hands out for outgoing connections, so that nothing takes a port between two looks.
PORTS = range(20000, 32000)
# A unix socket's path has 99 bytes, and each host has its own below this directory.
LONGEST_PATH = 60
PATIENCE = 900.0


class Failure(Exception):
    """The benchmark itself cannot go on."""


class Took(NamedTuple):
    """What something cost: seconds on the wall clock, and seconds of CPU time, user and system together."""

    seconds: float
    cpu: float


class Stopwatch:
    """Measures what this process itself does from here on."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> Took:
        """Return what it took until now."""
        return Took(time.perf_counter() - self._wall, time.process_time() - self._cpu)


@dataclass(frozen=True)
class Checkout:
    """A checkout of Rollcall with its own ``.venv``, as ``make setup`` makes it."""

    root: Path

    @property
    def bin(self) -> Path:
        """Where its commands are."""
        return self.root / ".venv" / "bin"

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.bin / "python")

    def environment(self) -> dict[str, str]:
        """Return our environment with its commands first on PATH, and without what would change what is measured.

        That is the caller's settings of Ansible, and a ban on compiled Python files.
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("ANSIBLE_") and name != "PYTHONDONTWRITEBYTECODE"
        }
        return {**kept, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"}


THIS = Checkout(ROOT)


@dataclass(frozen=True)
class Ran:
    """A command that has ended: what it took, exit code, output of both kinds.

    Its CPU time is its own and that of all descendants that were waited for: not of a process that it left behind.
    """

    took: Took
    code: int
    output: str

    def must(self, what: str) -> Ran:
        """Return itself when the command exited with 0.

        Raises:
            Failure: it did not; with its last lines.
        """
        if self.code != 0:
            raise Failure(f"{what} ended with {self.code}:\n{self.output[-4000:]}")
        return self


class Arena:
    """A temporary directory by whose path every process of the benchmark is known; all of them are ended with it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="rb-")).resolve()
        if len(str(self.path)) > LONGEST_PATH:
            self.path.rmdir()
            raise Failure(f"{self.path} is too long for unix sockets below it: set TMPDIR to a shorter directory")
        self._ports = self._free_ports()

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.end()
        shutil.rmtree(self.path, ignore_errors=True)

    def ports(self, count: int) -> list[int]:
        """Return ports that a bind has just proved free, and never the same twice."""
        return [next(self._ports) for _unused in range(count)]

    def _free_ports(self) -> Iterator[int]:
        start = random.randrange(len(PORTS))
        for port in (*PORTS[start:], *PORTS[:start]):
            if is_free(port):
                yield port
        raise Failure(f"there is no free port left from {PORTS.start} to {PORTS.stop - 1}")

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, checkout: Checkout = THIS
    ) -> Ran:
        """Run a command to its end and measure it. Its output goes to a file: a process that it leaves may keep that.

        Args:
            command: what to run, in the root of the checkout.
            environment: what it gets beside the checkout's.
            checkout: whose commands come first on PATH.
        """
        with tempfile.TemporaryFile(dir=self.path) as output:
            began = time.perf_counter()
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=checkout.root,
                env={**checkout.environment(), **(environment or {})},
            )
            watchdog = threading.Timer(PATIENCE, end_tree, [child.pid])
            watchdog.daemon = True
            watchdog.start()
            try:
                # Not Popen.wait, which tells no CPU time and with a timeout looks only every 50 ms.
                _pid, status, usage = os.wait4(child.pid, 0)
                child.returncode = os.waitstatus_to_exitcode(status)
            except BaseException:
                end_tree(child.pid)
                child.wait()
                raise
            finally:
                watchdog.cancel()
            took = Took(time.perf_counter() - began, usage.ru_utime + usage.ru_stime)
            output.seek(0)
            return Ran(took, child.returncode, output.read().decode("utf-8", "replace"))

    def end(self) -> None:
        """End every process whose command line names this directory, by its pid."""
        end_all(lambda: mentioning(str(self.path)))


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now, on IPv4 and, where there is such, on IPv6."""
    try:
        with socket.create_server(("", port), family=socket.AF_INET):
            pass
        if socket.has_dualstack_ipv6():
            with socket.create_server(("", port), family=socket.AF_INET6):
                pass
    except OSError:
        return False
    return True


def command_line(process: psutil.Process) -> list[str]:
    """Return a process's arguments; none for one that has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def mentioning(path: str) -> list[psutil.Process]:
    """Return the live processes, ourselves excepted, with an argument at or below ``path``."""
    found = []
    for process in psutil.process_iter():
        # supervisord spawns a program by forking itself: for a moment there are two of it.
        if process.pid != os.getpid() and any(path in argument for argument in command_line(process)):
            found.append(process)
    return found


def end_all(listed: Callable[[], list[psutil.Process]], patience: float = 20.0) -> None:
    """KILL what is listed, supervisords first, until nothing is listed any more.

    Raises:
        Failure: something stays.
    """
    until = time.monotonic() + patience
    while True:
        left = [process for process in listed() if is_alive(process)]
        if not left:
            return
        if time.monotonic() > until:
            raise Failure(f"these processes do not end: {[process.pid for process in left]}")
        for process in sorted(left, key=lambda one: "supervisord" not in " ".join(command_line(one))):
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=1.0)


def is_alive(process: psutil.Process) -> bool:
    """Whether it is there and more than a zombie."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def end_tree(pid: int) -> None:
    """KILL a child of ours with all that it started."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        tree = [process, *process.children(recursive=True)]
        end_all(lambda: tree)


def wait_until(condition: Callable[[], bool], what: str, patience: float = 30.0) -> None:
    """Wait until a condition holds.

    Raises:
        Failure: it does not within ``patience`` seconds.
    """
    until = time.monotonic() + patience
    while not condition():
        if time.monotonic() > until:
            raise Failure(f"waited {patience:g} s in vain until {what}")
        time.sleep(0.05)
