# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Run a short program as another user, within a time, whatever it does: hang, fork, print without end.

It runs below a keeper, a process of the same user in a session of their own. Both are ended when the time is up, when
the program has ended and something of it goes on, and when this process has ended, also by SIGKILL. Safe in a thread.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import typing as t

from ..base.clock import Clock, Deadline
from .accounts import Account

_PART = 65_536
# Seconds in which a process that was killed is gone, unless it hangs in the kernel.
_REAPED = 0.2
# Runs below this process's user, who may stop it and have it say anything: its words are that user's.
_KEEPER = """
import os, signal, sys, threading

def end_with_caller():
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)

directory, umask, *command = sys.argv[1:]
os.umask(int(umask, 8))
try:
    os.chdir(directory)
    no_input = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=no_input, setsigdef=[signal.SIGPIPE])
except OSError as exc:
    os.write(0, b"errno %d" % exc.errno)
else:
    threading.Thread(target=end_with_caller, daemon=True).start()
    os.write(0, b"status %d" % os.waitpid(child, 0)[1])
os._exit(0)
"""


class Kept(t.NamedTuple):
    """How a program ended.

    Attributes:
        exit_code: negative for a signal; None when it did not end in time, or could not be started.
        problem: why it has no exit code, as the predicate of a sentence; empty when it has.
        output: the end of what it printed.
        cut: whether it printed more.
    """

    exit_code: t.Optional[int]
    problem: str
    output: bytes
    cut: bool


def run_kept(
    argv: t.Sequence[str],
    who: Account,
    *,
    directory: str,
    environment: t.Mapping[str, str],
    umask: int,
    deadline: Deadline,
    most: int,
) -> Kept:
    """Run a program without input, and wait for its end.

    Args:
        argv: program and arguments; the program is looked up along the ``PATH`` of ``environment``.
        who: the account that it runs as.
        directory: where it runs.
        environment: all its variables.
        umask: of it.
        deadline: by which it must have ended.
        most: bytes of its output that are kept, from the end.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            try:
                keeper = subprocess.Popen(
                    # The interpreter itself: a virtual environment's may be where that user may not go.
                    [os.path.realpath(sys.executable), "-I", "-S", "-c", _KEEPER, directory, f"{umask:o}", *argv],
                    stdin=theirs.fileno(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=dict(environment),
                    cwd="/",
                    start_new_session=True,
                    **who.identity,
                )
            except OSError as exc:
                return Kept(None, f"could not be started: {exc.strerror}", b"", cut=False)
        try:
            output = _Output(t.cast("t.IO[bytes]", keeper.stdout).fileno(), most)
            answer = _heard(ours, output, deadline)
        finally:
            end_session(keeper, deadline.clock)
            t.cast("t.IO[bytes]", keeper.stdout).close()
    if answer is None:
        return Kept(None, f"did not end within {deadline.seconds:g} s", output.kept, output.cut)
    return _ended(answer, output)


class _Output:
    """The end of what a program prints; the rest is read and dropped."""

    def __init__(self, descriptor: int, most: int) -> None:
        self.descriptor = descriptor
        self.kept = b""
        self.cut = False
        self._most = most

    def read(self) -> bool:
        """Take more; False at the end."""
        part = os.read(self.descriptor, _PART)
        whole = self.kept + part
        self.cut = self.cut or len(whole) > self._most
        self.kept = whole[-self._most :]
        return bool(part)


def _heard(ours: socket.socket, output: _Output, deadline: Deadline) -> t.Optional[bytes]:
    """Return what the keeper says when the program has ended, and read the output; None when time is up."""
    watched: t.List[t.Any] = [ours, output.descriptor]
    while True:
        ready = select.select(watched, [], [], deadline.remaining())[0]
        if output.descriptor in ready and not output.read():
            watched.remove(output.descriptor)
        elif ours in ready:
            # What was printed before the end, and no more: what is left of the program may print for ever.
            for _piece in range(16):
                if not select.select([output.descriptor], [], [], 0)[0] or not output.read():
                    break
            return ours.recv(64)
        if not ready or deadline.expired:
            return None


def end_session(leader: subprocess.Popen[bytes], clock: Clock) -> None:
    """Kill all of the group of a session's leader, and reap that; one that hangs in the kernel is left to init.

    The leader was not waited for yet, so the number cannot be another's.

    Args:
        leader: a child that was started with ``start_new_session``.
        clock: of the wait.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, signal.SIGKILL)
    Deadline(_REAPED, clock).poll(lambda: leader.poll() is not None, 0.001)


def _ended(answer: bytes, output: _Output) -> Kept:
    word, _space, number = answer.partition(b" ")
    known = int(number) if number.isdigit() and len(number) < 10 else None
    if word == b"status" and known is not None and (os.WIFEXITED(known) or os.WIFSIGNALED(known)):
        return Kept(os.waitstatus_to_exitcode(known), "", output.kept, output.cut)
    if word == b"errno" and known is not None:
        return Kept(None, f"could not be started: {os.strerror(known)}", output.kept, output.cut)
    return Kept(None, "lost the process that kept it", output.kept, output.cut)
