# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which old releases and virtual environments are removed. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class KeptRelease:
    """A release that is on the host.

    Attributes:
        id: its name.
        made: seconds since the epoch, by its record.
        environment: the virtual environment that it links to; empty without one.
    """

    id: str
    made: float
    environment: str = ""


def to_prune(
    releases: t.Iterable[KeptRelease], environments: t.Iterable[str], needed: t.Container[str], keep: int
) -> t.Tuple[t.List[str], t.List[str]]:
    """Return the releases that go and the virtual environments that go with them.

    Args:
        releases: those that are on the host.
        environments: the names of those that are on the host.
        needed: releases that stay whatever their age: those in place, on their way there, and of kept generations.
        keep: how many of the newest stay besides.
    """
    ordered = sorted(releases, key=lambda release: (release.made, release.id), reverse=True)
    going = [release for release in ordered[keep:] if release.id not in needed]
    used = {release.environment for release in ordered if release not in going}
    return sorted(release.id for release in going), sorted(name for name in environments if name not in used)
