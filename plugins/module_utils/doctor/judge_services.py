# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is wrong with the services of a stack, and with their ports."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.text import count
from ..ports.judge import services_by_port
from ..run.sockets import in_the_way
from ..verdict.judge_running import described_exit
from ..verdict.lives import STEADY
from ..verdict.observation import stopped_by_hand
from ..verdict.readiness import not_ready, trouble
from ..verdict.remarks import BESIDE, ELSEWHERE, remarks
from . import repairs
from .facts import HostFacts
from .findings import ERROR, NOTE, WARNING, FindingKind, Sighting


def _port_taken(facts: HostFacts) -> t.Iterator[Sighting]:
    services = {} if facts.stack is None else services_by_port(facts.stack)
    for port, objection in facts.ports.items():
        remedy = objection.remedies[0] if objection.remedies else facts.own(cures.check_port(port))
        data = {"port": port, "remedies": list(objection.remedies)}
        data.update((key, value) for key, value in objection.evidence.items() if key == "holders")
        yield Sighting(services.get(port) or str(port), objection.message, remedy, data)


def _socket_taken(facts: HostFacts) -> t.Iterator[Sighting]:
    """Find sockets of services at whose paths something stands that a start would refuse."""
    if facts.seen is None or facts.stack is None or facts.lock is not None:
        return
    for service in facts.stack.services:
        objection = in_the_way(facts.stack, service, facts.seen)
        if objection is not None:
            yield Sighting(service.name, objection.text, objection.cure, {"socket": service.socket})


def _port_of_the_kernel(facts: HostFacts) -> t.Iterator[Sighting]:
    for problem in facts.problems:
        if problem["place"].endswith(".port"):
            yield Sighting(problem["place"], problem["message"], problem["cure"])


def _not_healthy(facts: HostFacts) -> t.Iterator[Sighting]:
    if facts.seen is None or facts.stack is None:
        return
    for check in facts.stack.checks.databases:
        answer = facts.seen.databases.get(check.kind)
        if answer is not None and not answer.ok and check.service not in facts.held:
            yield Sighting(check.subject or "database", answer.detail, facts.own(cures.STATUS))
    if facts.seen.supervisord is None or facts.lock is not None:
        # Without a supervisord that answers nothing is known of any service, and a run at work is just changing them.
        return
    for service in facts.stack.services:
        meant = service.name in facts.held or stopped_by_hand(service.name, facts.stopped, facts.seen)
        found = None if meant else trouble(service, facts.seen)
        ports = set(service.all_ports.values()) if found is not None and found.check == "port" else set()
        known: t.Set[t.Any] = set(facts.ports) & ports
        if found is not None and found.check == "socket":
            known = {*known, *([service.socket] if in_the_way(facts.stack, service, facts.seen) else [])}
        if found is not None and not known:
            yield Sighting(service.name, found.text, facts.own(cures.START))


def _not_ready(facts: HostFacts) -> t.Iterator[Sighting]:
    if facts.seen is None or facts.stack is None or facts.lock is not None:
        return
    for service in facts.stack.services:
        waits = not_ready(service, facts.seen)
        if waits and trouble(service, facts.seen) is None:
            yield Sighting(service.name, "; ".join(one.said for one in waits), facts.own(cures.look_at(service.name)))


def _not_lasting(facts: HostFacts) -> t.Iterator[Sighting]:
    yield from _ended(facts, lasting=False)


def _has_ended(facts: HostFacts) -> t.Iterator[Sighting]:
    yield from _ended(facts, lasting=True)


def _ended(facts: HostFacts, *, lasting: bool) -> t.Iterator[Sighting]:
    """Find services that have ended by themselves, and have lived for long enough since, or not."""
    if facts.seen is None or facts.stack is None:
        return
    for service in facts.stack.services:
        stands = facts.seen.standing(service)
        if stands is not None and stands.counted and (stands.word == STEADY) == lasting:
            last, log = stands.counted[-1], facts.own(cures.logs(service.name))
            text = f"it has ended by itself, {count(len(stands.counted), 'time')} within 24 hours, last at "
            data = {"exits": len(stands.counted), "last": last.at, "asks": stands.asks}
            yield Sighting(service.name, text + described_exit(last), log, data)


def _held(facts: HostFacts) -> t.Iterator[Sighting]:
    for name, reason in facts.held.items():
        yield Sighting(name, reason, _bring(facts, name))


def _stopped(facts: HostFacts) -> t.Iterator[Sighting]:
    if facts.seen is not None and facts.seen.supervisord is not None:
        for name in facts.stopped:
            found = stopped_by_hand(name, facts.stopped, facts.seen)
            if found is not None:
                yield Sighting(name, found.words, facts.own(cures.start(found.along or name)))


def _bring(facts: HostFacts, name: str) -> str:
    service = None if facts.stack is None else facts.stack.service(name)
    variables = service is not None and bool(service.requires_env)
    return cures.bring(cures.INSTALL if variables else facts.own(cures.START))


def _listens_elsewhere(facts: HostFacts) -> t.Iterator[Sighting]:
    yield from _remarked(facts, ELSEWHERE)


def _listens_beside(facts: HostFacts) -> t.Iterator[Sighting]:
    yield from _remarked(facts, BESIDE)


def _remarked(facts: HostFacts, code: str) -> t.Iterator[Sighting]:
    if facts.seen is not None and facts.stack is not None:
        for remark in remarks(facts.stack, facts.seen):
            if remark.code == code:
                yield Sighting(remark.service, remark.text, remark.cure)


def _log_lost(facts: HostFacts) -> t.Iterator[Sighting]:
    for path in facts.lost_logs:
        text = "it was deleted, renamed or replaced, and supervisord goes on writing to the file that it was"
        yield Sighting(path, text, facts.own(cures.FIX))


KINDS = (
    FindingKind(
        "port_held",
        ERROR,
        "an assigned port is taken by what is not the stack's, or by nobody that can be seen",
        "the command that ends its listener for good; the finding's data has the override and the other ways",
        _port_taken,
    ),
    FindingKind(
        "socket_held",
        ERROR,
        "at the path of a service's unix socket stands what no run removes, or what is not the service's listens there",
        "the command that ends it, or takes it out of the way",
        _socket_taken,
    ),
    FindingKind(
        "port_kernel",
        WARNING,
        "the kernel gives an assigned port to clients, or to root alone",
        "`sysctl -w net.ipv4.ip_local_reserved_ports=PORT`, or another port",
        _port_of_the_kernel,
        in_the_way=True,
    ),
    FindingKind(
        "not_healthy",
        ERROR,
        "a service, or the database, is not as it must be",
        "`rollcall start`; `rollcall status` for the database",
        _not_healthy,
    ),
    FindingKind(
        "not_ready",
        NOTE,
        "a service is alive and not ready, or warming up",
        "`rollcall status NAME` until it is",
        _not_ready,
    ),
    FindingKind(
        "not_lasting",
        ERROR,
        "a service has ended by itself, and has not lived for [long enough](../explanation/lives.md) since",
        "see in its log why, and mend it; where that changes nothing of the service, then `rollcall acknowledge`",
        _not_lasting,
    ),
    FindingKind(
        "has_ended",
        NOTE,
        "a service has ended by itself within 24 hours, and has lived for long enough since",
        "see in its log why",
        _has_ended,
    ),
    FindingKind(
        "held",
        NOTE,
        "a service stays down because something that it requires is missing",
        "bring what it requires, then `rollcall start`",
        _held,
    ),
    FindingKind(
        "stopped",
        NOTE,
        "a service stays down because somebody has stopped it by its name",
        "`rollcall start NAME`",
        _stopped,
    ),
    FindingKind(
        "listens_beside",
        WARNING,
        "a stranger listens on the port of a service at another address, which `localhost` may lead to",
        "see who it is, and end it or give the service another port",
        _listens_beside,
    ),
    FindingKind(
        "listens_elsewhere",
        NOTE,
        "a service listens on a port that the manifest does not name",
        "name the port in the manifest where it is wanted",
        _listens_elsewhere,
    ),
    FindingKind(
        "log_lost",
        WARNING,
        "supervisord writes to another file than the log of a service",
        "`rollcall doctor --fix`",
        _log_lost,
        repairs.REOPEN,
    ),
)
