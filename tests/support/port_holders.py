# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that takes a port in every way that a port can be taken; victims.py starts it and ends it.

``port_holders.py KIND PORT``: each kind is a function below. When ready, it prints a line of JSON: its pid, port and
the pids of its other processes.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import signal
import socket
import subprocess
import threading
import time
import typing as t


def _ready(port: int, pids: t.Sequence[int] = (), **more: t.Any) -> None:
    print(json.dumps({"pid": os.getpid(), "port": port, "pids": list(pids), **more}), flush=True)


def _live() -> None:
    while True:
        signal.pause()


def _listener(options: argparse.Namespace) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.address else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.reuseport:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(options.v6only))
    made.bind((options.address, options.port))
    made.listen(8)
    return made


def bystander(options: argparse.Namespace) -> None:
    """Hold nothing."""
    _ready(options.port)
    _live()


def listen(options: argparse.Namespace) -> None:
    """Listen, and answer nobody."""
    held = _listener(options)
    _ready(options.port, address=held.getsockname()[0])
    _live()


def two(options: argparse.Namespace) -> None:
    """Listen on two ports."""
    held = [_listener(options)]
    options.port = 0
    held.append(_listener(options))
    first, second = (one.getsockname()[1] for one in held)
    _ready(first, second=second)
    _live()


def leaves(options: argparse.Namespace) -> None:
    """Listen as one that does without SO_REUSEADDR, and close a connection before the other side does."""
    held = socket.socket()
    held.bind((options.address, options.port))
    held.listen(8)
    _ready(options.port, address=held.getsockname()[0])
    held.accept()[0].close()
    _live()


def deaf(options: argparse.Namespace) -> None:
    """Listen and ignore TERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    listen(options)


def stopped(options: argparse.Namespace) -> None:
    """Listen and be stopped by a signal."""
    held = _listener(options)
    _ready(options.port, address=held.getsockname()[0])
    os.kill(os.getpid(), signal.SIGSTOP)
    _live()


def bound(options: argparse.Namespace) -> None:
    """Bind and never listen."""
    held = socket.socket()
    held.bind((options.address, options.port))
    _ready(options.port)
    _live()


def pair(options: argparse.Namespace) -> None:
    """Two processes with a SO_REUSEPORT listener each."""
    options.reuseport = True
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    child = os.fork()
    held = _listener(options)
    if child == 0:
        os.kill(os.getppid(), signal.SIGUSR1)
        _live()
    signal.sigwait({signal.SIGUSR1})
    _ready(options.port, [child], address=held.getsockname()[0])
    _live()


def group(options: argparse.Namespace) -> None:
    """One process with three SO_REUSEPORT listeners, and a fourth on the other family."""
    options.reuseport = True
    held = [_listener(options) for _unused in range(3)]
    options.address = "::1"
    held.append(_listener(options))
    _ready(options.port, inodes=[os.fstat(one.fileno()).st_ino for one in held])
    _live()


def shared(options: argparse.Namespace) -> None:
    """A master and its workers, all with the same listener; the master replaces a worker that dies."""
    held = _listener(options)
    workers = [_worker() for _unused in range(options.workers)]
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _ready(options.port, workers, address=held.getsockname()[0])
    while True:
        os.wait()
        workers.append(_worker())


def _worker() -> int:
    pid = os.fork()
    if pid == 0:
        _live()
    return pid


def daemon(options: argparse.Namespace) -> None:
    """Fork twice into a session of its own, as a classic daemon does, and listen there; the first process ends."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    listen(options)


def leaderless(options: argparse.Namespace) -> None:
    """Listen in a second thread while the first one has ended: /proc/PID/fd is empty then."""
    held = _listener(options)

    def stay() -> None:
        time.sleep(0.05)
        _ready(options.port, address=held.getsockname()[0])
        while True:
            time.sleep(60)

    threading.Thread(target=stay).start()
    exit_number = {"x86_64": 60, "aarch64": 93}[platform.machine()]
    # exit(2) ends the calling thread alone; exit_group(2) would be the whole process.
    ctypes.CDLL(None).syscall(exit_number, 0)


def in_flight(options: argparse.Namespace) -> None:
    """Put the listener into a message that nobody takes (SCM_RIGHTS): no process holds it any more."""
    held = _listener(options)
    here, there = socket.socketpair()
    socket.send_fds(here, [b"x"], [held.fileno()])
    held.close()
    _ready(options.port, there=there.fileno())
    _live()


def posted(options: argparse.Namespace) -> None:
    """Listen, with the listener also in a message that another process has not taken yet (SCM_RIGHTS)."""
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        here.close()
        _live()
    held = _listener(options)
    socket.send_fds(here, [b"x"], [held.fileno()])
    there.close()
    _ready(options.port, [child], address=held.getsockname()[0])
    _live()


def handed(options: argparse.Namespace) -> None:
    """Listen, and hand the listener to a daemon that was there before and is no relative any more (SCM_RIGHTS)."""
    here, there = socket.socketpair()
    told, tell = os.pipe()
    if os.fork() == 0:
        if os.fork():
            os._exit(0)
        os.setsid()
        os.write(tell, str(os.getpid()).encode())
        kept = socket.recv_fds(there, 1, 1)[1]
        there.send(b"x" * len(kept))
        _live()
    stranger = int(os.read(told, 16))
    held = _listener(options)
    socket.send_fds(here, [b"x"], [held.fileno()])
    here.recv(1)
    _ready(options.port, [stranger], address=held.getsockname()[0])
    _live()


def respawner(options: argparse.Namespace) -> None:
    """Hold nothing, and start a new listener when the last one has died."""
    first = True
    while True:
        child = os.fork()
        if child == 0:
            held = _listener(options)
            if first:
                _ready(options.port, address=held.getsockname()[0], parent=os.getppid())
            _live()
        os.waitpid(child, 0)
        time.sleep(options.pause)
        first = False


def zombie(options: argparse.Namespace) -> None:
    """Have a child that has ended and is never reaped."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    _ready(options.port, [child])
    _live()


def client(options: argparse.Namespace) -> None:
    """Be connected to the port, and hold nothing."""
    connection = socket.create_connection((options.address, options.port))
    _ready(options.port, local=connection.getsockname()[1])
    _live()


def parent(options: argparse.Namespace) -> None:
    """Listen, and then run a command as a child with the listener closed; print what it prints as ``output``."""
    held = _listener(options)
    done = subprocess.run(options.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    _ready(options.port, address=held.getsockname()[0], output=done.stdout, status=done.returncode)
    _live()


KINDS = {
    function.__name__: function
    for function in (
        bystander,
        listen,
        two,
        leaves,
        deaf,
        stopped,
        bound,
        pair,
        group,
        shared,
        daemon,
        leaderless,
        in_flight,
        posted,
        handed,
        respawner,
        zombie,
        client,
        parent,
    )
}


def main() -> None:
    """Be a victim."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("port", type=int)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--v6only", action="store_true")
    parser.add_argument("--reuseport", action="store_true")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--uid", type=int)
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    if options.uid is not None:
        os.setuid(options.uid)
    KINDS[options.kind](options)


if __name__ == "__main__":
    main()
