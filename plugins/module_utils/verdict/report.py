# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The report of a look: what was seen and judged, as the data that command, modules and callback share. Pure."""

from __future__ import annotations

import os
import typing as t

from ..manifest.model import HTTP, HTTPS, Service, Stack
from ..ports.provenance import Holder
from ..probes.answers import HealthAnswer
from ..state.lives import Exit, Lives
from ..state.stopped import Stopped
from .judge import Check, result_of
from .observation import Observation, listener_of, stopped_by_hand
from .readiness import Answered, answers_of, health_word

if t.TYPE_CHECKING:
    from ..base.documents import AskedData, ExitData, Provenance, Report, ServiceKind, ServiceRow
    from ..base.job_documents import TimerRow


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
    timers: t.Sequence[TimerRow] = (),
) -> Report:
    """Return the report of a look; a run fills in the keys that are empty here.

    Args:
        stack, seen, checks, held, stopped: the manifest; what was seen, judged, is held and why, was stopped by hand.
        whole, limit, downtimes, timers: as in `Report`; by service the seconds away. Without checks, ``ok`` is true.
    """
    return {
        "stack": stack.name,
        "root": stack.root,
        "host": os.uname().nodename,
        "ok": all(check.ok for check in checks),
        "result": result_of(checks),
        "services": [_row(service, seen, stopped, downtimes or {}) for service in stack.services],
        "timers": list(timers),
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
        "watcher": None,
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


def young_notes(services: t.Sequence[Service], seen: Observation, soak: float = 0) -> t.List[str]:
    """Return a word about services without a past: a good verdict rests on the little that they have lived.

    Args:
        services: that are judged.
        seen: what was seen of them.
        soak: the seconds that somebody has asked each to live for; they know then how long they have watched.
    """
    young = seen.young(services)
    if soak or not young:
        return []
    age, youngest = min((seen.programs[name].age, name) for name in young)
    who = f"{youngest} is" if len(young) == 1 else f"{len(young)} services have not lived for long, {youngest} is"
    return [f"{who} only {age:.1f} s old; to watch longer: -e soak=30 or --soak 30"]


def next_commands(checks: t.Iterable[Check]) -> t.List[str]:
    """Return the remedies of the failed checks, each once."""
    advised = (check.proof.next for check in checks if not check.ok)
    return list(dict.fromkeys(command for command in advised if command))


def web_address(stack: Stack) -> t.Optional[str]:
    """Return the address of the first service that answers HTTP; None when none does."""
    for service in stack.services:
        for health in service.all_health if service.port is not None else ():
            if health.kind in (HTTP, HTTPS):
                return f"{health.kind}://{health.host}:{service.port}/"
    return None


def _row(service: Service, seen: Observation, by_hand: Stopped, downtimes: t.Mapping[str, float]) -> ServiceRow:
    """Return a service's row of the roll call."""
    program = seen.programs.get(service.name)
    stopped = stopped_by_hand(service.name, by_hand, seen)
    answers = [] if stopped is not None else answers_of(service, seen)
    told = next((one for one in answers if not one.ok), next(iter(answers), None))
    holder = listener_of(service, seen, service.port) or _at_socket(service, seen)
    lives = seen.book.lives.get(service.name, Lives())
    return {
        "name": service.name,
        "kind": t.cast("ServiceKind", service.kind),
        "state": "UNKNOWN" if program is None else program.state,
        "pid": program.pid if program is not None and program.pid else None,
        "port": service.port,
        "ports": {called: int(port) for called, port in service.all_ports.items() if called},
        "udp": list(service.udp_ports),
        "socket": service.socket or None,
        "health": health_word(service, answers, seen),
        "latency_ms": _latency([one.answer for one in answers]),
        "answer": None if told is None or told.answer is None else told.answer.detail,
        "asked": [_asked(one) for one in answers],
        "listener_pid": None if holder is None or holder.process is None else holder.process.pid,
        "provenance": None if holder is None else t.cast("Provenance", holder.provenance),
        "uptime": None if program is None or not program.pid else int(program.age),
        "exits": lives.earlier + len(lives.exits),
        "last_exit": None if not lives.exits else _exit(lives.exits[-1]),
        "stopped": None if stopped is None else {"by": stopped.by, "at": stopped.at, "along": stopped.along or None},
        "downtime": downtimes.get(service.name),
    }


def _at_socket(service: Service, seen: Observation) -> t.Optional[Holder]:
    found = seen.sockets.get(service.socket)
    return None if found is None or service.port is not None else found.holder_of(service)


def _asked(one: Answered) -> AskedData:
    return {
        "name": one.check.name or one.check.kind,
        "proves": t.cast("t.Literal['alive', 'ready', 'both']", one.check.proves),
        "ok": one.ok,
        "latency_ms": _latency([one.answer]),
        "answer": None if one.answer is None else one.answer.detail,
    }


def _latency(answers: t.Sequence[t.Optional[HealthAnswer]]) -> t.Optional[float]:
    """Return the milliseconds of the slowest answer; None when there is none."""
    return max((round(answer.latency * 1000, 1) for answer in answers if answer is not None), default=None)


def _exit(one: Exit) -> ExitData:
    return {"at": one.at, "lived": one.lived, "code": one.code, "signal": one.signal or None}
