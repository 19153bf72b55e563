# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The way back: when a new generation fails, the last verified one is restored and verified."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..manifest.revision import revision
from ..state import undo
from ..state.generations import describe_current, id_before, load_kept
from ..state.one_way import one_way_over
from ..verdict.away import is_only_away
from ..verdict.judge_databases import asks_alike
from ..verdict.lives import RECOVERING
from .critical_section import CriticalSection
from .modes import AUTO
from .outcome import only_earlier, rolled_back_report, staying, stays_words, taken_over
from .prepare import prepare

if t.TYPE_CHECKING:
    from ..base.documents import CheckData, Report


def perform_or_restore(section: CriticalSection) -> Report:
    """Perform a critical section; where it fails and the request says so, restore the last verified generation.

    Returns:
        The report of what runs now.

    Raises:
        RollcallError: a step failed and there is no way back, or that failed as well; the message says both.
        OSError: the record could not be written, so the step was not taken.
    """
    # Whoever asks to go back, too, needs what the services had then.
    state = section.run.stack.paths.state
    taken_back = [one.words for one in undo.take_back(state)] if section.run.restores is not None else []
    taken_back += taken_over(section.run)
    try:
        report = section.perform()
        report = {**report, "notes": [*taken_back, *report["notes"]]}
    except RollcallError as exc:
        if not _may_restore(section):
            raise
        exc.evidence.setdefault("step", section.journal.current_step)
        steps = _one_way(section)
        if steps:
            exc.evidence["one_way"] = list(steps)
            exc.message = f"{exc.message}\n{stays_words(steps)}."
            raise
        return _restore_last_verified(section, [], exc)
    is_new = not only_earlier(report["checks"]) and _is_to_blame(section, report["checks"])
    if report["result"] == "degraded" and is_new and _may_restore(section):
        steps = _one_way(section)
        if steps:
            return {**report, "notes": [*report["notes"], stays_words(steps)]}
        return _restore_last_verified(section, report["checks"], None)
    return report


def _may_restore(section: CriticalSection) -> bool:
    """Return whether a run that failed is to end with the generation before.

    It is, when the one in place has never been verified: this run has installed it, or an earlier one, in which some
    services were held and none had failed.
    """
    request = section.run.request
    if request.on_failure != "rollback" or not request.mode.starts:
        return False
    current = describe_current(request.paths, request.root)
    never_held = current is not None and not current["verified"]
    return (section.replaced or never_held) and id_before(request.paths, request.root) is not None


def _one_way(section: CriticalSection) -> t.Tuple[str, ...]:
    """Return the one-way steps that keep a run that failed from going back: what ran before may not live with them."""
    request = section.run.request
    return one_way_over(request.paths, request.root, str(id_before(request.paths, request.root)))


def _is_to_blame(section: CriticalSection, checks: t.Sequence[CheckData]) -> bool:
    """Return whether the new generation may be why a check failed.

    Not when only services fail that kept ending before it, and that it does not change: the way back would not help.
    Nor when one that it does not change has ended once before it and has only not lived for long since. Nor when a
    database is not there that it has not changed: it would not be there for what ran before either.
    """
    before, stack, installed = section.run.before, section.run.stack, section.run.installed
    if is_only_away(checks) and installed is not None and asks_alike(stack, installed):
        return False
    lives = before.book.lives
    same = [one for one in stack.services if one.name in lives and lives[one.name].revision == revision(stack, one)]
    loops = before.loops(same)
    recovering = before.recovering(same)
    return any(
        check["subject"] not in loops and not (check["code"] == RECOVERING and check["subject"] in recovering)
        for check in checks
        if not check["ok"]
    )


def _restore_last_verified(
    section: CriticalSection, checks: t.Sequence[CheckData], error: t.Optional[RollcallError]
) -> Report:
    """Restore the last verified generation and verify it.

    Args:
        section: of the run that failed.
        checks: what was judged at its end.
        error: why it came to no verdict.

    Raises:
        RollcallError: that failed as well; the message says both.
    """
    run = section.run
    name = str(id_before(run.request.paths, run.request.root))
    tried = describe_current(run.stack.paths, run.stack.root)
    section.journal.step("rollback", to=name)
    wanted = load_kept(run.stack.paths, run.stack.root, name)
    request = run.request._replace(wanted=wanted, mode=AUTO, automatic=False)
    told = None if error is None else error.as_dict()
    taken_back = [one.words for one in undo.take_back(run.stack.paths.state, clock=run.clock)]
    try:
        back = prepare(request, run.clock, restores=name)
        # Those that are still away have been so since the first time.
        back.takedown.asked.update(run.takedown.asked)
        restored = CriticalSection(back, section.journal).perform()
    except RollcallError as exc:
        first = "its verdict failed" if error is None else error.message
        raise RollcallError(
            f"The new generation failed ({first}), and going back to generation {name} failed: {exc.message}"
            + "".join(f"\n{note}." for note in (*taken_back, *staying(run))),
            evidence={
                **exc.evidence,
                "result": "rollback_failed",
                "failed": {"checks": list(checks), "error": told},
                "taken_back": taken_back,
                "generation": name,
            },
            remedies=[*exc.remedies, cures.correct(), cures.EMERGENCY],
        ) from exc
    failed = [check for check in checks if not check["ok"]]
    report = rolled_back_report(run, back, restored, tried=tried, failed=failed, error=told, signals=section.signals)
    return {**report, "notes": [*taken_back, *staying(run), *report["notes"]]}
