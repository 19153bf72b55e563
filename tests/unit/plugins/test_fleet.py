# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a fleet: what needs somebody comes first, and nothing is said to be well that is not known."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.fleet import (
    as_document,
    fleet_text,
    in_order,
    is_well,
    verdict,
)
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import Seen, seen_of

RECORD = {"id": "r1", "by": "ada@desk", "began": 1.0, "sign": 2.0, "before": "g", "leads": False}


def record(step: str, drained: str = "", *, at_work: bool = False) -> t.Any:
    controller = {"boot": "b", "namespace": "n", "pid": 1, "start": 1}
    since = 3.0 if drained else 0.0
    return {**RECORD, "controller": controller, "step": step, "drained": drained, "since": since, "at_work": at_work}


GOOD = Seen(reached=True, version="1.0", healthy=True, generation="g1", verified=True, release="v2")


@pytest.mark.parametrize(
    ("one", "word", "well"),
    [
        (GOOD, "OK", True),
        (Seen(reached=False, why="no route"), "NOT REACHED", False),
        (Seen(reached=True), "nothing installed", False),
        (Seen(reached=True, version="0.0.1"), "another engine", False),
        # Nobody knows what runs there.
        (Seen(reached=True, refused="services.web: unknown key"), "NOT KNOWN", False),
        (Seen(reached=True, healthy=False, failing=("running web",)), "FAILED", False),
        (Seen(reached=True, healthy=False, stopped="stopped by ada"), "stopped", True),
        (Seen(reached=True, healthy=True, rollout=record("done")), "OK", True),
        # It answers, and users do not reach it.
        (Seen(reached=True, healthy=True, rollout=record("failed", "haproxy")), "OK", False),
        (Seen(reached=True, healthy=True, rollout=record("run", at_work=True)), "OK", False),
    ],
)
def test_a_host_is_well_only_when_nothing_is_to_be_seen_to(one: Seen, word: str, well: bool) -> None:
    assert (verdict(one), is_well(one)) == (word, well)


def test_what_needs_somebody_comes_first_then_what_is_unlike_the_others() -> None:
    old = Seen(reached=True, version="1.0", healthy=True, release="v1")
    seen = {"a": GOOD, "b": GOOD, "c": old, "d": Seen(reached=False, why="no route")}

    assert in_order(seen) == ["d", "c", "a", "b"]
    *_table, _blank, last = fleet_text(seen).splitlines()
    assert last == "3 of 4 hosts well, 2 releases (v1 on c; v2 on a, b)"


def test_a_release_is_what_the_processes_run_and_what_is_installed_beside_it_is_told() -> None:
    old = dataclasses.replace(GOOD, running=("v1",))
    seen = {"a": dataclasses.replace(GOOD, running=("v2",)), "b": old, "c": GOOD}

    text = fleet_text(seen)

    assert in_order(seen) == ["b", "a", "c"]
    assert "v1 (v2 installed)" in text.splitlines()[1]
    assert "v2 (installed)" in text.splitlines()[3]
    assert as_document(old)["running"] == ["v1"]


def test_a_host_that_did_not_answer_has_no_green_line() -> None:
    seen = {"a": seen_of({"failed": True, "msg": "Timed out after 60 s"}), "b": seen_of({})}

    text = fleet_text(seen)

    assert text.count("NOT REACHED") == 2
    assert "Timed out after 60 s" in text
    text = fleet_text({"a": seen_of({"failed": True, "asked": False, "msg": "services.web: unknown key"})})
    assert "NOT KNOWN: services.web: unknown key" in text
    assert " OK" not in text
