# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The paths on which services listen: what stands there may be in the way of a start, or be a socket that is left over.

A socket outlives who made it, and a server that finds one refuses to start. It is removed only where it is the stack's
own and nobody has it open; whatever else stands there is refused before anything is stopped.
"""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.removing import remove
from ..host import socket_files, unix_listeners
from ..host.socket_files import LISTENED, MISSING, OTHER, STALE
from ..manifest.model import Service, Stack
from ..ports.objections import end_or_stop
from ..ports.provenance import DUPLICATE, ORPHAN, SUPERVISED, Holder
from ..ports.unix_sockets import SocketSeen, described, is_of, look_at_sockets, why_not_removed
from ..verdict.observation import Observation
from .plan import KEEP, RESTART, RunPlan

# A run that ends everything of the stack, as far as it matters here.
EVERYTHING = RunPlan(RESTART, False, (), (), (), (), False, {})


class InTheWay(t.NamedTuple):
    """Why a service cannot have its socket, and what to do."""

    text: str
    cure: str


def with_sockets(stack: Stack, plan: RunPlan, seen: Observation) -> RunPlan:
    """Return a plan that says which sockets are left over and are removed. Pure but for who owns the stack.

    Args:
        stack: the wanted manifest.
        plan: of the run.
        seen: what was seen of the stack.
    """
    looked = [(name, seen.sockets.get(stack.service(name).socket)) for name in plan.start]
    left = {one.path: name for name, one in looked if one is not None and one.state == STALE}
    return plan._replace(clear=left)


def check_sockets(stack: Stack, seen: Observation, plan: RunPlan) -> None:
    """Check that each service which is to start can have its socket.

    Args:
        stack: the wanted manifest.
        seen: what was seen of the stack.
        plan: of the run.

    Raises:
        RollcallError: ``refused``: with who listens there, or what stands there. Nothing was stopped.
    """
    services = [stack.service(name) for name in plan.start]
    found = {
        service.name: obstacle
        for service in services
        for one in [seen.sockets.get(service.socket)]
        for obstacle in [None if one is None else _against(stack, service, one, plan)]
        if obstacle is not None
    }
    if found:
        raise RollcallError(
            "; ".join(f"{name} cannot have its socket: {obstacle.text}" for name, obstacle in found.items())
            + ". Nothing was stopped or changed.",
            kind="refused",
            evidence={"sockets": {name: stack.service(name).socket for name in found}},
            remedies=[*dict.fromkeys(obstacle.cure for obstacle in found.values()), cures.AGAIN],
        )


def in_the_way(stack: Stack, service: Service, seen: Observation) -> t.Optional[InTheWay]:
    """Return what a restart of everything would refuse at the path of a service's socket; None when nothing."""
    one = seen.sockets.get(service.socket)
    if one is None or any(is_of(service, holder) for holder in one.holders):
        return None
    return _against(stack, service, one, EVERYTHING)


def _against(stack: Stack, service: Service, seen: SocketSeen, plan: RunPlan) -> t.Optional[InTheWay]:
    """Return what is in the way of a start on a socket; None when nothing is, or the run ends it."""
    if seen.state == MISSING:
        return None
    another = cures.correct(f"the manifest: give {service.name} another socket")
    if seen.state == OTHER:
        # Outside of the root it is somebody else's.
        below = seen.path.startswith(f"{os.path.normpath(stack.root)}/")
        return InTheWay(f"{seen.path} is {seen.what}", cures.move_away(seen.path) if below else another)
    if seen.state == STALE:
        why = why_not_removed(stack, seen)
        text = f"{seen.path} is left over, nobody listens on it, and it is not removed: {why}"
        return InTheWay(text, cures.remove(seen.path)) if why else None
    if seen.state != LISTENED:
        return InTheWay(f"{seen.path}: {seen.what}", cures.rights(os.path.dirname(seen.path), seen.path))
    stays = next((one for one in seen.holders if not _ends(one, plan)), None)
    if stays is None:
        return None
    cure = cures.holder(seen.path) if stays.process is None else end_or_stop(stays)
    if stays.provenance == SUPERVISED and stays.service:
        cure = another
    return InTheWay(f"{seen.path} is listened to by {described(stays)}", cure)


def _ends(holder: Holder, plan: RunPlan) -> bool:
    """Return whether a run ends who listens on a socket before it starts anything there."""
    if holder.provenance in (ORPHAN, DUPLICATE):
        # A sweep ends the one, and the other goes with its supervisord.
        return True
    if holder.provenance != SUPERVISED:
        return False
    return plan.supervisord != KEEP or holder.service in plan.stop


def clear_sockets(stack: Stack, names: t.Iterable[str], record: t.Callable[[t.Sequence[str]], None]) -> None:
    """Remove the sockets that are left over at the paths of services which are about to start.

    Args:
        stack: the manifest.
        names: of the services.
        record: told the paths before they are removed.

    Raises:
        RollcallError: something else stands there, or somebody listens there. It is left as it is.
    """
    services = [stack.service(name) for name in names if stack.service(name).socket]
    seen = look_at_sockets(stack, services, {}) if services else {}
    refused = [one for one in seen.values() if one.state not in (MISSING, STALE)]
    if refused:
        first = refused[0]
        told = f"{described(first.holders[0])} listens there" if first.holders else first.what or "it may not be asked"
        raise RollcallError(
            f"{first.path} is not free: {told}.",
            evidence={"path": first.path, "state": first.state},
            remedies=[cures.move_away(first.path) if first.state == OTHER else cures.holder(first.path)],
        )
    # One outside of the root, that its service has just left there, is for the service to see to.
    left = [path for path, one in seen.items() if one.state == STALE and not why_not_removed(stack, one)]
    if not left:
        return
    record(left)
    for path in left:
        _remove(path)


def _remove(path: str) -> None:
    """Remove a socket unless somebody has one of that path open, such as one that is between bind(2) and listen(2)."""
    if unix_listeners.at_path(path, unix_listeners.bound()) or socket_files.look(path).state != STALE:
        raise RollcallError(
            f"{path} is not removed: a process has it open by now.",
            evidence={"path": path},
            remedies=[cures.holder(path)],
        )
    try:
        remove(path, missing_ok=True)
    except OSError as exc:
        raise RollcallError(
            f"The left-over socket {path} cannot be removed: {exc.strerror}.",
            evidence={"path": path, "errno": exc.errno},
            remedies=[cures.rights(os.path.dirname(path), path)],
        ) from exc
