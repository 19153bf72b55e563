# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The roll call: what a look or a run found, as text. Pure.

Whoever reads it may have been woken by it. So: one line a service; more only about what failed; the verdict after all
of it, where the eye is when the output stops; every ``next:`` a command that can be copied as it stands.
"""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.text import LONGEST, count, one_line, printable, readable_time, span
from .errors import error_text
from .failures import Failing, failing_by_subject, stories, told_below, verdict_word
from .last_failure import last_failure_text, last_failure_words
from .service_table import service_table
from .standing import manifest_text, standing_text
from .timers import timers_text
from .words import NAMES, WIDTH, Painter, Reader, cut, duration, names_of, painter, runnable

if t.TYPE_CHECKING:
    from ..base.documents import CheckData, Report, ServiceRow, Signalled, WatcherData

# Checks whose command shows a log.
# Incidents of the watcher that are told below a look, and characters of each.
_INCIDENTS, _LONGEST_INCIDENT = 3, 200
_LOGGED = ("running", "stable", "logs")
# The name of the check of a timer's job.
TIMER = "timer"
_VERDICTS = {
    "ok": "OK",
    "planned": "PLANNED",
    "degraded": "FAILED",
    "held": "HELD",
    "not_ready": "NOT READY",
    "stopped": "STOPPED",
}


def roll_call(
    report: Report, *, reader: t.Optional[Reader] = None, gone: bool = False, width: int = WIDTH, colour: bool = False
) -> str:
    """Return the report of a status, verify or restart as text.

    Args:
        report: as the modules and ``--json`` give it.
        reader: who reads it; somebody on the host when that is not said.
        gone: whether the stack has been taken off the host since: nothing that could be run next is there any more.
        width: columns of the terminal; the table keeps to them, evidence and commands are never cut to fit.
        colour: whether to use ANSI colours; every colour stands beside a word that says the same.
    """
    paint = painter(colour)
    reader = reader or Reader(report["root"])
    if gone:
        report = {**report, "standing": None, "checks": [{**check, "next": None} for check in report["checks"]]}
    failing = failing_by_subject(report)
    blocks = [
        _services(report, failing, width, paint),
        timers_text(report["timers"], paint) if report["mode"] not in ("stop", "flush") else "",
        "\n".join(_changes(report, paint)),
        _unfinished(report, reader, paint),
    ]
    blocks.append("\n".join(f"note: {runnable(note, reader._replace(host=''))}" for note in report["notes"]))
    blocks += [_held_by_plan(report), _stopped(report, reader)]
    blocks += _went_back(report, failing, reader, paint)
    blocks += stories({} if report["result"] == "stopped" else failing, reader, paint)
    footer = [] if gone else _footer(report, failing, reader, paint)
    blocks.append("\n".join([_verdict(report, failing, paint), *_standing(report, reader, paint), *footer]))
    return "\n\n".join(block for block in blocks if block)


def failure_text(report: Report, reader: t.Optional[Reader] = None) -> str:
    """Return only what failed and the verdict, for a task's message: the table stands in the roll call."""
    paint = painter(False)
    reader = reader or Reader(report["root"])
    failing = failing_by_subject(report)
    told = stories(failing, reader, paint)
    last = "\n".join([verdict_line(report), *_standing(report, reader, paint)])
    return "\n\n".join([*_went_back(report, failing, reader, paint), *told, last])


def verdict_line(report: Report, *, colour: bool = False) -> str:
    """Return one line: stack, host, how it ended, and who did not answer."""
    return _verdict(report, failing_by_subject(report), painter(colour))


def _services(report: Report, failing: Failing, width: int, paint: Painter) -> str:
    """Return the table of the services; nothing when the run left nothing to tell of them."""
    services = report["services"]
    if not services or report["mode"] in ("stop", "flush"):
        return ""
    if report["result"] == "planned":
        # Nothing was judged, and supervisord may not know them yet.
        held = [row["name"] for row in services if row["pid"] is None and row["name"] in report["held"]]
        shown: t.Dict[str, str] = {"state": "HELD", "health": "none"}
        services = [t.cast("ServiceRow", {**row, **shown}) if row["name"] in held else row for row in services]
    judged = services if report["checks"] else []
    words = {row["name"]: "-" if row["stopped"] else verdict_word(failing.get(row["name"])) for row in judged}
    return service_table(services, words, width, paint)


def _held_by_plan(report: Report) -> str:
    """Return what the services wait for that would stay down; a run that was judged says it with its checks."""
    told: t.Dict[str, t.List[str]] = {}
    for name, reason in report["held"].items() if report["result"] == "planned" else ():
        told.setdefault(one_line(reason, LONGEST), []).append(name)
    return "\n".join(printable(f"{names_of(names)}: held: {reason}") for reason, names in told.items())


def _stopped(report: Report, reader: Reader) -> str:
    """Return who has stopped services by name, when, and what starts them.

    A stack that was stopped says so in its verdict, and a stop what starts what it has stopped.
    """
    if report["result"] == "stopped" or report["mode"] == "stop":
        return ""
    told: t.Dict[str, t.List[str]] = {}
    for row in report["services"]:
        stopped = row["stopped"]
        if stopped is not None:
            command = runnable(cures.start(stopped["along"] or row["name"]), reader)
            words = f"stopped by {stopped['by']} since {readable_time(stopped['at'])}, until: {command}"
            told.setdefault(words, []).append(row["name"])
    return "\n".join(printable(f"{names_of(names)}: {words}") for words, names in told.items())


# --- what was done ------------------------------------------------------------------------------------------------


def _changes(report: Report, paint: Painter) -> t.List[str]:
    """Return what was, or would be, changed where the mode alone does not say it, and every process that was ended."""
    planned = report["result"] == "planned"
    lines = _actions(report) if planned or report["mode"] == "auto" else []
    lines += [f"end {_victim(entry)}" for entry in report["signals"]]
    if not lines:
        return []
    return [paint("Would change:" if planned else "Changes:", "quiet"), *(f"  {line}" for line in lines)]


def _went_back(report: Report, failing: Failing, reader: Reader, paint: Painter) -> t.List[str]:
    """Return what failed of the generation that was given up, before what runs in its place."""
    back = report["rolled_back"]
    if not back:
        return []
    blocks = [paint("What the new generation failed by:", "bad")]
    # It does not run any more: only its logs can still be looked at, of a service that is no more by their path.
    known = {row["name"] for row in report["services"]}
    checks: t.List[CheckData] = [
        {**check, "next": None}
        if check["name"] not in _LOGGED
        else check
        if check["subject"] in known or check["next"] is None
        else {**check, "next": cures.log(os.path.join(report["logs"], f"{check['subject']}.log"))}
        for check in back["checks"]
    ]
    checks = told_below(checks, failing)
    blocks += stories(failing_by_subject({**report, "checks": checks}), reader, paint)
    if back["error"]:
        blocks.append(error_text({**back["error"], "remedies": []}, reader=reader))
    return blocks


def _unfinished(report: Report, reader: Reader, paint: Painter) -> str:
    at_work = report["run_at_work"]
    if at_work:
        # Late: the callback on the controller seldom needs it.
        from ..state.lock import describe_lock

        return f"A run is at work: {describe_lock(at_work)}. What is seen here will change."
    cut_off, failure = report["unfinished_run"], report["last_failure"]
    if failure is not None:
        return last_failure_text(failure, reader, paint)
    return f"An earlier run, {cut_off['run']}, was cut off at its step '{cut_off['step']}'." if cut_off else ""


def _actions(report: Report) -> t.List[str]:
    grouped: t.Dict[t.Tuple[str, str], t.List[str]] = {}
    for action in report["actions"]:
        subjects = grouped.setdefault((action["action"], action["reason"]), [])
        # A run that went back has done some of it twice.
        if action["subject"] not in subjects:
            subjects.append(action["subject"])
    lines = []
    for (verb, reason), names in grouped.items():
        # Of what is to be ended nothing is left out.
        everything = report["services"] if report["whole"] else []
        what = ", ".join(names) if verb == "end" else names_of(_all_as_one(names, everything))
        lines.append(f"{verb} {printable(what)}: {printable(reason)}")
    return lines


def _all_as_one(names: t.Sequence[str], services: t.Sequence[ServiceRow]) -> t.List[str]:
    """Return ``names`` with all services as one entry, when all of them are among them."""
    everything = {service["name"] for service in services}
    if len(everything) < 2 or not everything.issubset(names):
        return list(names)
    return [f"all {len(everything)} services", *(name for name in names if name not in everything)]


def _victim(entry: Signalled) -> str:
    text = f"pid {entry['pid']} '{cut(one_line(entry['command'], LONGEST))}' of user {one_line(entry['user'])}"
    signals = ", then ".join(entry["signals"]) or "no signal"
    return f"{text}: {signals}; {entry['result']} after {duration(entry['seconds'])}"


# --- the verdict --------------------------------------------------------------------------------------------------


def _verdict(report: Report, failing: Failing, paint: Painter) -> str:
    result = report["result"]
    word = _VERDICTS.get(result, result.upper().replace("_", " "))
    if word == "OK" and report["mode"] == "stop":
        word = "STOPPED"
    painted = paint(word, "good" if report["ok"] else "bad")
    where = f"{printable(report['stack'])} on {printable(report['host'])}"
    if not report["whole"]:
        where = f"{printable(names_of([row['name'] for row in report['services']]))} of {where}"
    said = _success(report, word) if report["ok"] else _failure(report, failing)
    if report["ok"] and report["last_failure"] is not None:
        said += f"; but {last_failure_words(report['last_failure'])}"
    run = ", ".join(_run(report))
    return f"{where}: {painted}, {said}" + (f" ({run})" if run else "")


def _standing(report: Report, reader: Reader, paint: Painter) -> t.List[str]:
    """Return how a run whose verdict is bad has left the stack, and which manifest; nothing where all is well."""
    if report["standing"] is None:
        return []
    told = [standing_text(report["standing"], reader, paint), manifest_text(report)]
    return [f"  {text}" for text in told if text]


def _run(report: Report) -> t.Iterator[str]:
    """Yield what is known of the run itself; nothing for a mere look."""
    mode = report["mode"]
    if mode:
        # Late: a mere look has no mode.
        from ..run.modes import BY_NAME, title_by_name

        known = BY_NAME.get(mode)
        yield str(mode) if known is None else known.title if report["whole"] else title_by_name(known)
    if report["seconds"] is not None:
        yield f"{report['seconds']:.1f} s"
    if report["run"]:
        yield f"run {report['run']}"


def _success(report: Report, word: str) -> str:
    if word == "PLANNED":
        return "nothing was touched" if report["actions"] else "nothing to do"
    if word == "STOPPED":
        return f"no {'supervisord, ' if report['whole'] else ''}process or listener of it is left"
    if report["mode"] == "flush":
        ended = len(report["signals"])
        return f"{count(ended, 'process', 'processes')} ended on its ports" if ended else "nothing to end on its ports"
    services = [row for row in report["services"] if not row["stopped"]]
    asked = [service for service in services if service["health"] != "none"]
    answered = sum(service["health"] == "ok" for service in asked)
    said = f"{len(services)} of {count(len(services), 'service')} up"
    if asked:
        said += f", {answered} of {len(asked)} answered"
    if len(services) < len(report["services"]):
        said += f", {len(report['services']) - len(services)} stopped by hand"
    return said + (", nothing changed" if report["changed"] is False else "")


def _failure(report: Report, failing: Failing) -> str:
    back = report["rolled_back"]
    if report["result"] == "stopped":
        return next(check["evidence"] for check in report["checks"] if not check["ok"])
    if not back:
        return _failed_parts(report, failing)
    given_up = failing_by_subject({**report, "checks": back["checks"]})
    why = "it came to no verdict" if back["error"] else _failed_parts(report, given_up)
    release = f" (release {back['release']})" if back["release"] else ""
    ended = "runs again" if report["result"] == "rolled_back" else f"fails too ({_failed_parts(report, failing)})"
    return f"the new generation failed ({why}); generation {back['to']}{release}, the last verified one, {ended}"


def _failed_parts(report: Report, failing: Failing) -> str:
    names = [service["name"] for service in report["services"]]
    down = [subject for subject in failing if subject in names]
    own = [(check["name"], subject) for subject in failing if subject not in names for check in failing[subject]]
    parts = list(dict.fromkeys(name for name, _subject in own if name != TIMER))
    jobs = [subject for name, subject in own if name == TIMER]
    if jobs:
        parts.append(f"{count(len(jobs), 'job')}: {names_of(jobs)}")
    if down:
        which = "" if len(down) == len(names) > NAMES else f": {names_of(down)}"
        parts.append(f"{len(down)} of {count(len(names), 'service')}{which}")
    *most, last = parts or ["no check says why"]
    return f"{', '.join(most)} and {last}" if most else last


def _footer(report: Report, failing: Failing, reader: Reader, paint: Painter) -> t.List[str]:
    """Return where to go from here: the address while it is worth opening, the logs, and what to run next."""
    if report["result"] == "planned":
        return []
    lines = []
    if report["address"] and report["ok"] and report["mode"] != "stop":
        lines.append(("open", report["address"]))
    lines.append(("logs", report["logs"]))
    lines += [("seen", watcher_words(report["watcher"]))] * (report["watcher"] is not None)
    lines += [("", incident) for incident in _incidents(report["watcher"])]
    commands = _commands(report, failing)
    labels = ["next", *["then"] * len(commands)]
    lines += [(label, runnable(command, reader)) for label, command in zip(labels, commands)]
    return [f"  {paint(f'{label:4}', 'quiet')}  {text}" for label, text in lines]


def _incidents(watcher: t.Optional[WatcherData]) -> t.List[str]:
    """Return what the watcher has found, a line each: it sees things that no check of a look does, such as a disk."""
    if watcher is None or watcher["silent"] or not watcher["interval"]:
        return []
    found = watcher["incidents"]
    left = len(found) - _INCIDENTS
    shown = [one_line(why, _LONGEST_INCIDENT) for why in found[:_INCIDENTS]]
    return [*shown, f"and {count(left, 'more incident')}"] if left > 0 else shown


def watcher_words(watcher: t.Optional[WatcherData]) -> str:
    """Return when the watcher of a stack has last looked, and what it has found; empty where there is none."""
    if watcher is None:
        return ""
    ago, level = f"{span(round(watcher['age']))} ago", watcher["level"].upper()
    if watcher["silent"]:
        return f"the watcher has not looked for {span(round(watcher['age']))}: it is dead, or hangs"
    if not watcher["interval"]:
        return f"by the watcher {ago}: {level}; no watcher is at work now"
    found = f", {count(len(watcher['incidents']), 'incident')}" if watcher["incidents"] else ""
    return f"by the watcher {ago}, every {watcher['interval']:g} s: {level}{found}"


def _commands(report: Report, failing: Failing) -> t.List[str]:
    """Return what to run next: the first cure, what the report adds to its checks', and how to judge again."""
    if report["run_at_work"]:
        return [cures.STATUS]
    if report["rolled_back"]:
        return report["next"]
    of_checks = {check["next"] for check in report["checks"]}
    commands = [*_first_cure(failing), *(command for command in report["next"] if command not in of_checks)]
    stopping = report["mode"] == "stop"
    if not report["ok"] and not any(map(_judges, commands)):
        again = cures.STOP if stopping else _again(failing)
        looks = cures.shows(commands[-1] if commands else "")
        commands += [] if again in commands else [cures.put_right(again) if looks else again]
    if not commands and report["mode"]:
        start = cures.START if report["whole"] else cures.start(*(row["name"] for row in report["services"]))
        commands.append(start if stopping else cures.STATUS)
    return commands


def _again(failing: Failing) -> str:
    """Return what judges again, once what failed was put right.

    Start brings back what is down, leaves the rest alone, and judges again. Lines that are in a log stay there: only a
    start from anew judges a new log. No start washes a past away: that is to be known to somebody. And none runs a job.
    """
    names = {check["name"] for checks in failing.values() for check in checks}
    if names == {TIMER}:
        return cures.rerun(next(iter(failing)))
    if names == {"logs"}:
        return cures.FULL
    return cures.ACKNOWLEDGE if "lives" in names and names <= {"lives", "logs"} else cures.START


def _first_cure(failing: Failing) -> t.List[str]:
    """Return the cure of what failed first. One that cures goes before one that only shows something: a service whose
    port a stranger has is not up because of that, and its log need not say so.
    """
    for checks in failing.values():
        told = [check["next"] for check in checks if check["next"]]
        if told:
            return [next((command for command in told if not cures.shows(command)), told[0])]
    return []


def _judges(command: str) -> bool:
    """Return whether a cure ends with a verdict of its own."""
    last = command.rpartition(": ")[2]
    return last.startswith((cures.INSTALL, cures.START, cures.RESTART, cures.ROLLBACK))
