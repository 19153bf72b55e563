# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Mac for tests on other systems: psutil's own code for macOS, over a table of what the kernel would report.

What is stood in for is psutil's extension module alone, whose functions hand on what sysctl(3) and libproc(3) say:
KERN_PROC for what everybody may see of a process, KERN_PROCARGS2 for arguments and environment, PROC_PIDLISTFDS for
sockets. The latter two are refused for the processes of another user. The shapes are those that psutil 7.2 takes from
its extension (psutil/_psosx.py) and the numbers those of Apple's headers; what runs was written by hand, not on a Mac.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import socket
import sys
import types
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import by_psutil, processes

BOOTED = 1_790_000_000.0
# sys/proc.h
SRUN, SSLEEP, SSTOP, SZOMB = 2, 3, 4, 5
# netinet/tcp_fsm.h
LISTEN, ESTABLISHED = 1, 4

Address = t.Tuple[str, int]


@dataclasses.dataclass(frozen=True)
class Socket:
    """A TCP socket as PROC_PIDFDSOCKETINFO tells it."""

    local: Address
    remote: t.Union[Address, t.Tuple[()]] = ()
    state: int = LISTEN
    family: int = socket.AF_INET

    def raw(self, number: int) -> t.Tuple[t.Any, ...]:
        """Return it as the extension does."""
        return (number, self.family, int(socket.SOCK_STREAM), self.local, self.remote, self.state)


@dataclasses.dataclass(frozen=True)
class Recorded:
    """One process.

    Attributes:
        arguments: None for what has none to show: a zombie, the kernel.
        environment: empty also for the programs of Apple itself, which the system protects (SIP).
    """

    pid: int
    ppid: int
    uid: int
    started: float
    name: str
    exe: str = ""
    arguments: t.Optional[t.Sequence[str]] = None
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    directory: str = "/"
    status: int = SRUN
    sockets: t.Sequence[Socket] = ()


def on_ipv6(address: str, port: int) -> Socket:
    """Return a listener of the other family."""
    return Socket((address, port), family=socket.AF_INET6)


class ZombieProcessError(Exception):
    """What the extension raises when the kernel reports that the process is a zombie."""


class Mac:
    """The machine, seen by one of its users.

    Args:
        uid: the user who asks.
        processes: what runs.
    """

    def __init__(self, uid: int, processes: t.Iterable[Recorded]) -> None:
        self.uid = uid
        self.processes = {process.pid: process for process in processes}
        self.psutil = self._load()

    def _load(self) -> t.Any:
        """Return a psutil that is on macOS; nobody else gets to see it."""
        ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "psutil"}
        platform = sys.platform
        try:
            for name in ours:
                del sys.modules[name]
            sys.modules["psutil._psutil_osx"] = self._extension()
            sys.platform = "darwin"
            return importlib.import_module("psutil")
        finally:
            sys.platform = platform
            for name in [name for name in sys.modules if name.partition(".")[0] == "psutil"]:
                del sys.modules[name]
            sys.modules.update(ours)

    def _extension(self) -> types.ModuleType:
        made = _Extension("psutil._psutil_osx")
        made.__dict__.update(
            version=722,
            ZombieProcessError=ZombieProcessError,
            **{"SIDL": 1, "SRUN": SRUN, "SSLEEP": SSLEEP, "SSTOP": SSTOP, "SZOMB": SZOMB, "PSUTIL_CONN_NONE": 128},
            **{f"TCPS_{name}": number for number, name in enumerate(STATES)},
            AF_LINK=18,
            getpagesize=lambda: 16384,
            has_cpu_freq=lambda: False,
            boot_time=lambda: BOOTED,
            check_pid_range=lambda _pid: None,
            pids=lambda: list(self.processes),
            proc_is_zombie=lambda pid: pid in self.processes and self.processes[pid].status == SZOMB,
            proc_kinfo_oneshot=self._kinfo,
            proc_exe=lambda pid: self._seen(pid).exe,
            proc_cmdline=lambda pid: list(self._own(pid).arguments or ()),
            proc_environ=lambda pid: "".join(f"{name}={value}\0" for name, value in self._own(pid).environment.items()),
            proc_cwd=lambda pid: self._own(pid).directory,
            proc_net_connections=self._connections,
        )
        return made

    def _seen(self, pid: int) -> Recorded:
        if pid not in self.processes:
            raise ProcessLookupError(3, "No such process")
        return self.processes[pid]

    def _own(self, pid: int) -> Recorded:
        process = self._seen(pid)
        if process.status == SZOMB:
            raise ZombieProcessError
        if self.uid not in (0, process.uid) or pid == 0:
            raise PermissionError(1, "Operation not permitted")
        return process

    def _kinfo(self, pid: int) -> t.Tuple[t.Any, ...]:
        process = self._seen(pid)
        users = (process.uid,) * 3 + (20,) * 3
        return (process.ppid, *users, -1, process.started, process.status, process.name)

    def _connections(self, pid: int, families: t.Container[int], _kinds: t.Any) -> t.List[t.Tuple[t.Any, ...]]:
        return [one.raw(number) for number, one in enumerate(self._own(pid).sockets, start=5) if one.family in families]


STATES = (
    "CLOSED",
    "LISTEN",
    "SYN_SENT",
    "SYN_RECEIVED",
    "ESTABLISHED",
    "CLOSE_WAIT",
    "FIN_WAIT_1",
    "CLOSING",
    "LAST_ACK",
    "FIN_WAIT_2",
    "TIME_WAIT",
)


class _Extension(types.ModuleType):
    def __getattr__(self, name: str) -> t.Any:
        """Give psutil the functions that it only picks up when it is imported."""
        if name.startswith("_"):
            raise AttributeError(name)

        def never(*_arguments: t.Any) -> t.Any:
            raise AssertionError(f"{name} was not recorded")

        return never


@contextlib.contextmanager
def on(mac: Mac, patch: t.Any) -> t.Iterator[Mac]:
    """Have the engine believe that it runs on a Mac, as the user who asks there.

    Args:
        mac: the machine.
        patch: a pytest.MonkeyPatch.
    """
    with patch.context() as inner:
        inner.setattr(processes, "LINUX", False)
        inner.setattr(processes, "reader", by_psutil)
        inner.setattr(by_psutil, "load_psutil", lambda: mac.psutil)
        inner.setattr("os.geteuid", lambda: mac.uid)
        # This machine may have processes with the pids of that one.
        inner.setattr("os.getpgid", _no_process)
        inner.setattr("os.getsid", _no_process)
        yield mac


def _no_process(pid: int) -> int:
    raise ProcessLookupError(pid)
