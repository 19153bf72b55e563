# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The report of a run: what was seen after it, how it was judged, what was done."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.text import span
from ..state.generations import describe_current
from ..state.one_way import one_way_since, one_way_words
from ..state.stopped import read_stopped
from ..verdict.conditions import EARLIER, is_not_ready
from ..verdict.judge import Check
from ..verdict.lives import RECOVERING
from ..verdict.observation import Observation
from ..verdict.report import report
from ..verdict.status import timer_rows
from .modes import ROLLBACK
from .plan import PlannedAction
from .prepare import PreparedRun

if t.TYPE_CHECKING:
    from ..base.documents import (
        ActionData,
        CheckData,
        ErrorData,
        FailedCheck,
        GenerationInPlace,
        Report,
        ServiceRow,
        Signalled,
    )
    from ..base.job_documents import TimerRow
    from ..manifest.model import Health

# Of a run that failed, how many checks its record keeps, and how many characters of the evidence of each.
MOST_CHECKS = 20
MOST_EVIDENCE = 2_000
# Of the services that failed alike, how many are named.
MOST_NAMED = 4
# Seconds; a service that may take longer to stop is named before.
SLOW_STOP = 60.0


def run_report(
    run: PreparedRun,
    seen: Observation,
    checks: t.Sequence[Check],
    *,
    changed: bool,
    signals: t.List[Signalled],
    downtimes: t.Optional[t.Mapping[str, float]] = None,
) -> Report:
    """Return the report of a run.

    Args:
        run: the run.
        seen: what was seen at its end.
        checks: what was judged.
        changed: whether anything was changed.
        signals: each process outside of supervisord's care that was to be ended, and how that went.
        downtimes: by service that was stopped and is up again, for how many seconds it was away.
    """
    told = report(
        run.judged,
        seen,
        checks,
        held=run.plan.held,
        stopped=read_stopped(run.stack),
        limit=run.limit,
        whole=run.plan.judged is None,
        downtimes=downtimes,
        timers=timer_rows(run.stack) if run.plan.judged is None else (),
    )
    past = all(check["ok"] or check["code"] == RECOVERING for check in told["checks"])
    if run.request.wanted is not None and told["result"] == "degraded" and not past:
        told["next"].append(cures.correct(what_failed(told["checks"])))
    return {
        **told,
        "mode": run.request.mode.name,
        "changed": changed,
        "actions": _as_data(run.plan.actions),
        "signals": signals,
        "notes": [*_gone_back(run, "went"), *_away(run), *_detached(run), *run.takedown.notes],
        "manifest_digest": run.generation.digest,
        "generation": describe_current(run.stack.paths, run.stack.root),
    }


def planned_report(run: PreparedRun, ended: t.Sequence[PlannedAction]) -> Report:
    """Return the report of check mode.

    Args:
        run: the run that was prepared.
        ended: what would be ended on the ports of the plan.
    """
    actions = [*run.plan.actions, *ended]
    planned = run_report(run, run.before, [], changed=bool(actions), signals=[])
    rows, moving = _ports_as_they_are(run, _asked_as_installed(run, planned["services"]))
    return {
        **planned,
        "result": "planned",
        "services": rows,
        "timers": _timers_to_come(run, planned["timers"]),
        "actions": _as_data(actions),
        "notes": [
            *_gone_back(run, "goes"),
            *_away(run),
            *moving,
            *_detached(run),
            *_slow_stops(run),
            *_standing(run),
            *_not_proved(run),
        ],
    }


def _timers_to_come(run: PreparedRun, rows: t.Sequence[TimerRow]) -> t.List[TimerRow]:
    """Return the rows of the timers; one that is yet to come, or to get another time, is late by nothing."""
    here = {} if run.installed is None else {timer.name: (timer.every, timer.cron) for timer in run.installed.timers}
    same = {timer.name for timer in run.stack.timers if here.get(timer.name) == (timer.every, timer.cron)}
    return [row if row["name"] in same else t.cast("TimerRow", {**row, "next": None, "late": False}) for row in rows]


def _gone_back(run: PreparedRun, verb: str) -> t.List[str]:
    """Return to which kept generation a rollback went, and to which release."""
    if run.request.mode is not ROLLBACK:
        return []
    release = f", release {run.stack.release}" if run.stack.release else ""
    return [f"{verb} back to generation {run.restores}{release}"]


def _detached(run: PreparedRun) -> t.List[str]:
    """Return what services have put into the background that this run leaves, and what ends with its service."""
    stays = [
        f"{one.label.service} runs and has put {one.summary} into the background: this is not about it, and leaves that"
        for one in run.detached_and_left
        if one.label
    ]
    ends = [
        f"what {one.label.service} has detached ends with it: {one.summary}"
        for one in run.before.detached
        if one.label and one.label.service not in run.spared
    ]
    return [*stays, *ends]


def _asked_as_installed(run: PreparedRun, rows: t.Sequence[ServiceRow]) -> t.List[ServiceRow]:
    """Return the rows without the answers of what runs until now to checks that it is not made for."""
    there = {} if run.installed is None else {service.name: service.all_health for service in run.installed.services}
    own = {name for name, checks in there.items() if name in run.plan.start and _checks(run, name) != checks}
    unasked: t.Dict[str, t.Any] = {"health": "none", "latency_ms": None, "answer": None, "asked": []}
    return [t.cast("ServiceRow", {**row, **unasked}) if row["name"] in own else row for row in rows]


def _checks(run: PreparedRun, name: str) -> t.Sequence[Health]:
    return run.stack.service(name).all_health


def _ports_as_they_are(run: PreparedRun, rows: t.Sequence[ServiceRow]) -> t.Tuple[t.List[ServiceRow], t.List[str]]:
    """Return the rows with the ports that processes have until now, and which of them go to another one."""
    there = {} if run.installed is None else {service.name: service for service in run.installed.services}
    found: t.List[ServiceRow] = []
    moving = []
    for row in rows:
        old = there.get(row["name"])
        new = run.stack.service(row["name"])
        if row["pid"] is None or old is None or (old.all_ports, old.socket) == (new.all_ports, new.socket):
            found.append(row)
            continue
        named = {called: int(port) for called, port in old.all_ports.items() if called}
        if old.port != row["port"] and row["name"] not in run.request.moved:
            here, to = ("no port" if port is None else f"port {port}" for port in (old.port, row["port"]))
            moving.append(f"{row['name']} is on {here} until its restart, and on {to} from then on")
        there_now = {"port": old.port, "ports": named, "udp": list(old.udp_ports), "socket": old.socket or None}
        found.append(t.cast("ServiceRow", {**row, **there_now}))
    return found, moving


def _away(run: PreparedRun) -> t.List[str]:
    """Return which services are not on the port that the manifest says, why, and how they come back to it."""
    found = []
    for service in run.stack.services:
        moved = run.request.moved.get(service.name)
        if moved is not None:
            before, reason = moved
            found.append(f"{service.name} has moved from port {before} to {service.port}: {reason}")
        elif service.port != service.own_port and service.own_port is not None:
            found.append(f"{service.name} is on port {service.port}; its own is {service.own_port}")
        if service.port != service.own_port and service.own_port is not None:
            found[-1] += f". It stays there, and comes back when {service.own_port} is free by: {run.request.home}"
    return found


def _slow_stops(run: PreparedRun) -> t.List[str]:
    """Return which services may take long to stop; the mode that kills waits for none."""
    if run.request.mode.kills:
        return []
    seconds = {name: run.takedown.stop_seconds(name) for name in run.plan.stop}
    slow = sorted((name for name in seconds if seconds[name] > SLOW_STOP), key=lambda name: -seconds[name])
    more = f" and {len(slow) - MOST_NAMED} more" if len(slow) > MOST_NAMED else ""
    named = ", ".join(f"{name} up to {span(seconds[name])}" for name in slow[:MOST_NAMED])
    return [f"stopping may take long, by stop.timeout: {named}{more}"] if slow else []


def _standing(run: PreparedRun) -> t.List[str]:
    commands = [f"what this changes outside of the release: {one}" for one in run.request.standing]
    oneshots = [f"what the oneshot {name} changes" for name in _oneshots(run)]
    user = [f"that {run.stack.user} runs the stack, and no longer root"] if _leaves_root(run) else []
    notes = [f"no way back takes back {what}" for what in (*commands, *oneshots, *user)]
    one_way = [name for name in _oneshots(run) if run.stack.service(name).is_one_way]
    notes += [f"once {name} has run, no run goes back by itself: it does not say reversible: true" for name in one_way]
    return [*notes, *taken_over(run)]


def taken_over(run: PreparedRun) -> t.List[str]:
    """Return what has run since the generation that somebody goes back to, and stays."""
    if run.restores is None:
        return []
    steps = one_way_since(run.stack.paths, run.stack.root, run.restores)
    return [f"{name} has run since then, and what it has changed stays" for name in steps]


def stays_words(steps: t.Sequence[str]) -> str:
    """Return that the new generation stays although it failed, because of one-way steps."""
    return f"the new generation stays in place: {one_way_words(steps)}"


def _leaves_root(run: PreparedRun) -> bool:
    """Return whether root has run the stack until now, who writes nothing where another user may."""
    daemon = run.before.supervisord
    return bool(run.plan.install and daemon is not None and daemon.uid == 0 and run.stack.user not in (None, "root"))


def staying(run: PreparedRun) -> t.List[str]:
    """Return what this run, or what came before it, has changed and no way back takes back."""
    commands = [f"what this has changed outside of the release stays: {command}" for command in run.request.standing]
    return [
        *commands,
        *(f"what the oneshot {name} has changed, where it came to run, stays" for name in _oneshots(run)),
    ]


def _oneshots(run: PreparedRun) -> t.List[str]:
    """Return which oneshots, such as a migration, a run starts by a new generation: a way back runs the old ones."""
    if not run.plan.install or run.restores is not None:
        return []
    return [name for name in run.plan.start if run.stack.service(name).kind == "oneshot"]


def _not_proved(run: PreparedRun) -> t.List[str]:
    """Return what check mode could not look at."""
    if not run.awaited:
        return []
    return [f"release {run.stack.release} is not on this host yet, so nothing inside of it could be checked"]


def flushed_report(
    run: PreparedRun, seen: Observation, ended: t.Sequence[PlannedAction], signals: t.List[Signalled]
) -> Report:
    """Return the report of a run that only freed ports; ``ended`` is what it ended on them."""
    flushed = run_report(run, seen, [], changed=bool(ended), signals=signals)
    return {**flushed, "actions": _as_data(ended)}


def rolled_back_report(
    run: PreparedRun,
    back: PreparedRun,
    restored: Report,
    *,
    tried: t.Optional[GenerationInPlace],
    failed: t.Sequence[CheckData],
    error: t.Optional[ErrorData],
    signals: t.List[Signalled],
) -> Report:
    """Return the report of a run that has ended with the last verified generation; it is never ok.

    Args:
        run: the run that failed.
        back: the run that restored the last verified generation.
        restored: the report of that one.
        tried: the generation that failed.
        failed: its checks that failed.
        error: its error, where it came to none.
        signals: of the run that failed.
    """
    return {
        **restored,
        "ok": False,
        "result": "rolled_back" if only_earlier(restored["checks"]) else "rollback_failed",
        "mode": run.request.mode.name,
        "actions": [*_as_data(run.plan.actions), *restored["actions"]],
        "signals": [*signals, *restored["signals"]],
        "rolled_back": {
            "from": tried,
            "to": str(back.restores),
            "release": back.stack.release,
            "checks": list(failed),
            "error": error,
        },
        "next": [cures.correct(what_failed(failed)), *restored["next"]],
    }


def only_earlier(checks: t.Iterable[CheckData]) -> bool:
    """Return whether nothing failed but by what is not of the run: then it is not undone.

    That was so before it, or a service that it has left alone is alive and not ready.
    """
    return all(
        check["ok"] or check["code"] == EARLIER or is_not_ready(check["name"], check["code"]) for check in checks
    )


def causes(report: Report) -> t.Tuple[t.Optional[str], t.List[FailedCheck]]:
    """Return why a run failed, as its record keeps it: the message of an error, and the checks that failed.

    After a way back these are, first, those of the generation that was given up.
    """
    back = report["rolled_back"]
    given_up, error = ([], None) if back is None else (back["checks"], back["error"])
    return None if error is None else error["message"], _failed_checks([*given_up, *report["checks"]])


def causes_of_error(error: RollcallError) -> t.List[FailedCheck]:
    """Return the checks that failed before a run ended with an error."""
    return _failed_checks(error.evidence.get("failed", {}).get("checks", ()))


def _failed_checks(checks: t.Iterable[CheckData]) -> t.List[FailedCheck]:
    found = [check for check in checks if not check["ok"]]
    waiting = _waiting(found)
    # Of many, the causes are kept.
    failed = sorted(found, key=lambda check: check["subject"] in waiting) if len(found) > MOST_CHECKS else found
    return [
        {
            "name": check["name"],
            "subject": check["subject"],
            "code": check["code"],
            "evidence": check["evidence"][:MOST_EVIDENCE],
            "next": check["next"],
        }
        for check in failed[:MOST_CHECKS]
    ]


def what_failed(checks: t.Iterable[CheckData]) -> str:
    """Return what is to be corrected in the manifest, by the checks that say it; what failed alike is told once.

    Args:
        checks: of the verdict, those that are well too.
    """
    names: t.Dict[str, t.List[str]] = {}
    found = [check for check in checks if not check["ok"]]
    waiting = _waiting(found)
    for check in found:
        if check["subject"] not in waiting:
            names.setdefault(str(check["subject"]), []).append(check["name"])
    alike: t.Dict[str, t.List[str]] = {}
    for subject, failed in names.items():
        alike.setdefault(", ".join(failed), []).append(subject)
    parts = [f"{listed(subjects)} ({failed})" for failed, subjects in alike.items()]
    return "; ".join(parts) or "what is named above"


def _waiting(failed: t.Iterable[CheckData]) -> t.Set[str]:
    """Return the services that were not started because of another one: whatever else fails of them follows from it."""
    return {check["subject"] for check in failed if check["code"] == "dependency"}


def listed(subjects: t.Sequence[str]) -> str:
    """Return some names, or of many how many services these are."""
    return ", ".join(subjects) if len(subjects) <= MOST_NAMED else f"{len(subjects)} services"


def _as_data(actions: t.Iterable[PlannedAction]) -> t.List[ActionData]:
    return [action.as_dict() for action in actions]
