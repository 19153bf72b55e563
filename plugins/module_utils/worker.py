# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The worker: the process that carries a request out, under the engine installed on the host."""

from __future__ import annotations

import json
import sys
import typing as t

from . import journal, restart
from .errors import RollcallError
from .request import Request


def plan(stream: t.TextIO, output: t.TextIO) -> int:
    """Read a request and write what a run for it would do. Returns the exit code."""
    request = Request.from_dict(json.load(stream))
    try:
        result: t.Dict[str, t.Any] = {"report": restart.describe_plan(request)}
    except RollcallError as exc:
        result = {"error": exc.as_dict()}
    output.write(json.dumps(result))
    return 0


def main(root: str, run_id: str, stream: t.TextIO) -> int:
    """Be the worker: read the request, carry it out, leave the report. Returns the exit code.

    An error the engine does not expect is left in the worker's output and shows as a worker that died.
    """
    request = Request.from_dict(json.load(stream))
    if request.root != root:
        raise ValueError(f"a request for {request.root} reached the worker of {root}")
    code = 0
    try:
        result: t.Dict[str, t.Any] = {"report": restart.perform(request, run_id)}
    except RollcallError as exc:
        result = {"error": exc.as_dict()}
        code = exc.exit_code
    except OSError as exc:
        error = RollcallError(
            f"The run could not go on: {exc}. What it had done stands; a rerun converges from there.",
            evidence={"run": run_id, "steps": journal.steps_of(request.paths.state, run_id)},
            remedies=[f"df -h {root}; df -i {root}", "run the same command again"],
        )
        result = {"error": error.as_dict()}
        code = error.exit_code
    journal.write_atomically(journal.result_path(request.paths.state, run_id), json.dumps(result), 0o600)
    sys.stdout.flush()
    return code
