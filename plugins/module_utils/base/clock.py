# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Time, injected: the monotonic clock, deadlines on it, and the wall clock for people's eyes only."""

from __future__ import annotations

import time
import typing as t

# Seconds after which whoever waits wants to know for how long.
SOON = 1.0


class Clock:
    """The real clock. Tests pass an object with the same three methods."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps; only differences mean anything."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for ``seconds``; a negative number is no sleep."""
        if seconds > 0:
            time.sleep(seconds)

    def wall(self) -> float:
        """Return seconds since the epoch. For records people read; never for deciding."""
        return time.time()


SYSTEM = Clock()


class Deadline:
    """A point on the monotonic clock by which something must have happened.

    Args:
        seconds: how long from now.
        clock: where the time comes from.
    """

    def __init__(self, seconds: float, clock: Clock = SYSTEM) -> None:
        self.seconds = seconds
        self.clock = clock
        self._end = clock.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds left, never below 0."""
        return max(0.0, self._end - self.clock.monotonic())

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.clock.monotonic() >= self._end

    def poll(self, condition: t.Callable[[], bool], interval: float) -> bool:
        """Ask ``condition`` every ``interval`` seconds until it holds or the deadline has passed.

        It is asked at least once, and once more at the very end.

        Returns:
            Whether it held.
        """
        while True:
            if condition():
                return True
            if self.expired:
                return False
            self.clock.sleep(min(interval, self.remaining()))
