# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the worker does: it carries a request out and leaves the report in a file."""

from __future__ import annotations

import json
import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.files import write_atomically
from ..state.generations import load_stack
from ..state.runs import result_path, steps_of
from . import boot, restart
from .request import Request

if t.TYPE_CHECKING:
    from ..base.documents import Report


def main(request: Request, run_id: str) -> int:
    """Carry a request out, write the report or the error to its file, and return the exit code.

    Any other exception than these two goes to the caller, to whom the worker has died.
    """
    code = 0
    try:
        result: t.Dict[str, t.Any] = {"report": _perform(request, run_id)}
    except RollcallError as exc:
        result = {"error": exc.as_dict()}
        code = exc.exit_code
    except OSError as exc:
        error = RollcallError(
            f"The run could not go on: {exc}. What it had done stands; a rerun converges from there.",
            evidence={"run": run_id, "steps": steps_of(request.paths.state, run_id)},
            remedies=[cures.space(request.root), cures.AGAIN],
        )
        result = {"error": error.as_dict()}
        code = error.exit_code
    write_atomically(result_path(request.paths.state, run_id), json.dumps(result), 0o600)
    return code


def _perform(request: Request, run_id: str) -> Report:
    """Carry a request out, in the stack's unit of systemd where it has one; errors as ``restart.perform``."""
    stack = request.wanted.stack if request.wanted is not None else load_stack(request.paths)
    # A unit of systemd stands for the whole stack.
    unit = None if request.services else boot.find(stack)
    if unit is None:
        return restart.perform(request, run_id)
    called = os.environ.get(boot.CALLED) == unit.name
    notes = boot.enter(unit, request.mode)
    report = restart.perform(request, run_id)
    notes += boot.follow(unit, stack, request.mode, ok=report["ok"], called=called)
    return {**report, "notes": [*report["notes"], *notes]}
