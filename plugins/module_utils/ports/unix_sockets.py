# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Who listens on the unix sockets of a stack, and whose they are: looks, and changes nothing.

The proof is the inode of the listening socket, which a process of the service holds. The credentials that the kernel
tells of a connection (SO_PEERCRED) are those of whoever called listen(2): of a server that went into the background, or
was handed its socket, that is another process, or none.
"""

from __future__ import annotations

import os
import typing as t

from ..base.removing import mounts_in
from ..host import processes, socket_files, socket_owners, unix_listeners
from ..host.labels import trusted_uids
from ..host.model import Listener
from ..host.socket_files import LISTENED, MISSING, OTHER, STALE, SocketFile
from ..manifest.model import Service, Stack
from .provenance import FOREIGN, SUPERVISED, UNKNOWN, UNSEEN, Holder
from .survey import judgements, unit_of

# The family of a listener that is a unix socket; its address is the path.
FAMILY = "unix"


class _Candidates(t.NamedTuple):
    """What stands at a path, and the inodes of the sockets that may be the one which it leads to."""

    file: SocketFile
    inodes: t.Sequence[int]


class SocketSeen(t.NamedTuple):
    """What was seen of the path of a socket.

    Attributes:
        path: absolute.
        state: as of a `SocketFile`.
        what: for ``other`` and ``unknown``: what it is, or why it is not known.
        uid: whose the file is; -1 where there is none.
        holders: of each socket that listens there its processes; of one whose file is gone as well.
    """

    path: str
    state: str = MISSING
    what: str = ""
    uid: int = -1
    holders: t.Tuple[Holder, ...] = ()

    def strangers(self, service: Service) -> t.List[Holder]:
        """Return a process of each socket that listens there and that no process of the service holds."""
        found: t.Dict[int, t.List[Holder]] = {}
        for holder in self.holders:
            found.setdefault(holder.listener.inode, []).append(holder)
        return [each[0] for each in found.values() if not any(is_of(service, holder) for holder in each)]

    def holder_of(self, service: Service) -> t.Optional[Holder]:
        """Return who listens there, a process of the service first; None when nobody does."""
        own = (holder for holder in self.holders if is_of(service, holder))
        return next(own, next(iter(self.holders), None))

    def why_not(self, service: Service) -> str:
        """Return why the service does not listen there, or not alone; empty when it does."""
        strangers = self.strangers(service)
        if self.state == OTHER:
            return f"{self.path} is {self.what}, and no socket that listens"
        if self.state == MISSING:
            gone = " any more: its file was removed, and who listens there cannot be reached" if self.holders else ""
            return f"nobody listens on {self.path}{gone or ': there is no such file'}"
        if strangers:
            return f"{self.path} is listened to by {described(strangers[0])}"
        if self.state == STALE:
            return f"nobody listens on {self.path}: the file is left over"
        return "" if self.holders else f"it cannot be seen who listens on {self.path}: {self.what or UNSEEN}"


def is_of(service: Service, holder: Holder) -> bool:
    """Return whether who listens is the process that supervisord reports for a service, or a child of it."""
    return holder.provenance == SUPERVISED and holder.service == service.name


def described(holder: Holder) -> str:
    """Return who listens, in a few words: another service of the stack by its name."""
    other = holder.provenance == SUPERVISED and holder.service
    return f"service {holder.service} ({holder.summary})" if other else holder.summary


def look_at_sockets(
    stack: Stack,
    services: t.Iterable[Service],
    pids: t.Mapping[int, str],
    *,
    sharing: str = socket_owners.ONE,
    fresh: bool = False,
) -> t.Dict[str, SocketSeen]:
    """Return what is seen of the socket of each service that has one, by its path. Changes nothing.

    Args:
        stack: the stack that who listens is judged for.
        services: of it.
        pids: pid and service of each process that its supervisord reports.
        sharing: how far to look for processes that share a socket, as for `socket_owners.find_owners`.
        fresh: whether what stands there was made since the path was cleared. Then who has bound it listens at it, and
            is not connected to for that.
    """
    paths = [service.socket for service in services if service.socket]
    if not paths:
        return {}
    every = [one for one in unix_listeners.bound() if one.listens]
    found = {path: _candidates(path, every, fresh) for path in paths}
    wanted = [inode for each in found.values() for inode in each.inodes]
    owners = socket_owners.find_owners(wanted, list(pids), sharing) if wanted else None
    seen = {path: _pids_at(each, {} if owners is None else owners.pids) for path, each in found.items()}
    named = {pid for each in seen.values() for _inode, several in each for pid in several}
    known = {pid: process for pid in named for process in [processes.describe(pid)] if process is not None}
    judged = judgements(stack, known, pids)

    def holders(path: str) -> t.Iterator[Holder]:
        for inode, several in seen[path]:
            listener = Listener(FAMILY, path, 0, inode, -1)
            living = tuple(pid for pid in several if pid in known)
            for pid in living:
                provenance, service, reason, neighbour = judged[pid]
                unit = unit_of(known[pid]) if provenance == FOREIGN else None
                yield Holder(listener, known[pid], provenance, service, reason, unit, pids=living, neighbour=neighbour)
            if not living:
                yield Holder(listener, None, UNKNOWN, None, UNSEEN)

    return {
        path: SocketSeen(path, file.state, file.what, file.uid, tuple(holders(path)))
        for path, (file, _inodes) in found.items()
    }


def _candidates(path: str, every: t.Sequence[unix_listeners.UnixSocket], fresh: bool) -> _Candidates:
    bound = [one.inode for one in unix_listeners.at_path(path, every)]
    # Of several the kernel says which one takes connections.
    file = socket_files.look(path, known=fresh and len(bound) == 1)
    if file.bound:
        # It was connected to, and so the kernel has told by which name the socket was bound that the file leads to.
        bound = [one.inode for one in every if one.path == file.bound]
    return _Candidates(file, bound)


def _pids_at(each: _Candidates, holding: t.Mapping[int, t.Sequence[int]]) -> t.List[t.Tuple[int, t.Sequence[int]]]:
    """Return the inodes of the sockets that listen at a path, each with its processes."""
    file = each.file
    found = [(inode, holding.get(inode, ())) for inode in each.inodes]
    if file.state == LISTENED and file.peer:
        if unix_listeners.in_other_network(file.peer):
            # No row tells of its socket: what has the same name here was bound to a file that is gone.
            return [(0, (file.peer,))]
        # It was connected to: what does not take connections there any more was bound to a file that is gone.
        return [one for one in found if file.peer in one[1]] or found or [(0, (file.peer,))]
    # What is not reached by the file that stands there is no listener of it.
    return [] if file.state in (STALE, OTHER) else found or ([(0, ())] if file.state == LISTENED else [])


def sockets_by_pid(stack: Stack, pids: t.Iterable[int]) -> t.Dict[int, t.Set[str]]:
    """Return on which sockets of the services of a stack each of some processes listens, by their paths as bound."""
    every = [one for one in unix_listeners.bound() if one.listens]
    paths = [service.socket for service in stack.services if service.socket]
    found = {one.inode: path for path in paths for one in unix_listeners.at_path(path, every)}
    result: t.Dict[int, t.Set[str]] = {}
    for inode, holding in socket_owners.find_owners(found, pids).pids.items() if found else ():
        for pid in holding:
            result.setdefault(pid, set()).add(found[inode])
    return result


def why_not_removed(stack: Stack, seen: SocketSeen) -> str:
    """Return why a socket that is left over is not ours to remove; empty when it is.

    It is the stack's own where it lies below the root, no link and no mount leads there, and its user is the stack's.
    """
    root, above = os.path.realpath(stack.root), os.path.dirname(seen.path)
    inner = os.path.relpath(above, os.path.normpath(stack.root))
    if inner.startswith(".."):
        return f"it is outside of {stack.root}"
    if os.path.realpath(above) != os.path.normpath(os.path.join(root, inner)):
        return f"a link leads to {above}"
    if mounts_in(seen.path):
        return "it is mounted there"
    if seen.uid not in trusted_uids(stack.root, stack.user):
        return f"it belongs to uid {seen.uid}"
    return ""
