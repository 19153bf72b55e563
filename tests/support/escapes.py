# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service whose child leaves it: forked twice, with a session of its own and an empty environment.

``escapes.py PORT FILE``: listens on PORT and leaves all answers to the child, whose pid it writes to FILE.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from pathlib import Path


def serve(held: socket.socket) -> None:
    """Answer everybody that all is well."""
    while True:
        connection, _address = held.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def leave(held: socket.socket, told: str) -> None:
    """Have a child that descends from nobody any more, and has nothing that says where it comes from."""
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    Path(told).write_text(str(os.getpid()), encoding="ascii")
    held.set_inheritable(True)
    os.chdir("/")
    # Neither does it keep the number that it has inherited (getrlimit(2), RLIMIT_LOCKS).
    resource.setrlimit(10, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.execve(sys.executable, [sys.executable, __file__, "child", str(held.fileno())], {})


def main() -> None:
    """Be the service, or its child."""
    if sys.argv[1] == "child":
        serve(socket.socket(fileno=int(sys.argv[2])))
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", int(sys.argv[1])))
    held.listen()
    leave(held, sys.argv[2])
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
