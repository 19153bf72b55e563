# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a run does with the jobs of timers: which of them it ends, and that none starts while everything is down."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ..base import cures
from ..base.clock import Clock
from ..base.errors import RollcallError
from ..host import ending, units
from ..host.ending import Ended
from ..host.labels import processes_of_jobs, trusted_uids
from ..host.model import Process
from ..manifest.model import Service, Stack
from ..state import jobs, last_steps
from ..state.lock import locked, locked_by
from .modes import ALL, Mode
from .plan import PlannedAction, RunPlan
from .request import Request

# Seconds within which whoever runs a job sees that it is to end, and records how it ended.
NOTICE = 2.0


def at_work(stack: Stack) -> t.List[str]:
    """Return the timers of a stack whose job is at work, also where what has started it was killed."""
    left = {name for _process, name in _processes(stack)} if stack.timers else set()
    return [one.name for one in stack.timers if one.name in left or locked_by(jobs.directory(stack, one.name))]


def _processes(stack: Stack) -> t.List[t.Tuple[Process, str]]:
    return processes_of_jobs(stack.root, trusted_uids(stack.root, stack.user))


def with_timers(
    plan: RunPlan, mode: Mode, wanted: Stack, installed: t.Optional[Stack], busy: t.AbstractSet[str]
) -> RunPlan:
    """Return a plan that says what becomes of the timers, and of the jobs at work. Pure.

    Args:
        plan: of the services.
        mode: of the run.
        wanted: the manifest to bring about.
        installed: the one in place; None where there is none.
        busy: the timers whose job is at work.
    """
    if plan.judged is not None:
        return plan
    before = {} if installed is None else {timer.name: timer for timer in installed.timers}
    now = {timer.name: timer for timer in wanted.timers}
    reason = f"it is at work, and everything is {'restarted' if mode.starts else 'stopped'}"
    ends = {name: reason for name in before if name in busy} if mode.stops == ALL else {}
    if plan.install:
        ends.update({name: "it is at work, and is no timer any more" for name in before if name in busy - now.keys()})
    told = [PlannedAction("end", f"job {name}", why) for name, why in ends.items()]
    return plan._replace(end_jobs=tuple(ends), about_timers=(*told, *(_changes(before, now) if plan.install else ())))


def _changes(before: t.Mapping[str, Service], now: t.Mapping[str, Service]) -> t.Iterator[PlannedAction]:
    """Yield what becomes of the timers; their units come after the run."""
    from ..manifest import schedule  # late: few stacks have a timer

    for name, timer in now.items():
        old = before.get(name)
        if old is None:
            yield PlannedAction("add", f"timer {name}", schedule.schedule_of(timer))
        elif old != timer:
            keys = [key for key, value in vars(timer).items() if value != vars(old)[key]]
            changed = ", ".join(keys)
            yield PlannedAction("change", f"timer {name}", f"{schedule.schedule_of(timer)}; {changed} changed")
    for name in before:
        if name not in now:
            yield PlannedAction("remove", f"timer {name}", "it is not in the manifest any more")


def job_seconds(stack: Stack) -> float:
    """Return the seconds that it takes at the longest to end the jobs of a stack, which are ended together."""
    return max((2 * (timer.stop.timeout + jobs.KILLED + NOTICE) for timer in stack.timers), default=0.0)


def check_timers(request: Request, stack: Stack) -> None:
    """Check that something will run the jobs of the timers of a manifest that comes in place.

    Args:
        request: what is asked. Who sets ``services_boot`` to ``none`` runs them otherwise, and needs not say so again
            for what comes later, such as a way back; a verdict says when a job is late.
        stack: the manifest to bring about.

    Raises:
        RollcallError: ``wrong_use``: nothing would. Nothing was changed.
    """
    kind = last_steps.boot_kind(stack.paths.state, request.boot)
    by_systemd = kind in ("systemd", "user") and os.path.isdir(units.RUNNING)
    by_others = kind == "none" and request.boot != "auto"
    if not stack.timers or request.wanted is None or by_systemd or by_others:
        return
    names = ", ".join(timer.name for timer in stack.timers)
    why = "systemd does not run on this host" if not os.path.isdir(units.RUNNING) else f"services_boot comes to {kind}"
    raise RollcallError(
        f"Nothing would run the jobs of the timers of stack {stack.name}: {names}. They are started by systemd, and "
        f"{why}. Nothing was stopped or changed.",
        kind="wrong_use",
        evidence={"timers": [timer.name for timer in stack.timers], "boot": kind},
        remedies=[cures.timers_without_systemd(os.path.join(stack.root, "bin", "rollcall"), stack.timers[0].name)],
    )


class HeldJobs:
    """The locks of the timers whose jobs are not to start for now.

    Args:
        who: asks for it, for the note in the locks.
        verb: what for.
        clock: of all deadlines.

    Attributes:
        ended: the processes that did not end when they were asked to.
    """

    def __init__(self, who: str, verb: str, clock: Clock) -> None:
        self.ended: t.List[Ended] = []
        self._who = who
        self._verb = verb
        self._clock = clock
        self._locks = contextlib.ExitStack()

    def release(self) -> None:
        """Let the jobs start again."""
        self._locks.close()

    def end(self, stack: Stack, names: t.Sequence[str]) -> None:
        """End jobs that are at work, and keep them from starting; all are asked before any is waited for.

        Args:
            stack: the manifest that they run by.
            names: of their timers.

        Raises:
            RollcallError: ``refused``: one does not end.
            OSError: one cannot be asked to.
        """
        for name in names:
            jobs.ask_to_end(stack, name, f"{self._verb} by {self._who}")
        for timer in (timer for timer in stack.timers if timer.name in names):
            patience = timer.stop.timeout + jobs.KILLED + NOTICE
            held = self._hold(stack, timer.name, patience)
            # What nobody looks after who would have ended it.
            self._end_left(stack, timer)
            if not held:
                self._hold_or_refuse(stack, timer.name)
            jobs.forget_to_end(stack, timer.name)

    def hold(self, stack: Stack) -> None:
        """Keep the jobs of all timers from starting, except those that are at work."""
        for timer in stack.timers:
            jobs.make_directory(stack, timer.name)
            self._hold(stack, timer.name, 0.0)

    def _hold(self, stack: Stack, name: str, patience: float) -> bool:
        place = jobs.directory(stack, name)
        try:
            self._locks.enter_context(locked(place, self._who, self._verb, patience=patience, clock=self._clock))
        except RollcallError as exc:
            if exc.kind != "refused":
                raise
            return False
        return True

    def _hold_or_refuse(self, stack: Stack, name: str) -> None:
        place = jobs.directory(stack, name)
        self._locks.enter_context(locked(place, self._who, self._verb, patience=NOTICE, clock=self._clock))

    def _end_left(self, stack: Stack, timer: Service) -> None:
        """End what is left of a job, by the labels of its processes."""
        left = [process for process, name in _processes(stack) if name == timer.name]
        identities = [process.identity for process in left]
        stop = timer.stop
        self.ended += ending.end(identities, known=left, signal=stop.signal, grace=stop.timeout, clock=self._clock)
