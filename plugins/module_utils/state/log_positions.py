# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where the logs stood when each run began: most lines of services have no time, and this is how one is known of them.

They stand beside the record of the run and go with it. A run goes on without them: nothing is decided by what they say.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from ..base.files import json_object, read_text
from .log_marks import LogMark, LogMarks
from .runs import run_ids, runs_directory


def keep_positions(state: str, run: str, marks: LogMarks) -> None:
    """Keep where the logs stand, by service, for a run that begins.

    Args:
        state: the stack's state directory.
        run: the run's id.
        marks: the ends of the logs as they are now.
    """
    # Not synced: after a crash of the machine an earlier run tells instead.
    with contextlib.suppress(OSError), open(_path(state, run), "w", encoding="utf-8") as stream:
        json.dump({name: mark[:4] for name, mark in marks.items()}, stream)


def kept_positions(state: str, run: str) -> t.Dict[str, LogMark]:
    """Return where the logs stood when a run began, by service; empty when nobody has kept it."""
    try:
        kept = json_object(read_text(_path(state, run), errors="replace"))
        return {name: LogMark(int(mark[0]), int(mark[1]), str(mark[2]), float(mark[3])) for name, mark in kept.items()}
    except (OSError, ValueError, TypeError, IndexError):
        return {}


def position_before(state: str, name: str, moment: float) -> LogMark:
    """Return the latest position of a service's log that is kept and no later than a moment; the empty mark for none.

    Args:
        state: the stack's state directory.
        name: of the service.
        moment: seconds since the epoch.
    """
    for run in run_ids(state):
        mark = kept_positions(state, run).get(name)
        if mark is not None and mark.time <= moment:
            return mark
    return LogMark()


def _path(state: str, run: str) -> str:
    return os.path.join(runs_directory(state), f"{run}.logs.json")
