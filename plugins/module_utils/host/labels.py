# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The label of a process, which says whose it is: in its environment, or in the record of what a run has started."""

from __future__ import annotations

import os
import typing as t

from ..base.errors import RollcallError
from ..base.files import read_record, write_record
from . import processes
from .accounts import find_account
from .model import Identity, Label, Process

LABEL_STACK = "ROLLCALL_STACK"
LABEL_ROOT = "ROLLCALL_ROOT"
LABEL_SERVICE = "ROLLCALL_SERVICE"
LABEL_REVISION = "ROLLCALL_REVISION"


def label_of(pid: int, contained: t.Optional[bool] = None) -> t.Optional[Label]:
    """Return the label that a process was started with; None when it has none or it may not be read.

    Args:
        pid: of the process.
        contained: whether it lives in another pid namespace, where that is known; None has it looked up.

    The environment is that of its last exec; a program that overwrites it (setproctitle) loses the label. A process
    in another pid namespace has none: the environment of a container is not ours to trust.
    """
    environment = processes.reader.environment(pid, "ROLLCALL_")
    if LABEL_ROOT not in environment:
        return None
    if processes.reader.in_container(pid) if contained is None else contained:
        return None
    return Label(
        stack=environment.get(LABEL_STACK, ""),
        root=environment[LABEL_ROOT],
        service=environment.get(LABEL_SERVICE, ""),
        revision=environment.get(LABEL_REVISION, ""),
    )


def is_of(label: t.Optional[Label], root: str) -> bool:
    """Return whether a label names the stack at ``root``."""
    return label is not None and os.path.normpath(label.root) == os.path.normpath(root)


def labelled_processes(
    root: str, uids: t.Optional[t.Container[int]] = None, *, besides: t.Container[int] = ()
) -> t.List[Process]:
    """Return every living process of our pid namespace that carries the label of the stack at ``root``.

    Args:
        root: the stack's root directory.
        uids: the users whose labels count; None means `trusted_uids` of the root.
        besides: pids to leave out.
    """
    trusted = trusted_uids(root) if uids is None else uids
    known = {pid: (start, label) for (pid, start), label in recorded_labels(root).items()}
    found = []
    for pid in processes.pids():
        if pid in besides:
            continue
        label = label_of(pid)
        start = None
        if label is None and pid in known:
            start, label = known[pid]
        process = processes.describe(pid) if is_of(label, root) else None
        if process is None or process.uid not in trusted or process.ended:
            continue
        if start is None or start == process.start:
            found.append(process._replace(label=label))
    return found


def trusted_uids(root: str, user: t.Optional[str] = None) -> t.FrozenSet[int]:
    """Return the users whose labels count for the stack at ``root``: root and the stack's own.

    Args:
        root: the stack's root directory.
        user: the stack's user. None: whoever owns the root and its run directory, and the user this runs as.

    Raises:
        RollcallError: there is no such user.
    """
    if user is not None:
        return frozenset({0, find_account(user).uid})
    places = [place for place in (root, os.path.join(root, "run")) if os.path.isdir(place)]
    return frozenset({0, os.geteuid(), *(os.stat(place).st_uid for place in places)})


# --- the record of what was started -------------------------------------------------------------------------------


def record_labels(root: str, started: t.Mapping[Identity, Label]) -> None:
    """Keep who was started for the stack at ``root``: some programs overwrite the environment their label is in.

    Args:
        root: the stack's root directory.
        started: the label of each process, by its identity. What was recorded before is forgotten.

    Raises:
        OSError: as the kernel says it; the old record is untouched then.
    """
    rows = [[*identity, *label] for identity, label in sorted(started.items())]
    write_record(_record_path(root), {"boot": processes.boot_id(), "processes": rows})


def recorded_labels(root: str) -> t.Dict[Identity, Label]:
    """Return the processes that a run recorded for the stack at ``root`` since the host was booted, by identity.

    Empty when there is no record, or when it may not be read: without proof nobody is ours.

    Raises:
        RollcallError: the record is there and is none.
    """

    def parse(data: t.Any) -> t.Dict[Identity, Label]:
        rows = data["processes"] if data["boot"] == processes.boot_id() else ()
        return {(row[0], row[1]): Label(*row[2:]) for row in rows}

    path = _record_path(root)
    try:
        return read_record(path, parse, {}, "The record of the processes that this stack has started", [f"rm {path}"])
    except RollcallError as exc:
        if isinstance(exc.__cause__, PermissionError):
            return {}
        raise


def _record_path(root: str) -> str:
    return os.path.join(root, "state", "started.json")
