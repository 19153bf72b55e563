# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A run: one change of a stack under its lock, from the request to the report.

Nothing is stopped before the config is proved on this host, the directories are there and every port is classified.
"""

from __future__ import annotations

import os
import typing as t

from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..host import answering
from ..state import jobs, last_steps, undo
from ..state.generations import load_stack
from ..state.lock import locked
from ..state.memory import last_failure
from ..state.runs import Journal, prune_runs, steps_of, unfinished_run
from ..state.waiting import waits_told
from .critical_section import CriticalSection
from .freeing import flush_ports
from .holder import end_what_hangs
from .limits import limit_of
from .outcome import causes, causes_of_error, planned_report
from .prepare import prepare
from .request import Request
from .standing import after_report
from .way_back import perform_or_restore

if t.TYPE_CHECKING:
    from ..base.documents import Report, Signalled


def describe_plan(request: Request, *, clock: Clock = SYSTEM) -> Report:
    """Return what a run would do, having proved all that can be proved without touching anything (check mode).

    Raises:
        RollcallError: the run would be refused, with the same words.
    """
    run = prepare(request, clock, check_mode=True)
    _ended, actions = flush_ports(run, dry_run=True)
    return planned_report(run, actions)


def perform(request: Request, run_id: str, *, clock: Clock = SYSTEM) -> Report:
    """Carry out a request under the stack's lock and return the report.

    Args:
        request: what is asked.
        run_id: the run's id.
        clock: of all deadlines.

    Raises:
        RollcallError: refused, wrong input, or a step that failed; the message says what state the stack is in.
        OSError: the record could not be written, so the step was not taken.
    """
    if request.wanted is not None:
        answering.require([request.wanted.stack.paths.run, request.wanted.stack.paths.logs])
    os.makedirs(request.paths.state, mode=0o700, exist_ok=True)
    state = request.paths.state
    ended = end_what_hangs(request, clock) if request.mode.kills else []
    limit = _limit(request)
    ours: t.Dict[str, t.Any] = {"run": run_id, "limit": limit, "watcher": request.watcher}
    lock = locked(state, request.who, request.mode.name, clock=clock, **ours)
    with lock, waits_told(state, run_id, clock):
        return _perform_locked(request, run_id, ended, clock)


def _limit(request: Request) -> t.Optional[float]:
    """Return the seconds that a run takes at the longest; None when the manifest in place cannot be read."""
    try:
        stack = load_stack(request.paths) if request.wanted is None else request.wanted.stack
    except RollcallError:
        # The run itself says so, or goes back to a generation that can be read.
        return None
    return limit_of(request, stack)


def _perform_locked(request: Request, run_id: str, ended: t.List[Signalled], clock: Clock) -> Report:
    state = request.paths.state
    unfinished = unfinished_run(state)
    journal = Journal(state, run_id, clock)
    asked: t.Dict[str, t.Any] = {"mode": request.mode.name, "who": request.who, "automatic": request.automatic}
    asked.update({"services": list(request.services)} if request.services else {})
    journal.step("prove", root=request.root, brought=request.wanted is not None, ended=ended, **asked)
    began = clock.monotonic()
    section: t.Optional[CriticalSection] = None
    try:
        section = CriticalSection(prepare(request, clock), journal)
        last_steps.keep_boot(section.run.stack, request.boot)
        if request.wanted is not None:
            jobs.keep_timers(section.run.stack, clock.wall())
        report = perform_or_restore(section)
    except RollcallError as exc:
        exc.evidence.setdefault("step", journal.current_step)
        if (
            request.wanted is not None
            and request.on_failure == "rollback"
            and (section is None or not section.replaced)
        ):
            # What was there before runs on, and needs what it had.
            exc.evidence["taken_back"] = [one.words for one in undo.take_back(state, clock=clock)]
            exc.message = "\n".join([exc.message, *(f"{note}." for note in exc.evidence["taken_back"])])
        result = exc.evidence.get("result", exc.kind)
        signals = [*ended, *([] if section is None else section.signals)]
        journal.finish(result, message=exc.message, checks=causes_of_error(exc), signals=signals)
        raise
    finally:
        if section is not None:
            section.jobs.release()
    report = {**report, "signals": [*ended, *report["signals"]]}
    seconds = round(clock.monotonic() - began, 3)
    _finish(journal, request, report)
    failure = last_failure(state)
    prune_runs(state, None if failure is None else failure["run"])
    return {
        **report,
        "seconds": seconds,
        "unfinished_run": unfinished,
        "last_failure": None if failure is None or failure["run"] == run_id else failure,
        "timings": journal.timings,
        "run": run_id,
        "standing": None if report["ok"] else after_report(request, report, steps_of(state, run_id), clock=clock),
    }


def _finish(journal: Journal, request: Request, report: Report) -> None:
    """Record how a run ended, and why where it failed."""
    message, checks = causes(report)
    journal.finish(
        report["result"],
        changed=report["changed"],
        starts=request.mode.starts,
        message=message,
        failed=[f"{check['name']} {check['subject']}" for check in checks],
        checks=checks,
        signals=report["signals"],
        about=None if report["whole"] else [row["name"] for row in report["services"]],
    )
