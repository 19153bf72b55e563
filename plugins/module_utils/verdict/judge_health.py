# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Judges whether services are alive and ready, by their answers to their health checks. Pure."""

from __future__ import annotations

import os
import typing as t

from ..base import cures
from ..manifest.model import READY, Health, Service
from .conditions import NOT_READY
from .health_commands import health_command
from .judge import Case, Proof
from .judge_sockets import judge_socket
from .readiness import Answered, answers_of, is_warming_up, not_alive, not_ready


def judge_health(case: Case, service: Service) -> t.Optional[Proof]:
    """Judge the health checks that prove a service alive."""
    answers = [one for one in answers_of(service, case.seen) if one.check.proves != READY]
    if not answers or case.has_ended_well(service):
        return None
    if all(one.answer is None for one in answers):
        return Proof("was not asked: the service is not running", "not_asked")
    ill = not_alive(service, case.seen)
    # One that is not ready, and no more than that, is told by the check of that name.
    told = [one for one in answers if one not in not_ready(service, case.seen)]
    warming = "" if ill or all(one.ok for one in answers) else _warming_up(service)
    said = "; ".join([one.said for one in ill or told] + ([warming] if warming else []))
    data = _data_of(ill or answers)
    if not ill:
        return Proof(said, data=data)
    if all(one.answer is not None and one.answer.ok for one in ill):
        if ill[0].check.socket:
            listens = judge_socket(case, service)
            return Proof(said, "another", None if listens is None else listens.next, data)
        hint = "Where that is meant, say so in its health check: answered_by"
        return Proof(f"{said}. {hint}", "another", cures.listener(ill[0].check.port), data)
    wrong = next(one for one in ill if one.answer is not None and not one.answer.ok)
    return Proof(said, "wrong", _command(case, service, wrong.check), data)


def judge_ready(case: Case, service: Service) -> t.Optional[Proof]:
    """Judge whether a service is ready, where that is something else than to be alive."""
    only = [one for one in answers_of(service, case.seen) if one.check.proves == READY]
    waits = not_ready(service, case.seen)
    if case.has_ended_well(service) or not (only or waits):
        return None
    if not waits:
        if all(one.answer is None for one in only):
            return Proof("was not asked: the service is not running", "not_asked")
        return Proof("; ".join(one.said for one in only), data=_data_of(only))
    said = "; ".join(
        [one.said for one in waits] + ([_warming_up(service)] if is_warming_up(service, case.seen) else [])
    )
    code = "lost" if service.name in case.expected.started else NOT_READY
    return Proof(said, code, _command(case, service, waits[0].check), _data_of(waits))


def _command(case: Case, service: Service, check: Health) -> str:
    """Return the command that asks a check as it was asked: of root a unix socket would keep nobody out."""
    return health_command(service.name, check, (case.stack.user or "") if os.geteuid() == 0 else "")


def _warming_up(service: Service) -> str:
    return f"it may warm up until it is {service.start.grace:g} s old"


def _data_of(answers: t.Sequence[Answered]) -> t.Dict[str, t.Any]:
    """Return the evidence of one answer, and below the names of their checks that of all where they have names."""
    known = [(one.check.name, one.answer) for one in answers if one.answer is not None]
    each = {name: {"status": answer.status, "latency_ms": round(answer.latency * 1000, 1)} for name, answer in known}
    first: t.Dict[str, t.Any] = next(iter(each.values()), {})
    named = {name: data for name, data in each.items() if name}
    return {**first, "checks": named} if named else first
