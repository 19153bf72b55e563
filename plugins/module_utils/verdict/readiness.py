# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Whether a service is alive, and whether it is ready, by its answers to its health checks. Pure.

A service may be alive and not ready: while it warms up, or when it has been drained. That is no reason to restart it.
docs/explanation/verdict.md says what follows from either.
"""

from __future__ import annotations

import typing as t

from ..base.port_numbers import nobody_on
from ..manifest.model import ALIVE, ANYONE, READY, Health, Service, address_of
from ..ports.provenance import SUPERVISED, Holder
from ..ports.unix_sockets import SocketSeen
from ..probes.answers import HealthAnswer
from .observation import Observation, completed, describe_state, dying_text, has_ended_well, listener_of, owns

# How the health of a service is told in a report.
HealthWord = t.Literal["none", "ok", "not_ready", "failed"]


class Answered(t.NamedTuple):
    """One health check of a service, and what came of it.

    Attributes:
        check: of the service.
        answer: its last answer; None when it was not asked.
        impostor: why the answer is not the service's own; empty when it is, or need not be.
    """

    check: Health
    answer: t.Optional[HealthAnswer]
    impostor: str

    @property
    def ok(self) -> bool:
        """Whether it is the wanted answer, of the service itself."""
        return self.answer is not None and self.answer.ok and not self.impostor

    @property
    def said(self) -> str:
        """The answer in words, behind the name of the check where it has one."""
        text = "was not asked" if self.answer is None else self.answer.detail
        if self.answer is not None and self.answer.ok and self.impostor:
            text += f", and not by the service: {self.impostor}"
        return f"{self.check.name}: {text}" if self.check.name else text


class Trouble(t.NamedTuple):
    """Why a service is not healthy.

    Attributes:
        check: the check of the verdict that fails, such as running.
        text: the reason in a few words.
    """

    check: str
    text: str


def answers_of(service: Service, seen: Observation) -> t.List[Answered]:
    """Return each health check of a service with its last answer."""
    found = []
    for check in service.all_health:
        answer = seen.health.get(address_of(service.name, check.name))
        impostor = None if answer is None else _imposture(service, check, answer, seen)
        found.append(Answered(check, answer, impostor or ""))
    return found


def is_warming_up(service: Service, seen: Observation) -> bool:
    """Return whether the process of a service has not lived for longer than it may take to warm up."""
    program = seen.programs.get(service.name)
    return program is not None and program.pid > 0 and program.age < service.start.grace


def not_alive(service: Service, seen: Observation) -> t.List[Answered]:
    """Return the bad answers that say that a service is ill; none while it warms up."""
    return [] if is_warming_up(service, seen) else [one for one in _bad(service, seen) if one.check.proves != READY]


def not_ready(service: Service, seen: Observation) -> t.List[Answered]:
    """Return the bad answers that say that a service is not ready, and no more than that."""
    warming = is_warming_up(service, seen)
    return [one for one in _bad(service, seen) if one.check.proves == READY or (warming and one.check.proves != ALIVE)]


def _bad(service: Service, seen: Observation) -> t.List[Answered]:
    return [one for one in answers_of(service, seen) if one.answer is not None and not one.ok]


def health_word(service: Service, answers: t.Sequence[Answered], seen: Observation) -> HealthWord:
    """Return how the health of a service is told.

    Args:
        service: of the manifest.
        answers: its checks with their answers; none where it is not to be asked.
        seen: what was seen of the stack.
    """
    if not answers:
        return "none"
    if all(one.answer is None for one in answers) or not_alive(service, seen):
        return "failed"
    return "not_ready" if not_ready(service, seen) else "ok"


def trouble(service: Service, seen: Observation) -> t.Optional[Trouble]:
    """Return why a service that should be up is not healthy; None when it is."""
    program = seen.programs.get(service.name)
    if program is None:
        return Trouble("running", "supervisord does not know it")
    if service.name in seen.altered:
        return Trouble("config", seen.altered[service.name])
    if service.kind == "oneshot":
        return None if completed(program) else Trouble("running", describe_state(program))
    if has_ended_well(service, program):
        return None
    if program.state != "RUNNING":
        return Trouble("running", describe_state(program))
    if service.name in seen.halted:
        return Trouble("running", seen.halted[service.name].text)
    if service.name in seen.dying:
        return Trouble("workers", dying_text(seen.dying[service.name]))
    for port in service.all_ports.values():
        holder = listener_of(service, seen, port)
        if holder is None:
            return Trouble("port", nobody_on(port))
        if not owns(service, holder):
            return Trouble("port", f"port {port} is taken by {holder.summary}")
    lacking = socket_trouble(service, seen)
    if lacking:
        return Trouble("socket", lacking)
    if service.name in seen.other_releases:
        return Trouble("release", f"it runs from release {', '.join(seen.other_releases[service.name])}")
    ill = not_alive(service, seen)
    return Trouble("health", f"health: {'; '.join(one.said for one in ill)}") if ill else None


def socket_trouble(service: Service, seen: Observation) -> str:
    """Return why a service does not listen on its unix socket, or not alone; empty when it does, or has none."""
    return seen.sockets.get(service.socket, SocketSeen(service.socket)).why_not(service) if service.socket else ""


def _imposture(service: Service, check: Health, answer: HealthAnswer, seen: Observation) -> t.Optional[str]:
    """Return why an answer is not that of the service; None when it is, or need not be.

    Over a unix socket it is that of who listens there, which was seen before the question was sent.

    The kernel gives a connection to the listener of that very address, and to one of all addresses where there is none.
    """
    if check.socket:
        # That check tells who listens there, and what to do.
        return "see the check socket" if socket_trouble(service, seen) else None
    if not answer.peer or check.answered_by == ANYONE:
        return None
    place = f"{answer.peer} port {check.port}"
    if not answer.local:
        return f"{place} is another host"
    wanted = check.answered_by or service.name
    listening = seen.holders.get(check.port, ())
    found = [one for one in listening if one.listener.address == answer.peer]
    found = found or [one for one in listening if one.listener.address in ("0.0.0.0", "::")]
    if not found:
        return f"no process of this host listens on {place}: the kernel, or a container, passes it on"
    others = [one for one in found if one.provenance != SUPERVISED or not _is_called(one, wanted)]
    return f"{others[0].summary} listens on {place}, which is not {wanted}" if others else None


def _is_called(holder: Holder, name: str) -> bool:
    """Return whether a listener is that of a service, or of one of its instances."""
    return holder.service == name or (holder.service or "").rpartition("-")[0] == name
