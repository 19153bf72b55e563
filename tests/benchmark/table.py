# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of measurements, what they come to, and the page they are written on."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.benchmark.arena import Took


@dataclass(frozen=True)
class Target:
    """What a row is to reach: a ratio at least or at most so large, or a time at most so long (seconds)."""

    ratio_at_least: float | None = None
    ratio_at_most: float | None = None
    seconds_at_most: float | None = None

    def met(self, row: Row) -> bool:
        """Whether the row reaches it."""
        if self.seconds_at_most is not None:
            return row.ours <= self.seconds_at_most
        if self.ratio_at_most is not None:
            return row.ratio <= self.ratio_at_most
        return self.ratio_at_least is not None and row.ratio >= self.ratio_at_least

    def __str__(self) -> str:
        if self.seconds_at_most is not None:
            return f"at most {duration(self.seconds_at_most)}"
        if self.ratio_at_most is not None:
            return f"at most {self.ratio_at_most:g}"
        return f"at least {self.ratio_at_least:g}"


@dataclass
class Row:
    """One comparison.

    Attributes:
        what: is measured.
        rival: what it is compared with; empty when with nothing.
        target: what it is to reach; None when it is only told.
        times: of ours, in the order they were taken.
        rival_times: of the rival, the same way: the n-th of both were taken one after the other.
        upside_down: the ratio is ours to the rival's, not the other way round.
    """

    what: str
    rival: str = ""
    target: Target | None = None
    times: list[Took] = field(default_factory=list)
    rival_times: list[Took] = field(default_factory=list)
    upside_down: bool = False

    @property
    def ours(self) -> float:
        """The median of ours, in seconds on the clock."""
        return median(self.times).seconds

    @property
    def ratio(self) -> float:
        """The ratio of the medians: how many times as fast, or as long when it is upside down."""
        rival = median(self.rival_times).seconds
        return self.ours / rival if self.upside_down else rival / self.ours

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if self.target is None:
            return ""
        return "yes" if self.target.met(self) else "NO"

    def cells(self) -> list[str]:
        """Return the row of the table."""
        compared = bool(self.rival_times)
        return [
            self.what,
            spread(self.times),
            cpu(self.times),
            f"{self.rival}: {spread(self.rival_times)}" if compared else self.rival,
            cpu(self.rival_times) if compared else "",
            f"{self.ratio:.1f}" if compared and self.target is not None else "",
            str(self.target) if self.target is not None else "",
            self.verdict,
            str(len(self.times)),
        ]


@dataclass
class Count:
    """How often a restart was one.

    Attributes:
        what: start and restarter.
        runs: how many.
        claimed: how many said that they had succeeded.
        true: how many had.
        reasons: what was wrong with the others, and how often.
        needed: whether every run has to be true.
    """

    what: str
    runs: int = 0
    claimed: int = 0
    true: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    needed: bool = False

    def add(self, claimed: bool, failures: Sequence[str]) -> None:
        """Count one run."""
        self.runs += 1
        self.claimed += claimed
        self.true += not failures
        for failure in failures:
            # Without the pids and names that differ from run to run.
            kind = re.sub(r"^\w+: |\d+ (?=processes)|(?<=pid )\d+|(?<=by )\d+", "", failure)
            self.reasons[kind] = self.reasons.get(kind, 0) + 1

    def cells(self) -> list[str]:
        """Return the row of the table."""
        met = ("yes" if self.true == self.runs else "NO") if self.needed else ""
        reasons = ", ".join(f"{kind} ({number})" for kind, number in self.reasons.items())
        return [self.what, str(self.runs), str(self.claimed), str(self.true), reasons, met]


@dataclass
class Contest:
    """One way to restart a number of services, from the call to the end of the command.

    Attributes:
        services: how many, and of which kind.
        what: is run.
        start_seconds: what supervisord counts before it calls a service RUNNING; nobody can be done before.
        limit: how many seconds may be added to them at most; None when it is only told.
        target: that limit in words.
        times: in the order they were taken.
    """

    services: str
    what: str
    start_seconds: float
    limit: float | None = None
    target: str = ""
    times: list[Took] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the times, in seconds on the clock."""
        return median(self.times).seconds

    @property
    def added(self) -> float:
        """The seconds beyond the start seconds."""
        return self.median - self.start_seconds

    def cells(self, ours: Contest) -> list[str]:
        """Return the row of the table.

        Args:
            ours: what its time is compared with.
        """
        met = "" if self.limit is None else "yes" if self.added <= self.limit else "NO"
        ratio = "" if self is ours else f"{self.median / ours.median:.1f}"
        return [
            self.services,
            self.what,
            spread(self.times),
            cpu(self.times),
            ratio,
            duration(self.added),
            self.target,
            met,
            str(len(self.times)),
        ]


def duration(seconds: float) -> str:
    """Return a time with three digits and a unit that suits it."""
    if seconds >= 10:
        return f"{seconds:.1f} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= 100 else f"{milliseconds:.3g} ms"


def median(times: Sequence[Took]) -> Took:
    """Return the median of the seconds and that of the CPU seconds."""
    return Took(statistics.median(took.seconds for took in times), statistics.median(took.cpu for took in times))


def spread(times: Sequence[Took]) -> str:
    """Return the median of the seconds and, in brackets, the shortest and the longest."""
    walls = [took.seconds for took in times]
    if len(walls) == 1:
        return duration(walls[0])
    return f"{duration(statistics.median(walls))} ({duration(min(walls))} to {duration(max(walls))})"


def cpu(times: Sequence[Took]) -> str:
    """Return the median of the CPU seconds."""
    return duration(median(times).cpu)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown that can be read as it stands."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(lines[0]), line(["-" * width for width in widths]), *(line(cells) for cells in lines[1:])])


ROW_HEAD = ("what", "Rollcall", "CPU", "beside it", "its CPU", "ratio", "target", "met", "runs")
CONTEST_HEAD = (
    "services",
    "what",
    "from call to end",
    "CPU",
    "times ours",
    "beyond startsecs",
    "target",
    "met",
    "runs",
)
COUNT_HEAD = ("full restart", "runs", "said success", "true success", "what was wrong (services or runs)", "all true")


def machine() -> list[str]:
    """Return what the figures depend on; nothing that names the machine."""
    kernel = re.match(r"\d+(\.\d+)*", platform.release())
    model = re.search(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    versions = {name: version(name) for name in ("ansible-core", "supervisor", "psutil")}
    tools = ", ".join(f"{name} {number}" for name, number in versions.items())
    return [
        f"{os.cpu_count()} cores ({model.group(1) if model else platform.machine()}), "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB of memory",
        f"{platform.system()} {kernel.group() if kernel else ''}, Python {platform.python_version()}",
        tools,
    ]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
