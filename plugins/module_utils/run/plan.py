# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The plan of a run: what must be stopped, flushed and started so that what runs is what is wanted.

Only facts go in. Check mode shows the same plan that a real run carries out.
"""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..manifest.graph import levels
from ..manifest.model import EXPECTED, Stack
from ..manifest.revision import revision
from ..state.stopped import Stopped
from .modes import FULL, NEEDED, NOTHING, RELOAD, Mode
from .rolling import Groups, restarted_with, rolling_groups

if t.TYPE_CHECKING:
    from ..base.documents import ActionData

# What is done with supervisord.
KEEP = "keep"
START = "start"
RESTART = "restart"
STOP = "stop"


# What a reason ends with where instances are restarted one after the other.
ONE_BY_ONE = "; one instance at a time"
# How many keys of the manifest a reason names.
CHANGED = 4


class ProgramFacts(t.NamedTuple):
    """What is known of one program before anything is done.

    Attributes:
        state: as supervisord calls it.
        pid: 0 when it has no process.
        revision: which it runs at; None when that is not known.
        trouble: why it is not healthy; None when it is.
        same_entry: whether the manifest that is installed says the same of it.
        changed: by which keys that differs, where there is one that says otherwise.
    """

    state: str
    pid: int
    revision: t.Optional[str]
    trouble: t.Optional[str] = None
    same_entry: bool = False
    changed: t.Tuple[str, ...] = ()

    @property
    def up(self) -> bool:
        """Whether it must be stopped before it is changed; in BACKOFF it has no process, but is soon tried again."""
        return self.pid > 0 or self.state in ("STARTING", "RUNNING", "BACKOFF", "STOPPING")


class StackFacts(t.NamedTuple):
    """What is known of the stack on its host before anything is done.

    Attributes:
        supervisord: revision of the live supervisord; None when none runs, '' when it carries no label.
        supervisord_wanted: the revision it would have if it were started with the wanted config.
        programs: by name, those that supervisord has; empty when none runs.
        orphans: how many there are.
        rivals: pids of the live supervisords over the same stack that do not answer on its socket.
        held: by service why it is not to be started; what depends on such a service is among them.
        ports: by service the ports of the installed manifest.
        same_generation: whether the wanted manifest, config, registry and private files are the installed ones.
        wanted_user: the user who must run supervisord, where it runs as another one; else empty.
        stopped: services that somebody has stopped by name, and that have no process.
        reloads: by service why it is to reload.
    """

    supervisord: t.Optional[str] = None
    supervisord_wanted: str = ""
    programs: t.Mapping[str, ProgramFacts] = {}
    orphans: int = 0
    rivals: t.Tuple[int, ...] = ()
    held: t.Mapping[str, str] = {}
    ports: t.Mapping[str, int] = {}
    same_generation: bool = True
    wanted_user: str = ""
    stopped: Stopped = {}
    reloads: t.Mapping[str, str] = {}


class PlannedAction(t.NamedTuple):
    """One thing that will be done, for people and for the diff: what, with which service, and why."""

    verb: str
    subject: str
    reason: str

    def as_dict(self) -> ActionData:
        """Return the action as data."""
        return {"action": self.verb, "subject": self.subject, "reason": self.reason}

    def __str__(self) -> str:
        return f"{self.verb} {self.subject}: {self.reason}"


class RunPlan(t.NamedTuple):
    """What a run will do.

    Attributes:
        supervisord: keep, start, restart or stop.
        install: whether another generation becomes the current one.
        stop: services to stop, those that depend on others first.
        remove: programs that the live supervisord is to forget.
        start: services to start.
        flush: ports to free before anything starts.
        sweep: whether there are orphans to end.
        reasons: by service, and for ``orphans``, ``rivals`` and ``supervisord``, why it is touched.
        end: pids of rivals to end.
        held: by service that stays down the reason: something that it requires is missing.
        freed: by removed service its port, on which nothing of the stack may listen afterwards.
        stopped: services that stay stopped, because somebody has stopped them by name before.
        judged: the services that the run is about, which its verdict judges; None for all.
        rolling: of each service whose instances are restarted one after the other those, in this order.
        reload: services that keep their processes and are told to read their files anew.
        end_jobs: timers whose job is at work and is ended.
        about_timers: what becomes of timers and of their jobs.
        clear: by path each unix socket that is left over and is removed, and whose it is.
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
    held: t.Mapping[str, str] = {}
    freed: t.Mapping[str, int] = {}
    stopped: Stopped = {}
    judged: t.Optional[t.FrozenSet[str]] = None
    rolling: Groups = ()
    reload: t.Tuple[str, ...] = ()
    end_jobs: t.Tuple[str, ...] = ()
    about_timers: t.Tuple[PlannedAction, ...] = ()
    clear: t.Mapping[str, str] = {}

    @property
    def actions(self) -> t.List[PlannedAction]:
        """All that will change, in the order in which it is done; nothing is to be done when it is empty."""
        services = [
            *(("stop", name) for name in self.stop if name not in self.start),
            *(("restart", name) for name in self.start if name in self.stop),
            *(("start", name) for name in self.start if name not in self.stop),
            *(("remove", name) for name in self.remove if name not in self.start),
            *(("reload", name) for name in self.reload),
        ]
        rolling = {name for names in self.rolling for name in names}
        reasons = {name: self.reasons[name] + (ONE_BY_ONE if name in rolling else "") for _verb, name in services}
        listed = [PlannedAction(verb, name, reasons[name]) for verb, name in services]
        listed += [PlannedAction("end", f"supervisord pid {pid}", self.reasons["rivals"]) for pid in self.end]
        if self.sweep:
            listed.append(PlannedAction("sweep", "orphans", self.reasons["orphans"]))
        why = "the socket of {} is left over: nobody listens on it"
        listed += [PlannedAction("remove", path, why.format(name)) for path, name in self.clear.items()]
        if self.install:
            listed.append(PlannedAction("install", "config", "manifest, config or registry changed"))
        if self.supervisord != KEEP:
            listed.append(PlannedAction(self.supervisord, "supervisord", self.reasons["supervisord"]))
        return [*listed, *self.about_timers]


def _everything(
    stack: Stack, facts: StackFacts, mode: Mode, reason: str, stopped: t.Optional[Stopped] = None
) -> RunPlan:
    """Return the plan that stops every service and supervisord and, if the mode starts anything, starts them again.

    Args:
        stack: what is wanted.
        facts: what is there.
        mode: the restart mode.
        reason: why.
        stopped: services that are not started again; None for none.
    """
    stopped = stopped or {}
    names = tuple(service.name for service in stack.services)
    running = tuple(name for name, program in facts.programs.items() if program.up)
    alive = facts.supervisord is not None or bool(facts.rivals)
    ended, not_there = (RESTART, START) if mode.starts else (STOP, KEEP)
    return RunPlan(
        supervisord=ended if alive else not_there,
        install=not facts.same_generation and mode.starts,
        stop=stop_order(stack, running),
        remove=(),
        start=tuple(name for name in names if name not in facts.held and name not in stopped) if mode.starts else (),
        flush=assigned_ports(stack) if mode.frees_ports else (),
        sweep=facts.orphans > 0,
        reasons={
            **with_what_is_held({**dict.fromkeys({*names, *facts.programs}, reason), **facts.held}, facts),
            **reasons_for_processes(facts),
            "supervisord": reason,
        },
        end=facts.rivals,
        held=facts.held,
        freed=_freed(stack, facts) if mode.starts else {},
        stopped=stopped,
    )


def reasons_for_processes(facts: StackFacts) -> t.Dict[str, str]:
    """Return why orphans and other supervisords are ended."""
    silent = "" if facts.supervisord is not None else " and does not answer on its socket"
    return {
        "orphans": f"{facts.orphans} left over from an earlier supervisord",
        "rivals": f"it runs over the same stack{silent}",
    }


def _freed(stack: Stack, facts: StackFacts) -> t.Dict[str, int]:
    """Return by removed service the port that it had, unless another service has it now."""
    names = {service.name for service in stack.services}
    assigned = set(assigned_ports(stack))
    return {name: port for name, port in facts.ports.items() if name not in names and port not in assigned}


def trouble_of(stack: Stack, facts: StackFacts, name: str) -> t.Optional[str]:
    """Return why the service cannot be left as it is; None when it can."""
    program = facts.programs.get(name)
    wanted = stack.service(name)
    if program is None:
        return "new in the manifest"
    if program.revision != revision(stack, wanted):
        return _changed(program)
    if wanted.kind == "oneshot" or (wanted.ends == EXPECTED and program.state == "EXITED"):
        return program.trouble
    if program.state != "RUNNING":
        return f"was {program.state}"
    return program.trouble


def _changed(program: ProgramFacts) -> str:
    if program.same_entry:
        return "its part of the installed config was changed"
    keys = program.changed[:CHANGED]
    more = f" and {len(program.changed) - CHANGED} more" if len(program.changed) > CHANGED else ""
    return f"{', '.join(keys)}{more} changed" if keys else "its manifest entry changed"


def _needed(stack: Stack, facts: StackFacts) -> RunPlan:
    """Return the smallest plan: what changed or is not healthy, and what depends on it; the rest keeps its pid."""
    cause = supervisord_trouble(facts)
    if cause is not None:
        return _everything(stack, facts, FULL, cause, facts.stopped)
    reasons = _touched(stack, facts)
    names = tuple(service.name for service in stack.services if service.name in reasons)
    removed = tuple(sorted(set(facts.programs) - {service.name for service in stack.services}))
    reasons.update(dict.fromkeys(removed, "no longer in the manifest"))
    running = tuple(name for name in (*names, *removed) if name in facts.programs and facts.programs[name].up)
    started = tuple(name for name in names if name not in facts.held)
    reloads = to_reload(facts, reasons)
    return RunPlan(
        supervisord=KEEP,
        install=not facts.same_generation,
        stop=stop_order(stack, running),
        remove=removed,
        start=started,
        flush=assigned_ports(stack, started),
        sweep=facts.orphans > 0,
        reasons={**reasons, **reloads, **reasons_for_processes(facts)},
        held=facts.held,
        freed=_freed(stack, facts),
        stopped=facts.stopped,
        rolling=rolling_groups(stack, running, started, facts.ports),
        reload=tuple(reloads),
    )


def supervisord_trouble(facts: StackFacts) -> t.Optional[str]:
    """Return why supervisord, and so every service, cannot be left as it is; None when it can."""
    if facts.supervisord is None:
        return "supervisord is alive and does not answer" if facts.rivals else "supervisord is not running"
    if facts.rivals:
        return "another supervisord runs over the same stack"
    if facts.wanted_user:
        return f"it runs as another user than {facts.wanted_user}"
    if facts.supervisord != facts.supervisord_wanted:
        return "the settings of supervisord itself changed"
    return None


def _touched(stack: Stack, facts: StackFacts) -> t.Dict[str, str]:
    """Return by service why it cannot be left as it is; what depends on such a service is among them.

    A held service that is down stays down. One that still runs is stopped, but only if it would be restarted otherwise.
    What somebody has stopped by name stays stopped.
    """
    reasons = {}
    for service in stack.services:
        if service.name in facts.stopped:
            continue
        program = facts.programs.get(service.name)
        trouble = trouble_of(stack, facts, service.name)
        if trouble is not None and (service.name not in facts.held or (program is not None and program.up)):
            reasons[service.name] = trouble
    for name in sorted(restarted_with(stack, reasons) - set(reasons) - set(facts.stopped)):
        program = facts.programs.get(name)
        if name in facts.held and (program is None or not program.up):
            continue
        reasons[name] = "it depends on " + ", ".join(
            sorted(set(stack.service(name).depends_on) & set(reasons)) or ["one of them"]
        )
    return with_what_is_held(reasons, facts)


def with_what_is_held(reasons: t.Mapping[str, str], facts: StackFacts) -> t.Dict[str, str]:
    """Return reasons in which that of a held service is what it waits for."""
    return {name: f"held: {facts.held[name]}" if name in facts.held else why for name, why in reasons.items()}


def plan_of_all(stack: Stack, facts: StackFacts, mode: Mode) -> RunPlan:
    """Return what a mode does to the whole stack.

    Args:
        stack: what is wanted.
        facts: what is there.
        mode: the restart mode.
    """
    if mode is RELOAD:
        return reload_plan(stack, facts, [one.name for one in stack.services if one.reload is not None], judged=None)
    if mode.stops == NOTHING:
        return RunPlan(KEEP, False, (), (), (), assigned_ports(stack), False, {})
    if mode.stops == NEEDED:
        return _needed(stack, facts)
    return _everything(stack, facts, mode, mode.title if mode.starts else f"{mode.name} was asked for")


def reload_plan(
    stack: Stack, facts: StackFacts, names: t.Sequence[str], judged: t.Optional[t.FrozenSet[str]]
) -> RunPlan:
    """Return the plan that has services reload, and leaves out those that are down for a reason.

    Raises:
        RollcallError: ``wrong_use``: they do not reload, or none does.
    """
    without = [name for name in names if stack.service(name).reload is None]
    if without or not names:
        said = f"{', '.join(without)} {'has' if len(without) == 1 else 'have'} no"
        said = said if names else f"No service of stack {stack.name} has"
        raise RollcallError(
            f"{said} reload in the manifest. Nothing was touched.",
            kind="wrong_use",
            evidence={"services": without},
            remedies=[cures.correct("the manifest: write `reload: {signal: HUP}`, or restart the service")],
        )
    reasons = {name: facts.reloads.get(name, "reload was asked for") for name in names if name not in facts.stopped}
    return RunPlan(
        KEEP,
        False,
        (),
        (),
        (),
        (),
        False,
        reasons,
        held=facts.held,
        stopped=facts.stopped,
        judged=judged,
        reload=tuple(reasons),
    )


def to_reload(facts: StackFacts, touched: t.Container[str]) -> t.Dict[str, str]:
    """Return by service why it reloads: it runs on, and nothing but files that it can reload has changed."""
    return {
        name: why
        for name, why in facts.reloads.items()
        if name not in touched
        and name not in facts.held
        and name not in facts.stopped
        and name in facts.programs
        and facts.programs[name].state == "RUNNING"
    }


def assigned_ports(stack: Stack, names: t.Optional[t.Container[str]] = None) -> t.Tuple[int, ...]:
    """Return the ports of the stack's services, or of some of them, in order."""
    chosen = (service for service in stack.services if names is None or service.name in names)
    return tuple(sorted(port for service in chosen for port in service.all_ports.values()))


def level_numbers(stack: Stack) -> t.Dict[str, int]:
    """Return by service the number of its level, 0 for those that depend on nothing."""
    return {name: number for number, level in enumerate(levels(stack)) for name in level}


def untouched(plan: RunPlan, running: t.Iterable[str]) -> t.List[str]:
    """Return which of the services that run a plan leaves alone."""
    if plan.supervisord != KEEP:
        return []
    touched = {*plan.stop, *plan.start, *plan.remove}
    return [name for name in running if name not in touched]


def with_orphans(plan: RunPlan, number: int) -> RunPlan:
    """Return a plan that ends so many orphans: what services that it leaves alone have detached is not among them."""
    reasons = {**plan.reasons, "orphans": f"{number} left over from an earlier supervisord"}
    return plan._replace(sweep=plan.sweep and number > 0, reasons=reasons) if plan.sweep else plan


def stop_batches(stack: Stack, names: t.Iterable[str]) -> t.List[t.List[str]]:
    """Return ``names`` in batches that can be stopped together: by level, the last level first.

    The first batch has the names that are not in the manifest.
    """
    order = level_numbers(stack)
    batches: t.Dict[int, t.List[str]] = {}
    for name in names:
        batches.setdefault(order.get(name, len(order)), []).append(name)
    return [batches[number] for number in sorted(batches, reverse=True)]


def stop_order(stack: Stack, names: t.Iterable[str]) -> t.Tuple[str, ...]:
    """Return ``names`` so that each comes before what it depends on, and those that are not in the manifest first."""
    return tuple(name for batch in stop_batches(stack, sorted(names)) for name in batch)
