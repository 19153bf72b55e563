# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The verb ``rollcall acknowledge``: what was wrong until now is known."""

from __future__ import annotations

import argparse
import typing as t

from .console import CHECK, JSON, Verb, announced, paths_of, show


def _acknowledge(options: argparse.Namespace) -> int:
    from ..run import acknowledge, request
    from ..show.acknowledged import acknowledged_text
    from ..state.generations import load_stack
    from ..verdict import limits

    paths = load_stack(paths_of(options.root)).paths
    with announced("acknowledge", limits.SLACK + limits.LOGS):
        data = acknowledge.acknowledge(paths, request.who(), dry_run=options.check)
    return show(data, acknowledged_text, options)


VERBS: t.Mapping[str, Verb] = {
    "acknowledge": Verb(
        "say that the last failed run, failed jobs and critical log lines are known; they are not told or judged again",
        _acknowledge,
        (JSON, CHECK),
    )
}
