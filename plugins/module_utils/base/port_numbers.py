# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The numbers of ports. A plain number is a port of TCP."""

from __future__ import annotations

import re
import typing as t

_OF_UDP = re.compile(r"([1-9][0-9]{0,4})/udp\Z")


class UdpPort(int):
    """A port of UDP: another one than the port of TCP with the same number, and equal to no plain number.

    So ports of both protocols stand in one mapping, and each is told as what it is. Data for programs has the number.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UdpPort) and int(self) == int(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(("udp", int(self)))

    def __str__(self) -> str:
        return f"{int(self)}/udp"


def read_port(text: str) -> t.Optional[int]:
    """Return the port that a text such as ``8000`` or ``5353/udp`` names; None when it names none."""
    found = _OF_UDP.match(text)
    port = UdpPort(found.group(1)) if found else int(text) if text.isdecimal() and text.isascii() else 0
    return port if 1 <= int(port) <= 65535 else None


def is_port(value: t.Any) -> bool:
    """Return whether data is the number of a port; a truth value is none."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535


def of_udp(ports: t.Iterable[int]) -> t.List[int]:
    """Return those of some ports that are of UDP."""
    return [port for port in ports if isinstance(port, UdpPort)]


def protocol_of(port: int) -> t.Literal["tcp", "udp"]:
    """Return ``tcp`` or ``udp``."""
    return "udp" if isinstance(port, UdpPort) else "tcp"


def nobody_on(port: int) -> str:
    """Return in words that no process has a port: nobody listens on one of UDP."""
    return f"nothing {'is bound to' if isinstance(port, UdpPort) else 'listens on'} port {port}"
