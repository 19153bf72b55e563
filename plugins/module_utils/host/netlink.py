# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The TCP sockets of this network namespace, as the kernel tells them over netlink.

sock_diag(7) is asked with ``inet_diag_req_v2`` for sockets in given states, for both families in one turn; an answer
without sockets takes 0.07 ms. pyroute2 speaks the same protocol. It is not used because its import alone takes longer
than a whole flush, and it would be one more package on every managed host.
"""

from __future__ import annotations

import os
import socket
import struct
import typing as t

from .model import Listener

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
# Sets of states, for `dump`.
LISTENING = 1 << TCP_LISTEN
CLOSED = 1 << TCP_TIME_WAIT
IN_USE = sum(1 << state for state in range(1, TCP_BOUND_INACTIVE + 1)) - LISTENING - CLOSED

_HEADER = struct.Struct("=IHHII")
# sdiag_family, sdiag_protocol, idiag_ext, pad, idiag_states; then inet_diag_sockid: ports, addresses, interface, cookie
_REQUEST = struct.Struct("=BBBBI 2s2s16s16sI8s")
# Of inet_diag_msg only the family, the source's port and address, the uid and the inode; the rest is skipped over.
_ANSWER = struct.Struct("=B3x 2s2x16s16x4x8x 12xII")
_ATTRIBUTE = struct.Struct("=HH")
_MAPPED = b"\0" * 10 + b"\xff\xff"
# Seconds. A local kernel answers within microseconds; past this it does not answer.
TIMEOUT = 2.0
# A dump is flagged as interrupted when sockets came or went meanwhile, and taken again.
ATTEMPTS = 5


class NetlinkRefused(Exception):
    """Netlink cannot be had here: a seccomp filter, or no inet_diag in the kernel."""


def dump(states: int, port: int = 0) -> t.List[Listener]:
    """Return the TCP sockets in these states, of both families.

    Args:
        states: a bit for each state, such as `LISTENING`.
        port: 0 means all ports.

    Raises:
        NetlinkRefused: the kernel does not answer.
    """
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as channel:
            channel.settimeout(TIMEOUT)
            return [
                found
                for family in (socket.AF_INET, socket.AF_INET6)
                for found in _dump_family(channel, family, states, port)
            ]
    except (OSError, struct.error, LookupError) as exc:
        # The latter two: a message is cut off.
        raise NetlinkRefused(str(exc)) from exc


def _dump_family(channel: socket.socket, family: int, states: int, port: int) -> t.List[Listener]:
    for sequence in range(1, ATTEMPTS + 1):
        body = _REQUEST.pack(
            family, socket.IPPROTO_TCP, 0, 0, states, struct.pack("!H", port), b"", b"", b"", 0, b"\xff" * 8
        )
        length = _HEADER.size + len(body)
        channel.send(_HEADER.pack(length, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, sequence, 0) + body)
        found, whole = _receive(channel, sequence)
        if whole:
            return found
    raise NetlinkRefused(f"the sockets changed during each of {ATTEMPTS} dumps")


def _receive(channel: socket.socket, sequence: int) -> t.Tuple[t.List[Listener], bool]:
    """Return the sockets of one dump and whether nothing came between its parts.

    Raises:
        OSError: the kernel answers with an error, or not in time.
        struct.error, LookupError: a message is cut off.
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
    return make_listener(family, source, struct.unpack("!H", port)[0], inode, uid, v6only)


def make_listener(family: int, source: bytes, port: int, inode: int, uid: int, v6only: bool = False) -> Listener:
    """Return the listener at an address in the kernel's bytes.

    Args:
        family: ``socket.AF_INET`` or ``socket.AF_INET6``.
        source: the address in network byte order; what is longer than one of the family is cut.
        port: of the listener, as are ``inode``, ``uid`` and ``v6only``.
    """
    if family == socket.AF_INET:
        return Listener("ipv4", socket.inet_ntop(socket.AF_INET, source[:4]), port, inode, uid)
    if source[:12] == _MAPPED:
        return Listener("ipv4", socket.inet_ntop(socket.AF_INET, source[12:16]), port, inode, uid)
    return Listener("ipv6", socket.inet_ntop(socket.AF_INET6, source[:16]), port, inode, uid, v6only)
