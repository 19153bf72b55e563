# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verbs that change a stack: start, stop, restart, rollback, flush. Each is a run in a restart mode."""

from __future__ import annotations

import argparse
import typing as t

from ..ports.policies import OWNED
from ..run.modes import AUTO, FLUSH, FULL, RELOAD, RERUN, RESTARTS, ROLLBACK, STOP, mode_named
from .console import (
    ALONE,
    CHECK,
    JSON,
    NAMES,
    POLICY,
    SOAK,
    Verb,
    announce,
    announce_lives,
    option,
    paths_of,
    show_report,
)


def _run(options: argparse.Namespace) -> int:
    from ..run.standing import untouched

    if options.check:
        return _perform(options)
    with untouched():
        return _perform(options)


def _restart(options: argparse.Namespace) -> int:
    if options.mode not in {name for mode in RESTARTS for name in mode.names}:
        # The mode may be left out.
        options.names.insert(0, options.mode)
        options.mode = FULL.name
    return _run(options)


def _rerun(options: argparse.Namespace) -> int:
    from ..state.generations import load_stack

    stack = load_stack(paths_of(options.root))
    named = [timer.name for timer in stack.timers if timer.name in options.names]
    if not named:
        return _run(options)
    # Late: seldom needed.
    from .job import rerun

    return rerun(stack, options)


def _perform(options: argparse.Namespace) -> int:
    from ..run import dispatch, restart
    from ..run.limits import parts_of
    from ..run.request import Request, who
    from ..state.generations import load_stack
    from ..state.history import last_seconds

    paths = load_stack(paths_of(options.root)).paths
    request = Request(
        root=options.root,
        mode=mode_named(options.mode),
        who=who(),
        paths=paths,
        policy=getattr(options, "policy", OWNED),
        automatic=getattr(options, "automatic", False),
        soak=getattr(options, "soak", 0.0),
        generation=getattr(options, "generation", ""),
        services=tuple(getattr(options, "names", ())),
        dependents=getattr(options, "dependents", True),
    )
    if request.mode.starts:
        from ..run.relocate import relocated

        request = relocated(request, dry_run=options.check)
    if options.check:
        return show_report(restart.describe_plan(request), options)

    def waiting(limit: float) -> None:
        parts = parts_of(request, load_stack(paths))
        announce(options.verb, limit, last_seconds(paths, request.mode.name), parts)

    def lives(left: t.Mapping[str, float]) -> None:
        announce_lives(options, left)

    return show_report(dispatch.run(request, onlooker=dispatch.Onlooker(waiting, lives)), options)


AUTOMATIC = option(
    "--automatic",
    action="store_true",
    help="a program asks, not a person: refused when the stack's restart_budget is used up",
)
MODE = option(
    "mode",
    nargs="?",
    default=FULL.name,
    help="; ".join(f"{' or '.join(mode.names)}: {mode.help}" for mode in RESTARTS)
    + f". {FULL.name} is the default; a service that is called like a mode is named after one",
)
GENERATION = option("generation", metavar="GENERATION", nargs="?", default="", help="its id")

ONESHOTS = option(
    "names",
    metavar="ONESHOT",
    nargs="+",
    help="which; * and ? stand for other characters. What depends on it keeps running: restart restarts that, too. Or "
    "the name of one timer",
)

VERBS: t.Mapping[str, Verb] = {
    "start": Verb(
        "start what is not running or not healthy; leave the rest alone",
        _run,
        (NAMES, ALONE, JSON, POLICY, CHECK, AUTOMATIC, SOAK),
        settings={"mode": AUTO.name},
    ),
    "stop": Verb(
        f"{STOP.help}; or stop the services that are named",
        _run,
        (NAMES, ALONE, JSON, CHECK),
        settings={"mode": STOP.name},
    ),
    "restart": Verb(
        "stop, start and verify the stack, or the services that are named",
        _restart,
        (MODE, NAMES, ALONE, JSON, POLICY, CHECK, AUTOMATIC, SOAK),
    ),
    "reload": Verb(RELOAD.help, _run, (NAMES, JSON, CHECK, SOAK), settings={"mode": RELOAD.name}),
    "rerun": Verb(
        f"{RERUN.help}; or run the job of a timer now, and tell how it ended",
        _rerun,
        (ONESHOTS, JSON, POLICY, CHECK, AUTOMATIC),
        settings={"mode": RERUN.name},
    ),
    "rollback": Verb(ROLLBACK.help, _run, (GENERATION, JSON, POLICY, CHECK, SOAK), settings={"mode": ROLLBACK.name}),
    "flush": Verb(FLUSH.help, _run, (JSON, POLICY, CHECK), settings={"mode": FLUSH.name}),
}
