# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The limits of processes (getrlimit(2)), their niceness (setpriority(2)) and oom_score_adj (proc(5)).

A process inherits all of them from the one that starts it. A limit is a number, or UNLIMITED.
"""

from __future__ import annotations

import contextlib
import os
import resource
import typing as t

from ..manifest.model import UNLIMITED

Limits = t.Mapping[str, int]

# By the key of the manifest: the kernel's number of it, and its row in /proc/PID/limits.
RESOURCES: t.Mapping[str, t.Tuple[int, str]] = {
    "nofile": (resource.RLIMIT_NOFILE, "Max open files"),
    "nproc": (resource.RLIMIT_NPROC, "Max processes"),
    "core": (resource.RLIMIT_CORE, "Max core file size"),
    "memory": (resource.RLIMIT_AS, "Max address space"),
}


def own_hard_limits() -> t.Dict[str, int]:
    """Return what this process, and what it starts, may set its limits to."""
    return {name: _number(resource.getrlimit(number)[1]) for name, (number, _row) in RESOURCES.items()}


def hard_limits_of(pid: int) -> t.Optional[t.Dict[str, int]]:
    """Return the same of another process; None when there is none, or no /proc."""
    try:
        with open(f"/proc/{pid}/limits", encoding="ascii", errors="replace") as stream:
            lines = stream.read(16_384).splitlines()
    except OSError:
        return None
    # The title has 26 columns; soft and hard limit follow it.
    rows = {line[:26].rstrip(): line[26:].split() for line in lines[1:]}
    found = {name: rows[row][1] for name, (_number, row) in RESOURCES.items() if len(rows.get(row, ())) > 1}
    return {name: UNLIMITED if text == "unlimited" else int(text) for name, text in found.items()}


def niceness_of(pid: int) -> t.Optional[int]:
    """Return the niceness of a process; None when there is none."""
    try:
        return os.getpriority(os.PRIO_PROCESS, pid)
    except OSError:
        return None


def enough(limit: int, wanted: int) -> bool:
    """Return whether a hard limit lets a limit be set to what is wanted."""
    return limit == UNLIMITED or (wanted != UNLIMITED and limit >= wanted)


def lacking(allowed: Limits, wanted: Limits) -> t.Dict[str, int]:
    """Return what is wanted and not allowed."""
    return {name: value for name, value in wanted.items() if not enough(allowed.get(name, UNLIMITED), value)}


def may_raise(wanted: Limits) -> bool:
    """Return whether this process may raise its hard limits so far; root in a container often may not."""
    child = os.fork()
    if child == 0:
        try:
            for name, value in wanted.items():
                _set_hard(name, value)
        except (OSError, ValueError):
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@contextlib.contextmanager
def unaffected(wanted: Limits) -> t.Iterator[None]:
    """Start what is started meanwhile as if its caller were nobody special, as far as this process may.

    It has niceness and oom_score_adj 0, whatever a shell or a service of the host has for itself, and hard limits up
    to what is wanted. All of it is put back afterwards.
    """
    before = {name: resource.getrlimit(RESOURCES[name][0]) for name in lacking(own_hard_limits(), wanted)}
    nice, score = os.getpriority(os.PRIO_PROCESS, 0), _oom_score()
    try:
        for name in before:
            with contextlib.suppress(OSError, ValueError):
                _set_hard(name, wanted[name])
        _set_niceness(0)
        _set_oom_score("0")
        yield
    finally:
        for name, limits in before.items():
            resource.setrlimit(RESOURCES[name][0], limits)
        _set_niceness(nice)
        _set_oom_score(score)


def _set_hard(name: str, wanted: int) -> None:
    number = RESOURCES[name][0]
    soft, _hard = resource.getrlimit(number)
    resource.setrlimit(number, (soft, resource.RLIM_INFINITY if wanted == UNLIMITED else wanted))


def _number(limit: int) -> int:
    return UNLIMITED if limit == resource.RLIM_INFINITY else limit


def _set_niceness(nice: int) -> None:
    if os.getpriority(os.PRIO_PROCESS, 0) != nice:
        # Only root may lower it, or who has a limit for that (RLIMIT_NICE).
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, nice)


def _oom_score() -> str:
    try:
        with open("/proc/self/oom_score_adj", encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        # Another system, or a sandbox: there is nothing to inherit that could be seen.
        return ""


def _set_oom_score(score: str) -> None:
    if score and _oom_score() != score:
        # Nobody but root may go below what root has set last.
        with contextlib.suppress(PermissionError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:
            stream.write(score)
