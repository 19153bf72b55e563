# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``logs``: what services have written, and with ``-f`` what they write."""

from __future__ import annotations

import argparse
import sys
import typing as t

from ..base.errors import RollcallError
from ..state.generations import load_stack
from .console import JSON, NAMES, Verb, option, paths_of, show

if t.TYPE_CHECKING:
    from ..base.documents import LogData
    from ..manifest.model import Stack
    from ..verdict.log_lines import Log

LINES = 50


def _logs(options: argparse.Namespace) -> int:
    from ..base.masking import masked
    from ..show.logs import logs_text, prefixed
    from ..state.known_secrets import FreshSecrets
    from ..verdict.log_lines import Log, followed_lines, last_log_lines

    if options.follow and options.json:
        raise RollcallError("--json and -f do not go together: a document has an end.", kind="wrong_use")
    if options.lines is not None and options.lines < 0:
        raise RollcallError("-n takes a number of lines, 0 or more.", kind="wrong_use")
    stack = load_stack(paths_of(options.root))
    logs = [Log(stack, name) for name in _named(stack, options.names)]
    if options.since is None:
        found = last_log_lines(logs, LINES if options.lines is None else options.lines)
    else:
        found = _since(logs, stack, options)
    code = show({"ok": True, "logs": found}, lambda told: logs_text(told["logs"], options.root), options)
    if options.follow:
        secrets, several = FreshSecrets(stack.paths, options.root), len(logs) > 1
        sys.stdout.flush()
        for name, line in followed_lines(logs):
            sys.stdout.write(masked(prefixed(name, line, several=several), secrets.now()) + "\n")
            sys.stdout.flush()
    return code


def _named(stack: Stack, names: t.Sequence[str]) -> t.List[str]:
    """Return the services and timers whose logs are meant; all without a name.

    Raises:
        RollcallError: ``wrong_use``: a name stands for none.
    """
    import fnmatch

    from ..manifest.selection import names_any, selected

    jobs = {name: [one.name for one in stack.timers if fnmatch.fnmatchcase(one.name, name)] for name in names}
    if not names:
        return [one.name for one in (*stack.services, *stack.timers)]
    # A pattern may stand for services, for timers, and for both; one that stands for neither is told.
    of_services = [name for name in names if names_any(stack, name) or not jobs[name]]
    services = selected(stack, of_services) if of_services else ()
    return [*services, *dict.fromkeys(one for found in jobs.values() for one in found)]


def _since(logs: t.Sequence[Log], stack: Stack, options: argparse.Namespace) -> t.Dict[str, LogData]:
    from ..verdict.log_lines import log_data
    from ..verdict.log_since import lines_since, moment_of

    found = lines_since(logs, stack, moment_of(stack.paths, options.since))
    most = options.lines
    return {
        log.name: log_data(log, lines if most is None else lines[len(lines) - min(most, len(lines)) :], notes)
        for log, (lines, notes) in zip(logs, (found[log.name] for log in logs))
    }


VERBS: t.Mapping[str, Verb] = {
    "logs": Verb(
        "the last lines of the logs; changes nothing",
        _logs,
        (
            NAMES,
            option(
                "--lines",
                "-n",
                metavar="LINES",
                type=int,
                help=f"of each log the last ones; {LINES} by default, with --since all",
            ),
            option(
                "--since",
                metavar="RUN|TIME",
                help="what was written since a run began, by its id, since a time such as 14:05 or 2026-05-31T14:05, "
                "or for so long, such as 10m",
            ),
            option("--follow", "-f", action="store_true", help="go on with what is written, until Ctrl-C"),
            JSON,
        ),
    )
}
