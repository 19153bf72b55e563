# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that behaves as its variable BEHAVIOUR says: well, or in one of the ways in which services lie.

It writes one line for each of its lives into the file that LIVES names: its pid. That is all that an observer needs.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import typing as t

BAD = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Service:
    """One life of the service.

    Args:
        behaviour: ``kind`` and what belongs to it; the kinds are those of draw.py.
    """

    def __init__(self, behaviour: t.Mapping[str, t.Any]) -> None:
        self.kind = behaviour["kind"]
        self.after = float(behaviour.get("after", 0))
        self.code = int(behaviour.get("code", 1))
        self.began = time.monotonic()
        self.asked = 0

    def run(self) -> None:
        """Live, until the behaviour ends it."""
        if self.kind == "forks_away" and os.fork():
            os._exit(0)
        with open(os.environ["LIVES"], "a+", encoding="ascii") as lives:
            lives.seek(0)
            life = len(lives.readlines()) + 1
            lives.write(f"{os.getpid()}\n")
        if self.kind == "talks_when_ended":
            signal.signal(signal.SIGTERM, _last_words)
        if self.kind == "slow":
            time.sleep(self.after)
        if self.kind in ("loops", "dies_later") or (self.kind == "dies_once" and life == 1):
            threading.Timer(self.after, self._die).start()
        if self.kind == "logs_late":
            threading.Timer(self.after, print, ["CRITICAL: no more money"], {"flush": True}).start()
        if self.kind == "freezes":
            threading.Timer(self.after, os.kill, [os.getpid(), signal.SIGSTOP]).start()
        self._serve()

    def _die(self) -> None:
        if self.code < 0:
            os.kill(os.getpid(), -self.code)
        os._exit(self.code)

    def _serve(self) -> None:
        if self.kind == "replaces_workers":
            self._replace_workers()
        with socket.create_server(("127.0.0.1", int(os.environ["PORT"])), reuse_port=True) as server:
            if "WORKER" in os.environ:
                os.close(int(os.environ["WORKER"]))
            if self.kind == "closes_its_port":
                server.settimeout(0.1)
                while not self._is_due():
                    self._answer_next(server)
            while self.kind != "closes_its_port":
                self._answer_next(server)
        while True:
            signal.pause()

    def _is_due(self) -> bool:
        return time.monotonic() - self.began >= self.after

    def _answer_next(self, server: socket.socket) -> None:
        try:
            connection, _address = server.accept()
        except TimeoutError:
            return
        with connection:
            connection.settimeout(1)
            try:
                connection.recv(4096)
                self.asked += 1
                connection.sendall(BAD if self._is_bad() else GOOD)
            except OSError:
                return  # whoever asked has gone

    def _is_bad(self) -> bool:
        if self.kind == "every_second_answer":
            return self.asked % 2 == 0
        return self.kind == "fails_later" and self._is_due()

    def _replace_workers(self) -> t.NoReturn:
        """Let a child serve, and another one after it, again and again; this process stays."""
        before: subprocess.Popen[bytes] | None = None
        while True:
            # One that listens already is there when the one before it ends: the service is well all the time.
            ready, listening = os.pipe()
            worker = subprocess.Popen(
                [sys.executable, "-S", __file__], env={**os.environ, "WORKER": str(listening)}, pass_fds=[listening]
            )
            os.close(listening)
            os.read(ready, 1)
            os.close(ready)
            if before is not None:
                before.terminate()
                before.wait()
            before = worker
            time.sleep(self.after)


def _last_words(_number: int, _frame: object) -> None:
    print("Traceback (most recent call last):\n  in main\nKeyboardInterrupt", flush=True)
    os._exit(0)


def main() -> None:
    behaviour = json.loads(os.environ["BEHAVIOUR"])
    service = Service({**behaviour, "kind": "well"} if "WORKER" in os.environ else behaviour)
    if "WORKER" in os.environ:
        service._serve()
    service.run()


if __name__ == "__main__":
    main()
