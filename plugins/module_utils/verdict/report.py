# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The report of a look: what was seen and judged, as the data that command, modules and callback share. Pure."""

from __future__ import annotations

import os
import typing as t

from ..manifest.model import HTTP, HTTPS, Service, Stack
from ..state.lives import Exit, Lives
from ..state.stopped import Stopped
from .judge import Check, result_of
from .observation import Observation, listener_of, stopped_by_hand

if t.TYPE_CHECKING:
    from ..base.documents import ExitData, Provenance, Report, ServiceKind, ServiceRow


def report(
    stack: Stack,
    seen: Observation,
    checks: t.Sequence[Check],
    *,
    held: t.Mapping[str, str],
    stopped: Stopped,
    limit: float,
    whole: bool = True,
    downtimes: t.Optional[t.Mapping[str, float]] = None,
) -> Report:
    """Return the report of a look; a run fills in the keys that are empty here.

    Args:
        stack, seen: the manifest, and what was seen of it.
        checks: the judged checks; without any, ``ok`` is true.
        held, stopped: services that must stay down, with the reason; what somebody has stopped by hand.
        limit, whole: seconds that the look may take at the longest; whether all services of the stack are told.
        downtimes: by service that a run has stopped and started again, for how many seconds it was away.
    """
    return {
        "stack": stack.name,
        "root": stack.root,
        "host": os.uname().nodename,
        "ok": all(check.ok for check in checks),
        "result": result_of(checks),
        "services": [_row(service, seen, stopped, downtimes or {}) for service in stack.services],
        "whole": whole,
        "checks": [check.as_dict() for check in checks],
        "address": web_address(stack),
        "logs": stack.paths.logs,
        "held": dict(held),
        "generation": None,
        "limit": limit,
        "unfinished_run": None,
        "last_failure": None,
        "run_at_work": None,
        "next": next_commands(checks),
        "mode": None,
        "changed": None,
        "actions": [],
        "signals": [],
        "notes": [],
        "manifest_digest": None,
        "run": None,
        "seconds": None,
        "timings": {},
        "rolled_back": None,
        "standing": None,
    }


def young_notes(services: t.Sequence[Service], seen: Observation) -> t.List[str]:
    """Return a word about services without a past: a good verdict rests on the little that they have lived."""
    young = seen.young(services)
    if not young:
        return []
    age = min(seen.programs[name].age for name in young)
    who = f"{young[0]} is" if len(young) == 1 else f"{len(young)} services are"
    return [f"{who} only {age:.1f} s old; to watch longer: -e soak=30 or --soak 30"]


def next_commands(checks: t.Iterable[Check]) -> t.List[str]:
    """Return the remedies of the failed checks, each once."""
    advised = (check.proof.next for check in checks if not check.ok)
    return list(dict.fromkeys(command for command in advised if command))


def web_address(stack: Stack) -> t.Optional[str]:
    """Return the address of the first service that answers HTTP; None when none does."""
    for service in stack.services:
        health = service.health
        if health is not None and health.kind in (HTTP, HTTPS) and service.port is not None:
            return f"{health.kind}://{health.host}:{service.port}/"
    return None


def _row(service: Service, seen: Observation, by_hand: Stopped, downtimes: t.Mapping[str, float]) -> ServiceRow:
    """Return a service's row of the roll call."""
    program = seen.programs.get(service.name)
    stopped = stopped_by_hand(service.name, by_hand, seen)
    asked = service.health is not None and stopped is None
    holder = listener_of(service, seen, service.port)
    answer = seen.health.get(service.name)
    lives = seen.book.lives.get(service.name, Lives())
    return {
        "name": service.name,
        "kind": t.cast("ServiceKind", service.kind),
        "state": "UNKNOWN" if program is None else program.state,
        "pid": program.pid if program is not None and program.pid else None,
        "port": service.port,
        "ports": {called: port for called, port in service.all_ports.items() if called},
        "health": "none" if not asked else "ok" if answer is not None and answer.ok else "failed",
        "latency_ms": None if answer is None else round(answer.latency * 1000, 1),
        "answer": None if answer is None else answer.detail,
        "listener_pid": None if holder is None or holder.process is None else holder.process.pid,
        "provenance": None if holder is None else t.cast("Provenance", holder.provenance),
        "uptime": None if program is None or not program.pid else int(program.age),
        "exits": lives.earlier + len(lives.exits),
        "last_exit": None if not lives.exits else _exit(lives.exits[-1]),
        "stopped": None if stopped is None else {"by": stopped.by, "at": stopped.at, "along": stopped.along or None},
        "downtime": downtimes.get(service.name),
    }


def _exit(one: Exit) -> ExitData:
    return {"at": one.at, "lived": one.lived, "code": one.code, "signal": one.signal or None}
