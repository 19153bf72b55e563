# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a rollout and cannot be meant is told before the first host."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
import yaml

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollout_wishes import (
    WAYS,
    drain_reasons,
    number_reasons,
)
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Seen, Wishes, decide
from tests.support.repository import ROOT
from tests.unit.plugins.test_rollouts import record

GOOD = Seen(reached=True, version="1", healthy=True)


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("soak", "30", True),
        ("soak", 0, True),
        ("soak", "0.5", True),
        ("soak", "30s", False),
        ("soak", -1, False),
        ("soak", "nan", False),
        ("soak", None, False),
        # It would have no time at all.
        ("host_timeout", "30m", False),
        ("host_timeout", 0, False),
        ("host_timeout", "inf", False),
        ("failure_budget", "1", True),
        ("failure_budget", 1.5, False),
        ("failure_budget", -1, False),
        ("failure_budget", True, False),
        ("progress_timeout", 10**400, False),
    ],
)
def test_what_is_no_number_keeps_all_from_it(name: str, value: t.Any, good: bool) -> None:
    reasons = number_reasons({name: value})

    assert [reason.host for reason in reasons] == ([] if good else [name])
    assert all(f"-e {name}=" in reason.cure for reason in reasons)


@pytest.mark.parametrize(
    ("out", "way", "cure"),
    [
        ("", "none", ""),
        ("", "haproxy", ""),
        ("haproxy", "haproxy", ""),
        # Of somebody's own tasks only they know; a checkout may have moved.
        ("/old/drain.yml", "/new/drain.yml", ""),
        ("haproxy", "none", "-e rollout_drain=haproxy"),
        ("haproxy", "file", "-e rollout_drain=haproxy"),
        ("/old/drain.yml", "none", "-e rollout_drain=/old/drain.yml"),
        ("", "haproxi", "rollout_drain"),
        ("", "drain.yml", "rollout_drain"),
        ("", "/gone/drain.yml", "rollout_drain"),
    ],
)
def test_who_is_out_by_another_way_is_not_called_back(out: str, way: str, cure: str) -> None:
    one = replace(GOOD, drains=way, rollout=record(step="failed", drained=out) if out else None)
    seen = {"h1": GOOD, "h2": one}

    reasons = drain_reasons(decide(seen, Wishes(), 10.0), seen, lambda path: path == "/new/drain.yml")

    assert [reason.host for reason in reasons] == (["h2"] if cure else [])
    assert all(cure in reason.cure for reason in reasons)


def test_the_ways_are_those_of_the_role() -> None:
    known = yaml.safe_load((ROOT / "roles" / "drain" / "vars" / "main.yml").read_text(encoding="utf-8"))
    assert set(WAYS) == set(known["__drain_ways"])
