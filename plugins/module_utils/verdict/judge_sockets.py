# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Judges the unix socket of a service."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..host.socket_files import MISSING, OTHER, STALE
from ..manifest.model import Service
from ..ports.provenance import FOREIGN, SUPERVISED
from ..ports.unix_sockets import SocketSeen
from .judge import Case, Proof


def judge_socket(case: Case, service: Service) -> t.Optional[Proof]:
    """Judge whether the service, and nobody else, listens on its unix socket."""
    if not service.socket or case.has_ended_well(service):
        return None
    seen = case.seen.sockets.get(service.socket, SocketSeen(service.socket))
    holder = seen.holder_of(service)
    data = {
        "socket": seen.path,
        "pid": None if holder is None or holder.process is None else holder.process.pid,
        "provenance": None if holder is None else holder.provenance,
    }
    why = seen.why_not(service)
    if not why:
        return Proof(f"socket {seen.path} is its own", data=data)
    if seen.state == OTHER:
        return Proof(why, "file", cures.move_away(seen.path), data)
    if seen.state in (MISSING, STALE):
        return Proof(why, "free", cures.restart(service.name), data)
    strangers = seen.strangers(service)
    if not strangers or strangers[0].process is None:
        return Proof(why, "taken" if strangers else "unseen", cures.holder(seen.path), data)
    if strangers[0].provenance == SUPERVISED:
        # Whoever ends it has supervisord start it again.
        return Proof(why, "taken", cures.correct(f"the manifest: give {service.name} another socket"), data)
    if strangers[0].provenance != FOREIGN:
        return Proof(why, "taken", cures.FULL, data)
    from ..ports.objections import end_or_stop  # late: it is for what is wrong

    return Proof(why, "taken", end_or_stop(strangers[0]), data)
