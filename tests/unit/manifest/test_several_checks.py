# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services with several health checks, what each of them proves, and the time to warm up."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Health, Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.moving import moved
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.revision import revisions
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import registry
from tests.support.manifests import a_manifest, a_service, checked, one, only_service, problem

APP = "stack.services.main_app"
SEVERAL: t.List[t.Dict[str, t.Any]] = [
    {"tcp": True},
    {"http": "/live", "proves": "alive", "timeout": 1},
    {"http": "/ready/{port}", "proves": "ready", "name": "works"},
    {"http": "/more", "port": "metrics"},
]


def test_each_check_of_a_list_has_its_own_time_and_a_name() -> None:
    service = only_service(ports={"http": 8000, "metrics": 8090}, health=SEVERAL)
    assert service.all_health == (
        Health("tcp", 8000, name="tcp"),
        Health("http", 8000, path="/live", timeout=1.0, name="http", proves="alive"),
        Health("http", 8000, path="/ready/8000", name="works", proves="ready"),
        Health("http", 8090, path="/more", name="http2"),
    )
    assert list(service.asked_when_started) == ["tcp", "works", "http2"]
    alone = only_service(port=8000, health=[{"http": "/"}])
    assert alone.health == Health("http", 8000, name="http")


def test_several_checks_are_read_again_as_they_were_written_and_move_with_their_port() -> None:
    service = a_service(ports={"http": 8000, "metrics": 8090}, fallback_ports=[8050], health=SEVERAL)
    stack = checked(a_manifest({"web": service}))
    assert Stack.from_dict(json.loads(json.dumps(stack.to_dict()))) == stack

    now = moved(stack, {"web": 8050}).service("web")
    assert [(check.port, check.path) for check in now.all_health] == [
        (8050, "/"),
        (8050, "/live"),
        (8050, "/ready/8050"),
        (8090, "/more"),
    ]
    assert json.loads(registry.text(stack))["services"]["web"]["health"] == "http://127.0.0.1:8000/live"


def test_other_checks_and_another_grace_restart_nothing() -> None:
    before = checked(a_manifest({"web": a_service(port=8000, health={"http": "/"})}))
    after = checked(a_manifest({"web": a_service(port=8000, health=SEVERAL[:3], start={"grace": 60})}))
    assert revisions(before) == revisions(after)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, (0.0, 30.0)),
        ({"start": {"grace": 10}}, (10.0, 30.0)),
        ({"start": {"grace": 60}}, (60.0, 60.0)),
        ({"start": {"grace": 60}, "ready_timeout": 90}, (60.0, 90.0)),
    ],
)
def test_a_service_has_at_least_the_time_to_be_ready_that_it_may_warm_up(
    keys: t.Dict[str, t.Any], expected: t.Tuple[float, float]
) -> None:
    service = only_service(**keys)
    assert (service.start.grace, service.ready_timeout) == expected


@pytest.mark.parametrize(
    ("health", "level"),
    [([{"http": "/", "proves": "alive"}], "running"), ([{"tcp": True}, {"http": "/", "proves": "alive"}], "healthy")],
)
def test_who_depends_on_a_service_waits_for_the_checks_that_prove_it_ready(
    health: t.List[t.Dict[str, t.Any]], level: str
) -> None:
    stack = checked(a_manifest({"web": a_service(port=8000, health=health), "b": a_service(depends_on=["web"])}))
    assert stack.service("b").depends_on == {"web": level}


@pytest.mark.parametrize(
    ("keys", "place", "message"),
    [
        ({"health": []}, f"{APP}.health", "has no check"),
        ({"health": [{"http": "/"}] * 11}, f"{APP}.health", "has 11 items, and 10 are the most"),
        ({"health": [{"http": "/"}, {"timeout": 1}]}, f"{APP}.health[1]", "says none of http"),
        ({"health": [{"http": "/", "status": 99}]}, f"{APP}.health[0].status", "not a status from 100 to 599"),
        ({"health": [{"http": "/", "proves": "x"}]}, f"{APP}.health[0].proves", "none of the words"),
        ({"health": [{"tcp": True, "name": "a b"}]}, f"{APP}.health[0].name", "is not a name"),
        (
            {"health": [{"tcp": True, "name": "a"}, {"http": "/", "name": "a"}]},
            f"{APP}.health[1].name",
            "another check of the service is called a",
        ),
        ({"start": {"grace": 60}, "ready_timeout": 30}, f"{APP}.ready_timeout", "may warm up for 60"),
    ],
)
def test_a_wrong_check_of_several_is_told_at_its_place(keys: t.Dict[str, t.Any], place: str, message: str) -> None:
    found = problem(one(port=8000, **keys))
    assert found.place == place
    assert message in found.message
