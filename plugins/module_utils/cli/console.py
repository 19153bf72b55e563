# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What all verbs of the command share: which stack is meant, common options, and how an answer is printed."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
import typing as t

from ..base.clock import SOON
from ..base.errors import EXIT_FAILED, EXIT_OK, RollcallError
from ..manifest.model import Paths

POLICY_HELP = "what may be ended on an assigned port: left-overs of this stack (owned), nothing (refuse), all (any)"


def paths_of(root: t.Optional[str]) -> Paths:
    """Return the directories of the stack that the command was called for.

    Raises:
        RollcallError: ``wrong_use``: it was called without its root.
    """
    if root is None:
        raise RollcallError(
            "Which stack? This command was called without its root directory.",
            kind="wrong_use",
            remedies=["call the installed command: ROOT/bin/rollcall", "rollcall --root ROOT ..."],
        )
    return Paths.of(root)


def add_policy(parser: argparse.ArgumentParser) -> None:
    """Add the option that says what may be ended on a port."""
    parser.add_argument("--policy", choices=("owned", "refuse", "any"), default="owned", help=POLICY_HELP)


def announce(verb: str, limit: float, last: t.Optional[float] = None) -> None:
    """Say by when a verb ends at the latest, and how many seconds it took the last time, to whoever waits for it."""
    before = "" if last is None else f"; the last time it took {last:.1f} s"
    sys.stderr.write(f"rollcall {verb}: ends within {limit:.0f} s at the latest{before}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def announced(verb: str, limit: float) -> t.Iterator[None]:
    """Do something that may take up to ``limit`` seconds, and say so when it takes longer than a moment."""
    timer = threading.Timer(SOON, announce, (verb, limit))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def show(data: t.Mapping[str, t.Any], text: t.Union[str, t.Callable[[], str]], *, as_json: bool) -> int:
    """Print an answer and return its exit code.

    Args:
        data: with ``ok``, which the exit code tells.
        text: the same for people; a function is only called when it is wanted.
        as_json: print the data instead.
    """
    shown = json.dumps(data, indent=2) if as_json else text if isinstance(text, str) else text()
    sys.stdout.write(shown + "\n")
    return EXIT_OK if data["ok"] else EXIT_FAILED
