# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random stacks of services of which some misbehave."""

from __future__ import annotations

import random
import typing as t

# Seconds between the first verdict and the second, and then for which an observer watches.
BEFORE, AFTER = 25.0, 60.0

# Behaviours of services that are well, whatever they look like for a moment.
WELL = ("well", "slow", "replaces_workers", "talks_when_ended")
# Behaviours of services that are not, sooner or later.
ILL = (
    "loops",
    "dies_once",
    "dies_later",
    "closes_its_port",
    "every_second_answer",
    "fails_later",
    "logs_late",
    "freezes",
    "forks_away",
)
KINDS = (*WELL, *ILL)


def draw(number: int, seed: int) -> dict[str, dict[str, t.Any]]:
    """Return the behaviours of one stack's services by name: two or three of them, at most two of them ill.

    Args:
        number: of the stack, from 0; the kinds of ill services come in turn, so that each is tried as often.
        seed: of everything that is random.
    """
    dice = random.Random(f"{seed}-{number}")
    services: dict[str, dict[str, t.Any]] = {}
    for index in range(dice.randint(2, 3)):
        kind = dice.choice(WELL)
        # One stack in four is well throughout: a tool that always says FAILED is no better.
        if index == 0 and number % 4:
            kind = ILL[number * 3 // 4 % len(ILL)]
        elif index == 1 and number % 4 and dice.random() < 0.3:
            kind = dice.choice(ILL)
        services[f"s{index}"] = {"kind": kind, **_numbers(kind, dice)}
    return services


def _numbers(kind: str, dice: random.Random) -> dict[str, t.Any]:
    code = dice.choice([0, 1, 1, 3, 137, -9, -11])
    if kind == "slow":
        return {"after": round(dice.uniform(0, 4), 2)}
    if kind == "replaces_workers":
        return {"after": round(dice.uniform(3, 20), 2)}
    if kind == "loops":
        shortest, longest = dice.choice([(0.2, 3), (3, 12), (12, 40)])
        return {"after": round(dice.uniform(shortest, longest), 2), "code": code}
    if kind == "dies_once":
        return {"after": round(dice.uniform(1.5, 20), 2), "code": code}
    if kind == "dies_later":
        return {"after": round(dice.uniform(BEFORE + 5, BEFORE + AFTER), 2), "code": code}
    if kind in ("closes_its_port", "fails_later", "logs_late", "freezes"):
        return {"after": round(dice.uniform(0.2, BEFORE + 10), 2)}
    return {}
