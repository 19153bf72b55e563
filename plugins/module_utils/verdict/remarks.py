# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a look tells beside its verdict, because it may be wanted: notes that fail nothing. Pure."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..host.model import Listener
from ..manifest.model import Service, Stack
from ..ports.needs import WILDCARDS, in_the_way, needs
from ..ports.provenance import FOREIGN, UNKNOWN, Holder
from .observation import Observation, owns

# The codes of remarks. A port that the manifest does not name; a stranger on the port of a service.
ELSEWHERE = "elsewhere"
BESIDE = "beside"
# supervisord writes to another file than has the name of the log.
LOST = "lost"


class Remark:
    """One thing that may be wanted.

    No NamedTuple: to make one takes longer at each start than all the rest here.

    Attributes:
        service: which it is about.
        code: one of those above.
        text: what was seen, for people; without the service's name.
        cure: what to do where it is not wanted.
    """

    def __init__(self, service: str, code: str, text: str, cure: str) -> None:
        self.service = service
        self.code = code
        self.text = text
        self.cure = cure


def remarks(stack: Stack, seen: Observation) -> t.List[Remark]:
    """Return what is remarkable about the services of a stack that run."""
    running = [service for service in stack.services if _has_process(service, seen)]
    kinds = (_beside, _elsewhere, _lost)
    return [remark for service in running for kind in kinds for remark in kind(service, seen)]


def notes_of(found: t.Iterable[Remark]) -> t.List[str]:
    """Return remarks as notes of a report."""
    return [f"{one.service}: {one.text}. {one.cure}" for one in found]


def _has_process(service: Service, seen: Observation) -> bool:
    return service.name in seen.programs and seen.programs[service.name].pid > 0


def _beside(service: Service, seen: Observation) -> t.Iterator[Remark]:
    """Tell of a stranger on the service's port at an address where a client that says ``localhost`` may get it.

    Which address that name leads to first, the resolver of each client decides.
    """
    for port in service.all_ports.values():
        holders = seen.holders.get(port, ())
        own = [holder for holder in holders if owns(service, holder)]
        needed = needs(service, holders, port)
        for other in holders if own else ():
            if other.provenance not in (FOREIGN, UNKNOWN) or in_the_way(other, needed) or not _is_localhost(other):
                continue
            text = (
                f"it listens on {own[0].listener.place}, and {other.summary} on {other.listener.place}: who connects "
                f"to localhost:{port} may get the one or the other"
            )
            yield Remark(service.name, BESIDE, text, cures.listener(port))


def _is_localhost(holder: Holder) -> bool:
    return holder.listener.address in (*WILDCARDS, "127.0.0.1", "::1")


def is_loopback(listener: Listener) -> bool:
    """Return whether only this host can reach a listener."""
    return listener.address == "::1" or listener.address.startswith("127.")


def _elsewhere(service: Service, seen: Observation) -> t.Iterator[Remark]:
    found = sorted(seen.elsewhere.get(service.name, ()), key=lambda one: (one.port, one.place))
    if found:
        also = "it also listens" if service.all_ports else "it listens"
        listed = ", ".join(f"{one.place} ({reach(one)})" for one in found)
        text = f"{also} on {listed}, and the manifest does not say so: nothing frees that, or looks who has it"
        yield Remark(service.name, ELSEWHERE, text, cures.then("name it in the manifest where it is wanted"))


def reach(listener: Listener) -> str:
    """Return in words who can reach a listener."""
    if is_loopback(listener):
        return "this host alone"
    return "every address of the host" if listener.address in WILDCARDS else "this address"


def _lost(service: Service, seen: Observation) -> t.Iterator[Remark]:
    """Tell of a log that was moved or deleted; what supervisord writes is read and judged all the same."""
    log = seen.logs.get(service.name)
    if log is not None and log.lost and not log.unfit:
        text = "its log was moved, deleted or replaced, and supervisord goes on writing to the file that it was"
        yield Remark(service.name, LOST, text, cures.FIX)
