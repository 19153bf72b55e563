# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What comes of asking a service for its health, or a database."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


class NoAnswer(Exception):
    """Why there is no answer, or no good one, in words that may be shown."""


@dataclass(frozen=True)
class HealthAnswer:
    """What a service answered.

    Attributes:
        ok: whether it is what was wanted.
        detail: the same in words, for people.
        status: of HTTP; None for all else, and where none came.
        latency: seconds that it took.
        peer: the address that took the connection; empty when none did.
        local: whether that is an address of this host.
    """

    ok: bool
    detail: str
    status: t.Optional[int]
    latency: float
    peer: str = ""
    local: bool = True


@dataclass(frozen=True)
class DatabaseAnswer(HealthAnswer):
    """What a database answered.

    Attributes:
        reached: whether something took the connection, whatever it then said; for a file, whether it is one.
        place: where it was asked, without user and password; empty when that could not be found out.
        command: what asks it by hand; it wants the password of whoever types it.
    """

    reached: bool = False
    place: str = ""
    command: t.Optional[str] = None
