# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The rule of lives: whether a service that runs now can be trusted to run on, by how its earlier lives ended. Pure.

docs/explanation/lives.md describes it on one page.
"""

from __future__ import annotations

import typing as t

from ..manifest.model import EXPECTED, Service
from ..state.lives import Exit, Lives

DAY = 86_400.0
# How long a service must live after an exit, whatever came before: so many times its `stable_for`, within this limit.
TIMES_STABLE = 30.0
PROBATION = 60.0
# How long a verdict waits for a life to become long enough. Where that takes longer, it says when to look again.
PATIENCE = 60.0
# A single exit after a longer life than this asks for no more than that.
LONG_LIFE = 300.0
# What even the slowest loop asks for at the most.
MOST = 3600.0

STEADY = "steady"
RECOVERING = "recovering"
LOOP = "loop"


class Standing(t.NamedTuple):
    """How a service stands by its lives.

    Attributes:
        word: ``steady``, ``recovering`` after one exit, ``loop`` after more; the latter two until it has lived long
            enough.
        asks: how many seconds its life must last for the verdict; 0 without an exit that counts.
        counted: the exits that count.
    """

    word: str
    asks: float
    counted: t.Tuple[Exit, ...]


def probation(service: Service) -> float:
    """Return how many seconds a service must live after an exit before it is trusted again."""
    return max(service.stable_for, min(PROBATION, TIMES_STABLE * service.stable_for))


def counted_exits(service: Service, lives: Lives, now: float) -> t.Tuple[Exit, ...]:
    """Return the exits that count: those of the last 24 hours.

    A service that ends itself with code 0 after a while, and has supervisord start it again, does what it is made for;
    so does one that ends by design, however soon.
    """
    least = 0.0 if service.ends == EXPECTED else probation(service)
    return tuple(
        one
        for one in lives.exits
        if now - one.at < DAY and not (one.expected and one.lived is not None and one.lived >= least)
    )


def standing(service: Service, lives: Lives, age: float, now: float) -> Standing:
    """Return how a service stands.

    Args:
        service: of the manifest.
        lives: what is known of its lives.
        age: seconds that its present life has lasted.
        now: seconds since the epoch.
    """
    counted = counted_exits(service, lives, now)
    if not counted:
        return Standing(STEADY, 0.0, ())
    first, *others = counted
    between = [one.lived or 0.0 for one in others]
    if first.lived is not None and first.lived <= LONG_LIFE:
        between.append(first.lived)
    asks = max(probation(service), min(MOST, 2 * max(between, default=0.0)))
    if age > asks:
        return Standing(STEADY, asks, counted)
    return Standing(LOOP if others else RECOVERING, asks, counted)
