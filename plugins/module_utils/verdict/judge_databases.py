# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The checks ``reached`` and ``database``: whether a database is there, and answers with a service's URL. Pure."""

from __future__ import annotations

import typing as t

from ..manifest.model import DatabaseCheck, Stack
from ..probes.answers import DatabaseAnswer
from .judge import Case, Proof


def databases(case: Case) -> t.Sequence[t.Tuple[str, t.Any]]:
    """Return the databases that are judged, each with its subject."""
    # A database whose service is held may have no URL yet. The check `held` tells what that service waits for.
    return [
        (check.subject or case.stack.name, check)
        for check in case.stack.checks.databases
        if check.kind in case.seen.databases and not _is_of_held(case, check)
    ]


def asks_alike(stack: Stack, other: Stack) -> bool:
    """Return whether two manifests have the same databases, at the same addresses."""
    if stack.checks.databases != other.checks.databases:
        return False
    return all(_url(stack, check) == _url(other, check) for check in stack.checks.databases)


def _url(stack: Stack, check: DatabaseCheck) -> t.List[t.Tuple[t.Optional[str], t.Optional[str]]]:
    """Return the URL in the environment of each instance that has it, or the digest of one that is secret."""
    users = [service for service in stack.services if check.service and check.service in (service.name, service.group)]
    return [(service.env.get(check.variable), service.secrets.get(check.variable)) for service in users]


def _is_of_held(case: Case, check: DatabaseCheck) -> bool:
    users = [service.name for service in case.stack.services if check.service in (service.name, service.group)]
    return bool(check.service and users) and all(name in case.expected.held for name in users)


def judge_reached(case: Case, check: DatabaseCheck) -> Proof:
    """Judge whether the address accepts connections."""
    answer = case.seen.databases[check.kind]
    if answer.reached:
        return Proof(f"{check.kind} is there", data=_data(check, answer))
    return Proof(answer.detail, "unreachable", answer.command, _data(check, answer))


def judge_database(case: Case, check: DatabaseCheck) -> Proof:
    """Judge the answer to the URL that the service has."""
    answer = case.seen.databases[check.kind]
    if answer.ok:
        return Proof(answer.detail, data=_data(check, answer))
    return Proof(answer.detail, "wrong", answer.command, _data(check, answer))


def _data(check: DatabaseCheck, answer: DatabaseAnswer) -> t.Dict[str, t.Any]:
    data = {"kind": check.kind, "reached": answer.reached, "latency_ms": round(answer.latency * 1000, 1)}
    if check.path:
        data["path"] = check.path
    if check.service:
        data.update(service=check.service, variable=check.variable)
    return data
