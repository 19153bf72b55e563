# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a service that runs has put into the background: its supervisord does not hold it, and it is no left-over.

See docs/design/0015-detached.md.
"""

from __future__ import annotations

import typing as t

from . import processes
from .model import Identity, Process


def detached_by(
    found: t.Iterable[Process], lives: t.Mapping[str, Identity], supervisords: t.Collection[int]
) -> t.List[Process]:
    """Return which processes that no supervisord holds a service has put into the background in its present life.

    Such a process has become a child of the living supervisord, which is the reaper of all that descends from it, and
    is no older than the process of its service. What an earlier supervisord or an earlier life has left is none.

    Args:
        found: the processes, as ``ours.left_over`` returns them.
        lives: by service the process that it has now.
        supervisords: pids of the supervisords that have these.
    """
    known = [(process, lives.get(process.label.service)) for process in found if process.label is not None]
    candidates = [process for process, life in known if life is not None and process.start >= life[1]]
    if not candidates:
        return []
    lineages = processes.lineages([process.pid for process in candidates], candidates)
    return [one for one in candidates if not set(supervisords).isdisjoint(lineages[one.pid][1:])]
