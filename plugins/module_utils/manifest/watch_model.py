# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How a stack is watched, as data: what stands below ``watch`` in a manifest, with every default filled in.

The classes are known in model.py, which makes them of JSON.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .record import Record


@dataclass(frozen=True, eq=False, repr=False)
class Watch(Record):
    """How the watcher of a stack looks, and what it does.

    Attributes:
        interval: seconds from one look to the next.
        grace: seconds after a boot and after a run in which a failure is not counted.
        degraded_after: consecutive failed looks after which an incident is degraded.
        critical_after: consecutive failed looks after which it is critical; not less than ``degraded_after``.
        restart: whether the watcher may restart a service that is down by itself, within the restart budget.
        alerts: whom an incident is told, each with all keys of `alert_keys.ALERT`; empty text is none.
        heartbeat: the URL that is called while all is well, or its file, and how often; None for none.
        metrics: the ``textfile`` that is written, and the ``port`` that is listened on; empty and 0 for none.
    """

    interval: float = 15.0
    grace: float = 60.0
    degraded_after: int = 2
    critical_after: int = 4
    restart: bool = False
    alerts: t.Tuple[t.Mapping[str, t.Any], ...] = ()
    heartbeat: t.Optional[t.Mapping[str, t.Any]] = None
    metrics: t.Mapping[str, t.Any] = field(default_factory=dict)


# How a stack is watched whose manifest says nothing of it.
AS_EVER = Watch()
