# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``undo``, for an install that has ended before its run, which would have done it."""

from __future__ import annotations

import argparse
import typing as t

from .console import Verb, announced, paths_of, show


def _undo(options: argparse.Namespace) -> int:
    from ..run.request import who
    from ..state import undo
    from ..state.generations import load_stack
    from ..state.lock import locked

    state = load_stack(paths_of(options.root)).paths.state
    with announced("undo", undo.PATIENCE), locked(state, who(), "undo"):
        done = undo.take_back(state)
    data = {"ok": all(one.ok for one in done), "done": [one.words for one in done] or ["nothing to take back"]}
    return show(data, lambda told: "\n".join(told["done"]), options)


VERBS: t.Mapping[str, Verb] = {
    "undo": Verb(
        "take back what an install has changed outside of a generation, as a password, when no run has followed it",
        _undo,
        settings={"json": False},
    )
}
