# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that gets another port in a rollout that drains."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollout_ports import (
    both_ways,
    port_notes,
    port_reasons,
)
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Seen, Wishes, decide

GOOD = Seen(reached=True, version="1", healthy=True)
MOVED = (("web", 8001, 8002),)
SWAPPED = (("web", 8001, 8002), ("api", 8002, 8001))


def test_a_port_is_known_on_the_way_forth_and_back_and_a_swap_is_not() -> None:
    assert both_ways(MOVED) == {"8001": 8002, "8002": 8001}
    assert both_ways(SWAPPED) == {}


@pytest.mark.parametrize(
    ("moves", "drain", "refused"),
    [
        (MOVED, "none", False),
        (MOVED, "haproxy", False),
        (MOVED, "file", False),
        (MOVED, "nginx", True),
        (SWAPPED, "haproxy", True),
        ((), "nginx", False),
    ],
)
def test_a_port_that_the_balancer_cannot_follow_keeps_all_from_it(moves: t.Any, drain: str, refused: bool) -> None:
    seen = {"h1": replace(GOOD, moves=moves), "h2": GOOD}
    decided = decide(seen, Wishes(), 10.0)

    reasons = port_reasons(decided, seen, drain)

    assert [(reason.host, reason.cure) for reason in reasons] == ([("h1", cures.BRING_PORT)] if refused else [])
    assert bool(port_notes(decided, seen, drain)) == (bool(moves) and drain != "none")
