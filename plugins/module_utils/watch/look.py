# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""One look of a watcher: the look of ``rollcall status``, what lies beside it, and seldom what the doctor sees.

A child makes it: what hangs on this host hangs the child, and the watcher sees that.
"""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.clock import SYSTEM, Clock
from ..base.errors import RollcallError
from ..base.files import NOT_AS_EXPECTED
from ..base.text import one_line
from ..doctor.lost_logs import lost_logs
from ..host import processes
from ..manifest.model import Paths, Stack
from ..state.generations import current_id, load_stack
from ..state.known_secrets import without_secrets
from ..state.lock import describe_lock, locked_by, monotonic
from ..state.rollout import read_rollout
from ..state.runs import run_ids, steps_of
from ..verdict import status
from ..verdict.fitness import MINIMUM_FREE, lacks_space
from ..verdict.log_lines import Log
from .symptoms import DISK_FULL, DISK_NEARLY_FULL, DISK_READ_ONLY, Sight, Space

if t.TYPE_CHECKING:
    from ..base.documents import Report

# Shares of bytes and of inodes that are free: below them a file system is nearly full.
NEARLY = 0.05
# More free bytes than these are enough, whatever share that is.
ENOUGH = 2 * 1024**3
# Lines of the log of a service that has ended, and the checks that say that one has.
LOG_LINES = 5
_ENDED = frozenset(("running", "lives", "workers"))
# Seconds beyond the time that a run says it takes at the longest.
BEYOND = 60.0


def look(stack: Stack, generation: str, *, dear: bool, clock: Clock = SYSTEM) -> t.Dict[str, t.Any]:
    """Return what is seen of a stack, as data for `sight_of`.

    Args:
        stack: the manifest as the watcher knows it.
        generation: the id of the generation that it was read from.
        dear: whether the doctor is asked as well.
        clock: of all deadlines.
    """
    now, before = clock.wall(), _newest_run(stack)
    held = bool(locked_by(stack.paths.state))
    report: t.Optional[Report] = None
    lost: t.List[str] = []
    error: t.Optional[t.Any] = None
    in_place = current_id(stack.paths) or ""
    try:
        if in_place != generation:
            stack = load_stack(Paths.of(stack.root))
        looked = status.look(stack, clock=clock)
        answered = looked.seen.supervisord
        if answered is not None and not processes.alive(answered.identity):
            # It ended within this look, which would tell each of its services as a cause of its own.
            looked = status.look(stack, clock=clock)
        report, lost = looked.report, lost_logs(stack, looked.seen)
        _add_logs(stack, report)
    except RollcallError as exc:
        error = exc.as_dict()
    except OSError as exc:
        error = RollcallError(f"{exc.filename or stack.root}: {exc.strerror}").as_dict()
    seen: t.Dict[str, t.Any] = {
        "report": report,
        "error": error,
        "spaces": [space._asdict() for space in _spaces(stack)],
        "lost_logs": lost,
        "rollout": _rollout(stack),
        "findings": _findings(stack, clock) if dear and report is not None else None,
        "overdue": _overdue(stack),
        "boot": processes.boot_id(),
        "booted": now - processes.age(0),
        "generation": in_place,
    }
    # The last that is asked, and in this order: a run that does not lock the stack any more has recorded its end.
    held = bool(locked_by(stack.paths.state)) or held
    run, ended = _newest_run(stack)
    # One may have begun and ended since.
    seen.update(run=run, ended=ended, locked=held or (run, ended) != before)
    # What is seen is kept and told far away.
    return without_secrets(seen, stack.root)


def _add_logs(stack: Stack, report: Report) -> None:
    """Add to what says that a service has ended the last lines of its log, which mostly say why."""
    names = {service.name for service in stack.services}
    for check in report["checks"]:
        if not check["ok"] and check["name"] in _ENDED and check["code"] != "halted" and check["subject"] in names:
            check["evidence"] = "\n".join([check["evidence"], *Log(stack, check["subject"]).last(LOG_LINES)])


def sight_of(data: t.Mapping[str, t.Any]) -> Sight:
    """Return what a look has seen, from the data of `look`."""
    return Sight(**{**data, "spaces": [Space(**space) for space in data["spaces"]]})


def _findings(stack: Stack, clock: Clock) -> t.List[t.Any]:
    from ..doctor.doctor import doctor  # late: the watcher itself never calls it, a child of it seldom

    return list(doctor(stack.root, clock=clock)["findings"])


def _rollout(stack: Stack) -> t.Optional[t.Any]:
    try:
        found = read_rollout(stack.paths.state)
    except RollcallError:
        # A record that is broken is told by the playbooks that need it.
        return None
    return None if found is None else found.as_data()


def _newest_run(stack: Stack) -> t.Tuple[str, float]:
    """Return the newest run, and when it has ended; 0 where it has not, or its record is damaged."""
    for run in run_ids(stack.paths.state):
        steps = steps_of(stack.paths.state, run)
        if steps:
            end = steps[-1]
            return run, float(end.get("time", 0.0)) if end["step"] == "done" else 0.0
    return "", 0.0


def _overdue(stack: Stack) -> str:
    """Return in words that the run at work goes on for longer than it can, or is stopped; empty where none does."""
    note = locked_by(stack.paths.state)
    if not note:
        return ""
    process = processes.describe(note["pid"])
    if process is not None and process.state == "T":
        return f"the run at work is stopped by a signal: {describe_lock(note)}"
    try:
        left = float(note["limit"]) + BEYOND - (monotonic() - float(note["moment"]))
    except NOT_AS_EXPECTED:
        # It has no limit, or another version has written it.
        return ""
    if left >= 0 or note.get("boot") != processes.boot_id():
        return ""
    return f"the run at work goes on for longer than all its deadlines together: {describe_lock(note)}"


def _spaces(stack: Stack) -> t.Iterator[Space]:
    paths = stack.paths
    seen: t.Set[int] = set()
    for path in dict.fromkeys((stack.root, paths.state, paths.logs)):
        try:
            device, numbers = os.stat(path).st_dev, os.statvfs(path)
        except OSError:
            # A missing directory is told by the check `files`.
            continue
        if device in seen:
            continue
        seen.add(device)
        lacks = next(lacks_space(path, MINIMUM_FREE), None)
        if lacks is not None:
            code = DISK_READ_ONLY if numbers.f_flag & os.ST_RDONLY else DISK_FULL
            yield Space(path, code, f"{path}: {one_line(lacks.message)}", lacks.cure)
            continue
        free, share = numbers.f_bavail * numbers.f_frsize, numbers.f_bavail / max(1, numbers.f_blocks)
        inodes = numbers.f_favail / numbers.f_files if numbers.f_files else 1.0
        if (share < NEARLY and free < ENOUGH) or inodes < NEARLY:
            what = f"{free // 2**20} MiB are free" if share < NEARLY else f"{numbers.f_favail} inodes are free"
            yield Space(path, DISK_NEARLY_FULL, f"{path}: {what}", cures.space(path))
