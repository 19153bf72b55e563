# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is wrong with the processes of a stack, and with what is recorded of them."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..host.model import Process
from ..manifest.model import UNLIMITED
from . import repairs
from .facts import HostFacts
from .findings import ERROR, NOTE, WARNING, FindingKind, Sighting


def _orphans(facts: HostFacts) -> t.Iterator[Sighting]:
    for orphan in () if facts.seen is None else facts.seen.orphans:
        service = orphan.label.service if orphan.label is not None else ""
        beside = [process.pid for process in _running(facts).get(service, ())]
        text = f"{orphan.summary} is of this stack, and no supervisord of the stack holds it"
        if beside:
            text += f"; supervisord runs {service} as pid {beside[0]} besides"
        data = {"pid": orphan.pid, "service": service, "beside": beside}
        # A start ends them as well where no supervisord runs, which is a finding with that cure.
        yield Sighting(service or facts.name, text, facts.own(cures.FULL if facts.ours else cures.START), data)


def _wrong_user(facts: HostFacts) -> t.Iterator[Sighting]:
    supervisord = None if facts.seen is None else facts.seen.supervisord
    if facts.seen is not None and supervisord is not None and facts.seen.wanted_user:
        text = f"{supervisord.summary}, and so every service, must run as {facts.seen.wanted_user}"
        data = {"pid": supervisord.pid, "user": supervisord.user, "wanted": facts.seen.wanted_user}
        yield Sighting(facts.name, text, facts.own(cures.START), data)


def _duplicates(facts: HostFacts) -> t.Iterator[Sighting]:
    for service, twice in _running(facts).items():
        if len(twice) > 1:
            each = "; ".join(f"{one.summary}, below pid {one.ppid}" for one in twice)
            text = f"it runs more than once: {each}"
            yield Sighting(service, text, facts.own(cures.FULL), {"pids": [one.pid for one in twice]})


def _running(facts: HostFacts) -> t.Dict[str, t.List[Process]]:
    """Return the processes of each service that are children of a supervisord of the stack."""
    parents = {one.pid for one in facts.ours}
    running: t.Dict[str, t.List[Process]] = {}
    detached = set() if facts.seen is None else {process.pid for process in facts.seen.detached}
    for process in facts.labelled:
        if (
            process.pid not in detached
            and process.label is not None
            and process.label.service
            and process.ppid in parents
        ):
            running.setdefault(process.label.service, []).append(process)
    return running


def _pidfile_foreign(facts: HostFacts) -> t.Iterator[Sighting]:
    other = _named(facts)
    if other is not None and other.pid in {one.pid for one in facts.supervisords}:
        remedy = facts.own(cures.FULL) if facts.ours else cures.remove(facts.paths.pidfile)
        text = f"it names {other.summary}, which is a supervisord and not of this stack"
        yield Sighting(facts.paths.pidfile, text, remedy, {"pid": other.pid})


def _pidfile_reused(facts: HostFacts) -> t.Iterator[Sighting]:
    other = _named(facts)
    if other is not None and other.pid not in {one.pid for one in facts.supervisords}:
        text = f"it names {other.summary}, which is no supervisord"
        yield Sighting(facts.paths.pidfile, text, facts.own(cures.FIX), {"pid": other.pid})


def _named(facts: HostFacts) -> t.Optional[Process]:
    """Return the process that the pid file names when it is none of the stack's supervisords."""
    if facts.pidfile is None or facts.pidfile.pid in {one.pid for one in facts.ours}:
        return None
    return facts.pidfile.process


def _recycled(facts: HostFacts) -> t.Iterator[Sighting]:
    for pid, service, process in facts.recycled:
        text = f"pid {pid}, recorded as {service or 'supervisord'}, is {process.summary} by now; it is left alone"
        yield Sighting(service or facts.name, text, facts.own(cures.FIX), {"pid": pid})


def _other_limits(facts: HostFacts) -> t.Iterator[Sighting]:
    for one in facts.other_limits:
        has, wanted = (_limit_words(one.key, value) for value in (one.has, one.wanted))
        who = f"pid {one.pid}" if one.service else f"supervisord, pid {one.pid}, and with it every service,"
        text = f"{who} has {one.key} {has}, and should have {wanted}: by whoever started it, or by itself since"
        data = {"pid": one.pid, "key": one.key, "has": one.has, "wanted": one.wanted}
        yield Sighting(one.service or facts.name, text, facts.own(cures.FULL), data)


def _limit_words(key: str, value: int) -> str:
    return "unlimited" if value == UNLIMITED and key != "nice" else str(value)


KINDS = (
    FindingKind(
        "orphan",
        ERROR,
        "a process of the stack that no supervisord of it holds",
        "`rollcall restart full`; `rollcall start` where no supervisord runs",
        _orphans,
    ),
    FindingKind(
        "wrong_user",
        ERROR,
        "supervisord runs as another user than the manifest says",
        "`rollcall start`",
        _wrong_user,
    ),
    FindingKind("duplicate", ERROR, "a service runs twice", "`rollcall restart full`", _duplicates),
    FindingKind(
        "other_limits",
        WARNING,
        "a running process has another limit, or another niceness, than the manifest says",
        "`rollcall restart full`",
        _other_limits,
    ),
    FindingKind(
        "pidfile_foreign",
        WARNING,
        "the pid file names another supervisord",
        "`rollcall restart full`; `rm` of the file while the stack is down",
        _pidfile_foreign,
    ),
    FindingKind(
        "pidfile_reused",
        WARNING,
        "the pid file names a process that is no supervisord",
        "`rollcall doctor --fix`",
        _pidfile_reused,
        repairs.REMOVE_STALE._replace(words="removes the file"),
    ),
    FindingKind(
        "recycled_pid",
        NOTE,
        "a recorded pid is another process by now",
        "`rollcall doctor --fix`",
        _recycled,
        repairs.FORGET_DEAD,
    ),
)
