# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Listening TCP sockets, the processes that hold them, and whether a port can be bound.

On Linux the kernel's own answer is asked for over netlink (sock_diag(7): ``inet_diag_req_v2``, state TCP_LISTEN), for
both families in one turn; nothing held costs 0.07 ms. pyroute2 speaks the same protocol. It is not used because its
import alone takes longer than a whole flush and it would be one more package on every managed host, against the some
sixty lines here. Where netlink is refused (a seccomp filter, no inet_diag in the kernel), /proc/net/tcp and tcp6 are
read instead, and psutil answers on other systems.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import struct
import typing as t
from dataclasses import dataclass, field

from . import processes

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h, net/tcp_states.h
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 0x1
NLM_F_DUMP = 0x300
NLM_F_DUMP_INTR = 0x10
NLMSG_ERROR = 2
NLMSG_DONE = 3
INET_DIAG_SKV6ONLY = 11
TCP_TIME_WAIT = 6
TCP_LISTEN = 10
# Bound and neither listening nor connected. The kernel tells since 6.8; before, it knows no such state and lists none.
TCP_BOUND_INACTIVE = 13
_LISTENING = 1 << TCP_LISTEN
_REMEMBERED = 1 << TCP_TIME_WAIT
_OTHERWISE = sum(1 << state for state in range(1, TCP_BOUND_INACTIVE + 1)) - _LISTENING - _REMEMBERED

_HEADER = struct.Struct("=IHHII")
# sdiag_family, sdiag_protocol, idiag_ext, pad, idiag_states; then inet_diag_sockid: ports, addresses, interface, cookie
_REQUEST = struct.Struct("=BBBBI 2s2s16s16sI8s")
# Of inet_diag_msg only the family, the source's port and address, the uid and the inode; the rest is skipped over.
_ANSWER = struct.Struct("=B3x 2s2x16s16x4x8x 12xII")
_ATTRIBUTE = struct.Struct("=HH")
_MAPPED = b"\0" * 10 + b"\xff\xff"
# How far `owners` looks for processes that share a socket.
ONE = "one"
RELATIVES = "relatives"
EVERY = "every"
# The answer of a local kernel is a matter of microseconds; past this it is no answer.
NETLINK_TIMEOUT = 2.0
# A dump that sockets were added to or taken from meanwhile is flagged as interrupted and taken again.
DUMP_ATTEMPTS = 5


class _Refused(Exception):
    """Netlink cannot be had here; private, for the fallback alone."""


@dataclass(frozen=True)
class Listener:
    """One socket that listens (`users` returns some that do not).

    Attributes:
        family: ``ipv4`` or ``ipv6``; an IPv6 socket bound to an IPv4-mapped address counts as what it is, ``ipv4``.
        address: it listens on; ``0.0.0.0`` and ``::`` are the wildcards.
        port: 1 to 65535.
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


@dataclass(frozen=True)
class Owners:
    """Who holds which socket.

    Attributes:
        pids: by inode; an inode without an owner is missing.
        complete: False when an inode has no owner and not every process could be read: the owner may be among those.
        unreadable: how many processes could not be read.
        hidden: whether processes of others are not even listed (hidepid).
        places: where a pid's descriptor of an inode was seen, as a path; for `holds`.
        described: the processes that had to be described on the way.
    """

    pids: t.Mapping[int, t.Sequence[int]] = field(default_factory=dict)
    complete: bool = True
    unreadable: int = 0
    hidden: bool = False
    places: t.Mapping[t.Tuple[int, int], str] = field(default_factory=dict)
    described: t.Mapping[int, processes.Process] = field(default_factory=dict)


def listeners(ports: t.Optional[t.Container[int]] = None) -> t.List[Listener]:
    """Return every listening TCP socket of our network namespace on one of ``ports``; None means all ports.

    Raises:
        RollcallError: not on Linux, and psutil is missing.
    """
    if not processes.LINUX:
        return _psutil_listeners(ports)
    try:
        found = _dump(_LISTENING)
    except _Refused:
        found = _read_proc_net()
    return [listener for listener in found if ports is None or listener.port in ports]


def owners(inodes: t.Iterable[int], hints: t.Iterable[int] = (), sharing: str = ONE) -> Owners:
    """Return the processes that hold these sockets.

    Args:
        inodes: of the sockets.
        hints: pids to look at first; right ones make this a matter of microseconds.
        sharing: how far to look for processes that share a socket. ``one``: the search stops once each socket has an
            owner. ``relatives``: also their families, which is how masters and workers come to share. ``every``: look
            at every process, for a socket can also be handed to a stranger (SCM_RIGHTS).

    A first thread that has ended leaves /proc/PID/fd empty though other threads hold the descriptors: those are looked
    at below /proc/PID/task.
    """
    numbers = list(inodes)
    if not processes.LINUX:
        return _psutil_owners(numbers)
    search = _Search([inode for inode in numbers if inode > 0], sharing == EVERY)
    visible: t.List[int] = []
    if not search.look(hints):
        visible = processes.pids()
        search.look(visible)
    if sharing == RELATIVES:
        search.look_at_relatives()
    # With hidepid the processes of others are not even listed, and pid 1 is never ours.
    hidden = bool(visible) and 1 not in visible
    # What runs outside of our pid namespace and shares our network, as a container may, has no pid here.
    complete = not search.missing or not (search.unreadable or hidden or not processes.in_first_namespace())
    return Owners(search.found, complete, search.unreadable, hidden, search.places, search.described)


class _Search:
    """The search for the holders of some sockets, process by process."""

    def __init__(self, inodes: t.Sequence[int], exhaustive: bool) -> None:
        self.found: t.Dict[int, t.List[int]] = {}
        self.places: t.Dict[t.Tuple[int, int], str] = {}
        self.described: t.Dict[int, processes.Process] = {}
        self.unreadable = 0
        self._wanted = {f"socket:[{inode}]": inode for inode in inodes}
        self._ownerless = set(inodes)
        self._holders: t.Set[int] = set()
        self._exhaustive = exhaustive
        self._seen: t.Set[int] = set()

    @property
    def missing(self) -> bool:
        """Whether a socket has no holder yet."""
        return bool(self._ownerless)

    def look_at_relatives(self) -> None:
        """Look at the descendants of each holder, of those above it that hold too, and of one more above them."""
        self._exhaustive = True
        held = sorted(self._holders)
        for pid in held:
            process = processes.describe(pid)
            if process is not None:
                self.described[pid] = process
        queue: t.List[int] = []
        for lineage in processes.lineages(held, self.described.values()).values():
            for pid in lineage:
                # Everything descends from pid 1, and being its child makes nobody a relative.
                if pid > 1:
                    self.look([pid])
                    queue.append(pid)
                if pid not in self._holders:
                    break
        visited: t.Set[int] = set()
        while queue:
            pid = queue.pop()
            if pid not in visited:
                visited.add(pid)
                children = processes.children(pid)
                self.look(children)
                queue += children

    def look(self, pids: t.Iterable[int]) -> bool:
        """Look at these processes; return whether the search may end here."""
        if not self._wanted:
            return True
        for pid in pids:
            if pid in self._seen:
                continue
            self._seen.add(pid)
            try:
                held = _held(pid, self._wanted)
            except PermissionError:
                self.unreadable += 1
                continue
            for inode, place in held.items():
                self.found.setdefault(inode, []).append(pid)
                self.places[pid, inode] = place
            if held:
                self._holders.add(pid)
                self._ownerless.difference_update(held)
                if not self._exhaustive and not self._ownerless:
                    return True
        return False


def holds(pid: int, inode: int, place: str = "") -> bool:
    """Return whether a process holds this socket now; one that may not be read does not.

    Args:
        pid: of the process.
        inode: of the socket.
        place: where `owners` saw its descriptor. It is mostly still there, and then no other is looked at.
    """
    if inode < 0:
        return pid == -inode
    wanted = f"socket:[{inode}]"
    try:
        return (place != "" and _target(place) == wanted) or bool(_held(pid, {wanted: inode}))
    except PermissionError:
        return False


def bindable(port: int, address: str = "") -> t.Optional[str]:
    """Return None when a server could listen on the port now, else the reason why not.

    This is the judge: it sees what no list of sockets shows, such as a socket that is bound and does not listen. It
    binds as servers do, with SO_REUSEADDR, listens, and closes at once.

    Args:
        port: 1 to 65535.
        address: empty means the wildcard of IPv4 and that of IPv6, each for itself.
    """
    if address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return _try_bind(family, address, port)
    if not processes.LINUX:
        # With SO_REUSEADDR a BSD lets one listen on a wildcard although another does so on an address, and the other
        # way round: the addresses that servers are given are tried as well.
        places = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"), (socket.AF_INET, "127.0.0.1"))
        answers = (_try_bind(family, place, port) for family, place in (*places, (socket.AF_INET6, "::1")))
        return next((answer for answer in answers if answer is not None), None)
    # One socket for both families first: ports are mostly free, and then nothing more is to be asked.
    if socket.has_ipv6 and _try_bind(socket.AF_INET6, "::", port, both=True) is None:
        return None
    return _try_bind(socket.AF_INET, "0.0.0.0", port) or _try_bind(socket.AF_INET6, "::", port)


def users(port: int) -> t.List[Listener]:
    """Return the sockets that use a port and do not listen: connected from or through it, or bound and nothing else.

    The merely bound ones are told by Linux 6.8 and later. A connection that its process has closed has inode 0.
    """
    return _dump_if_possible(_OTHERWISE, port)


def remembered(port: int) -> int:
    """Return how many closed connections of a port the kernel still remembers (TIME_WAIT); they have no owner."""
    return len(_dump_if_possible(_REMEMBERED, port))


def _try_bind(family: int, address: str, port: int, *, both: bool = False) -> t.Optional[str]:
    """Return None when a server could listen there, else why not; ``both`` takes in IPv4 and needs IPv6 to be there."""
    try:
        probe = socket.socket(family, socket.SOCK_STREAM)
    except OSError as exc:
        if exc.errno == errno.EAFNOSUPPORT:
            return "no such family" if both else None
        raise
    with probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
            probe.bind((address, port))
            probe.listen(1)
        except OSError as exc:
            # The host has IPv6 switched off: nobody will listen there.
            if not both and address in ("::", "::1") and exc.errno == errno.EADDRNOTAVAIL:
                return None
            where = f"[{address}]:{port}" if family == socket.AF_INET6 else f"{address}:{port}"
            return f"cannot listen on {where}: {exc.strerror}"
    return None


def _held(pid: int, wanted: t.Mapping[str, int]) -> t.Dict[int, str]:
    """Return which of the wanted sockets a process holds, by inode, and where.

    Raises:
        PermissionError: its descriptors may not be read.
    """
    place = f"/proc/{pid}/fd"
    try:
        # Since Linux 6.2 the size of the directory is the number of descriptors, and most processes, the kernel's own,
        # have none: asking costs a fifth of listing. Before, the size is always 0.
        names = os.listdir(place) if os.stat(place).st_size or not _sizes_tell() else []
        if not names:
            return _held_by_threads(pid, wanted)
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return _links(place, names, wanted)


@functools.lru_cache(maxsize=1)
def _sizes_tell() -> bool:
    # We always have a descriptor open: that of the directory itself while it is listed, if nothing else.
    handle = os.open("/proc/self/fd", os.O_RDONLY)
    try:
        return os.stat(handle).st_size > 0
    finally:
        os.close(handle)


def _held_by_threads(pid: int, wanted: t.Mapping[str, int]) -> t.Dict[int, str]:
    if not processes.threaded(pid):
        return {}
    found: t.Dict[int, str] = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        place = f"/proc/{pid}/task/{task}/fd"
        try:
            found.update(_links(place, os.listdir(place), wanted))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _links(place: str, names: t.Iterable[str], wanted: t.Mapping[str, int]) -> t.Dict[int, str]:
    found = {}
    for name in names:
        inode = wanted.get(_target(f"{place}/{name}"))
        if inode is not None:
            found[inode] = f"{place}/{name}"
    return found


def _target(path: str) -> str:
    """Return what a descriptor stands for; empty when it has been closed since it was listed."""
    try:
        return os.readlink(path)
    except (FileNotFoundError, ProcessLookupError):
        return ""


# --- netlink ------------------------------------------------------------------------------------------------------


def _dump_if_possible(states: int, port: int) -> t.List[Listener]:
    if not processes.LINUX:
        return []
    try:
        found = _dump(states, port)
    except _Refused:
        return []
    # The kernel lists what is merely bound whatever port it was asked for.
    return [one for one in found if one.port == port]


def _dump(states: int, port: int = 0) -> t.List[Listener]:
    """Return the TCP sockets in these states (a bit for each), of both families; port 0 means all.

    Raises:
        _Refused: the kernel does not answer.
    """
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as channel:
            channel.settimeout(NETLINK_TIMEOUT)
            return [
                found
                for family in (socket.AF_INET, socket.AF_INET6)
                for found in _dump_family(channel, family, states, port)
            ]
    except OSError as exc:
        raise _Refused(str(exc)) from exc


def _dump_family(channel: socket.socket, family: int, states: int, port: int) -> t.List[Listener]:
    for sequence in range(1, DUMP_ATTEMPTS + 1):
        body = _REQUEST.pack(
            family, socket.IPPROTO_TCP, 0, 0, states, struct.pack("!H", port), b"", b"", b"", 0, b"\xff" * 8
        )
        length = _HEADER.size + len(body)
        channel.send(_HEADER.pack(length, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, sequence, 0) + body)
        found, whole = _receive(channel, sequence)
        if whole:
            return found
    raise _Refused(f"the sockets changed during each of {DUMP_ATTEMPTS} dumps")


def _receive(channel: socket.socket, sequence: int) -> t.Tuple[t.List[Listener], bool]:
    """Return the sockets of one dump and whether nothing came between its parts.

    Raises:
        OSError: the kernel answers with an error, or not in time.
    """
    found: t.List[Listener] = []
    whole = True
    while True:
        data = channel.recv(65536)
        place = 0
        while place + _HEADER.size <= len(data):
            length, kind, flags, answered, _unused = _HEADER.unpack_from(data, place)
            if answered == sequence:
                whole = whole and not flags & NLM_F_DUMP_INTR
                if kind == NLMSG_DONE:
                    return found, whole
                if kind == NLMSG_ERROR:
                    number = -struct.unpack_from("=i", data, place + _HEADER.size)[0]
                    raise OSError(number, os.strerror(number))
                if kind == SOCK_DIAG_BY_FAMILY:
                    found.append(_parse(data, place + _HEADER.size, place + length))
            # Messages are aligned to four bytes.
            place += (max(length, _HEADER.size) + 3) & ~3


def _parse(data: bytes, place: int, end: int) -> Listener:
    family, port, source, uid, inode = _ANSWER.unpack_from(data, place)
    v6only = False
    place += _ANSWER.size
    while place + _ATTRIBUTE.size < end:
        length, kind = _ATTRIBUTE.unpack_from(data, place)
        if kind == INET_DIAG_SKV6ONLY:
            v6only = data[place + _ATTRIBUTE.size] != 0
        place += (max(length, _ATTRIBUTE.size) + 3) & ~3
    return _listener(family, source, struct.unpack("!H", port)[0], inode, uid, v6only)


def _listener(family: int, source: bytes, port: int, inode: int, uid: int, v6only: bool) -> Listener:
    if family == socket.AF_INET:
        return Listener("ipv4", socket.inet_ntop(socket.AF_INET, source[:4]), port, inode, uid)
    if source[:12] == _MAPPED:
        return Listener("ipv4", socket.inet_ntop(socket.AF_INET, source[12:16]), port, inode, uid)
    return Listener("ipv6", socket.inet_ntop(socket.AF_INET6, source[:16]), port, inode, uid, v6only)


# --- the fallbacks ------------------------------------------------------------------------------------------------


def _read_proc_net() -> t.List[Listener]:
    """Return the listeners by /proc/net/tcp and tcp6 (proc(5)), which do not tell v6only: it is taken as not set."""
    found: t.List[Listener] = []
    for family, path in ((socket.AF_INET, "/proc/net/tcp"), (socket.AF_INET6, "/proc/net/tcp6")):
        try:
            with open(path, encoding="ascii") as stream:
                found += _parse_proc_net(family, stream)
        except FileNotFoundError:
            # No IPv6 in this kernel.
            continue
    return found


def _parse_proc_net(family: int, lines: t.Iterable[str]) -> t.Iterator[Listener]:
    for line in lines:
        fields = line.split()
        if fields[0] == "sl":
            continue
        # The listening ones come first, so the many connections after them need not be read.
        if int(fields[3], 16) != TCP_LISTEN:
            return
        address, _unused, port = fields[1].partition(":")
        # Four bytes at a time, each group in the byte order of the machine.
        source = b"".join(struct.pack("=I", int(address[at : at + 8], 16)) for at in range(0, len(address), 8))
        yield _listener(family, source, int(port, 16), int(fields[9]), int(fields[7]), False)


def _psutil_listeners(ports: t.Optional[t.Container[int]]) -> t.List[Listener]:
    """Return the listeners of the processes that may be looked into: all of them for root, else those of our user."""
    psutil = processes.load_psutil()
    try:
        connections = [(entry.pid, entry) for entry in psutil.net_connections(kind="tcp")]
    except (psutil.Error, OSError):
        # macOS shows the sockets of a process to its user and to root, and psutil gives up at the first refusal.
        connections = [
            (process.pid, entry) for process in psutil.process_iter() for entry in _psutil_connections(psutil, process)
        ]
    return [
        _psutil_listener(entry, pid)
        for pid, entry in connections
        if entry.status == psutil.CONN_LISTEN and entry.laddr and (ports is None or entry.laddr.port in ports)
    ]


def _psutil_connections(psutil: t.Any, process: t.Any) -> t.Sequence[t.Any]:
    try:
        return t.cast(t.Sequence[t.Any], process.net_connections(kind="tcp"))
    except (psutil.Error, OSError):
        # Gone, or another user's: `owners` counts those.
        return ()


def _psutil_listener(entry: t.Any, pid: t.Optional[int]) -> Listener:
    family, address = ("ipv6" if entry.family == socket.AF_INET6 else "ipv4"), entry.laddr.ip
    if family == "ipv6" and address.lower().startswith("::ffff:") and "." in address:
        family, address = "ipv4", address[len("::ffff:") :]
    # A link-local address may come with its interface.
    return Listener(family, address.partition("%")[0], entry.laddr.port, -(pid or 0), -1)


def _psutil_owners(numbers: t.Sequence[int]) -> Owners:
    """Return the owners by the numbers that `_psutil_listeners` has given, and how many processes it could not ask."""
    found: t.Dict[int, t.List[int]] = {inode: [-inode] for inode in numbers if inode < 0}
    unreadable = 0
    if os.geteuid() != 0:
        psutil = processes.load_psutil()
        users = (process.info["uids"] for process in psutil.process_iter(["uids"]))
        unreadable = sum(uids is None or uids.real != os.geteuid() for uids in users)
    return Owners(found, not (unreadable and 0 in numbers), unreadable)
