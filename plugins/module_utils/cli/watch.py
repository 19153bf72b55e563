# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``watch``: looks at a stack again and again, and tells what has changed."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import typing as t

from ..base import cures
from ..base.errors import EXIT_FAILED, EXIT_OK, RollcallError
from ..base.interrupts import INTERRUPTED
from ..base.text import printable
from ..state.generations import load_stack
from .console import JSON, Verb, announced, option, paths_of, show

if t.TYPE_CHECKING:
    from ..base.watch_documents import WatchDocument

# The exit code of --once where an incident is critical; one that is degraded has that of a failed verdict.
EXIT_CRITICAL = 4
_CODES = {"critical": EXIT_CRITICAL, "degraded": EXIT_FAILED}


def _try_alerts(options: argparse.Namespace) -> int:
    from ..show.watching import tried_text
    from ..watch.alerts import SECONDS, try_all

    stack = load_stack(paths_of(options.root))
    with announced("watch", SECONDS):
        tried = try_all(stack)
    return show(tried, tried_text, options)


def _watch(options: argparse.Namespace) -> int:
    if options.test_alert:
        return _try_alerts(options)
    from ..show.watching import begun_text, look_text
    from ..watch.loop import Renewed, Stopped, Watcher

    paths_of(options.root)

    def tell(document: WatchDocument) -> None:
        if options.json:
            _print(json.dumps(document))
        elif options.once or document["events"]:
            _print(look_text(document, whole=options.once))

    watcher = Watcher(options.root, tell, warn=lambda text: _print(f"rollcall: {printable(text)}", sys.stderr))
    try:
        if options.once:
            watcher.once()
            return _CODES.get(watcher.state["level"], EXIT_OK)
        if not options.json:
            _print(begun_text(watcher.stack, watcher.state))
        watcher.watch()
    except Stopped as exc:
        return INTERRUPTED if exc.args == (signal.SIGINT,) else EXIT_OK
    except Renewed:
        # As what was installed since; the process stays the same to whoever has started it.
        more = ["--json"] if options.json else []
        command = os.path.join(options.root, "bin", "rollcall")
        try:
            os.execv(command, ["rollcall", "watch", *more])
        except OSError as exc:
            message = f"The engine was replaced, and the watcher cannot go on as {command}: {exc.strerror}."
            raise RollcallError(message, evidence={"path": command}, remedies=[cures.INSTALL]) from exc
    return EXIT_OK


def _print(text: str, stream: t.Optional[t.TextIO] = None) -> None:
    """Print lines at once: who reads them may be a journal, or a pipe."""
    if text:
        stream = stream or sys.stdout
        stream.write(text + "\n")
        stream.flush()


VERBS: t.Mapping[str, Verb] = {
    "watch": Verb(
        "look at the stack again and again, and tell what is wrong, and when it is over",
        _watch,
        (
            option("--once", action="store_true", help="look once, for a timer; exit code 1: degraded, 4: critical"),
            option(
                "--test-alert",
                action="store_true",
                help="look at nothing: send a trial to each target of watch.alerts, call the heartbeat, and tell what "
                "each has answered; exit code 1 when one has not taken it",
            ),
            JSON,
        ),
    ),
}
