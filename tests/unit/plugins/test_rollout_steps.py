# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that run on one host for all come first, or nobody is touched; what they forbid is said before."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollout_steps import step_notes, step_reasons
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Seen, Wishes, decide, in_batches

ONCE = {"migrate": "a"}
GOOD = Seen(reached=True, version="1", healthy=True, changes=True, once=ONCE)
STEP = replace(GOOD, steps=("migrate",), one_way=("migrate",))
LOST = Seen(reached=False, why="no route")


@pytest.mark.parametrize(
    ("seen", "sizes", "told"),
    [
        ({"a": STEP, "b": GOOD}, [1], {}),
        # Nothing is left to run there.
        ({"a": GOOD, "b": GOOD}, ["100%"], {}),
        ({"a": STEP, "b": GOOD}, ["100%"], {"a": "the first batch has 2 of them"}),
        ({"b": GOOD, "a": STEP}, [1], {"a": "the rollout begins with b"}),
        ({"a": LOST, "b": GOOD}, [1], {"a": "this one is left out"}),
        ({"a": replace(STEP, stopped="stopped by ada"), "b": GOOD}, [1], {"a": "this one is left out"}),
        ({"a": replace(GOOD, stopped="stopped by ada"), "b": GOOD}, [1], {}),
        ({"a": replace(GOOD, over=("migrate",)), "b": GOOD}, [1], {"a": "migrate has run and does not say reversible"}),
    ],
)
def test_what_runs_once_for_all_runs_before_any_other_host_gets_the_new_version(
    seen: t.Mapping[str, Seen], sizes: t.Any, told: t.Mapping[str, str]
) -> None:
    decided = decide(seen, Wishes(unreachable="skip"), 10.0)

    reasons = step_reasons(decided, seen, in_batches(decided.hosts, sizes))

    assert [reason.host for reason in reasons] == list(told)
    assert all(told[reason.host] in reason.what and reason.cure for reason in reasons)


def test_what_cannot_be_gone_back_over_is_said_before() -> None:
    notes = step_notes(decide({"a": STEP}, Wishes(), 10.0), {"a": STEP})
    assert notes == ["migrate runs on a, for all hosts. After it no host goes back: it does not say reversible: true"]
    reversible = replace(STEP, one_way=())
    assert "so a host that fails goes back" in step_notes(decide({"a": STEP}, Wishes(), 10.0), {"a": reversible})[0]
