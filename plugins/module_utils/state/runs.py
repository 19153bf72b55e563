# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The records of the runs: a line of JSON for each step, on disk before the step is taken."""

from __future__ import annotations

import json
import math
import os
import time
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.files import json_object, read_text
from ..base.removing import remove

if t.TYPE_CHECKING:
    from ..base.documents import UnfinishedRun

KEEP_RUNS = 50
# What readers of the records take for granted: the types of some facts.
_KINDS: t.Mapping[str, t.Tuple[type, ...]] = {
    "step": (str,),
    **dict.fromkeys(("who", "mode", "result", "message", "manifest"), (str, type(None))),
    **dict.fromkeys(("at", "time"), (int, float)),
    **dict.fromkeys(("actions", "failed", "checks", "signals"), (list,)),
    "about": (list, type(None)),
    "timings": (dict,),
}
# A run's id begins with this time, which has so many characters.
STAMP_FORMAT = "%Y%m%d-%H%M%S"
STAMP_LENGTH = 15


def new_run_id(state: str, clock: Clock = SYSTEM) -> str:
    """Return an id for a run: UTC time and four random hex digits, so that no two runs have the same.

    It sorts after the ids of all recorded runs. After a run in the same second, and after the clock was set back, its
    time is therefore ahead of the clock.

    Args:
        state: the stack's state directory.
        clock: where the time comes from.

    Raises:
        RollcallError: the records may not be read.
    """
    seconds = int(clock.wall())
    latest = next(iter(run_ids(state)), "")
    if _stamp(seconds) <= latest[:STAMP_LENGTH]:
        import calendar

        seconds = calendar.timegm(time.strptime(latest[:STAMP_LENGTH], STAMP_FORMAT)) + 1
    return stamped_id(seconds)


def stamped_id(seconds: int) -> str:
    """Return an id that begins with this time, in seconds since the epoch, so that later ones sort after it."""
    return f"{_stamp(seconds)}-{os.urandom(2).hex()}"


def _stamp(seconds: int) -> str:
    return time.strftime(STAMP_FORMAT, time.gmtime(seconds))


class Journal:
    """The write-ahead record of one run.

    Args:
        state: the stack's state directory.
        run: the run's id.
        clock: wall time for the record, monotonic time for the seconds of each step.

    Attributes:
        timings: seconds of each step that has ended; a run may add others.
    """

    def __init__(self, state: str, run: str, clock: Clock = SYSTEM) -> None:
        self.run = run
        self.timings: t.Dict[str, float] = {}
        self._clock = clock
        self._began = clock.monotonic()
        self._current: t.Optional[t.Tuple[str, float]] = None
        directory = runs_directory(state)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._stream = open(  # noqa: SIM115 - lives as long as the run
            os.path.join(directory, f"{run}.jsonl"), "a", encoding="utf-8"
        )

    def step(self, name: str, **facts: t.Any) -> None:
        """Record that the step ``name`` begins now, and that the one before it has ended.

        Raises:
            OSError: the record could not be written, so the step must not be taken.
        """
        now = self._clock.monotonic()
        self._end_step(now)
        self._current = (name, now)
        self._write({"step": name, "at": round(now - self._began, 4), "time": self._clock.wall(), **facts})

    @property
    def current_step(self) -> t.Optional[str]:
        """The step that was begun last; None before the first one and after the end of the run."""
        return None if self._current is None else self._current[0]

    def finish(self, result: str, **facts: t.Any) -> None:
        """Record the end of the run, its result and the seconds of each step."""
        now = self._clock.monotonic()
        self._end_step(now)
        end = {"at": round(now - self._began, 4), "time": self._clock.wall()}
        self._write({"step": "done", **end, "result": result, "timings": self.timings, **facts})
        self._stream.close()

    def _end_step(self, now: float) -> None:
        if self._current is not None:
            name, began = self._current
            self.timings[name] = round(self.timings.get(name, 0.0) + now - began, 4)
            self._current = None

    def _write(self, record: t.Mapping[str, t.Any]) -> None:
        self._stream.write(json.dumps(record) + "\n")
        self._stream.flush()
        os.fdatasync(self._stream.fileno())


def runs_directory(state: str) -> str:
    """Return where the records of the runs are."""
    return os.path.join(state, "runs")


def result_path(state: str, run: str) -> str:
    """Return where the worker writes the report of a run when it has ended."""
    return os.path.join(runs_directory(state), f"{run}.result.json")


def steps_of(state: str, run: str) -> t.List[t.Dict[str, t.Any]]:
    """Return the recorded steps of a run. A line that a crash cut short is left out: that step was not taken.

    Raises:
        RollcallError: the record may not be read.
    """
    path = os.path.join(runs_directory(state), f"{run}.jsonl")
    try:
        lines = read_text(path, errors="replace").split("\n")
    except FileNotFoundError:
        return []
    except PermissionError as exc:
        raise _unreadable(path) from exc
    records = ({key: value for key, value in json_object(line).items() if _is_right(key, value)} for line in lines)
    return [record for record in records if "step" in record]


def _is_right(key: str, value: t.Any) -> bool:
    """Return whether a value is of the type that a run writes under this key; a crash may have left anything."""
    kinds = _KINDS.get(key)
    if kinds is None:
        return True
    odd = isinstance(value, bool) or (isinstance(value, float) and math.isnan(value))
    return isinstance(value, kinds) and not odd


def run_ids(state: str) -> t.List[str]:
    """Return the ids of the recorded runs, the latest first.

    Raises:
        RollcallError: the records may not be read.
    """
    try:
        names = os.listdir(runs_directory(state))
    except FileNotFoundError:
        return []
    except PermissionError as exc:
        raise _unreadable(runs_directory(state)) from exc
    return sorted((name[: -len(".jsonl")] for name in names if name.endswith(".jsonl")), reverse=True)


def _unreadable(path: str) -> RollcallError:
    return RollcallError(
        f"What runs have recorded in {path} may not be read.", evidence={"path": path}, remedies=[cures.AS_ROOT]
    )


def unfinished_run(state: str) -> t.Optional[UnfinishedRun]:
    """Return the newest run when it has no end: its id as ``run`` and the ``step`` it was at; None when it has one."""
    for run in run_ids(state):
        steps = steps_of(state, run)
        if steps:
            return None if steps[-1]["step"] == "done" else {"run": run, "step": steps[-1]["step"]}
    return None


def old_runs(state: str, keep: t.Optional[str] = None) -> t.List[str]:
    """Return the ids of the runs whose records are not kept: all but the newest ``KEEP_RUNS`` and the run ``keep``."""
    try:
        names = os.listdir(runs_directory(state))
    except FileNotFoundError:
        return []
    return [run for run in sorted({name.split(".")[0] for name in names})[:-KEEP_RUNS] if run != keep]


def prune_runs(state: str, keep: t.Optional[str] = None) -> None:
    """Remove the records of the ``old_runs``."""
    directory = runs_directory(state)
    old = set(old_runs(state, keep))
    for name in os.listdir(directory):
        if name.split(".")[0] in old:
            remove(os.path.join(directory, name), missing_ok=True)
