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

# What the daemon is to do.
KEEP = "keep"
START = "start"
RESTART = "restart"
STOP = "stop"

# Brings back a generation that is kept, by the smallest change.
ROLLBACK = "rollback"

MODES = ("auto", "full", "quick", "emergency", "flush", "stop", ROLLBACK)
STARTS_NOTHING = frozenset({"flush", "stop"})
ALIASES: t.Mapping[str, str] = {"master": "full", "force": "emergency", "converge": "auto", "start": "auto"}
# Modes that free the assigned ports before they start anything.
_FLUSHING = frozenset({"full", "emergency"})


@dataclass(frozen=True)
class Running:
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
class Facts:
    """What is known of the stack on its host before anything is done.

    Attributes:
        daemon: revision of the live supervisord; None when none runs, '' when it carries no label.
        daemon_wanted: the revision it would have if it were started with the wanted config.
        programs: what supervisord knows; empty when none runs.
        orphans: how many processes of the stack no live supervisord of it holds.
        rivals: pids of the live supervisords over the same config that do not answer on the stack's socket.
        held: services that are not to be started, with the reason; what depends on them is among them.
        ports: the ports of the installed services, which the wanted manifest may not know any more.
        same_generation: whether the wanted manifest, config, registry and environment are those installed.
    """

    daemon: t.Optional[str] = None
    daemon_wanted: str = ""
    programs: t.Mapping[str, Running] = field(default_factory=dict)
    orphans: int = 0
    rivals: t.Tuple[int, ...] = ()
    held: t.Mapping[str, str] = field(default_factory=dict)
    ports: t.Mapping[str, int] = field(default_factory=dict)
    same_generation: bool = True


@dataclass(frozen=True)
class Action:
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
class Plan:
    """What will be done, decided before anything is.

    Attributes:
        mode: one of `MODES`.
        daemon: keep, start, restart or stop.
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

    mode: str
    daemon: str
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
    def actions(self) -> t.List[Action]:
        """Return all that will change, in the order it is done; empty means nothing to do."""
        listed = [Action("stop", name, self.reasons[name]) for name in self.stop if name not in self.start]
        listed += [Action("restart", name, self.reasons[name]) for name in self.start if name in self.stop]
        listed += [Action("start", name, self.reasons[name]) for name in self.start if name not in self.stop]
        listed += [Action("remove", name, self.reasons[name]) for name in self.remove if name not in self.start]
        listed += [Action("end", f"supervisord pid {pid}", self.reasons["rivals"]) for pid in self.end]
        if self.sweep:
            listed.append(Action("sweep", "orphans", self.reasons["orphans"]))
        if self.install:
            listed.append(Action("install", "config", "manifest, config or registry changed"))
        if self.daemon != KEEP:
            listed.append(Action(self.daemon, "supervisord", self.reasons["supervisord"]))
        return listed


def _whole(stack: Stack, facts: Facts, mode: str, reason: str) -> Plan:
    """The plan that leaves nothing standing: all services and the daemon go, and unless it is a stop, come back."""
    names = tuple(service.name for service in stack.services)
    running = tuple(name for name, program in facts.programs.items() if program.up)
    stopping = mode == "stop"
    alive = facts.daemon is not None or bool(facts.rivals)
    daemon = {
        (False, False): START,
        (False, True): KEEP,
        (True, False): RESTART,
        (True, True): STOP,
    }[(alive, stopping)]
    return Plan(
        mode=mode,
        daemon=daemon,
        install=not facts.same_generation and not stopping,
        stop=stop_order(stack, running),
        remove=(),
        start=() if stopping else tuple(name for name in names if name not in facts.held),
        flush=assigned_ports(stack) if mode in _FLUSHING else (),
        sweep=facts.orphans > 0,
        reasons={
            **dict.fromkeys({*names, *facts.programs}, reason),
            **{name: f"held: {why}" for name, why in facts.held.items()},
            **_reasons_of_the_whole(facts),
            "supervisord": reason,
        },
        end=facts.rivals,
        held=facts.held,
        freed={} if stopping else _freed(stack, facts),
    )


def _reasons_of_the_whole(facts: Facts) -> t.Dict[str, str]:
    """Return why orphans and other supervisords are ended."""
    return {
        "orphans": f"{facts.orphans} left over from an earlier supervisord",
        "rivals": "it runs over the same stack"
        + ("" if facts.daemon is not None else " and does not answer on its socket"),
    }


def _freed(stack: Stack, facts: Facts) -> t.Dict[str, int]:
    """Return the ports of the services that are no longer in the manifest, as far as no other service has them."""
    names = {service.name for service in stack.services}
    taken = set(assigned_ports(stack))
    return {name: port for name, port in facts.ports.items() if name not in names and port not in taken}


def _trouble(stack: Stack, facts: Facts, name: str) -> t.Optional[str]:
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


def smallest(stack: Stack, facts: Facts) -> Plan:
    """Return the plan of mode ``auto``: what changed or is not healthy, and what depends on it; the rest keeps its pid.

    Args:
        stack: what is wanted.
        facts: what is there.
    """
    if facts.daemon is None:
        gone = "supervisord is alive and does not answer" if facts.rivals else "supervisord is not running"
        return _with_mode(_whole(stack, facts, "full", gone), stack, "auto")
    if facts.rivals:
        return _with_mode(_whole(stack, facts, "full", "another supervisord runs over the same stack"), stack, "auto")
    if facts.daemon != facts.daemon_wanted:
        return _with_mode(_whole(stack, facts, "full", "the settings of supervisord itself changed"), stack, "auto")
    reasons = _touched(stack, facts)
    names = tuple(service.name for service in stack.services if service.name in reasons)
    removed = tuple(sorted(set(facts.programs) - {service.name for service in stack.services}))
    reasons.update(dict.fromkeys(removed, "no longer in the manifest"))
    running = tuple(name for name in (*names, *removed) if name in facts.programs and facts.programs[name].up)
    started = tuple(name for name in names if name not in facts.held)
    ports = tuple(sorted(port for port in (stack.service(name).port for name in started) if port is not None))
    return Plan(
        mode="auto",
        daemon=KEEP,
        install=not facts.same_generation,
        stop=stop_order(stack, running),
        remove=removed,
        start=started,
        flush=ports,
        sweep=facts.orphans > 0,
        reasons={**reasons, **_reasons_of_the_whole(facts)},
        held=facts.held,
        freed=_freed(stack, facts),
    )


def _touched(stack: Stack, facts: Facts) -> t.Dict[str, str]:
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


def _with_mode(plan: Plan, stack: Stack, mode: str) -> Plan:
    return Plan(**{**vars(plan), "mode": mode, "flush": assigned_ports(stack)})


def make(stack: Stack, facts: Facts, mode: str) -> Plan:
    """Return what ``mode`` does to the stack.

    Args:
        stack: what is wanted.
        facts: what is there.
        mode: one of `MODES`.

    Raises:
        ValueError: ``mode`` is none of them.
    """
    if mode in ("auto", ROLLBACK):
        return smallest(stack, facts)
    if mode == "full":
        return _whole(stack, facts, mode, "full restart")
    if mode == "quick":
        return _whole(stack, facts, mode, "quick restart")
    if mode == "emergency":
        return _whole(stack, facts, mode, "emergency restart")
    if mode == "stop":
        return _whole(stack, facts, mode, "stop was asked for")
    if mode == "flush":
        return Plan(mode, KEEP, False, (), (), (), assigned_ports(stack), False, {})
    raise ValueError(f"unknown mode: {mode}")


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
