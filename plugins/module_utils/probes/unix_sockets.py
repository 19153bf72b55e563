# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Connect to a unix socket as the user who runs the application: its server may let in by the user alone."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
import typing as t

from ..base.clock import Deadline
from ..base.wire import Line
from .answers import NoAnswer

# After so many seconds a server whose queue is full is asked again.
_AGAIN = 0.01


def connect_unix(path: str, user: t.Optional[str], deadline: Deadline) -> Line:
    """Return a connection to the socket at ``path``, made as ``user``; None is whoever runs this.

    Raises:
        NoAnswer: there is no such user, or it may not run this interpreter.
        TimeoutError: at the deadline.
        OSError: nobody takes the connection.
    """
    if user is not None and os.geteuid() == 0:
        return Line(_connected_by(user, path, deadline), deadline)
    line = Line(socket.socket(socket.AF_UNIX), deadline)
    try:
        while True:
            try:
                line.connect(path)
            except BlockingIOError:
                # Its queue is full, and a socket with a timeout does not wait for a place in it (connect(2), EAGAIN).
                deadline.clock.sleep(_AGAIN)
            else:
                return line
    except OSError:
        line.close()
        raise


# The server of a unix socket sees who called connect(2), and may let in by that alone: so the user's own process calls
# it, and hands the connected socket over. It ends with the error's number.
_CONNECT = """
import socket, sys
connected = socket.socket(socket.AF_UNIX)
try:
    connected.connect(sys.argv[1])
except OSError as exc:
    sys.exit(exc.errno or 1)
socket.send_fds(socket.socket(fileno=0), [b"."], [connected.fileno()])
"""


def _connected_by(user: str, path: str, deadline: Deadline) -> socket.socket:
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise NoAnswer(f"user {user}, who runs the services, does not exist") from None
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            done = subprocess.run(
                # The interpreter itself: a virtual environment's may be where that user may not go.
                [os.path.realpath(sys.executable), "-I", "-S", "-c", _CONNECT, path],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=os.getgrouplist(user, account.pw_gid),
                env={},
                cwd="/",
                timeout=max(deadline.remaining(), 0.001),
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise TimeoutError from exc
        except PermissionError as exc:
            raise NoAnswer(f"user {user}, who runs the services, may not run {exc.filename}") from exc
        if done.returncode > 0:
            raise OSError(done.returncode, os.strerror(done.returncode))
        _data, descriptors, _flags, _address = socket.recv_fds(ours, 1, 1, socket.MSG_DONTWAIT)
    if not descriptors:
        raise NoAnswer(f"a process of user {user} that was to connect to {path} handed over no connection")
    return socket.socket(fileno=descriptors[0])
