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

LINES = 50


def _logs(options: argparse.Namespace) -> int:
    from ..base.masking import masked
    from ..manifest.selection import narrowed
    from ..show.logs import logs_text, prefixed
    from ..state.known_secrets import known_secrets
    from ..verdict.log_lines import Log, followed_lines, last_log_lines
    from ..verdict.status import chosen

    if options.follow and options.json:
        raise RollcallError("--json and -f do not go together: a document has an end.", kind="wrong_use")
    if options.lines < 0:
        raise RollcallError("-n takes a number of lines, 0 or more.", kind="wrong_use")
    stack = load_stack(paths_of(options.root))
    part = narrowed(stack, chosen(stack, options.names))
    logs = [Log(stack, service.name) for service in part.services]
    found = last_log_lines(logs, options.lines)
    code = show({"ok": True, "logs": found}, lambda told: logs_text(told["logs"]), options)
    if options.follow:
        secrets, several = known_secrets(options.root), len(logs) > 1
        sys.stdout.flush()
        for name, line in followed_lines(logs):
            sys.stdout.write(masked(prefixed(name, line, several=several), secrets) + "\n")
            sys.stdout.flush()
    return code


VERBS: t.Mapping[str, Verb] = {
    "logs": Verb(
        "the last lines of the logs; changes nothing",
        _logs,
        (
            NAMES,
            option("--lines", "-n", metavar="LINES", type=int, default=LINES, help=f"of each log; {LINES} by default"),
            option("--follow", "-f", action="store_true", help="go on with what is written, until Ctrl-C"),
            JSON,
        ),
    )
}
