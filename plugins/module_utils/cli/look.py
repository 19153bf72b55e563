# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verbs that look at a stack and change nothing: status, verify, history, port."""

from __future__ import annotations

import argparse
import sys
import typing as t

from ..base.errors import RollcallError
from ..state.generations import load_stack
from .console import JSON, NAMES, SOAK, Verb, announced, option, paths_of, show, show_report


def _status(options: argparse.Namespace) -> int:
    from ..verdict import limits, status

    paths = paths_of(options.root)
    with announced("status", limits.look_limit(load_stack(paths))):
        report = status.status(paths, services=options.names)
    return show_report(report, options)


def _verify(options: argparse.Namespace) -> int:
    from ..verdict import limits, verify

    paths = paths_of(options.root)
    with announced("verify", limits.verify_limit(load_stack(paths), options.soak)):
        report = verify.verify(paths, soak=options.soak, services=options.names)
    return show_report(report, options)


def _history(options: argparse.Namespace) -> int:
    from ..show.history import history_text, run_text
    from ..show.words import terminal
    from ..state import history

    paths = paths_of(options.root)
    if options.run_id is not None:
        one = history.recorded_run(paths, options.run_id)
        return show(one, run_text, options)
    latest = history.recorded_runs(paths, options.root, most=options.most)
    return show(latest, lambda told: history_text(told, terminal(sys.stdout)["width"]), options)


def _port(options: argparse.Namespace) -> int:
    stack = load_stack(paths_of(options.root))
    ports = stack.ports_by_address
    if options.name not in ports:
        what = "has no port" if any(one.name == options.name for one in stack.services) else "is no service"
        raise RollcallError(
            f"'{options.name}' {what} of stack {stack.name}. With a port: {', '.join(ports) or 'none'}.",
            kind="wrong_use",
            evidence={"name": options.name, "known": list(ports)},
        )
    data = {"ok": True, "name": options.name, "port": ports[options.name]}
    return show(data, lambda told: str(told["port"]), options)


VERBS: t.Mapping[str, Verb] = {
    "status": Verb(
        "state of every service, who listens on every port, and what is wrong; changes nothing", _status, (NAMES, JSON)
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
            option("run_id", metavar="RUN", nargs="?", help="all about one run; the beginning of its id is enough"),
            option("--most", metavar="N", type=int, default=20, help="how many runs; 20 by default"),
        ),
    ),
    "port": Verb("the port of a service", _port, (JSON, option("name", metavar="NAME"))),
}
