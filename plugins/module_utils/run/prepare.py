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
from ..manifest.model import Stack
from ..ports import leases
from ..state import registry
from ..state.credentials import FileRecord
from ..state.generations import Generation, current_id, is_altered, kept_generations, load_current, load_kept
from ..verdict import fitness, status
from ..verdict.observation import Observation
from . import preflight
from .facts import stack_facts
from .limits import run_limit
from .modes import ROLLBACK
from .plan import RunPlan, make_plan
from .request import Request
from .takedown import TakeDown


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

    @property
    def stack(self) -> Stack:
        """The manifest to bring about."""
        return self.generation.stack

    @property
    def limit(self) -> float:
        """The seconds that the run takes at the longest."""
        request = self.request
        return run_limit(self.stack, request.mode, grace=request.grace, kill_grace=request.kill_grace)


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
    awaited = fitness.absent_release(stack) if may_await else ""
    _prove(request, installed, generation, awaited)
    before = status.observe(stack, clock=clock)
    if request.mode.asks_first:
        preflight.check_supervisord(before)
    files = FileRecord(stack)
    held = fitness.held(stack, generation.environment, awaited)
    facts = stack_facts(before, installed, generation, changed_files=files.changed(), held=held)
    plan = make_plan(stack, facts, request.mode)
    preflight.check_socket(before)
    if plan.install:
        registry.check_place(stack)
    preflight.check_ports(stack, before, plan, request)
    takedown = TakeDown(
        stack,
        None if installed is None else installed.stack,
        before,
        grace=request.grace,
        kill_grace=request.kill_grace,
        clock=clock,
    )
    return PreparedRun(request, clock, generation, before, plan, takedown, files, restores, awaited)


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


def _prove(request: Request, installed: t.Optional[Generation], wanted: Generation, awaited: str) -> None:
    """Prove config and host for the wanted generation.

    Raises:
        RollcallError: one of them does not do.
    """
    new = installed is None or installed.digest != wanted.digest
    if request.mode.starts:
        leases.check_directories(wanted.stack)
    # An installed one was proved when it was new, unless somebody has edited it since.
    if new or is_altered(request.paths, request.root):
        preflight.prove_config(wanted.stack, wanted.config)
        preflight.check_private_files(wanted)
    if request.mode.starts:
        preflight.check_host(wanted.stack, new=new, awaited=awaited)
        preflight.check_descriptors(wanted.stack)


def last_verified_id(request: Request) -> t.Optional[str]:
    """Return the id of the latest verified generation that is not the current one; None when there is none."""
    kept = kept_generations(request.paths, request.root)
    return next((entry["id"] for entry in kept if entry["verified"] and not entry["in_place"]), None)


def _id_to_go_back_to(request: Request) -> str:
    name = request.generation or last_verified_id(request)
    if name is None:
        kept = [entry["id"] for entry in kept_generations(request.paths, request.root)]
        others = [one for one in kept if one != current_id(request.paths)]
        raise RollcallError(
            f"There is no verified generation to go back to under {request.root}.",
            kind="wrong_use",
            evidence={"kept": kept},
            remedies=[*map(cures.rollback, others), cures.correct()],
        )
    return name
