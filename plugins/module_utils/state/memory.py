# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a stack remembers until it is made good: the last run that failed, and what somebody has acknowledged of it.

The failure itself stands in the record of its run, so that it is kept however that run ended. What was acknowledged is
a file of its own: who said so, when, and which runs there were.
"""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock
from ..base.files import read_record, write_record
from ..host import processes
from .runs import run_ids, steps_of

if t.TYPE_CHECKING:
    from ..base.documents import LastFailure

# Results of a verdict in which nothing failed.
GOOD = ("ok", "held", "not_ready")
# Kinds of errors that a run ends with before it has touched anything.
_UNTOUCHED = ("refused", "wrong_use")

Steps = t.Sequence[t.Mapping[str, t.Any]]


class Acknowledgement(t.NamedTuple):
    """That somebody knows of all that was wrong until then.

    Attributes:
        who: who said so.
        time: when, in seconds since the epoch; for people.
        boot: the boot in which that was, as ``processes.boot_id`` returns it.
        moment: when, in seconds on the clock of ``processes.age``.
        run: id of the newest run at that time; empty when there was none.
    """

    who: str
    time: float
    boot: str
    moment: float
    run: str

    def covers(self, age: float) -> bool:
        """Return whether what happened ``age`` seconds ago, in this boot, was known when this was said."""
        return self.boot == processes.boot_id() and age >= processes.age(0) - self.moment


def acknowledgement(state: str) -> t.Optional[Acknowledgement]:
    """Return the last acknowledgement of a stack; None when there is none.

    Args:
        state: the stack's state directory.

    Raises:
        RollcallError: it is there and cannot be read.
    """

    def parse(data: t.Any) -> Acknowledgement:
        return Acknowledgement(
            str(data["who"]), float(data["time"]), str(data["boot"]), float(data["moment"]), str(data["run"])
        )

    remedies = [cures.remove(_path(state))]
    missing: t.Optional[Acknowledgement] = None
    return read_record(_path(state), parse, missing, "What was acknowledged", remedies)


def keep_acknowledgement(state: str, who: str, *, clock: Clock = SYSTEM) -> Acknowledgement:
    """Record that all that was wrong until now is known, and return that.

    Raises:
        OSError: it could not be written; what was acknowledged before still is.
    """
    newest = next(iter(run_ids(state)), "")
    done = Acknowledgement(who, clock.wall(), processes.boot_id(), processes.age(0), newest)
    write_record(_path(state), done._asdict())
    return done


def last_failure(state: str, at_work: t.Optional[str] = None) -> t.Optional[LastFailure]:
    """Return the newest run that failed, unless a later one has made it good or somebody has acknowledged it.

    Args:
        state: the stack's state directory.
        at_work: id of the run that is at work, which has no end yet.

    Raises:
        RollcallError: the records may not be read.
    """
    known = acknowledgement(state)
    good: t.List[Steps] = []
    for run in run_ids(state):
        if known is not None and run <= known.run:
            return None
        steps = steps_of(state, run)
        if run == at_work or not steps:
            continue
        if _failed(steps):
            made_good = any(_makes_good(later, steps) for later in good)
            return None if made_good else _as_data(run, steps)
        if _end(steps).get("result") in GOOD:
            if _settles_all(steps):
                return None
            good.append(steps)
    return None


def _end(steps: Steps) -> t.Mapping[str, t.Any]:
    return steps[-1] if steps[-1]["step"] == "done" else {}


def _failed(steps: Steps) -> bool:
    """Return whether a run failed: it came to no end, to a verdict that failed, or to an error on the way.

    A run that was refused, or was wrongly asked for, has failed only when it had begun to change something.
    """
    result = _end(steps).get("result")
    if result in GOOD:
        return False
    return result not in _UNTOUCHED or any(step["step"] == "plan" for step in steps)


def _settles_all(steps: Steps) -> bool:
    """Return whether the verdict of a good run says that nothing is wrong any more, whatever was before."""
    return (
        _end(steps).get("about") is None
        and bool(_end(steps).get("starts", True))
        and (bool(_end(steps).get("changed")) or bool(steps[0].get("brought")))
    )


def _makes_good(good: Steps, failed: Steps) -> bool:
    """Return whether a good run that changed nothing, or starts nothing, makes an earlier failure good.

    A generation that was given up is not made good because the one before it still runs, and what failed is not made
    good by a run about other services.
    """
    about = _end(good).get("about")
    checks = [check for check in _end(failed).get("checks", ()) if isinstance(check, dict)]
    if about is not None and not all(check.get("subject") in about for check in checks):
        return False
    if not _end(good).get("starts", True):
        return bool(good[0].get("mode") == failed[0].get("mode"))
    return _end(failed).get("result") != "rolled_back"


def _as_data(run: str, steps: Steps) -> LastFailure:
    first, end = steps[0], _end(steps)
    return {
        "run": run,
        "time": first.get("time"),
        "who": first.get("who"),
        "mode": first.get("mode"),
        "result": end.get("result") or "cut off",
        "step": None if end else steps[-1]["step"],
        "message": end.get("message"),
        "checks": end.get("checks", []),
    }


def _path(state: str) -> str:
    return os.path.join(state, "acknowledged.json")
