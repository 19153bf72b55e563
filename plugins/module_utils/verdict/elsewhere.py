# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where services listen that their manifest does not name. Changes nothing."""

from __future__ import annotations

import os
import typing as t

from ..host import socket_owners
from ..host.model import Listener
from ..manifest.model import Stack


def named_ports(stack: Stack) -> t.List[int]:
    """Return the ports that services listen on, and those that their health is asked on."""
    own = [port for service in stack.services for port in service.all_ports.values()]
    asked = [check.port for service in stack.services for check in service.all_health if check.port]
    return list(dict.fromkeys([*own, *asked]))


def listening_elsewhere(
    stack: Stack,
    families: t.Mapping[str, t.Sequence[int]],
    found: t.Iterable[Listener],
    known: t.Mapping[int, t.Sequence[int]],
) -> t.Dict[str, t.Tuple[Listener, ...]]:
    """Return by service on which sockets it listens whose port no service of the manifest has.

    Args:
        stack: the manifest.
        families: the processes of each service.
        found: every listener of the host.
        known: by inode the processes that hold a socket, as far as that was seen a moment ago.
    """
    named = set(named_ports(stack))
    services = {pid: name for name, family in families.items() for pid in family}
    others = [listener for listener in found if listener.port not in named]
    held = {one.inode: [pid for pid in known.get(one.inode, ()) if pid in services] for one in others}
    # Of what was seen to be a stranger's, or nobody's, nothing has to be looked for.
    others = [one for one in others if held[one.inode] or one.inode not in known]
    users = {_user(pid) for family in families.values() for pid in family} if others else set()
    # Mostly there are none, or they are of other users: then no process is looked into.
    own = {listener.inode: listener for listener in others if listener.uid in users or listener.uid < 0}
    holding = {inode: pids[0] for inode, pids in held.items() if pids and inode in own}
    unknown = [inode for inode in own if inode not in holding]
    if unknown:
        holding.update(socket_owners.held_among(services, unknown))
    result: t.Dict[str, t.Tuple[Listener, ...]] = {}
    for inode, pid in holding.items():
        result[services[pid]] = (*result.get(services[pid], ()), own[inode])
    return result


def _user(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        # It has ended, or there is no /proc here.
        return -1
