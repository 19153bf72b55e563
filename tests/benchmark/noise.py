# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How noisy the machine is: a loop that is always the same, timed between the measurements, and the load average."""

from __future__ import annotations

import os
import statistics

from tests.benchmark.arena import Stopwatch, Took

# About 40 ms on a machine of 2023: long enough to be interrupted by other work if there is any.
TURNS = 1_000_000


def fixed_loop() -> Took:
    """Run the loop and return what it took. Without other work, it always takes the same."""
    watch = Stopwatch()
    total = 0
    for number in range(TURNS):
        total += number
    return watch.read()


class Noise:
    """Samples of the machine, one before each measurement."""

    def __init__(self) -> None:
        self._loops: list[Took] = []
        self._loads: list[float] = []

    def sample(self) -> None:
        """Take a sample."""
        self._loads.append(os.getloadavg()[0])
        self._loops.append(fixed_loop())

    @property
    def spread(self) -> float:
        """How many times as long the slowest tenth of the loops took as the fastest loop: 1 is a silent machine."""
        walls = sorted(loop.seconds for loop in self._loops)
        return walls[len(walls) * 9 // 10] / walls[0]

    def facts(self) -> list[str]:
        """Return sentences about the samples; none without samples."""
        if not self._loops:
            return []
        walls = [loop.seconds * 1000 for loop in self._loops]
        cpus = [loop.cpu * 1000 for loop in self._loops]
        verdict = "quiet" if self.spread < 1.1 else "somewhat noisy" if self.spread < 1.5 else "noisy"
        return [
            f"the machine was {verdict}: a fixed loop, run {len(walls)} times between the measurements, took "
            f"{statistics.median(walls):.0f} ms ({min(walls):.0f} to {max(walls):.0f}) on the clock and "
            f"{statistics.median(cpus):.0f} ms ({min(cpus):.0f} to {max(cpus):.0f}) of CPU",
            f"the load average was {self._loads[0]:.1f} before, {statistics.median(self._loads):.1f} in the median and "
            f"{max(self._loads):.1f} at most, our own work included, on {os.cpu_count()} cores",
        ]
