# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``undo``, for an install that has ended before its run, which would have done it."""

from __future__ import annotations

import argparse
import sys
import typing as t

from ..base.errors import EXIT_FAILED, EXIT_OK
from .console import Verb, announced, paths_of


def _undo(options: argparse.Namespace) -> int:
    from ..run.request import who
    from ..state import undo
    from ..state.generations import load_stack
    from ..state.lock import locked

    state = load_stack(paths_of(options.root)).paths.state
    with announced("undo", undo.PATIENCE), locked(state, who(), "undo"):
        done = undo.take_back(state)
    sys.stdout.write("".join(f"{one.words}\n" for one in done) or "nothing to take back\n")
    return EXIT_OK if all(one.ok for one in done) else EXIT_FAILED


VERBS: t.Mapping[str, Verb] = {
    "undo": Verb(
        "take back what an install has changed outside of a generation, as a password, when no run has followed it",
        _undo,
    )
}
