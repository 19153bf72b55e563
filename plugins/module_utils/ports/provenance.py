# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Whose listener is it, and may it be ended: pure judgement over what was seen.

``supervised``: below a process that the stack's supervisord reports, or at least below that supervisord.
``orphan``: is of the stack, and no live supervisord of it holds it.
``duplicate``: below a rival, so another supervisord over the same config than the one that answers.
``foreign``: a known process, and not of this stack.
``unknown``: no process can be seen to hold the socket. That is never the same as free.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ..base.port_numbers import protocol_of
from ..base.text import has_control
from ..host import ours
from ..host.model import Label, Listener, Process
from ..host.ours import Belonging
from .policies import ANY, REFUSE

if t.TYPE_CHECKING:
    from ..base import documents

SUPERVISED = "supervised"
ORPHAN = "orphan"
DUPLICATE = "duplicate"
FOREIGN = "foreign"
UNKNOWN = "unknown"

UNSEEN = "no process that holds it can be seen"

# Programs that listen on a port for a container, in which the real server runs.
PUBLISHERS = frozenset({"conmon", "docker-proxy", "pasta", "pasta.avx2", "rootlessport", "slirp4netns"})


class Supervision(t.NamedTuple):
    """What is known of who supervises a stack, when its listeners are judged.

    Attributes:
        root: the stack's root directory.
        reported: the pids that the stack's supervisord reports, and their services.
        supervisords: the pids of all live supervisords over the stack's config.
        answering: the one among them that reported; None when none did.
        left_behind: children of theirs that are none of their programs: a program has left them behind.
    """

    root: str = ""
    reported: t.Mapping[int, str] = {}
    supervisords: t.FrozenSet[int] = frozenset()
    answering: t.Optional[int] = None
    left_behind: t.FrozenSet[int] = frozenset()


class Judgement(t.NamedTuple):
    """A provenance, the service it concerns where one is known, the reason in a few words, and of which other stack."""

    provenance: str
    service: t.Optional[str]
    reason: str
    neighbour: t.Optional[Label] = None


@dataclass(frozen=True)
class Holder:
    """A listening socket together with one process that holds it.

    Attributes:
        listener: the socket.
        process: None when none can be seen.
        provenance: one of the five words above.
        service: supervised: the service that supervisord reports; orphan or duplicate: the label's.
        reason: why that provenance.
        unit: foreign: the systemd unit or container the process runs in.
        place: where its descriptor of the socket was seen, for ``socket_owners.holds``.
        pids: all processes that were seen to hold the socket, this one among them.
        neighbour: foreign: what the process carries of another stack of this host; None when it is of none.
    """

    listener: Listener
    process: t.Optional[Process]
    provenance: str
    service: t.Optional[str]
    reason: str
    unit: t.Optional[str] = None
    place: str = field(default="", compare=False)
    pids: t.Tuple[int, ...] = field(default=(), compare=False)
    neighbour: t.Optional[Label] = field(default=None, compare=False)

    @property
    def summary(self) -> str:
        """Who it is, in a few words."""
        if self.process is None:
            return f"unknown owner ({self.reason})"
        return f"{self.process.summary} ({self.provenance})"

    def as_dict(self) -> documents.HolderData:
        """Return the holder as data, with the same keys whoever it is."""
        process = self.process
        return {
            "port": int(self.listener.port),
            "protocol": protocol_of(self.listener.port),
            "family": t.cast("documents.Family", self.listener.family),
            "address": self.listener.address,
            "inode": self.listener.inode if self.listener.inode > 0 else None,
            "pids": list(self.pids),
            "pid": None if process is None else process.pid,
            "user": None if process is None else process.user,
            "command": None if process is None else process.command_line,
            "started": None if process is None else process.started_at,
            "provenance": t.cast("documents.Provenance", self.provenance),
            "service": self.service,
            "unit": self.unit,
            "reason": self.reason,
        }


# Why a process is ours, by how that is known.
_REASONS: t.Mapping[str, str] = {
    ours.RECORDED: "a run of this stack has started it",
    ours.SESSION: "it is of the session of this stack's supervisord",
    ours.LABEL: "it carries this stack's label",
    ours.CGROUP: "it is in the control group of this stack's unit",
    ours.NUMBER: "it has inherited the number of this stack's supervisord",
    ours.DESCENT: "it descends from a process of this stack",
}


def classify(
    process: t.Optional[Process], lineage: t.Sequence[int], belonging: Belonging, supervision: Supervision
) -> Judgement:
    """Return whose a process with a listening socket is.

    Args:
        process: of it; None when none can be seen.
        lineage: its pid, its parent's, and so on upwards.
        belonging: whether it is of the stack, and how that is known.
        supervision: what is known of the stack's supervisords.
    """
    if process is None:
        return Judgement(UNKNOWN, None, UNSEEN)
    for pid in lineage:
        if pid in supervision.reported:
            name = supervision.reported[pid]
            return Judgement(SUPERVISED, name, f"supervisord reports pid {pid} as {name}")
    # A supervisord that is pid 1 of a container is above everything, left-overs too: being below it says nothing.
    at = next((number for number, pid in enumerate(lineage) if pid in supervision.supervisords and pid != 1), None)
    own = belonging.label if belonging.how else None
    service = (own.service or None) if own is not None else None
    if at is not None and not supervision.left_behind.intersection(lineage[:at]):
        return _below(lineage[at], service, supervision)
    if own is not None:
        return Judgement(ORPHAN, service, f"{_REASONS[belonging.how]} and no supervisord holds it")
    neighbour = _neighbour(process, belonging, supervision)
    return Judgement(FOREIGN, None, _foreign(process, belonging, supervision), neighbour)


def _below(supervisord: int, service: t.Optional[str], supervision: Supervision) -> Judgement:
    below = f"it is below supervisord pid {supervisord}"
    if supervision.answering is None and len(supervision.supervisords) == 1:
        return Judgement(SUPERVISED, None, f"{below}, which does not say of which service")
    if supervisord == supervision.answering:
        # Not below a process that it reports: its own socket, or a program spawned since the report.
        return Judgement(SUPERVISED, None, f"{below}, which does not report it")
    return Judgement(DUPLICATE, service, f"{below}, a rival over this stack")


def _foreign(process: Process, belonging: Belonging, supervision: Supervision) -> str:
    if process.container:
        return "it runs in a container"
    if publishes(process):
        return "it listens for a container"
    label = belonging.label
    if label is None:
        return "it is not of this stack"
    if label.root == supervision.root:
        if belonging.other:
            return f"it is of another stack, for which {label.root} is another directory"
        return f"it carries this stack's label, but user {process.user} is not the one who runs this stack"
    return f"it is of stack {label.stack or '?'} at {label.root}"


def _neighbour(process: Process, belonging: Belonging, supervision: Supervision) -> t.Optional[Label]:
    """Return what a process carries of another stack of this host; None when it is of none, or may be of this one."""
    label = belonging.label
    if process.container or publishes(process) or label is None or label.root == supervision.root:
        return None
    # Whoever runs it has written these words, and they become a part of a command that is told.
    told = label.stack + label.root + label.service
    return None if has_control(told) or not os.path.isabs(label.root) or not label.service else label


def publishes(process: Process) -> bool:
    """Return whether a process listens for a container: the container would still be there when it has ended."""
    return bool({os.path.basename(process.exe), os.path.basename(process.command[0])} & PUBLISHERS)


def may_end(provenance: str, policy: str, *, supervised: bool = False) -> bool:
    """Return whether a policy allows to end a holder of this provenance.

    Args:
        provenance: one of the five words above.
        policy: ``owned`` (orphans and duplicates), ``refuse`` (nothing) or ``any`` (foreign ones too).
        supervised: whether supervised ones may be ended; otherwise no policy touches them.
    """
    if policy == REFUSE or provenance == UNKNOWN:
        return False
    if provenance == SUPERVISED:
        return supervised
    return provenance in (ORPHAN, DUPLICATE) or policy == ANY
