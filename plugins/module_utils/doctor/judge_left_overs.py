# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What earlier runs have left behind, what a run is doing now, and what this user cannot see."""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.text import count, gist, readable_time, run_result
from ..state.lock import describe_lock
from ..supervisord import client_errors
from . import repairs
from .facts import HostFacts
from .findings import NOTE, WARNING, FindingKind, Sighting


def _locked(facts: HostFacts) -> t.Iterator[Sighting]:
    if facts.lock is not None:
        text = describe_lock({**facts.lock, "step": facts.unfinished["step"] if facts.unfinished else None})
        yield Sighting(facts.name, text, cures.WAIT, facts.lock)


def _unfinished_run(facts: HostFacts) -> t.Iterator[Sighting]:
    # What a run has begun is not left over while it is at work.
    if facts.unfinished is not None and facts.lock is None:
        text = f"run {facts.unfinished['run']} was cut off at its step '{facts.unfinished['step']}'"
        yield Sighting(facts.name, text, facts.own(cures.START), facts.unfinished)


def _failed_run(facts: HostFacts) -> t.Iterator[Sighting]:
    failure = facts.failure
    if failure is None or (facts.unfinished is not None and failure["run"] == facts.unfinished["run"]):
        return
    ended = f"run {failure['run']} ended {run_result(failure['result'], failure['step'])}"
    failed = [f"{check['subject']}, {check['name']}: {check['evidence']}" for check in failure["checks"]]
    why = [*([failure["message"]] if failure["message"] else []), *failed]
    text = "\n".join([ended, *(line for reason in why[:3] for line in gist(reason))])
    yield Sighting(facts.name, text, facts.own(cures.ACKNOWLEDGE), {"failure": failure})


def _unfinished_install(facts: HostFacts) -> t.Iterator[Sighting]:
    if facts.unfinished_install:
        yield Sighting(facts.name, "\n".join(facts.unfinished_install), cures.INSTALL)


def _late_jobs(facts: HostFacts) -> t.Iterator[Sighting]:
    for row in facts.late_jobs:
        if row["next"] is not None:
            text = f"it was to run at {readable_time(row['next'])}, and nothing has started it"
            yield Sighting(row["name"], text, cures.INSTALL, {"timer": row})


def _unfinished_generations(facts: HostFacts) -> t.Iterator[Sighting]:
    for path in facts.left_overs.generations if facts.lock is None else ():
        yield Sighting(path, "a run was cut off while it wrote this", facts.own(cures.FIX))


def _temporary_files(facts: HostFacts) -> t.Iterator[Sighting]:
    for path in facts.left_overs.temporary if facts.lock is None else ():
        text = "whoever wrote it was cut off before it was put in place"
        yield Sighting(path, text, facts.own(cures.FIX))


def _stale_socket(facts: HostFacts) -> t.Iterator[Sighting]:
    if not facts.ours and facts.own_answer.problem == client_errors.STALE:
        text = "nobody listens on it, and no supervisord of this stack runs"
        yield Sighting(facts.paths.socket, text, facts.own(cures.FIX))


def _stale_pidfile(facts: HostFacts) -> t.Iterator[Sighting]:
    found = facts.pidfile
    if found is not None and found.process is None and found.pid not in {one.pid for one in facts.ours}:
        said = "no pid" if found.pid is None else f"pid {found.pid}"
        text = f"it names {said}, and there is no such process"
        yield Sighting(facts.paths.pidfile, text, facts.own(cures.FIX), {"pid": found.pid})


def _old_runs(facts: HostFacts) -> t.Iterator[Sighting]:
    if facts.left_overs.runs and facts.lock is None:
        text = f"{facts.left_overs.runs} more records of runs than are kept"
        path = os.path.join(facts.paths.state, "runs")
        yield Sighting(path, text, facts.own(cures.FIX), {"number": facts.left_overs.runs})


def _unseen(facts: HostFacts) -> t.Iterator[Sighting]:
    if facts.unseen:
        text = f"as user {facts.user} {count(facts.unseen, 'process', 'processes')} could not be looked into"
        # In a container root may be without it.
        capability = cures.CAPABILITY
        remedy = capability if facts.user == "root" else cures.as_root(facts.own(cures.DOCTOR))
        yield Sighting(facts.name, text, remedy, {"user": facts.user, "processes": facts.unseen})


_FIX = "`rollcall doctor --fix`"

KINDS = (
    FindingKind(
        "locked",
        WARNING,
        "a run is at work: what is seen here will change",
        "wait for it",
        _locked,
        in_the_way=True,
    ),
    FindingKind("unfinished_run", WARNING, "the last run was cut off", "`rollcall start`", _unfinished_run),
    FindingKind(
        "failed_run",
        WARNING,
        "a run has failed, no later one was good, and nobody has acknowledged it",
        "`rollcall acknowledge`, or a run whose verdict is OK",
        _failed_run,
    ),
    FindingKind(
        "unfinished_install",
        WARNING,
        "an install has not come to its last steps, such as the unit that starts the stack after a boot, or to its run",
        "`ansible-playbook site.yml`",
        _unfinished_install,
    ),
    FindingKind(
        "late_job",
        WARNING,
        "the time of a timer's job has passed, and nothing has started it, as where its unit is not active",
        "`ansible-playbook site.yml`",
        _late_jobs,
    ),
    FindingKind(
        "unfinished_generation",
        WARNING,
        "a generation that was never finished",
        _FIX,
        _unfinished_generations,
        repairs.REMOVE_TREE,
    ),
    FindingKind(
        "temporary_file", WARNING, "a file that was never finished", _FIX, _temporary_files, repairs.REMOVE_FILE
    ),
    FindingKind("stale_socket", WARNING, "a socket on which nobody listens", _FIX, _stale_socket, repairs.REMOVE_STALE),
    FindingKind("stale_pidfile", WARNING, "a pid file of nobody", _FIX, _stale_pidfile, repairs.REMOVE_STALE),
    FindingKind("old_runs", NOTE, "more records of runs than are kept", _FIX, _old_runs, repairs.REMOVE_OLDEST),
    FindingKind("unseen", NOTE, "processes that this user may not look into", "`sudo rollcall doctor`", _unseen),
)
