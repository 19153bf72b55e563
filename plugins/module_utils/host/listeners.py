# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Listening TCP sockets, the other sockets that use a port, and those that are bound to a port of UDP.

Linux is asked over netlink. Where that is refused, /proc/net/tcp and tcp6 are read; on other systems psutil answers.
"""

from __future__ import annotations

import socket
import struct
import typing as t

from ..base.port_numbers import UdpPort, of_udp
from . import netlink, processes
from .model import Listener
from .netlink import NetlinkRefused


def find_listeners(ports: t.Optional[t.Collection[int]] = None) -> t.List[Listener]:
    """Return every listening TCP socket of our network namespace on one of ``ports``; None means all ports.

    Of a port of UDP, which no socket listens on, it returns every socket that is bound to it; None means none of these.

    Raises:
        RollcallError: not on Linux, and psutil is missing.
    """
    return [*_find_listening(ports), *find_bound(ports or ())]


def find_bound(ports: t.Iterable[int]) -> t.List[Listener]:
    """Return every socket that is bound to one of those ports that are of UDP; it looks for none where none are.

    Raises:
        RollcallError: not on Linux, and psutil is missing.
    """
    wanted = of_udp(ports)
    if not wanted:
        return []
    if not processes.LINUX:
        from . import by_psutil

        return by_psutil.find_bound(wanted)
    return [listener for listener in _read_proc_net("udp") if listener.port in wanted]


def _find_listening(ports: t.Optional[t.Container[int]]) -> t.List[Listener]:
    if not processes.LINUX:
        from . import by_psutil

        return by_psutil.find_listeners(ports)
    try:
        found = netlink.dump(netlink.LISTENING)
    except NetlinkRefused:
        found = _read_proc_net()
    return [listener for listener in found if ports is None or listener.port in ports]


def users(port: int) -> t.List[Listener]:
    """Return the sockets that use a port and do not listen: connected from or through it, or bound and nothing else.

    The merely bound ones are told by Linux 6.8 and later. A connection that its process has closed has inode 0.
    """
    return _dump_if_possible(netlink.IN_USE, port)


def count_closed(port: int) -> int:
    """Return how many closed connections of a port the kernel still remembers (TIME_WAIT); they have no owner."""
    return len(_dump_if_possible(netlink.CLOSED, port))


def _dump_if_possible(states: int, port: int) -> t.List[Listener]:
    if not processes.LINUX or isinstance(port, UdpPort):
        # Of UDP every socket that is bound has been found already.
        return []
    try:
        found = netlink.dump(states, port)
    except NetlinkRefused:
        return []
    # The kernel lists what is merely bound whatever port it was asked for.
    return [one for one in found if one.port == port]


def _read_proc_net(protocol: str = "tcp") -> t.List[Listener]:
    """Return what /proc/net has of ``tcp``, the listeners, or of ``udp``, all sockets (proc(5)).

    It does not tell v6only, which is taken as not set.
    """
    found: t.List[Listener] = []
    for family, path in ((socket.AF_INET, f"/proc/net/{protocol}"), (socket.AF_INET6, f"/proc/net/{protocol}6")):
        try:
            with open(path, encoding="ascii") as stream:
                found += _parse_proc_net(family, stream, protocol)
        except FileNotFoundError:
            # No IPv6 in this kernel.
            continue
    return found


def _parse_proc_net(family: int, lines: t.Iterable[str], protocol: str = "tcp") -> t.Iterator[Listener]:
    for line in lines:
        fields = line.split()
        if fields[0] == "sl":
            continue
        # The listening ones come first, so the many connections after them need not be read.
        if protocol == "tcp" and int(fields[3], 16) != netlink.TCP_LISTEN:
            return
        address, _unused, port = fields[1].partition(":")
        # Four bytes at a time, each group in the byte order of the machine.
        source = b"".join(struct.pack("=I", int(address[at : at + 8], 16)) for at in range(0, len(address), 8))
        number = int(port, 16) if protocol == "tcp" else UdpPort(port, 16)
        yield netlink.make_listener(family, source, number, int(fields[9]), int(fields[7]))
