# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a flush is measured on: ``listeners.py LABEL PORT,PORT...``, one process a port, each doing nothing but listen.

LABEL is not looked at: by it the benchmark knows its own processes. The parent reaps what is ended and starts nothing
again; it writes a dot for each port that listens.
"""

from __future__ import annotations

import os
import signal
import socket
import sys


def listen(port: int) -> None:
    """Be one listener, until a signal ends it."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(8)
    os.write(1, b".")
    while True:
        signal.pause()


def main() -> None:
    """Start them and stay their parent."""
    # The kernel reaps children whose parent ignores their end: no zombie is left for a flush to wonder about.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for port in sys.argv[2].split(","):
        if os.fork() == 0:
            listen(int(port))
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
