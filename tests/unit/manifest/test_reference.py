# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/reference/manifest.md says what the check does: its examples are in order, every key and default is there."""

from __future__ import annotations

import re

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import find_account
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.builder import NODE_LIMIT
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import (
    MOST_SETS_OF_SECRETS,
    check_manifest,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.events import SIZE_LIMIT_SLOW
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import SIZE_LIMIT, parse_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.host_limits import (
    EPHEMERAL,
    SOCKET_LIMIT_LINUX,
    SOCKET_LIMIT_MACOS,
    UNPRIVILEGED_FROM,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.keys import CHECKS, HEALTH, SERVICE, STACK
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.legacy import KEYS
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import (
    GIVEN_TO_ALL,
    DatabaseCheck,
    Health,
    PortRules,
    RestartBudget,
    Service,
    Start,
    Stop,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.watch_model import Watch
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.environment import (
    label_variables,
    supervisord_environment,
)
from tests.support.repository import ROOT

PAGE = (ROOT / "docs" / "reference" / "manifest.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
# Key and default of every row of the tables of keys.
ROWS = dict(re.findall(r"^\| `([\w.]+)` \|[^|]*\| ?([^|]*?) ?\|.*\|$", PAGE, re.MULTILINE))


@pytest.mark.parametrize(
    "text", EXAMPLES, ids=["ours", "sockets", "checks", "timers", "hosts", "reload", "instances", "older"]
)
def test_an_example_is_a_manifest_without_a_problem(text: str) -> None:
    loaded = parse_manifest(text.encode("utf-8"))

    assert loaded.problems == []
    assert check_manifest(loaded.data, lines=loaded.lines).problems == []


def test_every_key_of_the_older_shape_is_told() -> None:
    assert all(f"`{key}`" in PAGE for key in KEYS if key != "notes")


def test_what_may_not_stand_in_defaults_is_told() -> None:
    (sentence,) = re.findall(r"Every key but (.*?) may stand in `defaults` as well", PAGE, re.DOTALL)

    assert re.findall(r"`(\w+)`", sentence) == [name for name, key in SERVICE.items() if not key.shared]


def test_what_may_be_null_is_told() -> None:
    (sentence,) = re.findall(r"without a value is an error too, except (.*?), for which", PAGE, re.DOTALL)
    nullable = [name for table in (SERVICE, HEALTH, STACK, CHECKS) for name, key in table.items() if key.null]

    assert set(re.findall(r"`(\w+)`", sentence)) == set(nullable)


@pytest.mark.parametrize(
    ("key", "default"),
    [
        ("range", [PortRules.low, PortRules.high]),
        ("avoid", list(PortRules.avoid)),
        ("protect", list(PortRules.protect)),
        ("stop.signal", Stop.signal),
        ("stop.timeout", f"{Stop.timeout:g}"),
        ("stop.scope", Stop.scope),
        ("nice", Service.nice),
        ("start.seconds", f"{Start.seconds:g}"),
        ("start.retries", Start.retries),
        ("log.max_bytes", Service.log_max_bytes),
        ("log.backups", Service.log_backups),
        ("restarts", RestartBudget.restarts),
        ("within", f"{RestartBudget.within:g}"),
        ("interval", f"{Watch.interval:g}"),
        ("grace", f"{Watch.grace:g}"),
        ("degraded_after", Watch.degraded_after),
        ("critical_after", Watch.critical_after),
        ("stable_for", f"{Service.stable_for:g}"),
        ("ready_timeout", f"{Service.ready_timeout:g}"),
        ("restart", Service.restart),
        ("kind", Service.kind),
        ("host", Health.host),
        ("status", Health.status),
        ("timeout", f"{Health.timeout:g}"),
        ("database.postgresql.timeout", f"{DatabaseCheck.timeout:g}"),
        ("database.redis.timeout", f"{DatabaseCheck.timeout:g}"),
        ("database.redis.host", Health.host),
    ],
)
def test_a_default_is_the_one_that_holds(key: str, default: object) -> None:
    assert ROWS[key].strip("`") == str(default)


def test_limits_are_the_ones_that_hold() -> None:
    for words in (
        f"{NODE_LIMIT:,} values",
        f"{SIZE_LIMIT // 2**20} MiB",
        f"{SIZE_LIMIT_SLOW // 1024} KiB",
        f"{SOCKET_LIMIT_LINUX} bytes on Linux, {SOCKET_LIMIT_MACOS} on macOS",
        f"{EPHEMERAL[0]} to {EPHEMERAL[1]}",
        f"{MOST_SETS_OF_SECRETS} services",
        f"below {UNPRIVILEGED_FROM}",
    ):
        assert words in PAGE, words


def test_variables_that_every_service_has_are_the_ones_that_it_is_given() -> None:
    stack = check_manifest(parse_manifest(EXAMPLES[1].encode("utf-8")).data).stack
    assert stack is not None
    given = {*supervisord_environment(stack, find_account(None), "x"), *label_variables(stack, stack.services[0])}

    assert given == GIVEN_TO_ALL
    assert all(f"`{name}`" in PAGE for name in given if not name.startswith("ROLLCALL_"))
