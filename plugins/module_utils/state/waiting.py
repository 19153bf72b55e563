# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a run waits for just now, told to whoever looks: beside its record, and gone with its end.

A run has a process of its own. What it waits for is known deep in its loops, so it is told here without a way through
all of them; where no run has begun, nothing is told. Nothing is decided by what is told.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from ..base.clock import SYSTEM, Clock
from ..base.files import json_object, read_text
from ..base.removing import remove
from .runs import runs_directory, steps_of

if t.TYPE_CHECKING:
    from ..base.documents import ProgressData, WaitData

# What something is waited for: its process is to end, its start seconds pass, its port is not taken yet or not free
# yet, its health check does not answer well, it must have lived for a while, and a oneshot is at work.
STOP, START, PORT, HEALTH, STABLE, END = "stop", "start", "port", "health", "stable", "end"
WHAT = (STOP, START, PORT, HEALTH, STABLE, END)
# Seconds for which one waits before it is told, and between two times that it is told.
PATIENCE = 1.0
PAUSE = 0.5
MOST = 50


class Wait(t.NamedTuple):
    """One thing that a run waits for: the service, one of ``WHAT``, and the last that was seen of it, in words."""

    name: str
    what: str
    said: str = ""


class _Teller:
    """Writes down what a run waits for."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._since: t.Dict[t.Tuple[str, str], float] = {}
        self._latest = clock.monotonic()
        self._written = False

    def tell(self, waits: t.Iterable[Wait]) -> None:
        now = self._clock.monotonic()
        if now - self._latest < PAUSE:
            return
        self._latest = now
        told = list(waits)
        self._since = {(one.name, one.what): self._since.get((one.name, one.what), now) for one in told}
        long = [one for one in told if now - self._since[one.name, one.what] >= PATIENCE]
        if long or self._written:
            self._write([[*one, self._since[one.name, one.what]] for one in long[:MOST]])

    def tell_nothing(self) -> None:
        self._since.clear()
        if self._written:
            self._write([])

    def _write(self, rows: t.Sequence[t.Any]) -> None:
        self._written = bool(rows)
        # Not synced: after a crash of the machine the run waits for nothing any more.
        with contextlib.suppress(OSError), open(self._path, "w", encoding="utf-8") as stream:
            json.dump({"waits": rows}, stream)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            remove(self._path, missing_ok=True)


_tellers: t.List[_Teller] = []


@contextlib.contextmanager
def waits_told(state: str, run: str, clock: Clock = SYSTEM) -> t.Iterator[None]:
    """Have what is waited for within be told as what a run waits for.

    Args:
        state: the stack's state directory.
        run: the run's id.
        clock: whose seconds are told.
    """
    teller = _Teller(_path(state, run), clock)
    _tellers.append(teller)
    try:
        yield
    finally:
        _tellers.remove(teller)
        teller.end()


def waits_for(waits: t.Iterable[Wait]) -> None:
    """Tell all that is waited for now; a run calls this in the loops in which it waits. Seldom is it asked for."""
    if _tellers:
        _tellers[-1].tell(waits)


def waits_no_more() -> None:
    """Tell that a loop in which a run has waited is over."""
    if _tellers:
        _tellers[-1].tell_nothing()


def told_waits(state: str, run: str, clock: Clock = SYSTEM) -> t.List[WaitData]:
    """Return what a run that is at work waits for; nothing when it does not wait or has ended.

    Args:
        state: the stack's state directory.
        run: the run's id.
        clock: of this host, which all its processes share.
    """
    try:
        rows = json_object(read_text(_path(state, run), errors="replace")).get("waits", [])
        now = clock.monotonic()
        return [
            {"name": str(name), "what": what, "said": str(said), "seconds": round(max(0.0, now - float(since)), 1)}
            for name, what, said, since in rows
            if what in WHAT
        ]
    except (OSError, ValueError, TypeError):
        return []


def progress_of(state: str, run: str, clock: Clock = SYSTEM) -> ProgressData:
    """Return how far a run is by now.

    Args:
        state: the stack's state directory.
        run: the run's id.
        clock: whose present it is.
    """
    steps = steps_of(state, run)
    first, last = (steps[0], steps[-1]) if steps else ({}, {})
    began = float(first.get("time") or clock.wall())
    return {
        "run": run,
        "step": str(last.get("step", "")),
        "seconds": round(max(0.0, clock.wall() - began), 1),
        "waits": told_waits(state, run, clock),
    }


def _path(state: str, run: str) -> str:
    return os.path.join(runs_directory(state), f"{run}.waits.json")
