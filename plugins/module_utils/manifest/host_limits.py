# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a check takes the hosts of a stack to be: which ports they give away, and how long a socket's path may be."""

from __future__ import annotations

import typing as t

# What Linux gives to clients unless net.ipv4.ip_local_port_range says otherwise, ip-sysctl.
EPHEMERAL = (32768, 60999)
# Below it only root may bind, unless net.ipv4.ip_unprivileged_port_start says otherwise.
UNPRIVILEGED_FROM = 1024
# Bytes of the socket's path: sun_path has 108 on Linux, 104 on macOS, and supervisord adds a dot and its pid at first.
SOCKET_LIMIT_LINUX = 99
SOCKET_LIMIT_MACOS = 95
# Bytes that supervisord adds for a moment, a dot and a pid of seven digits. A service's socket may be so much longer.
SUFFIX_OF_SUPERVISORD = 8


class HostLimits(t.NamedTuple):
    """What a check takes the hosts to be.

    Attributes:
        as_root: whether services run as root; None: they do when the stack's user is root.
        ephemeral: first and last port that the kernel gives to clients.
        unprivileged_from: first port that anyone may bind.
        socket_limit: most bytes of the path of supervisord's socket.
    """

    as_root: t.Optional[bool] = None
    ephemeral: t.Tuple[int, int] = EPHEMERAL
    unprivileged_from: int = UNPRIVILEGED_FROM
    socket_limit: int = SOCKET_LIMIT_LINUX


ANY_HOST = HostLimits()
