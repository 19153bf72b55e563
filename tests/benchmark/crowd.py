# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open sockets that are in nobody's way: ``crowd.py LABEL COUNT``, two for each connection to a listener of its own.

LABEL is not looked at: by it the benchmark knows its own processes. It writes a dot when all are open.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

# What one process may have open nearly everywhere.
EACH = 800


def open_sockets(count: int) -> list[socket.socket]:
    """Open that many sockets, connected to each other in pairs."""
    opened = []
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        for _unused in range(count // 2):
            opened.append(socket.create_connection(listener.getsockname()))
            opened.append(listener.accept()[0])
    return opened


def main() -> None:
    """Start as many processes as it takes and keep everything open until the end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    left = int(sys.argv[2])
    while left > 0:
        if os.fork() == 0:
            kept = open_sockets(min(left, EACH))
            os.write(1, b".")
            while kept:
                signal.pause()
        left -= EACH
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
