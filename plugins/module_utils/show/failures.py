# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What failed: the checks that say it, each thing once, and the text of them, the cause last. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import count, printable
from ..verdict.conditions import is_not_ready
from .words import Painter, Reader, indented, names_of, runnable

if t.TYPE_CHECKING:
    from ..base.documents import CheckData, Report

# Names and codes of checks that say no more than that nothing runs: nothing listens, and so nothing was asked.
NOTHING_RUNS = (("port", "free"), ("socket", "free"), ("health", "not_asked"), ("ready", "not_asked"))
_TRACEBACK = "Traceback (most recent call last):"

# The failing checks of each subject.
Failing = t.Mapping[str, "t.Sequence[CheckData]"]


def failing_by_subject(report: Report) -> t.Dict[str, t.List[CheckData]]:
    """Return the failing checks of each subject, without those that only repeat another in other words.

    Causes come first: what the stack itself fails by, then the services in the manifest's order. After them comes what
    was not even started, and last those that are down because of another service.
    """
    found: t.Dict[str, t.List[CheckData]] = {}
    for check in report["checks"]:
        if not check["ok"]:
            found.setdefault(check["subject"], []).append(check)
    names = [service["name"] for service in report["services"]]

    down = any(check["name"] == "running" for checks in found.values() for check in checks)

    def rank(subject: str) -> t.Tuple[int, int]:
        return _distance(found[subject], down), names.index(subject) if subject in names else -1

    explained = {check["name"] for subject in found if subject not in names for check in found[subject]}
    return {subject: _telling(found[subject], explained) for subject in sorted(found, key=rank)}


def _distance(checks: t.Sequence[CheckData], down: bool) -> int:
    """Return how far from the cause the failure of one subject is likely to be: 0, 1 or 2.

    Args:
        checks: those that failed.
        down: whether a service does not run.
    """
    if any(check["code"] == "dependency" for check in checks):
        return 2
    # A service that was never started; a file that an application makes at its start.
    idle = any(check["name"] == "running" and check["data"].get("state") == "STOPPED" for check in checks)
    unmade = all(check["data"].get("kind") == "sqlite" and not check["data"].get("reached") for check in checks)
    return 1 if idle or (unmade and down) else 0


def verdict_word(checks: t.Optional[t.Sequence[CheckData]]) -> str:
    """Return the word for a subject by its failing checks: ``ok`` without any; ``HELD`` when it only waits.

    ``NOT READY`` when it is alive and not ready.
    """
    if checks is None:
        return "ok"
    if checks and all(is_not_ready(check["name"], check["code"]) for check in checks):
        return "NOT READY"
    return "HELD" if checks and all(check["name"] == "held" for check in checks) else "FAILED"


def stories(failing: Failing, reader: Reader, paint: Painter) -> t.List[str]:
    """Return a block of text for each thing that failed; what happened to several subjects alike is told once.

    What failed first comes last, for that is where the eye is when the output stops. Of those that are down only
    because of it one line says who they are.
    """
    waiting = those_waiting(failing)
    found: t.Dict[t.Any, t.Tuple[t.List[str], t.Sequence[CheckData]]] = {}
    for subject, checks in failing.items():
        if checks and subject not in waiting:
            key = tuple((check["name"], check["evidence"]) for check in checks)
            found.setdefault(key, ([], checks))[0].append(subject)
    told = [_story(subjects, checks, reader, paint) for subjects, checks in found.values()]
    lines = waiting_lines(waiting)
    return ["\n".join(lines), *reversed(told)] if lines else told[::-1]


def waiting_lines(waiting: t.Mapping[str, str]) -> t.List[str]:
    """Return a line for each service that others wait for.

    Args:
        waiting: services that are not up, each with the one it depends on, which is not up either.
    """
    causes: t.Dict[str, t.List[str]] = {}
    for name in waiting:
        causes.setdefault(cause_of(name, waiting), []).append(name)
    return [
        printable(
            f"{names[0]} waits for {cause}"
            if len(names) == 1
            else f"{count(len(names), 'service')} wait for {cause}: {names_of(names)}"
        )
        for cause, names in causes.items()
    ]


def those_waiting(failing: Failing) -> t.Dict[str, str]:
    """Return the services of which nothing failed but what they depend on, each with that."""
    found = {}
    for subject, checks in failing.items():
        needed = [check["data"].get("depends_on") for check in checks if check["code"] == "dependency"]
        if len(checks) == 1 and needed and isinstance(needed[0], str):
            found[subject] = needed[0]
    return found


def cause_of(name: str, waiting: t.Mapping[str, str]) -> str:
    """Return the service at the end of a chain of those that wait."""
    passed = {name}
    while name in waiting and waiting[name] not in passed:
        name = waiting[name]
        passed.add(name)
    return name


def _telling(checks: t.Sequence[CheckData], explained: t.Collection[str]) -> t.List[CheckData]:
    """Return the failing checks of one subject that say more than what is told elsewhere.

    Args:
        checks: the failing checks, in the verdict's order.
        explained: names of the stack's own failing checks.
    """
    down = any(check["name"] == "running" for check in checks)
    kept: t.List[CheckData] = []
    for check in checks:
        data = check["data"]
        what = (check["name"], check["code"])
        if down and what in NOTHING_RUNS:
            continue
        if what == ("running", "unknown") and "supervisord" in explained:
            continue  # no service is known to a supervisord that is not there
        if what == ("port", "taken") and data.get("provenance") == "orphan" and "orphans" in explained:
            continue
        if what == ("port", "taken") and data.get("provenance") == "supervised" and "supervisord" in explained:
            continue  # it is on its own port, and only cannot be asked for
        kept.append(check)
    return [{**check, "evidence": _distinct(check["evidence"])} for check in _logs_once(kept)]


def _logs_once(checks: t.Sequence[CheckData]) -> t.List[CheckData]:
    """Show no line of a log twice: not among the critical ones when the tail has it, else not in the tail."""
    logs = next((check for check in checks if check["name"] == "logs"), None)
    tailed = next((check for check in checks if check["name"] in ("running", "stable")), None)
    if logs is None or tailed is None:
        return list(checks)
    critical = set(logs["evidence"].splitlines()[1:])
    first, *tail = tailed["evidence"].splitlines() or [""]
    if critical.issubset(tail):
        return [check for check in checks if check is not logs]
    heading, rest = tail[:1], [line for line in tail[1:] if line not in critical]
    shorter: CheckData = {**tailed, "evidence": "\n".join([first, *(heading if rest else []), *rest])}
    return [shorter if check is tailed else check for check in checks]


def told_below(checks: t.Sequence[CheckData], failing: Failing) -> t.List[CheckData]:
    """Return failing checks without those lines of a log that the stories below them tell of the same subject."""
    found = []
    for check in checks:
        below = {line for one in failing.get(check["subject"], ()) for line in one["evidence"].splitlines()[1:]}
        first, *more = check["evidence"].splitlines() or [""]
        rest = [line for line in more[1:] if line not in below]
        if below.intersection(more[1:]):
            more = [more[0], *rest] if rest else ["its log is told below"]
        found.append(t.cast("CheckData", {**check, "evidence": "\n".join([first, *more])}))
    return found


def _distinct(evidence: str) -> str:
    """Return evidence with a traceback that a crash loop wrote again and again only once."""
    head, *blocks = evidence.split(_TRACEBACK)
    kept: t.List[str] = []
    for block in blocks:
        if not any(earlier.startswith(block.rstrip()) for earlier in kept):
            kept.append(block)
    text = _TRACEBACK.join([head, *kept])
    return f"{text.rstrip()}\n(and the same again)" if len(kept) < len(blocks) else text


def _story(subjects: t.Sequence[str], checks: t.Sequence[CheckData], reader: Reader, paint: Painter) -> str:
    """Return what failed of one subject, or of several in the same way; each command once, after what it is for."""
    word = verdict_word(checks)
    lines = [f"{paint(word, 'warn' if word == 'HELD' else 'bad')}  {printable(names_of(subjects))}"]
    for number, check in enumerate(checks):
        evidence = printable(check["evidence"]).splitlines() or ["no evidence"]
        # What a service's state has said already, its last health answer say, need not be said again.
        if not any(check["evidence"] in earlier["evidence"] for earlier in checks[:number]):
            lines.append(f"  {check['name']}: {evidence[0]}")
            lines += indented("\n".join(evidence[1:]), 4)
        command = check["next"]
        if command and all(command != later["next"] for later in checks[number + 1 :]):
            lines.append(f"  {paint('next:', 'warn')} {runnable(command, reader)}")
    return "\n".join(lines)
