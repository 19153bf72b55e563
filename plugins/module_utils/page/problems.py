# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What there is to see to on a host, the worst first. The same on several hosts is one problem. Pure."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.text import count, run_result
from ..show.failures import cause_of, failing_by_subject, those_waiting, verdict_word, waiting_lines
from ..show.last_failure import last_failure_words
from ..show.roll_call import watcher_words
from ..show.words import Reader, names_of, runnable
from .parts import BAD, GOOD, IDLE, WARN, sentence

if t.TYPE_CHECKING:
    from ..base.documents import CheckData, Report, WatcherData
    from ..base.page_documents import HostTold, PageHost
    from ..base.watch_documents import Incident, WatchState

NOT_REACHED, NO_VERDICT, ATTENTION = "NOT REACHED", "NO VERDICT", "ATTENTION"
_RESULTS = {"ok": "OK", "held": "HELD", "not_ready": "NOT READY", "stopped": "STOPPED", "degraded": "FAILED"}
_KINDS = {"ok": GOOD, "held": WARN, "not_ready": WARN, "stopped": IDLE}
# Incidents that somebody is told of.
TOLD = ("degraded", "critical")


class Said(t.NamedTuple):
    """One thing that was seen.

    Attributes:
        what: the check that has seen it; empty where it is no check.
        code: what is wrong, as a word for programs.
        text: the evidence.
    """

    what: str
    code: str
    text: str


class Concern(t.NamedTuple):
    """Something to see to on one host.

    Attributes:
        kind: ``BAD`` or ``WARN``.
        word: how it is called.
        subject: what it is about; empty for the host as a whole.
        host: where it is.
        said: what was seen.
        next: commands, as who reads the page can copy them; each with what is to be done before it.
        since: since when it is so, in seconds since the epoch; None when nobody knows.
        watched: what a watcher has to say of it.
        reached: when a host that does not answer last did, in seconds since the epoch; None where that says nothing.
    """

    kind: str
    word: str
    subject: str
    host: str
    said: t.Sequence[Said]
    next: t.Sequence[t.Tuple[str, str]] = ()
    since: t.Optional[float] = None
    watched: str = ""
    reached: t.Optional[float] = None

    @property
    def likeness(self) -> t.Tuple[t.Any, ...]:
        """What the same problem on another host has in common with it."""
        return (self.kind, self.word, self.subject, tuple((one.what, one.code) for one in self.said))


def state_of(host: PageHost, problems: t.Sequence[Concern]) -> t.Tuple[str, str]:
    """Return how a host is: a word, and its kind."""
    if not host["reached"]:
        return NOT_REACHED, BAD
    told = host["told"]
    report = None if told is None else told["report"]
    if report is None:
        return NO_VERDICT, BAD if problems and problems[0].kind == BAD else WARN
    if report["result"] == "ok" and problems:
        return ATTENTION, max((problem.kind for problem in problems), key=(WARN, BAD).index)
    return _RESULTS.get(report["result"], "FAILED"), _KINDS.get(report["result"], BAD)


def grouped(problems: t.Iterable[Concern]) -> t.List[t.List[Concern]]:
    """Return problems, those of several hosts that are alike together; the worst first, then what most hosts have."""
    found: t.Dict[t.Any, t.List[Concern]] = {}
    for problem in problems:
        found.setdefault(problem.likeness, []).append(problem)
    # A host that does not answer is not known by what is wrong with it, and may have everything wrong.
    return sorted(found.values(), key=lambda one: (one[0].kind != BAD, one[0].word != NOT_REACHED, -len(one)))


def problems_of(host: PageHost) -> t.List[Concern]:
    """Return what there is to see to on a host, the worst first."""
    told = host["told"]
    if told is None:
        return [_silent(host)]
    if told["report"] is None:
        return [_without_report(host, told)]
    report = told["report"]
    reader = Reader(report["root"], host["by"], host["name"])
    watch = told["watch"]
    found = [*_failed(host, report, reader), *_run_that_failed(host, report, reader), *_half_done(host, told)]
    if watch is not None:
        found = [_with_watch(problem, watch) for problem in found]
        known = {problem.subject for problem in found} | {check["subject"] for check in _failing(report)}
        found += [_incident(host, one, reader) for one in watch["incidents"] if _is_news(one, known)]
    found += _watcher(host, report["watcher"])
    return sorted(found, key=lambda problem: problem.kind != BAD)


def _silent(host: PageHost) -> Concern:
    """Return the problem of a host that has told nothing."""
    why = (Said("", "", host["why"] or "it has not answered"),)
    following = (("", host["next"]),) if host["next"] else ()
    if host["reached"]:
        return Concern(WARN, NO_VERDICT, "", host["name"], why, following)
    since, last = host["lost_since"], host["last_reached"]
    return Concern(BAD, NOT_REACHED, "", host["name"], why, following, since, reached=last)


def _without_report(host: PageHost, told: HostTold) -> Concern:
    error = told["error"]
    if error is None:
        return Concern(WARN, NO_VERDICT, "", host["name"], (Said("", "", "it has told nothing"),))
    reader = Reader(str(error["evidence"].get("root") or ""), host["by"], host["name"])
    said = (Said("", error["kind"], error["message"]),)
    return Concern(BAD, NO_VERDICT, "", host["name"], said, _commands(error["remedies"][:2], reader))


def _commands(told: t.Iterable[t.Optional[str]], reader: Reader) -> t.Tuple[t.Tuple[str, str], ...]:
    """Return cures as who reads the page can copy them: what is to be done before, and the command."""
    found = []
    for cure in dict.fromkeys(filter(None, told)):
        before, command = cures.parts(cure)
        found.append((before, runnable(command, reader)))
    return tuple(found)


def _failing(report: Report) -> t.List[CheckData]:
    return [check for check in report["checks"] if not check["ok"]]


def _failed(host: PageHost, report: Report, reader: Reader) -> t.Iterator[Concern]:
    """Yield what the checks say; what happened to several subjects alike is one problem."""
    if report["result"] == "stopped":
        return
    failing = failing_by_subject(report)
    services = {row["name"] for row in report["services"]}
    waiting = those_waiting(failing)
    alike: t.Dict[t.Any, t.Tuple[t.List[str], t.List[CheckData]]] = {}
    for subject, checks in failing.items():
        if checks and subject not in waiting:
            key = tuple((check["name"], check["evidence"]) for check in checks)
            alike.setdefault(key, ([], checks))[0].append(subject)
    for subjects, checks in alike.values():
        word = verdict_word(checks)
        said = [Said(check["name"], check["code"] or "", check["evidence"]) for check in checks]
        behind = {name: cause for name, cause in waiting.items() if cause_of(name, waiting) in subjects}
        for name in behind:
            del waiting[name]
        said += [Said("", "dependency", line) for line in waiting_lines(behind)]
        kind = BAD if word == "FAILED" else WARN
        commands = _commands((check["next"] for check in checks), reader)
        # A service is known by its name; of what else a check is about, it says what that is.
        names = ", ".join(dict.fromkeys(check["name"] for check in checks))
        of_stack = {one: names if one == report["stack"] else f"{checks[0]['name']} {one}" for one in subjects}
        named = [one if one in services else of_stack[one] for one in subjects]
        yield Concern(kind, word, names_of(named), host["name"], said, commands)
    if waiting:
        told = [Said("", "dependency", line) for line in waiting_lines(waiting)]
        yield Concern(WARN, "WAITING", count(len(waiting), "service"), host["name"], told)


def _run_that_failed(host: PageHost, report: Report, reader: Reader) -> t.Iterator[Concern]:
    """Yield the last run that failed, while nobody has acknowledged it, or the one that was cut off."""
    failure, cut_off = report["last_failure"], report["unfinished_run"]
    if failure is not None:
        why = failure["message"] or "\n".join(
            f"{check['subject']}, {check['name']}: {check['evidence']}" for check in failure["checks"][:3]
        )
        commands = _commands((cures.history(failure["run"]), cures.ACKNOWLEDGE), reader)
        said = (Said("", failure["result"], f"{last_failure_words(failure)}\n{why}".strip()),)
        yield Concern(WARN, "EARLIER RUN", failure["mode"] or "a run", host["name"], said, commands, failure["time"])
    elif cut_off is not None and report["run_at_work"] is None:
        said = (Said("", "cut_off", f"run {cut_off['run']} {run_result('was cut off', cut_off['step'])}"),)
        yield Concern(WARN, "CUT OFF", "a run", host["name"], said, _commands((cures.START,), reader))


def _half_done(host: PageHost, told: HostTold) -> t.Iterator[Concern]:
    """Yield that a rollout has left a host drained."""
    rollout = told["rollout"]
    if rollout is None or not rollout["drained"]:
        return
    at_work = f"it is at its step {rollout['step']}" if rollout["at_work"] else "it has ended, and nobody took it back"
    text = f"drained by {rollout['drained']} in rollout {rollout['id']} of {rollout['by']}: {at_work}"
    following = (("", host["roll_out"]),) if host["roll_out"] else ()
    said = (Said("", "drained", text),)
    yield Concern(WARN, "DRAINED", "", host["name"], said, following, rollout["since"])


def _with_watch(problem: Concern, watch: WatchState) -> Concern:
    """Return a problem with what the watcher knows of it: since when it is so, and what was tried."""
    for incident in watch["incidents"]:
        if problem.subject in (incident["subject"], *incident["services"]) and problem.since is None:
            return problem._replace(since=incident["since"], watched=_watched(incident))
    return problem


def _watched(incident: Incident) -> str:
    words = [f"Watcher: {incident['level']} after {count(incident['looks'], 'look')}"]
    if incident["restarts"]:
        words.append(f"restarted {count(incident['restarts'], 'time')}")
    return ", ".join([*words, *(["has given up"] if incident["gave_up"] else [])])


def _is_news(incident: Incident, known: t.Container[str]) -> bool:
    """Return whether an incident is one that no check of the look has told of."""
    subjects = [incident["subject"], *incident["services"]]
    return incident["level"] in TOLD and not any(subject in known for subject in subjects)


def _incident(host: PageHost, incident: Incident, reader: Reader) -> Concern:
    text = f"{sentence(incident['why'])}\n{incident['evidence']}".strip()
    return Concern(
        BAD if incident["level"] == "critical" else WARN,
        incident["level"].upper(),
        incident["subject"],
        host["name"],
        (Said("", incident["code"], text),),
        _commands(incident["next"][:3], reader),
        incident["since"],
        _watched(incident),
    )


def _watcher(host: PageHost, watcher: t.Optional[WatcherData]) -> t.Iterator[Concern]:
    """Yield that nobody watches any more, as the host itself says."""
    if watcher is not None and watcher["silent"]:
        said = (Said("", "silent", watcher_words(watcher)),)
        yield Concern(WARN, "NOT WATCHED", "", host["name"], said, since=watcher["at"])
