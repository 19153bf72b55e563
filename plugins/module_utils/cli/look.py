# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verbs that look at a stack and change nothing: status, verify, history, port."""

from __future__ import annotations

import argparse
import contextlib
import sys
import typing as t

from ..base.errors import RollcallError
from ..state.generations import load_stack
from .console import JSON, NAMES, SOAK, Verb, announce_lives, announced, option, paths_of, show, show_report

if t.TYPE_CHECKING:
    from ..manifest.model import Paths


def _status(options: argparse.Namespace) -> int:
    from ..verdict import limits, status

    paths = paths_of(options.root)
    if options.watch is not None:
        from .live import watch

        return watch(options, lambda: status.status(paths, services=options.names))
    with announced("status", limits.look_limit(load_stack(paths))):
        report = status.status(paths, services=options.names)
    return show_report(report, options)


def _seconds(word: str) -> float:
    """Return seconds that somebody has typed.

    Raises:
        argparse.ArgumentTypeError: it is no number.
    """
    try:
        return float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"takes seconds, not '{word}'; services are named before it") from None


def _verify(options: argparse.Namespace) -> int:
    from ..verdict import limits, verify

    paths = paths_of(options.root)
    with announced("verify", limits.verify_limit(load_stack(paths), options.soak)):
        report = verify.verify(
            paths, soak=options.soak, services=options.names, waits=lambda left: announce_lives(options, left)
        )
    return show_report(report, options)


def _history(options: argparse.Namespace) -> int:
    from ..show.history import history_text, run_text
    from ..show.words import terminal
    from ..state import history

    # Where no terminal ends a line, nobody who has run something is cut off.
    width = terminal(sys.stdout)["width"] if sys.stdout.isatty() else sys.maxsize
    paths = paths_of(options.root)
    if options.run_id is not None and options.run_id in _timers(paths):
        from ..show.timers import job_history_text
        from ..state.jobs import runs_of

        runs = runs_of(load_stack(paths), options.run_id)[: options.most]
        job = {"ok": True, "timer": options.run_id, "runs": runs}
        return show(job, lambda told: job_history_text(told, width), options)
    if options.run_id is not None:
        one = history.recorded_run(paths, options.run_id)
        return show(one, run_text, options)
    latest = history.recorded_runs(paths, options.root, most=options.most)
    return show(latest, lambda told: history_text(told, width), options)


def _timers(paths: Paths) -> t.List[str]:
    """Return the names of the timers; none of a stack whose manifest cannot be read, as its history can."""
    with contextlib.suppress(RollcallError):
        return [timer.name for timer in load_stack(paths).timers]
    return []


def _port(options: argparse.Namespace) -> int:
    stack = load_stack(paths_of(options.root))
    ports = stack.ports_by_address
    if options.name not in ports:
        here = next((one for one in stack.services if one.name == options.name), None)
        why = f"'{options.name}' is no service of stack {stack.name}"
        if here is not None:
            listens = f": it listens on {here.socket}" if here.socket else ""
            why = f"'{options.name}' of stack {stack.name} has no port{listens}"
        raise RollcallError(
            f"{why}. With a port: {', '.join(ports) or 'none'}.",
            kind="wrong_use",
            evidence={"name": options.name, "known": list(ports)},
        )
    data = {"ok": True, "name": options.name, "port": ports[options.name]}
    return show(data, lambda told: str(told["port"]), options)


VERBS: t.Mapping[str, Verb] = {
    "status": Verb(
        "state of every service, who listens on every port, and what is wrong; changes nothing",
        _status,
        (
            NAMES,
            JSON,
            option(
                "--watch",
                metavar="SECONDS",
                nargs="?",
                type=_seconds,
                const=2.0,
                help="show it in place on a terminal, trouble first, and look again so many seconds after each look; "
                "2 by default; Ctrl-C or q ends it",
            ),
        ),
    ),
    "verify": Verb(
        "the whole verdict, stability and logs since the last run included; changes nothing",
        _verify,
        (NAMES, JSON, SOAK),
    ),
    "history": Verb(
        "the latest runs: who, when, what changed, how it ended; and the kept generations; changes nothing",
        _history,
        (
            JSON,
            option(
                "run_id",
                metavar="RUN",
                nargs="?",
                help="all about one run; the beginning of its id is enough. Or the "
                "name of a timer: the last runs of its job",
            ),
            option("--most", metavar="N", type=int, default=20, help="how many runs; 20 by default"),
        ),
    ),
    "port": Verb("the port of a service", _port, (JSON, option("name", metavar="NAME"))),
}
