# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Can a server listen on a port now? Asked of the kernel by trying."""

from __future__ import annotations

import errno
import socket
import typing as t

from ..base.port_numbers import UdpPort
from . import processes


def bindable(port: int, address: str = "") -> t.Optional[str]:
    """Return None when a server could listen on the port now, else the reason why not.

    A bind sees what no list of sockets shows, such as a socket that is bound and does not listen. It is made as servers
    make it, with SO_REUSEADDR; the socket then listens, and is closed at once.

    Args:
        port: 1 to 65535; of UDP, where nobody listens, a bind alone proves it free.
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


def _try_bind(family: int, address: str, port: int, *, both: bool = False) -> t.Optional[str]:
    """Return None when a server could listen there, else why not; ``both`` includes IPv4 and needs IPv6 to be there."""
    udp = isinstance(port, UdpPort)
    try:
        probe = socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    except OSError as exc:
        if exc.errno == errno.EAFNOSUPPORT:
            return "no such family" if both else None
        raise
    with probe:
        try:
            if not udp:
                # On UDP it lets any number of sockets have the port.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
            probe.bind((address, int(port)))
            if not udp:
                probe.listen(1)
        except OSError as exc:
            # The host has IPv6 switched off: nobody will listen there.
            if not both and address in ("::", "::1") and exc.errno == errno.EADDRNOTAVAIL:
                return None
            where = f"[{address}]:{port}" if family == socket.AF_INET6 else f"{address}:{port}"
            return f"cannot {'bind' if udp else 'listen on'} {where}: {exc.strerror}"
    return None
