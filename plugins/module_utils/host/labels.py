# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The label of a process, which says in its environment whose it is, and whose word for it counts."""

from __future__ import annotations

import os
import typing as t

from ..base.text import has_control
from . import processes
from .accounts import find_account
from .model import Label, Process

LABEL_STACK = "ROLLCALL_STACK"
LABEL_ROOT = "ROLLCALL_ROOT"
LABEL_SERVICE = "ROLLCALL_SERVICE"
LABEL_REVISION = "ROLLCALL_REVISION"
# What is called by hand has the variables of a service and this one, by which it is none of the stack's processes.
LABEL_EXEC = "ROLLCALL_EXEC"
# What that variable is of a job of a timer.
JOB = "job"


def label_of(pid: int, contained: t.Optional[bool] = None) -> t.Optional[Label]:
    """Return the label that a process was started with; None when it has none or it may not be read.

    What `rollcall exec` has started, and what descends from it, has none.

    Args:
        pid: of the process.
        contained: whether it lives in another pid namespace, where that is known; None has it looked up.

    The environment is that of its last exec; a program that overwrites it (setproctitle) loses the label. A process
    in another pid namespace has none: the environment of a container is not ours to trust.
    """
    return _label_of(pid, contained, None)


def processes_of_jobs(root: str, uids: t.Container[int]) -> t.List[t.Tuple[Process, str]]:
    """Return the processes of the jobs of the stack at ``root``, each with the name of its timer.

    Args:
        root: the stack's root directory.
        uids: the users whose labels count, as `trusted_uids` returns them.
    """
    found = []
    for pid in processes.pids():
        label = _label_of(pid, None, JOB)
        process = processes.describe(pid) if label is not None and label.root == root else None
        if label is not None and process is not None and not process.ended and process.uid in uids:
            found.append((process, label.service))
    return found


def _label_of(pid: int, contained: t.Optional[bool], called: t.Optional[str]) -> t.Optional[Label]:
    """Return the label of a process for which ``LABEL_EXEC`` is ``called``; None when it is anything else."""
    environment = processes.reader.environment(pid, "ROLLCALL_")
    # Anybody can give a process a label. One with control characters is no stack's.
    if LABEL_ROOT not in environment or has_control("".join(environment.values())):
        return None
    if environment.get(LABEL_EXEC) != called:
        return None
    if processes.reader.in_container(pid) if contained is None else contained:
        return None
    return Label(
        stack=environment.get(LABEL_STACK, ""),
        root=environment[LABEL_ROOT],
        service=environment.get(LABEL_SERVICE, ""),
        revision=environment.get(LABEL_REVISION, ""),
    )


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


def living_stacks() -> t.List[Label]:
    """Return a label for each stack of which something runs: what a user says of a stack of others does not count."""
    found: t.Dict[str, Label] = {}
    for pid in processes.pids():
        label = label_of(pid)
        if label is None or label.root in found or not os.path.isdir(label.root):
            continue
        process = processes.describe(pid)
        if process is not None and not process.ended and process.uid in trusted_uids(label.root):
            found[label.root] = label
    return list(found.values())
