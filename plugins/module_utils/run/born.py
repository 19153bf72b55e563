# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Records what a run has started, as soon as it lives, so that whose it is can be proved later, whatever it does."""

from __future__ import annotations

import typing as t

from ..host import births, ours
from ..host.labels import trusted_uids
from ..host.model import Identity, Label, Process
from ..manifest.model import Stack
from ..supervisord.running import supervisords_of
from ..verdict.observation import Observation, identity
from . import boot


def record_supervisord(stack: Stack, pid: int) -> None:
    """Record a supervisord that has just been started: what it will start is of its session, or of its unit.

    Raises:
        OSError: it could not be recorded.
    """
    unit = boot.find(stack)
    births.remember(stack.root, supervisord=pid, cgroup="" if unit is None else unit.cgroup_of(pid))


def record_family(
    stack: Stack,
    first: t.Mapping[str, Identity],
    revisions: t.Mapping[str, str],
    seen: t.Optional[Observation] = None,
    among: t.Optional[t.Iterable[int]] = None,
) -> None:
    """Record every process that descends from the supervisords of a stack, and the sockets of its services.

    Args:
        stack: the manifest.
        first: the process of each service that was started.
        revisions: of the services.
        seen: what was seen at the verdict; None before it, which leaves the sockets as they were recorded.
        among: pids, where the supervisords can be looked for among a few; None looks at every process.

    Raises:
        OSError: it could not be recorded.
    """
    born = {name: one for name, one in first.items() if name in revisions}
    sockets = None
    if seen is not None:
        born.update(
            (name, identity(program)) for name, program in seen.programs.items() if name in revisions and program.born
        )
        sockets = {
            holder.listener.inode: holder.service
            for holders in seen.holders.values()
            for holder in holders
            if holder.service is not None and holder.listener.inode > 0
        }
    own = {one: Label(stack.name, stack.root, name, revisions[name]) for name, one in born.items()}
    family = family_of(stack, supervisords_of(stack, among) if seen is None else seen.supervisords)
    births.remember(stack.root, {**ours.identities(family), **own}, sockets=sockets)


def family_of(stack: Stack, supervisords: t.Optional[t.Sequence[Process]] = None) -> t.List[Process]:
    """Return the processes of a stack that descend from its supervisords, parents before their children.

    Args:
        stack: the manifest.
        supervisords: those over it, where they are known.
    """
    above = supervisords_of(stack) if supervisords is None else supervisords
    return ours.family(stack.root, trusted_uids(stack.root, stack.user), [process.pid for process in above])
