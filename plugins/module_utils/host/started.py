# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Tell systemd that a program has started: a unit with ``Type=notify`` counts as started only then (sd_notify(3))."""

from __future__ import annotations

import os
import socket

from ..base.text import one_line

_SOCKET = "NOTIFY_SOCKET"


def tell_started() -> str:
    """Tell it once, where systemd waits for it, and return in words why it could not be told; empty where it was.

    What this process starts from then on does not know where to tell anything.
    """
    address = os.environ.pop(_SOCKET, "")
    if not address:
        return ""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            # The first sign says that the rest is a name that no file has.
            line.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            line.sendall(b"READY=1")
    except OSError as exc:
        return f"cannot be told that this program has started: {one_line(str(exc), 200)}"
    return ""
