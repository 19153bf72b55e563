# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is known of a process, of the label that it carries, and of a listening socket: data without any reading."""

from __future__ import annotations

import typing as t

from ..base.text import one_line

# The pid and the start time, which together are never used again, though pids are.
Identity = t.Tuple[int, int]


class Label(t.NamedTuple):
    """What a process of a stack carries in its environment; ``service`` is empty for the supervisord itself."""

    stack: str
    root: str
    service: str
    revision: str


class Place(t.NamedTuple):
    """Where a process stands among the others: parent, process group, session, start, and whether it has ended."""

    ppid: int
    group: int
    session: int
    start: int
    ended: bool


class Activity(t.NamedTuple):
    """Whether a process runs: its state's letter, and how often the kernel has switched to it or away from it."""

    state: str
    switches: int


class Process(t.NamedTuple):
    """One process at the moment it was looked at.

    Attributes:
        pid: as seen in our own pid namespace.
        ppid: 0 for pid 1 and for what came from outside of our namespace.
        start: clock ticks between boot and its start (field 22 of /proc/PID/stat); elsewhere hundredths of a second.
        uid: real user id.
        user: the name of that user, or the number when it has no name.
        exe: path of the program; empty when it may not be read.
        command: the arguments; ``[name]`` alone for kernel threads and zombies.
        state: the letter of /proc/PID/stat: R, S, D, T, Z and so on. A process of which only the first thread has
            ended is not a zombie: it has the state of a thread that lives.
        started_at: start in seconds since the epoch, for people.
        container: whether it lives in another pid namespace than we do.
        label: what ``ours.find`` found; None from everywhere else.
        group: the number of its process group.
        session: the number of its session, which is the pid that its leader has or had.
    """

    pid: int
    ppid: int
    start: int
    uid: int
    user: str
    exe: str
    command: t.Tuple[str, ...]
    state: str
    started_at: float
    container: bool = False
    label: t.Optional[Label] = None
    group: int = 0
    session: int = 0

    @property
    def identity(self) -> Identity:
        """The pid and the start time."""
        return (self.pid, self.start)

    @property
    def place(self) -> Place:
        """Where it stands among the others."""
        return Place(self.ppid, self.group, self.session, self.start, self.ended)

    @property
    def ended(self) -> bool:
        """Whether it is a zombie, or dead: it runs no more and only waits for its parent."""
        return self.state in "ZX"

    @property
    def command_line(self) -> str:
        """The command as ps shows it."""
        return " ".join(self.command)

    @property
    def shown(self) -> str:
        """The command for a sentence: one line, and not more of it than tells what it is."""
        return one_line(self.command_line)

    @property
    def summary(self) -> str:
        """Its pid, command and user, for a sentence."""
        return f"pid {self.pid} '{self.shown}' of user {self.user}"

    def as_dict(self) -> t.Dict[str, t.Any]:
        """Return the process as data."""
        return {
            "pid": self.pid,
            "ppid": self.ppid,
            "user": self.user,
            "command": self.command_line,
            "state": self.state,
            "started": self.started_at,
        }


class Listener(t.NamedTuple):
    """One socket that listens (``listeners.users`` returns some that do not).

    Attributes:
        family: ``ipv4`` or ``ipv6``; an IPv6 socket bound to an IPv4-mapped address counts as what it is, ``ipv4``.
        address: it listens on; ``0.0.0.0`` and ``::`` are the wildcards.
        port: 1 to 65535; a `UdpPort` for a socket of UDP, which is bound and does not listen.
        inode: by which /proc/PID/fd names it. Where there are no inodes (not Linux) the negative of the owner's pid.
        uid: the user who made it; -1 when unknown.
        v6only: whether an IPv6 wildcard leaves the IPv4 port to others.
    """

    family: str
    address: str
    port: int
    inode: int
    uid: int
    v6only: bool = False

    @property
    def families(self) -> t.Tuple[str, ...]:
        """The families whose port it holds: an IPv6 wildcard that is not v6only holds both."""
        return ("ipv6", "ipv4") if self.address == "::" and not self.v6only else (self.family,)

    @property
    def place(self) -> str:
        """Address and port as one writes them."""
        return f"[{self.address}]:{self.port}" if self.family == "ipv6" else f"{self.address}:{self.port}"


class Owners(t.NamedTuple):
    """Which processes hold which sockets.

    Attributes:
        pids: by inode; an inode without an owner is missing.
        complete: False when an inode has no owner and not every process could be read: the owner may be among those.
        unreadable: how many processes could not be read.
        hidden: whether processes of others are not even listed (hidepid).
        places: where a pid's descriptor of an inode was seen, as a path; for ``socket_owners.holds``.
        described: the processes that were described on the way, by pid.
    """

    pids: t.Mapping[int, t.Sequence[int]] = {}
    complete: bool = True
    unreadable: int = 0
    hidden: bool = False
    places: t.Mapping[t.Tuple[int, int], str] = {}
    described: t.Mapping[int, Process] = {}
