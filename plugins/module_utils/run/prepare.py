# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What comes before anything is touched: prove the config, look at the host, plan, refuse what must be refused."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.clock import Clock
from ..base.errors import RollcallError
from ..host.model import Identity, Process
from ..manifest.model import Stack
from ..manifest.selection import narrowed
from ..ports import leases
from ..state import registry
from ..state.credentials import FileRecord
from ..state.generations import (
    Generation,
    current_id,
    id_before,
    is_altered,
    kept_generations,
    load_current,
    load_kept,
)
from ..state.runs import run_ids, steps_of
from ..state.stopped import WHOLE, read_stopped
from ..verdict import fitness, status
from ..verdict.observation import Observation, identity
from . import hand_over, preflight
from .choice import Choice, choice_of, scope
from .facts import stack_facts
from .limits import limit_of
from .modes import ROLLBACK
from .plan import RunPlan, untouched, with_orphans
from .plan_by_name import make_plan
from .request import Request
from .sockets import check_sockets, with_sockets
from .takedown import TakeDown
from .timers import at_work, check_timers, with_timers

# Results of runs that have touched nothing.
_NOTHING_DONE = ("refused", "wrong_use")


class PreparedRun(t.NamedTuple):
    """A run that may begin.

    Attributes:
        request: what is asked.
        clock: of all deadlines.
        generation: the one to bring about.
        before: what was seen of the stack.
        plan: what is to be done.
        takedown: ends what runs.
        files: the files that the services were started with.
        restores: the id of the kept generation that is brought back; None when the generation is a new one.
        awaited: the directory of a release that is not on the host yet, which only check mode accepts; else empty.
        limit: the seconds that it takes at the longest, by the manifests as they were before it began.
        choice: which services it is about; None for all.
        installed: the manifest that is in place; None where there is none.
        spared: by service that runs and that it leaves alone its process.
    """

    request: Request
    clock: Clock
    generation: Generation
    before: Observation
    plan: RunPlan
    takedown: TakeDown
    files: FileRecord
    restores: t.Optional[str]
    awaited: str
    limit: float
    choice: t.Optional[Choice] = None
    installed: t.Optional[Stack] = None
    spared: t.Mapping[str, Identity] = {}

    @property
    def release(self) -> t.Optional[str]:
        """The application's release that the services run from until now; None where they run from none."""
        return None if self.installed is None else self.installed.release

    @property
    def detached_and_left(self) -> t.List[Process]:
        """What services that the run leaves alone have put into the background, where they do not say so."""
        return _staying(self.before, self.spared)

    @property
    def stack(self) -> Stack:
        """The manifest to bring about."""
        return self.generation.stack

    @property
    def judged(self) -> Stack:
        """The same with the services only that the verdict judges."""
        return narrowed(self.stack, self.plan.judged)


def prepare(
    request: Request, clock: Clock, *, check_mode: bool = False, restores: t.Optional[str] = None
) -> PreparedRun:
    """Return the run that a request comes to. Touches nothing.

    Args:
        request: what is asked.
        clock: of all deadlines.
        check_mode: whether the run is only shown: then the release of a new manifest need not be there yet.
        restores: the id of the kept generation that is wanted, where it is one.

    Raises:
        RollcallError: what is wanted cannot be, or is refused. Nothing was touched.
    """
    may_await = check_mode and request.wanted is not None
    if request.mode is ROLLBACK:
        restores = _id_to_go_back_to(request)
        request = request._replace(wanted=load_kept(request.paths, request.root, restores))
    installed = _installed(request)
    generation = _wanted(request, installed)
    stack = generation.stack
    if request.watcher:
        _check_not_stopped(request, stack)
    choice = choice_of(request, stack)
    only = None if choice is None else scope(stack, choice)
    awaited = fitness.absent_release(stack) if may_await else ""
    fit = _prove(request, installed, generation, awaited, only)
    before = status.observe(stack, clock=clock, fit=fit, only=only)
    if request.mode.asks_first:
        preflight.check_supervisord(before)
    files = FileRecord(stack)
    held = fitness.held(stack, generation.environment, awaited, request.delivered)
    stopped = {} if request.start_stopped else read_stopped(stack)
    changed = files.changed(request.delivered)
    facts = stack_facts(before, installed, generation, changed_files=changed, held=held, stopped=stopped)
    there = None if installed is None else installed.stack
    plan, spared = _planned(make_plan(stack, facts, request.mode, choice), before)
    plan = with_timers(plan, request.mode, stack, there, set(at_work(there or stack)))
    plan = with_sockets(stack, plan, before)
    preflight.check_socket(before)
    if plan.install:
        registry.check_place(stack)
    preflight.check_running_limits(stack, before, plan)
    preflight.check_ports(stack, before, plan, request)
    check_sockets(stack, before, plan)
    takedown = _takedown(request, stack, there, before, plan, spared, clock)
    limit = limit_of(request, stack)
    return PreparedRun(
        request, clock, generation, before, plan, takedown, files, restores, awaited, limit, choice, there, spared
    )


def _check_not_stopped(request: Request, stack: Stack) -> None:
    """Raise RollcallError when somebody has stopped what is to be started, since whoever asks has looked."""
    stopped = read_stopped(stack)
    found = next((one for name, one in stopped.items() if name in (WHOLE, *request.services)), None)
    if found is not None:
        raise RollcallError(
            f"{', '.join(request.services)} of stack {stack.name} was {found.words}, and stays so. "
            "Nothing was stopped or changed.",
            kind="refused",
            evidence={"stopped": list(request.services)},
            remedies=[cures.STATUS],
        )


def _takedown(
    request: Request,
    stack: Stack,
    installed: t.Optional[Stack],
    before: Observation,
    plan: RunPlan,
    spared: t.Mapping[str, Identity],
    clock: Clock,
) -> TakeDown:
    return TakeDown(
        stack,
        installed,
        before,
        grace=request.grace,
        kill_grace=request.kill_grace,
        clock=clock,
        services=plan.judged,
        spared=spared,
    )


def _planned(plan: RunPlan, before: Observation) -> t.Tuple[RunPlan, t.Dict[str, Identity]]:
    """Return a plan that leaves what services have detached that it does not touch, and these with their processes."""
    running = {name: identity(program) for name, program in before.programs.items() if program.pid and program.born}
    spared = {name: running[name] for name in untouched(plan, running)}
    return with_orphans(plan, len(before.orphans) - len(_staying(before, spared))), spared


def _staying(seen: Observation, spared: t.Mapping[str, Identity]) -> t.List[Process]:
    orphans = {process.pid for process in seen.orphans}
    return [one for one in seen.detached if one.label and one.label.service in spared and one.pid in orphans]


def _installed(request: Request) -> t.Optional[Generation]:
    """Return the current generation; None when it is broken and another one, which then replaces it, is wanted."""
    try:
        return load_current(request.paths)
    except RollcallError as exc:
        if request.wanted is None or exc.kind != "failed" or isinstance(exc.__cause__, PermissionError):
            raise
        return None


def _wanted(request: Request, installed: t.Optional[Generation]) -> Generation:
    """Return the generation to bring about.

    Raises:
        RollcallError: ``wrong_use``: nothing is installed, and nothing is wanted.
    """
    generation = request.wanted or installed
    if generation is None:
        raise RollcallError(
            f"No stack is installed under {request.root}.",
            kind="wrong_use",
            remedies=[cures.INSTALL],
        )
    return generation


def _prove(
    request: Request,
    installed: t.Optional[Generation],
    wanted: Generation,
    awaited: str,
    only: t.Optional[t.Container[str]],
) -> t.Optional[fitness.Look]:
    """Prove config and host for the wanted generation.

    Args:
        request: what is asked.
        installed: the current generation, where there is one.
        wanted: the generation to bring about.
        awaited: the directory of a release that is yet to come.
        only: the services that the run is about; None for all.

    Returns:
        What tells what is unfit on the host, where that is looked at, and refuses what does not do there, to be
        called once. None in check mode where the release is yet to come: that look does not tell how all is now.

    Raises:
        RollcallError: one of them does not do.
    """
    new = installed is None or installed.digest != wanted.digest
    if request.mode.starts:
        check_timers(request, wanted.stack)
        leases.check_directories(wanted.stack)
        if installed is not None:
            hand_over.check(wanted.stack, installed.stack)
    _prove_config(request, wanted, new=new)
    if not request.mode.starts:
        return None
    answered = preflight.begin_host_check(narrowed(wanted.stack, only), new=new, awaited=awaited)

    def fit() -> fitness.Fitness:
        now = answered()
        preflight.check_limits(wanted.stack)
        return now

    if awaited:
        fit()
        return None
    return fit


def _prove_config(request: Request, wanted: Generation, *, new: bool) -> None:
    """Prove the config of the wanted generation; an installed one was when it was new, unless it was edited since.

    Raises:
        RollcallError: it does not do.
    """
    if not new and not is_altered(request.paths, request.root):
        return
    try:
        preflight.prove_config(wanted.stack, wanted.config, installed=not new)
    except RollcallError:
        # Of a directory that no stack can have, supervisor only says that it is not there.
        preflight.check_places(wanted.stack)
        raise
    preflight.check_private_files(wanted)


def _id_to_go_back_to(request: Request) -> str:
    """Return the generation that a rollback goes back to.

    Raises:
        RollcallError: ``wrong_use``: there is none; ``refused``: the last run has gone back already.
    """
    if request.generation:
        return request.generation
    name = id_before(request.paths, request.root)
    kept = [entry for entry in kept_generations(request.paths, request.root) if not entry["in_place"]]
    ids = [entry["id"] for entry in kept]
    current = current_id(request.paths)
    if _has_gone_back(request.paths.state):
        raise RollcallError(
            f"The last run has gone back already: generation {current}, which was in place before it, is in place "
            "again. Nothing was changed.",
            kind="refused",
            evidence={"kept": ids, "in_place": current},
            remedies=[*([cures.rollback(name)] if name is not None else []), cures.HISTORY],
        )
    if name is None:
        raise RollcallError(
            f"No other verified generation was in place under {request.root} before {current}. Nothing was changed.",
            kind="wrong_use",
            evidence={"kept": ids, "in_place": current},
            remedies=[*map(cures.rollback, ids), cures.correct()],
        )
    return name


def _has_gone_back(state: str) -> bool:
    """Return whether the last run that did anything has failed, and gone back by itself."""
    for run in run_ids(state):
        steps = steps_of(state, run)
        result = steps[-1].get("result") if steps and steps[-1]["step"] == "done" else None
        if result is not None and result not in _NOTHING_DONE:
            return bool(result == "rolled_back")
    return False
