# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The plan of a run over some services only: those that were named, what depends on them, and what they need. Pure.

supervisord and all other services are left alone. docs/design/0011-services-by-name.md says why it is so.
"""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..manifest.graph import dependencies
from ..manifest.model import EXPECTED, Stack
from .choice import Choice, chosen
from .modes import NEEDED, RELOAD, RERUN, Mode
from .plan import (
    KEEP,
    RunPlan,
    StackFacts,
    assigned_ports,
    plan_of_all,
    reasons_for_processes,
    reload_plan,
    stop_order,
    supervisord_trouble,
    to_reload,
    trouble_of,
    with_what_is_held,
)
from .rolling import restarted_with, rolling_groups


def make_plan(stack: Stack, facts: StackFacts, mode: Mode, choice: t.Optional[Choice] = None) -> RunPlan:
    """Return what a mode does to the stack, or to the chosen services; arguments and errors as `plan_by_name`."""
    return plan_of_all(stack, facts, mode) if choice is None else plan_by_name(stack, facts, mode, choice)


def plan_by_name(stack: Stack, facts: StackFacts, mode: Mode, choice: Choice) -> RunPlan:
    """Return what a mode does to the chosen services.

    Args:
        stack: what is installed.
        facts: what is there.
        mode: one that goes by name.
        choice: which services.

    Raises:
        RollcallError: ``refused``: supervisord itself must be started or replaced, which touches every service.
    """
    if mode is RELOAD:
        return reload_plan(stack, facts, choice.names, judged=frozenset(choice.names))
    names = chosen(stack, choice)
    if not mode.starts:
        return _stopping(stack, facts, choice, names)
    cause = supervisord_trouble(facts)
    if cause is not None:
        raise RollcallError(
            f"{', '.join(choice.names)} cannot be started alone: {cause}, which concerns every service of stack "
            f"{stack.name}. Nothing was stopped or changed.",
            kind="refused",
            remedies=[cures.START],
        )
    if mode is RERUN:
        _check_ended(facts, choice)
    moved = restarted_with(stack, choice.names)
    names = {name for name in names if name in moved or not _is_up(facts, name)}
    reasons = _touched(stack, facts, choice, names) if mode.stops == NEEDED else _all(stack, facts, mode, choice, names)
    reasons = {**_needed(stack, facts, choice, reasons), **reasons}
    reasons = with_what_is_held(reasons, facts)
    started = tuple(one.name for one in stack.services if one.name in reasons and one.name not in facts.held)
    reloads = {name: why for name, why in to_reload(facts, reasons).items() if name in names and mode.stops == NEEDED}
    running = [name for name in reasons if _is_up(facts, name)]
    return RunPlan(
        supervisord=KEEP,
        install=False,
        stop=stop_order(stack, running),
        remove=(),
        start=started,
        flush=assigned_ports(stack, started) if mode.frees_ports else (),
        sweep=facts.orphans > 0,
        reasons={**reasons, **reloads, **reasons_for_processes(facts)},
        held={name: why for name, why in facts.held.items() if name in names},
        stopped={name: one for name, one in facts.stopped.items() if name not in started},
        judged=frozenset(names.union(started)),
        reload=tuple(reloads),
        rolling=rolling_groups(stack, running, started, facts.ports),
    )


def _check_ended(facts: StackFacts, choice: Choice) -> None:
    """Raise RollcallError when a oneshot is still at work: nobody else may break it off half-way."""
    at_work = [name for name in choice.names if _is_up(facts, name)]
    if at_work:
        pids = ", ".join(f"{name} as pid {facts.programs[name].pid}" for name in at_work)
        raise RollcallError(
            f"Still at work, so not run again: {pids}. Nothing was stopped or changed.",
            kind="refused",
            evidence={"services": at_work},
            remedies=[cures.WAIT, cures.restart(*at_work)],
        )


def _stopping(stack: Stack, facts: StackFacts, choice: Choice, names: t.Set[str]) -> RunPlan:
    reasons = {
        name: "stop was asked for" if name in choice.names else f"it depends on {along_with(stack, name, choice.names)}"
        for name in names
    }
    return RunPlan(
        supervisord=KEEP,
        install=False,
        stop=stop_order(stack, [name for name in names if _is_up(facts, name)]),
        remove=(),
        start=(),
        flush=(),
        sweep=facts.orphans > 0,
        reasons={**reasons, **reasons_for_processes(facts)},
        stopped=facts.stopped,
        judged=frozenset(names),
    )


def _all(stack: Stack, facts: StackFacts, mode: Mode, choice: Choice, names: t.Set[str]) -> t.Dict[str, str]:
    """Return why each chosen service is restarted. What was stopped by its own name stays so, unless it is named."""
    reasons = dict.fromkeys(choice.names, f"{mode.title} by name")
    for name in sorted(names.difference(choice.names)):
        if not _stays(facts, choice, name):
            reasons[name] = f"it depends on {along_with(stack, name, choice.names)}"
    return reasons


def _touched(stack: Stack, facts: StackFacts, choice: Choice, names: t.Set[str]) -> t.Dict[str, str]:
    """Return why chosen services cannot be left as they are: those that are not well, and what depends on them."""
    reasons: t.Dict[str, str] = {}
    for service in stack.services:
        name = service.name
        if name not in names or _stays(facts, choice, name):
            continue
        stopped = facts.stopped.get(name)
        trouble = trouble_of(stack, facts, name)
        if stopped is not None:
            reasons[name] = f"it was {stopped.words}"
        elif trouble is not None and (name in choice.names or not _is_up(facts, name)):
            reasons[name] = trouble
        elif name in choice.names and service.ends == EXPECTED and not _is_up(facts, name):
            reasons[name] = "it has ended"
    for name in sorted(names & restarted_with(stack, reasons) - set(reasons)):
        if not _stays(facts, choice, name):
            reasons[name] = f"it depends on {along_with(stack, name, reasons)}"
    return reasons


def _needed(stack: Stack, facts: StackFacts, choice: Choice, reasons: t.Mapping[str, str]) -> t.Dict[str, str]:
    """Return why services that are down are started besides: what is started needs them."""
    found = {}
    for name in sorted(dependencies(stack, [name for name in reasons if name not in facts.held]) - set(reasons)):
        trouble = trouble_of(stack, facts, name)
        if trouble is not None and not _is_up(facts, name):
            found[name] = f"{', '.join(choice.names)} needs it, and it {trouble}"
    return found


def _stays(facts: StackFacts, choice: Choice, name: str) -> bool:
    """Return whether a service stays stopped: it was stopped by its own name, and another one is named now."""
    stopped = facts.stopped.get(name)
    return stopped is not None and name not in choice.names and stopped.along not in choice.names


def along_with(stack: Stack, name: str, among: t.Container[str]) -> str:
    """Return the first of some services that a service depends on, directly or through others."""
    needs = dependencies(stack, [name])
    return next((one.name for one in stack.services if one.name in needs and one.name in among), "one of them")


def _is_up(facts: StackFacts, name: str) -> bool:
    program = facts.programs.get(name)
    return program is not None and program.up
