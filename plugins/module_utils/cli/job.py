# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``job``, by which systemd runs the job of a timer, and what ``rerun`` does with the name of a timer."""

from __future__ import annotations

import argparse
import typing as t

from ..base import cures
from ..base.errors import EXIT_FAILED, EXIT_OK, RollcallError
from ..state.generations import load_stack
from .console import Verb, announce, option, paths_of, show

if t.TYPE_CHECKING:
    from ..base.job_documents import JobDocument, JobRun
    from ..manifest.model import Stack


def _job(options: argparse.Namespace) -> int:
    from ..run.job import SYSTEMD, run_job
    from ..state.jobs import BAD

    stack = load_stack(paths_of(options.root))
    run = run_job(stack, options.name, SYSTEMD)
    show(_document(stack, options.name, run), _text, options)
    return EXIT_FAILED if run["result"] in BAD else EXIT_OK


def rerun(stack: Stack, options: argparse.Namespace) -> int:
    """Run the job of the timer that ``options`` name now, wait for its end, and tell it; return the exit code.

    Raises:
        RollcallError: ``wrong_use``: something else is named as well; or as `run_job`.
    """
    from ..run.job import find_timer, run_job
    from ..run.request import who
    from ..state.jobs import KILLED

    name, *others = options.names
    if others:
        raise RollcallError(
            f"One job is run at a time, and nothing beside it: {', '.join(options.names)}. Nothing was started.",
            kind="wrong_use",
            evidence={"names": options.names},
            remedies=[cures.rerun(name)],
        )
    timer = find_timer(stack, name)
    if options.check:
        return show(_document(stack, name, None), _text, options)
    announce(options.verb, timer.timeout + timer.stop.timeout + KILLED)
    return show(_document(stack, name, run_job(stack, name, who())), _text, options)


def _document(stack: Stack, name: str, run: t.Optional[JobRun]) -> JobDocument:
    from ..run.job import find_timer
    from ..supervisord.places import log_file

    return {
        "ok": run is None or run["result"] == "ok",
        "stack": stack.name,
        "timer": name,
        "command": list(find_timer(stack, name).command),
        "last": run,
        "log": log_file(stack, name),
    }


def _text(told: JobDocument) -> str:
    from ..show.timers import job_text

    return job_text(told)


VERBS: t.Mapping[str, Verb] = {
    "job": Verb("", _job, (option("name", metavar="TIMER"),), settings={"json": False}),
}
