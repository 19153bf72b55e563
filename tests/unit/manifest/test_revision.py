# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installed stack is compared by stays the same from version to version, or an upgrade restarts services.

``installed.json`` is what Rollcall made of these manifests at commit 6da0161: the normalised manifests and the
revisions. A test that fails here says that hosts restart services when their engine is upgraded: mend the change, and
leave the file as it is.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.critical import CRITICAL
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import (
    NO_RESTART,
    RESTART_WHEN_SET,
    Service,
    Stack,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.revision import changed_keys, revision
from tests.support.manifests import a_manifest, a_service, checked, one
from tests.support.repository import ROOT

PLAIN: dict[str, Any] = {"name": "plain", "root": "/opt/plain", "services": {"web": {"command": ["bin/run"]}}}

TRADING: dict[str, Any] = {
    "name": "trading",
    "root": "/opt/trading",
    "user": "trading",
    "paths": {"logs": "/var/log/trading", "run": "r"},
    "ports": {"range": [8000, 8050], "also": [3001], "avoid": [9000], "protect": [2222]},
    "defaults": {
        "env": {"LEVEL": "info", "RATIO": 0.5},
        "secrets": {"TOKEN": "planted"},
        "stop": {"timeout": 20},
        "log": {"backups": 5},
        "requires_files": ["credentials/api.pem"],
    },
    "services": {
        "database": {
            "command": "bin/database --port 8001",
            "port": 8001,
            "health": {"tcp": True, "send": "PING\r\n", "expect": "+PONG"},
            "restart": "always",
        },
        "main_app": {
            "description": "The web\n  page.\n",
            "command": ["venv/bin/python", "main.py", "{port}", True],
            "directory": "current/app",
            "env": {"WORKERS": 4, "DEBUG": False},
            "secrets": {"API_KEY": "planted", "PIN": 1234},
            "port": 8010,
            "fallback_ports": [8020, 8030],
            "auto_fallback": False,
            "instances": 3,
            "health": {"http": "/health?full=1", "status": 204, "body": "ok", "timeout": 1, "host": "::1"},
            "depends_on": {"database": "healthy", "migrate": "completed"},
            "stop": {"signal": "SIGINT", "timeout": 5.5},
            "start": {"seconds": 2, "retries": 1},
            "stable_for": 3,
            "ready_timeout": 60,
            "log": {"max_bytes": 1000},
            "requires_env": ["API_KEY", "LEVEL", "PORT"],
        },
        "migrate": {"command": ["/usr/bin/migrate"], "kind": "oneshot", "depends_on": ["database"]},
        "proxy": {"command": ["nginx"], "depends_on": ["main_app"], "port": 3001, "start": {"seconds": 0.25}},
    },
    "deprecated": {"old": 8002, "older": None},
    "checks": {
        "database": {
            "sqlite": "data/app.db",
            "postgresql": {"service": "main_app", "variable": "API_KEY"},
            "redis": {"port": 6379, "timeout": 1},
        },
        "logs": {"critical": ["FATAL"]},
    },
    "restart_budget": {"restarts": 3, "within": 600},
}
STACKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": (PLAIN, {}),
    "trading": (TRADING, {}),
    "leased": (TRADING, {"assigned": {"main_app-1": 8020, "main_app-2": 8031, "database": 8001}}),
    "released": (TRADING, {"release": "2026-01-02_a1b2c3"}),
}

INSTALLED: dict[str, Any] = json.loads((ROOT / "tests/unit/manifest/installed.json").read_text(encoding="utf-8"))


def revisions(stack: Stack) -> dict[str, str]:
    return {service.name: revision(stack, service) for service in stack.services}


def known(new: Any, old: Any) -> Any:
    """Return ``new`` without the keys of mappings that ``old`` has not: a later version may know more keys."""
    if isinstance(new, dict) and isinstance(old, dict):
        return {key: known(value, old[key]) for key, value in new.items() if key in old}
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [known(*pair) for pair in zip(new, old, strict=True)]
    return new


@pytest.mark.parametrize("name", STACKS)
def test_a_manifest_comes_to_the_same_stack_and_revisions(name: str) -> None:
    data, options = STACKS[name]
    stack = check_manifest(data, **options).stack
    assert stack is not None

    old = INSTALLED[name]["manifest"]
    new = stack.to_dict()
    if "logs" not in data.get("checks", {}):
        # More lines are critical by default than there were. No service is told, so none is restarted.
        assert new["checks"]["log_critical"] == list(CRITICAL)
        new["checks"]["log_critical"] = old["checks"]["log_critical"]
    for asked, had in zip(new["checks"]["databases"], old["checks"]["databases"], strict=True):
        # A check of a database has more time by default than it had.
        assert (asked["timeout"], had["timeout"]) in ((5.0, 2.0), (had["timeout"], had["timeout"]))
        asked["timeout"] = had["timeout"]
    # As text, because the order of the keys is what a diff of the installed file shows.
    assert json.dumps(known(new, old)) == json.dumps(old)
    assert revisions(stack) == INSTALLED[name]["revisions"]


@pytest.mark.parametrize("name", STACKS)
def test_an_installed_manifest_is_read_as_the_same_revisions(name: str) -> None:
    assert revisions(Stack.from_dict(INSTALLED[name]["manifest"])) == INSTALLED[name]["revisions"]


# --- what is part of it -------------------------------------------------------------------------------------------


def revision_of(name: str, data: Any) -> str:
    stack = checked(data)
    return revision(stack, stack.service(name))


@pytest.mark.parametrize(
    ("keys", "changes"),
    [
        ({"env": {"A": "2"}}, True),
        ({"command": ["other"]}, True),
        ({"directory": "app"}, True),
        ({"port": 8009}, True),
        ({"stop": {"timeout": 3}}, True),
        ({"start": {"seconds": 3}}, True),
        ({"restart": "always"}, True),
        ({"log": {"backups": 1}}, True),
        ({"kind": "oneshot"}, True),
        ({"description": "Other words."}, False),
        ({"stable_for": 9}, False),
        ({"ready_timeout": 9}, False),
        ({"requires_files": ["key.pem"]}, False),
        ({"requires_env": ["A"]}, False),
        ({"health": {"http": "/", "port": 8000}}, False),
    ],
)
def test_the_revision_is_of_all_that_the_process_is_given(keys: dict[str, Any], changes: bool) -> None:
    before = revision_of("main_app", one(env={"A": "1"}))

    assert len(before) == 12
    assert (revision_of("main_app", one(**{"env": {"A": "1"}, **keys})) != before) is changes


def test_the_port_of_what_it_depends_on_is_part_of_the_revision() -> None:
    def data(port: int | None, depends_on: list[str]) -> Any:
        return a_manifest({"a": a_service(port=port), "b": a_service(depends_on=depends_on)})

    assert revision_of("b", data(8000, ["a"])) != revision_of("b", data(8001, ["a"]))
    assert revision_of("b", data(8000, [])) == revision_of("b", data(8001, []))
    assert revision_of("b", data(None, ["a"])) == revision_of("b", data(None, []))


def test_the_revision_is_of_the_stack_too() -> None:
    before = revision_of("main_app", a_manifest())

    assert revision_of("main_app", a_manifest(user="bob")) != before
    assert revision_of("main_app", a_manifest(paths={"logs": "/var/log/x"})) != before
    assert revision_of("main_app", a_manifest(ports={"also": [1234]})) == before
    assert revision_of("main_app", a_manifest(restart_budget={"restarts": 1})) == before


def test_every_field_of_a_service_says_when_it_counts() -> None:
    says = [dict(each.metadata) for each in dataclasses.fields(Service) if each.metadata]

    assert all(metadata in (NO_RESTART, RESTART_WHEN_SET) for metadata in says)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"env": {"A": "1", "B": "2"}}, {"env": {"A": "1", "B": "3", "C": "4"}}, ["env.B", "env.C"]),
        ({"env": {"A": "1"}}, {}, ["env.A"]),
        ({"secrets": {"TOKEN": "before"}}, {"secrets": {"TOKEN": "after"}}, ["secrets.TOKEN"]),
        ({"secrets": {"A": "1", "B": "2"}}, {"secrets": {"A": "1", "B": "3"}, "nice": 5}, ["secrets", "nice"]),
        ({"secrets": {"A": "1"}}, {"secrets": {"A": "1", "B": "2"}}, ["secrets.B"]),
        ({"secrets": {"A": "1", "B": "2"}}, {"secrets": {"B": "2"}}, ["secrets.A"]),
        ({"command": ["sleep", "1"]}, {"command": ["sleep", "2"]}, ["command"]),
        ({"stop": {"timeout": 5}}, {"stop": {"timeout": 6}}, ["stop.timeout"]),
        ({}, {"stop": {"scope": "process"}}, ["stop.scope"]),
        (
            {"stop": {"signals": [{"signal": "TERM", "wait": 4}, {"signal": "QUIT", "wait": 6}]}},
            {"stop": {"signals": [{"signal": "TERM", "wait": 4}, {"signal": "INT", "wait": 6}]}},
            ["stop.signals"],
        ),
        ({}, {"limits": {"nofile": 4096}}, ["limits.nofile"]),
        ({"limits": {"nofile": 4096}}, {"limits": {"nofile": 4096, "core": "unlimited"}}, ["limits.core"]),
        ({}, {"limits": {}, "nice": 0}, []),
        ({}, {"nice": 5}, ["nice"]),
        ({}, {"stop": {"scope": "group"}}, []),
        ({"log": {"backups": 1}}, {"log": {"backups": 2}}, ["log.backups"]),
        ({"umask": "022"}, {"umask": "077"}, ["umask"]),
        ({"description": "a"}, {"description": "b"}, []),
    ],
)
def test_what_changed_is_named_by_the_keys_of_the_manifest_and_never_by_a_value(
    before: dict[str, Any], after: dict[str, Any], told: list[str]
) -> None:
    old, new = (checked(one(**keys)) for keys in (before, after))
    assert changed_keys(old, new, "main_app") == told
    assert (revision(old, old.service("main_app")) == revision(new, new.service("main_app"))) == (not told)
