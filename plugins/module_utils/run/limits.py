# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How long a run takes at the longest, whatever hangs: the sum of the deadlines of all its waits."""

from __future__ import annotations

import dataclasses
import typing as t

from ..base.errors import RollcallError
from ..host.sweep import ROUNDS
from ..manifest.graph import levels
from ..manifest.model import Service, Stack
from ..manifest.selection import narrowed
from ..ports import flush
from ..state.generations import load_stack
from ..supervisord.client import batch_seconds
from ..verdict.limits import FILES, look_limit, verify_limit
from . import descent, holder, preflight
from .choice import choice_of, scope
from .modes import AUTO, NOTHING, RELOAD, Mode
from .order import ranks
from .request import Request
from .rolling import rolling_names
from .timers import job_seconds

SUPERVISORD_START = 15.0
# Seconds that a run is waited for beyond the sum of all its deadlines. One that takes longer hangs in the kernel.
SLACK = 10.0
# What the parts of a run are for.
LOOK, DOWN, FREE, JUDGE = "to look", "to stop what runs", "for ports to become free", "to judge"


def limit_of(request: Request, stack: Stack) -> float:
    """Return the seconds that a request takes at the longest, a way back included; raises as `parts_of`."""
    return sum(parts_of(request, stack).values())


def parts_of(request: Request, stack: Stack) -> t.Dict[str, float]:
    """Return what the longest time of a request is made of: seconds by what they are for, in words.

    Raises:
        RollcallError: ``wrong_use``: it names services that there are not.
    """
    choice = choice_of(request, stack)
    running = _installed(request)
    either = stack if running is None else with_stops_of(stack, running)

    def parts(mode: Mode) -> t.Dict[str, float]:
        return run_parts(
            either,
            mode,
            grace=request.grace,
            kill_grace=request.kill_grace,
            soak=request.soak,
            services=None if choice is None else scope(stack, choice),
        )

    # What has failed is stopped, and what ran before is started and judged.
    back = running is not None and request.on_failure == "rollback" and request.mode.starts
    return {**parts(request.mode), **({"to go back if it fails": sum(parts(AUTO).values())} if back else {})}


def _installed(request: Request) -> t.Optional[Stack]:
    """Return the installed manifest where another one is wanted: its services run, and are stopped as it says."""
    if request.wanted is None:
        return None
    try:
        return load_stack(request.paths)
    except RollcallError:
        # There is none, or it cannot be read: the run says so, or replaces it.
        return None


def with_stops_of(stack: Stack, running: Stack) -> Stack:
    """Return a manifest whose services may take as long to stop and to be ready as those that run, with those of them
    that it does not have."""
    others = {service.name: service for service in running.services}
    services = []
    for service in stack.services:
        other = others.pop(service.name, service)
        longer = max(service.stop.timeout, other.stop.timeout)
        ready = max(service.ready_timeout, other.ready_timeout)
        stop = dataclasses.replace(service.stop, timeout=longer)
        services.append(dataclasses.replace(service, stop=stop, ready_timeout=ready))
    # Nothing of the wanted manifest waits for these.
    services += [dataclasses.replace(other, depends_on={}) for other in others.values()]
    return dataclasses.replace(stack, services=tuple(services), timers=(*stack.timers, *running.timers))


def run_limit(stack: Stack, mode: Mode, *, grace: float, kill_grace: float, soak: float = 0.0) -> float:
    """Return the seconds that a run of all services takes at the longest; arguments as `run_parts`."""
    return sum(run_parts(stack, mode, grace=grace, kill_grace=kill_grace, soak=soak).values())


def run_parts(
    stack: Stack,
    mode: Mode,
    *,
    grace: float,
    kill_grace: float,
    soak: float = 0.0,
    services: t.Optional[t.Container[str]] = None,
) -> t.Dict[str, float]:
    """Return what the longest time of a run is made of: seconds by what they are for, in words.

    Args:
        stack: the manifest.
        mode: of the run.
        grace: seconds from TERM to KILL for what is not ended by supervisord.
        kill_grace: seconds to wait after KILL.
        soak: seconds that each service must have lived before the verdict.
        services: the only ones that the run is about, and what they need; None for all.
    """
    # What is looked at besides: files and space, what is held, and the files that services were started with.
    part = narrowed(stack, services)
    prove = preflight.PARSE_BACK_TIMEOUT + look_limit(part) + 4 * FILES + kill_grace
    if mode.kills:
        prove += holder.PATIENCE + grace + kill_grace
    ending = grace + kill_grace
    reload = max((one.ready_timeout + one.stable_for for one in part.services if one.reload is not None), default=0.0)
    if mode is RELOAD:
        return {LOOK: prove, "to reload": reload, JUDGE: verify_limit(part, soak)}
    # Where no service has a port, none is waited for.
    ports = any(service.all_ports for service in part.services)
    free = flush.ROUNDS * ending + flush.RETURN + flush.TIME_WAIT + kill_grace if ports else 0.0
    if mode.stops == NOTHING:
        return {LOOK: prove, FREE: free}
    down = ROUNDS * ending + (
        _emergency(part, ending) if mode.kills else _careful(stack, part, kill_grace, alone=services is not None)
    )
    if services is None:
        down += job_seconds(stack)
    if not mode.starts:
        return {LOOK: prove, DOWN: down, JUDGE: look_limit(part)}
    ready = _by_level(stack, part, lambda service: service.ready_timeout)
    ready += _one_by_one(stack, part) + reload
    up = SUPERVISORD_START + batch_seconds(len(part.services)) + ready
    freed = {FREE: free} if mode.frees_ports and ports else {}
    return {LOOK: prove, DOWN: down, **freed, "to start": up, JUDGE: verify_limit(part, soak)}


def _careful(stack: Stack, part: Stack, kill_grace: float, *, alone: bool) -> float:
    one_by_one = sum(service.stop.timeout for service in part.services)
    margins = descent.STOP_MARGIN + descent.PORT_MARGIN
    # Those of one rank are stopped level by level, and one rank after the other.
    turn = ranks({service.name: service for service in stack.services}, [service.name for service in part.services])
    services = sum(
        _by_level(
            stack,
            narrowed(part, [name for name in turn if turn[name] == one]),
            lambda service: service.stop.timeout + margins,
        )
        for one in set(turn.values())
    )
    services += batch_seconds(len(part.services))
    if alone:
        return services + kill_grace
    # Supervisord stops its services one after the other: that which answers, and then the rivals.
    supervisord = one_by_one + descent.STOP_MARGIN
    return services + 2 * supervisord + 1.5 * len(part.services) + kill_grace


def _one_by_one(stack: Stack, part: Stack) -> float:
    """Return how much longer it takes to restart instances one after the other, as if each service waited for all."""
    names = rolling_names(stack)
    margins = descent.STOP_MARGIN + descent.PORT_MARGIN
    return sum(one.stop.timeout + margins + one.ready_timeout for one in part.services if one.name in names)


def _emergency(stack: Stack, ending: float) -> float:
    # Supervisords are asked to stop, then ended by pid, then their descendants are ended.
    return batch_seconds(len(stack.services)) + 3 * ending


def _by_level(stack: Stack, part: Stack, seconds: t.Callable[[Service], float]) -> float:
    """Return the sum of the longest wait of each level: services of one level are waited for together.

    Args:
        stack: all services, which the levels are made of.
        part: the same with those services only that are waited for.
        seconds: returns the wait for a service.
    """
    waits = {service.name: seconds(service) for service in part.services}
    return sum(max((waits.get(name, 0.0) for name in level), default=0.0) for level in levels(stack))
