# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""At which addresses a service needs its port, and who is in its way there.

A port is one of an address: whoever listens on 127.0.0.9 takes nothing from a service on 127.0.0.1, and any user may.
"""

from __future__ import annotations

import typing as t

from ..host import bind
from ..host.model import Listener
from ..manifest.model import Service, Stack
from .provenance import FOREIGN, UNKNOWN, Holder

WILDCARDS = frozenset({"0.0.0.0", "::"})


class Need(t.NamedTuple):
    """An address that a service listens on, and the families whose port it has there."""

    address: str
    families: t.Tuple[str, ...]


def needs(service: Service, holders: t.Iterable[Holder], port: t.Optional[int] = None) -> t.Tuple[Need, ...]:
    """Return where a service needs its port; nothing when that is not known, and it may need every address.

    Args:
        service: of the manifest.
        holders: the listeners of its port, as they are or were while it ran. Where it listens itself it needs it;
            else where its health is asked.
        port: which of its ports; None for the first.
    """
    own = [holder.listener for holder in holders if _is_of(service, holder)]
    if own:
        return tuple(dict.fromkeys(Need(one.address, one.families) for one in own))
    wanted = service.port if port is None else port
    health = next((check for check in service.all_health if check.port == wanted and not check.answered_by), None)
    if health is None:
        return ()
    host = "127.0.0.1" if health.host == "localhost" else health.host
    if ":" in host:
        return (Need(host, ("ipv6",)),)
    return (Need(host, ("ipv4",)),) if host.replace(".", "").isdigit() else ()


def all_needs(stack: Stack, holders: t.Mapping[int, t.Sequence[Holder]]) -> t.Dict[int, t.Tuple[Need, ...]]:
    """Return by port where the services of a stack need theirs; arguments as `needs`."""
    return {port: needs(one, holders.get(port, ()), port) for one in stack.services for port in one.all_ports.values()}


def _is_of(service: Service, holder: Holder) -> bool:
    return holder.provenance not in (FOREIGN, UNKNOWN) and holder.service == service.name


def in_the_way(holder: Holder, needed: t.Sequence[Need]) -> bool:
    """Return whether a holder has something of what is needed; what is the stack's own is in the way wherever it is."""
    if holder.provenance not in (FOREIGN, UNKNOWN) or not needed:
        return True
    return any(_overlap(holder.listener, need) for need in needed)


def why_unbindable(port: int, needed: t.Sequence[Need]) -> t.Optional[str]:
    """Return why a service could not listen on a port where it needs it; None when it could.

    A port that is free at every address is asked for with one bind; that is what ports mostly are.
    """
    reason = bind.bindable(port)
    if reason is None or not needed:
        return reason
    answers = (bind.bindable(port, need.address) for need in needed)
    return next((answer for answer in answers if answer is not None), None)


def _overlap(listener: Listener, need: Need) -> bool:
    if not set(listener.families).intersection(need.families):
        return False
    return listener.address == need.address or bool(WILDCARDS.intersection((listener.address, need.address)))
