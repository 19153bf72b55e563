# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The twelve steps of an install, and how each of them ended. Pure.

The tasks of the roles carry the number of their step, ``3/12 Dependencies | ...``; the steps from the sixth on are one
task, ``6-12/12 Run | ...``, and how they ended is read from the run's report or error.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ..base.text import printable
from ..verdict.conditions import is_not_ready
from ..verdict.install_steps import (
    ANSWERS,
    CONFIG,
    DATABASE,
    HEALTH,
    NAMES,
    RUNNING,
    STARTED,
    VERDICT,
)
from .words import names_of, painter

if t.TYPE_CHECKING:
    from ..base import documents
    from ..base.documents import CheckData, ErrorData, Report

LAST = len(NAMES)

# How a step ended.
OK, CHANGED, FAILED, HELD, NONE, NOT_REACHED = "ok", "changed", "FAILED", "HELD", "-", "not reached"
UNKNOWN = "unknown"
_PAINTED = {OK: "good", CHANGED: "warn", FAILED: "bad", HELD: "bad", UNKNOWN: "bad"}

# How the names of the tasks of a step begin, as docs/how-to/install.md has them: of a name, this alone is read.
_NUMBER = re.compile(rf"(\d+)(?:-{LAST})?/{LAST} ")
# Which of the checks of a step are counted, and as what: a service is RUNNING once, and has answered once.
_COUNTED = {
    RUNNING: ("running", "RUNNING"),
    HEALTH: ("health", "answered"),
    DATABASE: ("database", "answered"),
}
# Why nothing was done for a step.
_MISSING = {2: "nothing to do", 3: "nothing to do", 4: "not asked for", 5: "not asked for"}
_WITHOUT = {HEALTH: "no service has a health check", DATABASE: "no database is asked"}
# The engine's own steps from which on supervisord is started, and from which on it is started and asked.
_LATER = {
    "start-daemon": STARTED,
    "await-daemon": ANSWERS,
    "reload": ANSWERS,
    "start": RUNNING,
    "verify": VERDICT,
}


@dataclass(frozen=True)
class Step:
    """How one of the twelve ended.

    Attributes:
        number: of it, from 1.
        state: ``ok``, ``changed``, ``FAILED``, ``HELD``, ``-`` (nothing to do here), ``not reached`` or ``unknown``.
        seconds: how long it took; None when nobody has measured that.
        said: in a few words, what of.
    """

    number: int
    state: str
    seconds: t.Optional[float] = None
    said: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return NAMES[self.number - 1]

    def as_dict(self) -> documents.StepData:
        """Return the step as data."""
        return {
            "number": self.number,
            "name": self.name,
            "state": t.cast("documents.StepState", self.state),
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "said": self.said,
        }


def number(task: str) -> t.Optional[int]:
    """Return of which step a task is, by its name; None when it is of none."""
    found = _NUMBER.match(task)
    return int(found.group(1)) if found else None


def of_report(report: Report) -> t.List[Step]:
    """Return the steps from the supervisor config on, as a run's report tells them.

    A run that went back is told as what it tried: what runs now is what ran before.
    """
    timings = report["timings"]
    back = report["rolled_back"]
    if back and back["error"]:
        return [*of_error(back["error"])[:-1], _verdict(report, (), _sum(timings, "verify"))]
    checks = [*report["checks"], *back["checks"]] if back else report["checks"]
    daemon = next((check for check in report["checks"] if check["name"] == "supervisord"), None)
    up = (daemon["data"] if daemon is not None else None) or {}
    started = _sum(timings, "start-daemon")
    return [
        Step(
            CONFIG,
            CHANGED if "install" in timings else OK,
            _sum(timings, "prove", "plan", "write", "install", "announce"),
        ),
        Step(STARTED, OK if started is None else CHANGED, started, f"pid {up['pid']}" if "pid" in up else ""),
        _judged(
            ANSWERS,
            checks,
            _sum(timings, "await-daemon"),
            f"supervisor {up['version']}" if "version" in up else "",
        ),
        _judged(RUNNING, checks, timings.get("running"), changed=_starts_any(report)),
        _judged(HEALTH, checks, timings.get("healthy")),
        _judged(DATABASE, checks, _slowest_database(checks)),
        _verdict(report, checks, _sum(timings, "verify")),
    ]


def of_error(error: ErrorData) -> t.List[Step]:
    """Return the same steps of a run that came to no verdict, by the step that its error names."""
    at = _LATER.get(str(error["evidence"].get("step")), CONFIG)
    word = "refused" if error["kind"] == "refused" else ""
    return [
        Step(number, OK if number < at else FAILED if number == at else NOT_REACHED, None, word if number == at else "")
        for number in range(CONFIG, LAST + 1)
    ]


def step_at(step: str, waits: t.Sequence[str] = ()) -> t.Tuple[int, str]:
    """Return number and name of the step that a run is at.

    Args:
        step: the engine's own word for it.
        waits: what is waited for, of those of ``state.waiting``: start and health go on side by side.
    """
    at = _LATER.get(step, CONFIG)
    if at == RUNNING and waits and "start" not in waits and not {"stop", "end"}.intersection(waits):
        at = HEALTH
    return at, NAMES[at - 1]


def unknown(said: str) -> t.List[Step]:
    """Return the same steps of a run of which nobody knows how it ended, with the reason at the first of them."""
    return [Step(number, UNKNOWN, None, said if number == CONFIG else "") for number in range(CONFIG, LAST + 1)]


def whole(earlier: t.Mapping[int, Step], run: t.Sequence[Step]) -> t.List[Step]:
    """Return all twelve.

    Args:
        earlier: what the tasks before the run have told, by the step's number.
        run: what the run has told; empty when it was not come to.
    """
    told = dict(earlier)
    for step in run:
        before = earlier.get(step.number)
        if before is None:
            told[step.number] = step
        elif before.state != FAILED:
            seconds = (before.seconds or 0.0) + (step.seconds or 0.0)
            told[step.number] = Step(step.number, step.state, seconds, step.said)
    reached = max(told, default=0)
    return [
        told.get(number)
        or (Step(number, NONE, None, _MISSING.get(number, "")) if number < reached else Step(number, NOT_REACHED))
        for number in range(1, LAST + 1)
    ]


def steps_text(found: t.Sequence[documents.StepData], *, colour: bool = False) -> str:
    """Return the steps of an install, a line each.

    Args:
        found: the steps as data: ``number``, ``name``, ``state``, ``seconds``, ``said``.
        colour: whether to use ANSI colours.
    """
    paint = painter(colour)
    last = len(found)
    state_width, name_width = (max(len(step[key]) for step in found) for key in ("state", "name"))
    lines = []
    missed = [step for step in found if step["state"] == NOT_REACHED]
    for step in found:
        if step in missed:
            lines += [f"{paint(NOT_REACHED, 'quiet')}  {_from_to(missed, last)}"] if step is missed[0] else []
            continue
        said = printable(step["said"])
        seconds = "" if step["seconds"] is None else f"{step['seconds']:.1f} s"
        state = paint(f"{step['state']:{state_width}}", _PAINTED.get(step["state"], "quiet"))
        line = f"{state}  {step['number']:2}/{last}  {step['name']:{name_width}}  {seconds:>7}  {said}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _from_to(missed: t.Sequence[documents.StepData], last: int) -> str:
    """Return steps that follow each other in one line."""
    first, end = missed[0], missed[-1]
    if first is end:
        return f"{first['number']:2}/{last}  {first['name']}"
    return f"{first['number']:2}/{last}  {first['name']}, and all up to {end['number']}/{last}  {end['name']}"


def _judged(
    at: int, checks: t.Sequence[CheckData], seconds: t.Optional[float], said: str = "", *, changed: bool = False
) -> Step:
    """Return a step by the checks of the verdict that are of it."""
    concerned = [check for check in checks if check["step"] == at]
    if not concerned and at in _WITHOUT:
        return Step(at, NONE, None, _WITHOUT[at])
    failing = list(dict.fromkeys(check["subject"] for check in concerned if not check["ok"]))
    waiting = [
        check["name"] == "held" or is_not_ready(check["name"], check["code"]) for check in concerned if not check["ok"]
    ]
    held = bool(failing) and all(waiting)
    name, what = _COUNTED.get(at, ("", ""))
    counted = {check["subject"] for check in concerned if check["name"] in (name, "held", "ready")}
    if not said and counted:
        said = f"{len(counted.difference(failing))} of {len(counted)} {what}"
    if failing and at in _COUNTED:
        word = "failed" if not held else "not ready" if at == HEALTH else "held"
        named = f"{word}: {names_of(list(map(str, failing)))}"
        said = f"{said}; {named}" if said else named
    return Step(at, HELD if held else FAILED if failing else CHANGED if changed else OK, seconds, said)


def _verdict(report: Report, checks: t.Sequence[CheckData], seconds: t.Optional[float]) -> Step:
    failing = dict.fromkeys(check["name"] for check in checks if not check["ok"])
    said = ", ".join(failing)
    back = report["rolled_back"]
    if back:
        ended = f"generation {back['to']} runs again" if report["result"] == "rolled_back" else "the way back failed"
        said = "; ".join(filter(None, (said, ended)))
    state = OK if report["ok"] else HELD if report["result"] in ("held", "not_ready") else FAILED
    return Step(VERDICT, state, seconds, said)


def _starts_any(report: Report) -> bool:
    names = {service["name"] for service in report["services"]}
    return any(action["subject"] in names for action in report["actions"])


def _slowest_database(checks: t.Sequence[CheckData]) -> t.Optional[float]:
    of_databases = [check["data"] for check in checks if check["name"] == "database"]
    took = [data["latency_ms"] for data in of_databases if "latency_ms" in data]
    return max(took) / 1000 if took else None


def _sum(timings: t.Mapping[str, float], *names: str) -> t.Optional[float]:
    found = [timings[name] for name in names if name in timings]
    return sum(found) if found else None
