# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Those who ask a service all the time while a test does something to it."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.request
from collections.abc import Sequence

RATE = 50
_THREADS = 5
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Asker:
    """Asks instances of a service by turns, fifty times a second; when one does not answer it asks the next, once.

    Args:
        ports: of the instances, on this machine.
        path: of the page.
        together: how many questions may wait for their answers at once; for a page that takes long.

    Attributes:
        asked: how many pages were asked for.
        missed: how many of them had no answer at first.
        failed: how many of them neither of two instances had.
        misses: when each of the missed was asked and had failed, in seconds since the epoch.
    """

    def __init__(self, ports: Sequence[int], path: str = "/health", together: int = _THREADS) -> None:
        self._addresses = [f"http://127.0.0.1:{port}{path}" for port in ports]
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._together = together
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(together)]
        self.asked, self.missed, self.failed = 0, 0, 0
        self.misses: list[tuple[float, float]] = []

    def __enter__(self) -> Asker:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        # By a timetable: after an answer that was slow the next questions follow at once.
        due = time.monotonic() + number / RATE
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due += self._together / RATE
            with self._lock:
                turn, self.asked = self.asked, self.asked + 1
            began = time.time()
            if self._answered(turn):
                continue
            ended = time.time()
            failed = not self._answered(turn + 1)
            with self._lock:
                self.misses.append((began, ended))
                self.missed += 1
                self.failed += failed

    def _answered(self, turn: int) -> bool:
        try:
            with _OPENER.open(self._addresses[turn % len(self._addresses)], timeout=30) as answer:
                return bool(answer.status == 200)
        except (OSError, http.client.HTTPException):
            return False
