# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest service: answers /health on PORT, or just lives. Misbehaves when its environment says so."""

from __future__ import annotations

# Hundreds of it are started in a run of the tests: it imports what starts quickly, which no server of the library does.
import os
import signal
import socket
import sys
import time


def _serve(port: int) -> None:
    """Answer one request after the other on a port of the loopback, as HTTP/1.0 does."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(5)
    while True:
        connection, _ = listener.accept()
        try:
            _answer(connection)
        except OSError:
            pass  # whoever asked has gone
        finally:
            connection.close()


def _answer(connection: socket.socket) -> None:
    request = b""
    while b"\r\n\r\n" not in request:
        more = connection.recv(65536)
        if not more:
            return
        request += more
    status, body = "501", b""
    if request.startswith(b"GET "):
        status = os.environ.get("STATUS", "200")
        body = (_read[-1] if "READS" in os.environ else os.environ.get("BODY", '{"status": "ok"}')).encode()
    # One piece: HAProxy's check ends the connection as soon as it has seen the status.
    connection.sendall(f"HTTP/1.0 {status} said\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    connection.shutdown(socket.SHUT_WR)


def _crash() -> None:
    try:
        raise RuntimeError("the flux capacitor is empty")
    except RuntimeError:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


# What the file READS had when it was last read.
_read: list[str] = []


def _reload(_number: int, _frame: object) -> None:
    with open(os.environ["READS"], encoding="utf-8") as stream:
        _read.append(stream.read())
    if _read[-1] == "fatal":
        os._exit(1)
    if _read[-1] == "late":
        import threading

        # It answers as before for a moment.
        threading.Timer(0.5, os._exit, [1]).start()


def _drain(_number: int, _frame: object) -> None:
    """End as a worker does that finishes what it is at: when a file is there, and tell by another one that it waits."""
    path = os.environ["DRAINS_UNTIL"]
    with open(f"{path}.draining", "a", encoding="ascii") as stream:
        stream.write(f"{os.getpid()}\n")
    while not os.path.exists(path):
        time.sleep(0.02)
    os._exit(0)


def _overwrite_environment() -> None:
    """Wipe the memory the kernel shows as /proc/PID/environ, as programs do that set a process title there."""
    with open("/proc/self/stat", encoding="ascii") as stream:
        # Fields 50 and 51 of proc(5), counted from the state, which is field 3: env_start and env_end.
        fields = stream.read().rpartition(")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        memory.write(bytes(end - start))


def main() -> None:
    print(f"{sys.argv[1]} starts as pid {os.getpid()}", flush=True)
    if "EXIT" in os.environ:
        sys.exit(int(os.environ["EXIT"]))
    if "TITLE" in os.environ:
        _overwrite_environment()
    if "IGNORE_TERM" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "READS" in os.environ:
        _reload(0, None)
        signal.signal(signal.SIGHUP, _reload)
    if "DRAINS_UNTIL" in os.environ:
        signal.signal(signal.SIGTERM, _drain)
    if "CRASH_AFTER" in os.environ:
        import threading

        threading.Timer(float(os.environ["CRASH_AFTER"]), _crash).start()
    time.sleep(float(os.environ.get("LISTEN_AFTER", "0")))
    if "PORT" in os.environ and "DEAF" not in os.environ:
        _serve(int(os.environ["PORT"]))
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
