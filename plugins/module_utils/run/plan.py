# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The smallest change: what must be stopped, flushed and started so that what runs is what is wanted.

Pure: facts in, a plan out. The plan is what check mode shows and what the real run carries out, so they cannot differ.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..manifest.graph import dependents, levels
from ..manifest.model import Stack
from ..manifest.revision import revision
from .modes import FULL, NEEDED, NOTHING, Mode

# What is done with supervisord.
KEEP = "keep"
START = "start"
RESTART = "restart"
STOP = "stop"


@dataclass(frozen=True)
class ProgramFacts:
    """What is known of one program before anything is done.

    Attributes:
        state: supervisord's word for it.
        pid: 0 when it has no process.
        revision: of the process, from its label, or of the installed manifest when it has no process.
        trouble: why it does not count as healthy; None when it does.
    """

    state: str
    pid: int
    revision: t.Optional[str]
    trouble: t.Optional[str] = None

    @property
    def up(self) -> bool:
        """Whether supervisord must stop it before it can be changed: BACKOFF has no process, and is tried again."""
        return self.pid > 0 or self.state in ("STARTING", "RUNNING", "BACKOFF", "STOPPING")


@dataclass(frozen=True)
class StackFacts:
    """What is known of the stack on its host before anything is done.

    Attributes:
        supervisord: revision of the live supervisord; None when none runs, '' when it carries no label.
        supervisord_wanted: the revision it would have if it were started with the wanted config.
        programs: what supervisord knows; empty when none runs.
        orphans: how many processes of the stack no live supervisord of it holds.
        rivals: pids of the live supervisords over the same config that do not answer on the stack's socket.
        held: services that are not to be started, with the reason; what depends on them is among them.
        ports: the ports of the installed services, which the wanted manifest may not know any more.
        same_generation: whether the wanted manifest, config, registry and environment are those installed.
    """

    supervisord: t.Optional[str] = None
    supervisord_wanted: str = ""
    programs: t.Mapping[str, ProgramFacts] = field(default_factory=dict)
    orphans: int = 0
    rivals: t.Tuple[int, ...] = ()
    held: t.Mapping[str, str] = field(default_factory=dict)
    ports: t.Mapping[str, int] = field(default_factory=dict)
    same_generation: bool = True


@dataclass(frozen=True)
class PlannedAction:
    """One thing to be done, for people and for the diff: what, on which service, and why."""

    verb: str
    subject: str
    reason: str

    def as_dict(self) -> t.Dict[str, str]:
        """Return the action as data."""
        return {"action": self.verb, "subject": self.subject, "reason": self.reason}

    def __str__(self) -> str:
        return f"{self.verb} {self.subject}: {self.reason}"


@dataclass(frozen=True)
class RunPlan:
    """What will be done, decided before anything is.

    Attributes:
        supervisord: keep, start, restart or stop.
        install: whether a new generation replaces the current one.
        stop: services to stop, those that depend on others first.
        remove: programs to take out of the config of the live supervisord.
        start: services to start.
        flush: ports that must be free, and are made so, before anything starts.
        sweep: whether orphans are ended.
        reasons: why each service of stop, remove or start is touched.
        end: pids of supervisords to end besides the one that answers.
        held: services that stay down because something they require is missing, with the reason.
        freed: ports of removed services, which nothing of the stack may hold afterwards.
    """

    supervisord: str
    install: bool
    stop: t.Tuple[str, ...]
    remove: t.Tuple[str, ...]
    start: t.Tuple[str, ...]
    flush: t.Tuple[int, ...]
    sweep: bool
    reasons: t.Mapping[str, str]
    end: t.Tuple[int, ...] = ()
    held: t.Mapping[str, str] = field(default_factory=dict)
    freed: t.Mapping[str, int] = field(default_factory=dict)

    @property
    def actions(self) -> t.List[PlannedAction]:
        """Return all that will change, in the order it is done; empty means nothing to do."""
        listed = [PlannedAction("stop", name, self.reasons[name]) for name in self.stop if name not in self.start]
        listed += [PlannedAction("restart", name, self.reasons[name]) for name in self.start if name in self.stop]
        listed += [PlannedAction("start", name, self.reasons[name]) for name in self.start if name not in self.stop]
        listed += [PlannedAction("remove", name, self.reasons[name]) for name in self.remove if name not in self.start]
        listed += [PlannedAction("end", f"supervisord pid {pid}", self.reasons["rivals"]) for pid in self.end]
        if self.sweep:
            listed.append(PlannedAction("sweep", "orphans", self.reasons["orphans"]))
        if self.install:
            listed.append(PlannedAction("install", "config", "manifest, config or registry changed"))
        if self.supervisord != KEEP:
            listed.append(PlannedAction(self.supervisord, "supervisord", self.reasons["supervisord"]))
        return listed


def _everything(stack: Stack, facts: StackFacts, mode: Mode, reason: str) -> RunPlan:
    """Return the plan that stops every service and supervisord and, if the mode starts anything, starts them again."""
    names = tuple(service.name for service in stack.services)
    running = tuple(name for name, program in facts.programs.items() if program.up)
    alive = facts.supervisord is not None or bool(facts.rivals)
    ended, not_there = (RESTART, START) if mode.starts else (STOP, KEEP)
    return RunPlan(
        supervisord=ended if alive else not_there,
        install=not facts.same_generation and mode.starts,
        stop=stop_order(stack, running),
        remove=(),
        start=tuple(name for name in names if name not in facts.held) if mode.starts else (),
        flush=assigned_ports(stack) if mode.frees_ports else (),
        sweep=facts.orphans > 0,
        reasons={
            **dict.fromkeys({*names, *facts.programs}, reason),
            **{name: f"held: {why}" for name, why in facts.held.items()},
            **_reasons_for_processes(facts),
            "supervisord": reason,
        },
        end=facts.rivals,
        held=facts.held,
        freed=_freed(stack, facts) if mode.starts else {},
    )


def _reasons_for_processes(facts: StackFacts) -> t.Dict[str, str]:
    """Return why orphans and other supervisords are ended."""
    return {
        "orphans": f"{facts.orphans} left over from an earlier supervisord",
        "rivals": "it runs over the same stack"
        + ("" if facts.supervisord is not None else " and does not answer on its socket"),
    }


def _freed(stack: Stack, facts: StackFacts) -> t.Dict[str, int]:
    """Return the ports of the services that are no longer in the manifest, as far as no other service has them."""
    names = {service.name for service in stack.services}
    taken = set(assigned_ports(stack))
    return {name: port for name, port in facts.ports.items() if name not in names and port not in taken}


def _trouble(stack: Stack, facts: StackFacts, name: str) -> t.Optional[str]:
    """Return why the service cannot be left as it is; None when it can."""
    program = facts.programs.get(name)
    wanted = stack.service(name)
    if program is None:
        return "new in the manifest"
    if program.revision != revision(stack, wanted):
        return "its manifest entry changed"
    if wanted.kind == "oneshot":
        return None if program.trouble is None else program.trouble
    if program.state != "RUNNING":
        return f"was {program.state}"
    return program.trouble


def _needed(stack: Stack, facts: StackFacts) -> RunPlan:
    """Return the smallest plan: what changed or is not healthy, and what depends on it; the rest keeps its pid."""
    cause = _supervisord_trouble(facts)
    if cause is not None:
        return _everything(stack, facts, FULL, cause)
    reasons = _touched(stack, facts)
    names = tuple(service.name for service in stack.services if service.name in reasons)
    removed = tuple(sorted(set(facts.programs) - {service.name for service in stack.services}))
    reasons.update(dict.fromkeys(removed, "no longer in the manifest"))
    running = tuple(name for name in (*names, *removed) if name in facts.programs and facts.programs[name].up)
    started = tuple(name for name in names if name not in facts.held)
    ports = tuple(sorted(port for port in (stack.service(name).port for name in started) if port is not None))
    return RunPlan(
        supervisord=KEEP,
        install=not facts.same_generation,
        stop=stop_order(stack, running),
        remove=removed,
        start=started,
        flush=ports,
        sweep=facts.orphans > 0,
        reasons={**reasons, **_reasons_for_processes(facts)},
        held=facts.held,
        freed=_freed(stack, facts),
    )


def _supervisord_trouble(facts: StackFacts) -> t.Optional[str]:
    """Return why supervisord cannot be left as it is, and so nothing below it; None when it can."""
    if facts.supervisord is None:
        return "supervisord is alive and does not answer" if facts.rivals else "supervisord is not running"
    if facts.rivals:
        return "another supervisord runs over the same stack"
    if facts.supervisord != facts.supervisord_wanted:
        return "the settings of supervisord itself changed"
    return None


def _touched(stack: Stack, facts: StackFacts) -> t.Dict[str, str]:
    """Return the services that cannot be left as they are, with what depends on them, each with the reason.

    One that is held and down stays as it is; one that is held and runs is only stopped when it would be restarted.
    """
    reasons = {}
    for service in stack.services:
        program = facts.programs.get(service.name)
        trouble = _trouble(stack, facts, service.name)
        if trouble is not None and (service.name not in facts.held or (program is not None and program.up)):
            reasons[service.name] = trouble
    for name in sorted(dependents(stack, reasons) - set(reasons)):
        program = facts.programs.get(name)
        if name in facts.held and (program is None or not program.up):
            continue
        reasons[name] = "it depends on " + ", ".join(
            sorted(set(stack.service(name).depends_on) & set(reasons)) or ["one of them"]
        )
    return {name: f"held: {facts.held[name]}" if name in facts.held else why for name, why in reasons.items()}


def make_plan(stack: Stack, facts: StackFacts, mode: Mode) -> RunPlan:
    """Return what a mode does to the stack.

    Args:
        stack: what is wanted.
        facts: what is there.
        mode: the restart mode.
    """
    if mode.stops == NOTHING:
        return RunPlan(KEEP, False, (), (), (), assigned_ports(stack), False, {})
    if mode.stops == NEEDED:
        return _needed(stack, facts)
    return _everything(stack, facts, mode, mode.title if mode.starts else f"{mode.name} was asked for")


def assigned_ports(stack: Stack) -> t.Tuple[int, ...]:
    """Return the ports of the stack's services, in order."""
    return tuple(sorted(service.port for service in stack.services if service.port is not None))


def ranks(stack: Stack) -> t.Dict[str, int]:
    """Return how late each service starts: 0 for those that need nothing."""
    return {name: number for number, level in enumerate(levels(stack)) for name in level}


def stop_batches(stack: Stack, names: t.Iterable[str]) -> t.List[t.List[str]]:
    """Return ``names`` in groups that can stop together: by level, the last level first.

    Names that are not in the manifest come before all that are.
    """
    order = ranks(stack)
    groups: t.Dict[int, t.List[str]] = {}
    for name in names:
        groups.setdefault(order.get(name, len(order)), []).append(name)
    return [groups[number] for number in sorted(groups, reverse=True)]


def stop_order(stack: Stack, names: t.Iterable[str]) -> t.Tuple[str, ...]:
    """Return ``names`` so that a service comes before what it depends on; names not in the manifest come first."""
    return tuple(name for group in stop_batches(stack, sorted(names)) for name in group)
