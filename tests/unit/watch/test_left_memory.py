# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What another version, or a crash, has left as a watcher's memory: nobody who reads it breaks down by it."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.state.watching import (
    left_deliveries,
    read_watch,
    watcher_of,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch import messages, outbox
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.alerts import Courier, problems_of
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.incidents import begin, next_state
from ansible_collections.rollcall.supervisor.plugins.module_utils.watch.metrics import Facts, values_of
from tests.support.manifests import a_manifest, checked
from tests.unit.watch.test_incidents import BAD, GOOD, NAMES, PLACE, SERVICES, a_stack, watched

NOW = 100_000.0
STACK = checked(
    a_manifest(
        SERVICES,
        watch={
            "alerts": [{"kind": "webhook", "name": "ops", "url": "https://ops.example/"}],
            "heartbeat": {"url": "https://ops.example/"},
        },
    )
)
HALF_A_BOX = {key: value for key, value in outbox.new_outbox().items() if key != "held"}
NO_BOXES: tuple[t.Any, ...] = (1, {"ops": 1}, {"ops": {}}, {"ops": HALF_A_BOX})
(TOLD,) = watched(a_stack(), [BAD] * 2)[0]["incidents"]


@pytest.mark.parametrize(
    ("left", "incidents"),
    [
        *(({"incidents": [other, TOLD]}, 1) for other in (1, {}, {**TOLD, "why": None}, {**TOLD, "next": [7]})),
        ({"incidents": [{key: value for key, value in TOLD.items() if key != "id"}]}, 0),
        ({"recovering": {"service:web": "twice"}}, 0),
        *(({"seen_before": {"service:web": past}}, 0) for past in (1, {}, {"times": "1"})),
        *(({"deliveries": {"targets": boxes}}, 0) for boxes in NO_BOXES),
        ({"deliveries": {"targets": {"ops": {**outbox.new_outbox(), "waiting": [{"tries": 1}]}}}}, 0),
        ({"deliveries": {"targets": {"ops": {**outbox.new_outbox(), "taken": ["x"]}}}}, 0),
        *(({"deliveries": {"heartbeat": beats}}, 0) for beats in (1, {}, {"called": "x"})),
        *(({"at": number}, None) for number in (float("nan"), float("inf"), 10**400, "1")),
        ({"grace_until": float("nan")}, None),
    ],
)
def test_what_is_not_as_it_should_be_is_not_remembered(
    tmp_path: Path, left: dict[str, t.Any], incidents: int | None
) -> None:
    Path(tmp_path, "watch.json").write_text(json.dumps({**begin(15.0), "at": NOW, **left}), encoding="utf-8")

    told = watcher_of(str(tmp_path), NOW, 10.0)
    known = read_watch(str(tmp_path))
    assert (told is None, known is None) == (incidents is None, incidents is None)
    if told is None or known is None:
        return
    assert len(told["incidents"]) == incidents
    courier = Courier()
    for number, sight in enumerate((GOOD, BAD, BAD, GOOD)):
        known, events = next_state(known, STACK, sight, NOW + 15 * number, PLACE)
        courier.take(STACK, events, known, PLACE)
        values_of(STACK, sight, known, Facts({}, {}, 0))
    assert set(problems_of(known)) == {"alerts to ops", "heartbeat"}
    assert json.dumps(known, allow_nan=False)
    assert {name for one in known["incidents"] for name in one["services"]} <= set(NAMES)


ALERT = messages.trial("shop", "app1", "/opt/shop", NOW)
OLDER = {key: value for key, value in ALERT.items() if key != "evidence"}


def waiting(*alerts: t.Any) -> dict[str, t.Any]:
    return {**outbox.new_outbox(), "sent": 7, "waiting": [{"alert": one, "tries": 0, "due": NOW} for one in alerts]}


@pytest.mark.parametrize(
    ("left", "sendable", "lost"),
    [
        ({"ops": waiting(ALERT)}, 1, []),
        # A box of another shape is read as far as it can be.
        ({"ops": {key: value for key, value in waiting(ALERT).items() if key != "held"}}, 1, []),
        ({"ops": {**waiting(ALERT), "taken": ["x", NOW]}}, 1, []),
        ({"ops": waiting(OLDER, ALERT, {"text": "?"})}, 1, [ALERT["title"], "one without a title"]),
        ({"ops": {**waiting(), "waiting": [ALERT]}}, 0, ["one without a title"]),
        ({"ops": {"queue": [ALERT]}}, 0, ["all that was left waiting, in a form that cannot be read"]),
        ([ALERT], 0, ["all that was left waiting, in a form that cannot be read"]),
    ],
)
def test_what_waited_in_an_outbox_of_another_shape_is_sent_or_its_target_is_told_of_it(
    left: t.Any, sendable: int, lost: list[str]
) -> None:
    state, courier = {**begin(15.0), "deliveries": {"targets": left}}, Courier()

    courier.take(STACK, [], t.cast("t.Any", state), PLACE)

    box = t.cast("t.Any", state)["deliveries"]["targets"]["ops"]
    kept = [each["alert"] for each in box["waiting"]]
    assert kept[:sendable] == [ALERT] * sendable
    assert [one["evidence"].splitlines() for one in kept[sendable:]] == ([lost] if lost else [])
    assert [one["held_back"] for one in kept[sendable:]] == ([len(lost)] if lost else [])
    assert (box["problem"] is not None) == bool(lost)
    # It is told once.
    courier.take(STACK, [], t.cast("t.Any", state), PLACE)
    assert [each["alert"] for each in t.cast("t.Any", state)["deliveries"]["targets"]["ops"]["waiting"]] == kept


@pytest.mark.parametrize(
    ("text", "deliveries"),
    [
        (None, {}),
        ("{", {"targets": None}),
        ("[]", {"targets": None}),
        (
            json.dumps({"looks": "many", "deliveries": {"targets": {"ops": waiting(ALERT)}}}),
            {"targets": {"ops": waiting(ALERT)}},
        ),
    ],
)
def test_of_a_memory_that_cannot_be_read_what_was_to_be_sent_is_kept(
    tmp_path: Path, text: str | None, deliveries: t.Any
) -> None:
    if text is not None:
        Path(tmp_path, "watch.json").write_text(text, encoding="utf-8")
    assert read_watch(str(tmp_path)) is None
    assert left_deliveries(str(tmp_path)) == deliveries


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(outbox.new_outbox())), inner),
    max_leaves=12,
)


@hypothesis.given(ANYTHING)
def test_whatever_is_left_an_outbox_is_read(left: t.Any) -> None:
    box = outbox.read_outbox(left)
    outbox.let_go(box, PLACE, NOW, 3)
    outbox.due(box, NOW)
    assert set(box) == set(outbox.new_outbox())
