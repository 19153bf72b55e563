# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The older JSON shape: taken as it is, completed by our own keys, and no guess about what it lacks."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import check_file
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.secret_values import secret_values
from tests.support.repository import ROOT

EXAMPLE = ROOT / "examples" / "legacy" / "port_manifest.json"
OVERLAY: dict[str, Any] = {
    "name": "trading",
    "root": "/opt/trading",
    "ports": {"also": [3000, 4000]},
    "defaults": {"command": ["venv/bin/python", "{name}.py"]},
    "services": {"main_app": {"command": ["venv/bin/gunicorn", "main:app"], "depends_on": ["trade_manager"]}},
}


# Keys of other tools that real port manifests have, some of them like one of ours.
OTHERS = ("created", "generated", "updated", "service", "server", "port", "path", "user_name", "check", "system_name")


def example() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    return data


def small(**keys: Any) -> dict[str, Any]:
    """Return a small document of the older shape, with what it lacks beside it."""
    return {
        "name": "x",
        "root": "/opt/x",
        "defaults": {"command": ["run"]},
        "core_services": {"a": {"port": 8000, "description": "A.", "status": "active"}},
        **keys,
    }


def stack_of(data: Any, **options: Any) -> Stack:
    result = check_manifest(data, **options)
    assert result.problems == []
    assert result.stack is not None
    return result.stack


def found(data: Any, **options: Any) -> list[tuple[str, str, str]]:
    return [(item.severity, item.place, item.message) for item in check_manifest(data, **options).problems]


def test_the_example_is_taken_as_it_is_with_what_it_lacks_laid_over() -> None:
    result = check_file(str(EXAMPLE), overlay=OVERLAY)

    assert result.problems == []
    stack = result.stack
    assert stack is not None
    assert {service.name: service.port for service in stack.services} == {
        "main_app": 3000,
        "trade_manager": 4000,
        "trade_executor": 8001,
        "active_trade_supervisor": 8007,
        "auto_entry_supervisor": 8009,
        "unified_production_coordinator": 8010,
        "system_monitor": 8011,
        "kalshi_account_sync": 8012,
    }
    assert stack.service("main_app").command == ("/opt/trading/venv/bin/gunicorn", "main:app")
    assert stack.service("main_app").depends_on == {"trade_manager": "running"}
    assert stack.service("system_monitor").command == ("/opt/trading/venv/bin/python", "system_monitor.py")
    assert stack.service("trade_manager").description == "Keeps the trades and their states"
    assert stack.deprecated == {"db_poller": 8002, "symbol_price_watchdog": 8003}
    assert (stack.ports.low, stack.ports.high, stack.ports.avoid) == (8000, 8100, (5000, 7000, 9000, 10000))


def test_the_example_alone_has_each_of_its_problems_named_with_a_cure() -> None:
    problems = check_file(str(EXAMPLE)).problems

    assert [(item.place, item.message) for item in problems] == [
        ("stack.name", "is missing"),
        ("stack.root", "is missing"),
        ("stack.defaults.command", f"no service has a command: {', '.join(stack_names())}"),
        ("core_services.main_app.port (line 4)", "port 3000 is outside the range 8000-8100"),
        ("core_services.trade_manager.port (line 9)", "port 4000 is outside the range 8000-8100"),
    ]
    assert all(item.cure for item in problems)
    assert "add 3000 to stack.ports.also" in problems[3].cure


def stack_names() -> list[str]:
    data = example()
    return [*data["core_services"], *data["watchdog_services"]]


@pytest.mark.parametrize(
    "combine",
    [
        lambda older, own: ({**older, **own}, None),
        lambda older, own: ({**older, "stack": own}, None),
        lambda older, own: ({"stack": {**older, **own}}, None),
        lambda older, own: (older, {"stack": own}),
        lambda older, own: (own, older),
        lambda older, own: ({"stack": own}, {"stack": older}),
    ],
    ids=["beside", "beside stack", "in stack", "laid over", "older laid over", "both nested"],
)
def test_older_and_own_keys_may_be_put_together_in_every_way(combine: Any) -> None:
    data, overlay = combine(example(), copy.deepcopy(OVERLAY))

    stack = stack_of(data, overlay=overlay)

    assert sorted(service.name for service in stack.services) == sorted(stack_names())
    assert stack.service("main_app").command[1:] == ("main:app",)
    assert secret_values(data, overlay) == {}


def test_a_watchdog_may_have_no_port() -> None:
    stack = stack_of(small(watchdog_services={"w": {"port": None, "description": None, "status": "running"}}))

    assert stack.service("w").port is None
    assert stack.service("w").description == ""


def test_own_keys_of_a_service_may_stand_in_its_older_entry() -> None:
    data = small(core_services={"a": {"port": 8000, "command": ["own"], "secrets": {"K": "planted"}}})

    assert stack_of(data).service("a").command == ("own",)
    assert secret_values(data) == {"a": {"K": "planted"}}


def test_a_deprecated_service_is_never_one_of_the_stack() -> None:
    stack = stack_of(small(deprecated_services={"old": {"port": 8001, "status": "deprecated"}, "older": {}}))

    assert stack.deprecated == {"old": 8001}
    assert [service.name for service in stack.services] == ["a"]


def test_a_deprecated_port_in_use_is_only_warned_about() -> None:
    assert found(small(deprecated_services={"old": {"port": 8000}})) == [
        (
            "warning",
            "deprecated_services.old.port",
            "port 8000 is now the port of a: where old still runs, it is in the way",
        )
    ]


@pytest.mark.parametrize(
    ("keys", "severity", "place", "words"),
    [
        ({"core_services": []}, "error", "core_services", "is not a mapping"),
        ({"core_services": {"a": 8000}}, "error", "core_services.a", "is not a mapping"),
        ({"core_services": {"a": {"port": "8000"}}}, "error", "core_services.a.port", "is text, not a port number"),
        ({"core_services": {"a": {"port": True}}}, "error", "core_services.a.port", "is a truth value"),
        ({"core_services": {"a:b": {"port": 8000}}}, "error", "core_services['a:b']", "cannot be used"),
        ({"watchdog_services": {"a": {"port": 8001}}}, "error", "watchdog_services.a", "of this name in core_services"),
        ({"watchdog_services": {"b": {"port": 8000}}}, "error", "watchdog_services.b.port", "is the port of a, too"),
        ({"watchdog_services": {"b": {"port": 9000}}}, "error", "watchdog_services.b.port", "is to be avoided"),
        ({"deprecated_services": {"a": {"port": 8001}}}, "error", "deprecated_services.a.port", "is a service of this"),
        ({"deprecated_services": {"b": {"port": 0}}}, "error", "deprecated_services.b.port", "is 0, not a port"),
        ({"port_ranges": {"safe_range_start": 8000}}, "error", "port_ranges", "but no safe_range_end"),
        ({"port_ranges": {"safe_range_start": "a", "safe_range_end": 8100}}, "error", "port_ranges.safe_range_start",
         "is text, not a port number"),
        ({"port_ranges": {"safe_range_start": 8010, "safe_range_end": 8000}}, "error", "port_ranges", "ends before"),
        ({"port_ranges": {"safe_range_start": 8001, "safe_range_end": 8100}}, "error", "core_services.a.port",
         "outside the range 8001-8100"),
        ({"port_ranges": []}, "error", "port_ranges", "is not a mapping"),
        ({"port_ranges": {"unsafe": 1}}, "warning", "port_ranges.unsafe", "is not read"),
        ({"notes": {"avoid_ports": [8000]}}, "error", "core_services.a.port", "port 8000 is to be avoided"),
        ({"notes": {"avoid_ports": "8000"}}, "error", "notes.avoid_ports", "is text, not a list"),
        ({"core_services": {"a": {"port": 8000, "status": "stopped"}}}, "warning", "core_services.a.status",
         "not meant to run"),
        ({"core_services": {"a": {"port": 8000, "url": "x"}}}, "warning", "core_services.a.url", "is not read"),
        ({"version": "1.0"}, "warning", "stack.version", "is not read"),
        ({"defualts": {}}, "warning", "stack.defualts", "did you mean defaults?"),
        *(({key: "of another tool"}, "warning", f"stack.{key}", "is not read") for key in OTHERS),
        ({"core_services": {"a": {"prot": 8000}}}, "error", "core_services.a.prot", "did you mean port?"),
        ({"core_services": {"a": {"port": 8000, "ports": [8000]}}}, "warning", "core_services.a.ports", "is not read"),
        ({"stack": {"name": "x"}}, "error", "root", "is not a key beside stack"),
    ],
)  # fmt: skip
def test_a_fault_of_an_older_document_is_named_where_it_is_written(
    keys: dict[str, Any], severity: str, place: str, words: str
) -> None:
    assert any(item[:2] == (severity, place) and words in item[2] for item in found(small(**keys))), found(
        small(**keys)
    )


@pytest.mark.parametrize("key", OTHERS)
def test_a_key_of_another_tool_refuses_no_older_document_wherever_it_stands(key: str) -> None:
    older = {"core_services": {"a": {"port": 8000}}, "watchdog_services": {"w": {}}}
    own = {"name": "x", "root": "/opt/x", "defaults": {"command": ["run"]}}
    for data in (
        {**older, **own, key: "x"},
        {**older, "stack": own, key: "x"},
        {"stack": {**older, **own, key: "x"}},
        {"stack": {**older, **own}, key: ["x"]},
    ):
        result = check_manifest(data)
        assert result.stack is not None, result.problems
        assert [problem.severity for problem in result.problems] == ["warning"]


def test_an_unknown_key_of_todays_shape_stays_an_error_over_an_older_document() -> None:
    assert [item[:2] for item in found(small(), overlay={"stack": {"defualts": {}}})] == [("error", "stack.defualts")]


def test_other_notes_are_for_people() -> None:
    assert found(small(notes={"author": "us", "avoid_ports": [9000]})) == []
    assert found(small(notes="Ask us.")) == []


def test_a_status_is_not_believed() -> None:
    for status in ("active", "RUNNING", "enabled", ""):
        assert found(small(core_services={"a": {"port": 8000, "status": status}})) == []


def test_monitors_are_checked_and_not_started() -> None:
    monitors = {"one": {"a": 8000, "x": 8001}, "two": {"x": 8002}}
    result = check_manifest(small(monitor_instances=monitors))

    assert result.stack is not None
    assert [service.name for service in result.stack.services] == ["a"]
    assert [(item.severity, item.place) for item in result.problems] == [("warning", "monitor_instances.one.a")]
    assert "not started" in result.problems[0].message


@pytest.mark.parametrize(
    ("monitors", "place", "words"),
    [
        ({"one": {"x": 8001}, "two": {"y": 8001}}, "monitor_instances.two.y", "is the port of one.x, too"),
        ({"one": {"x": 8000}}, "monitor_instances.one.x", "port 8000 is the port of service a"),
        ({"one": {"x": 0}}, "monitor_instances.one.x", "is a number, not a port number"),
        ({"one": {"x": True}}, "monitor_instances.one.x", "is a truth value, not a port number"),
        ({"one": {"x": None}}, "monitor_instances.one.x", "is empty, not a port number"),
        ({"one": 8001}, "monitor_instances.one", "is not a mapping"),
        ([], "monitor_instances", "is not a mapping"),
    ],
)
def test_monitors_that_clash_are_refused(monitors: Any, place: str, words: str) -> None:
    assert any(
        item[:2] == ("error", place) and words in item[2] for item in found(small(monitor_instances=monitors))
    ), found(small(monitor_instances=monitors))


def test_no_monitors_are_nothing_to_warn_of() -> None:
    assert found(small(monitor_instances={})) == []
