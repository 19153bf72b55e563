# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""How the values below ``watch`` of a manifest fit together."""

from __future__ import annotations

import typing as t

from . import corrections
from .alert_checks import alerts_of, heartbeat_of, metrics_of
from .problems import value_of
from .watch_model import Watch
from .written import Written


def watch_of(written: Written) -> t.Dict[str, t.Any]:
    """Return what is below ``watch`` as data of a `Watch`, and add the problem where it cannot hold together."""
    given = value_of(written.fields, "watch", {})
    found = {key: value for key in given if (value := value_of(given, key)) is not None}
    degraded = found.get("degraded_after", Watch.degraded_after)
    critical = found.get("critical_after")
    if critical is None:
        found["critical_after"] = max(Watch.critical_after, degraded)
    elif critical < degraded:
        written.problems.error(
            ("watch", "critical_after"),
            f"is {critical}, and an incident is degraded only after {degraded} looks (degraded_after)",
            corrections.CRITICAL_LATER,
        )
    if "alerts" in found:
        found["alerts"] = alerts_of(written, found["alerts"])
    if "heartbeat" in found:
        found["heartbeat"] = heartbeat_of(written, found["heartbeat"])
    if "metrics" in found:
        found["metrics"] = metrics_of(written, found["metrics"])
    return found
