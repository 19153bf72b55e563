# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A right manifest: what its values come to, and what is made of the stack."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import (
    UNLIMITED,
    Checks,
    DatabaseCheck,
    Health,
    Limits,
    PortRules,
    RestartBudget,
    Service,
    Stack,
    Start,
    Stop,
    StopStep,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.revision import revision
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.secret_values import secret_values
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.watch_model import Watch
from tests.support.manifests import a_manifest, a_service, checked, one, only_service

FULL = a_manifest(
    {
        "database": {"command": "bin/database --port 8001", "port": 8001, "health": {"tcp": True, "send": "PING\r\n"}},
        "main_app": {
            "description": "The web\n  page.\n",
            "command": ["venv/bin/python", "main.py", 8000, True],
            "directory": "app",
            "env": {"LEVEL": "info", "WORKERS": 4, "DEBUG": False, "RATIO": 0.5},
            "secrets": {"API_KEY": "planted", "PIN": 1234},
            "port": 8000,
            "health": {"http": "/health?full=1", "status": 204, "body": "ok", "timeout": 1, "host": "::1"},
            "depends_on": {"database": "healthy", "migrate": "completed"},
            "stop": {"signal": "SIGINT", "timeout": 5},
            "start": {"seconds": 2, "retries": 1},
            "stable_for": 3,
            "ready_timeout": 60,
            "restart": "always",
            "log": {"max_bytes": 1000, "backups": 2},
            "requires_files": ["credentials/./api.pem", "/etc/ssl/x.pem"],
            "requires_env": ["API_KEY", "LEVEL", "PORT"],
        },
        "migrate": {"command": ["/usr/bin/migrate"], "kind": "oneshot", "depends_on": ["database"]},
    },
    user="trading",
    paths={"logs": "/var/log/trading", "run": "r"},
    ports={"range": [8000, 8010], "also": [3000], "avoid": [9000], "protect": [2222]},
    deprecated={"old": 8002, "older": None},
    checks={"database": {"sqlite": "data/app.db"}, "logs": {"critical": ["FATAL"]}},
    restart_budget={"restarts": 3, "within": 600},
    watch={"interval": 5, "degraded_after": 6, "restart": True},
)


def test_every_key_of_a_service_arrives() -> None:
    service = checked(FULL).service("main_app")

    assert service == Service(
        name="main_app",
        description="The web page.",
        command=("/opt/trading/app/venv/bin/python", "main.py", "8000", "true"),
        directory="/opt/trading/app",
        env={"LEVEL": "info", "WORKERS": "4", "DEBUG": "false", "RATIO": "0.5"},
        secrets=service.secrets,
        port=8000,
        health=Health("http", 8000, host="::1", path="/health?full=1", status=204, body="ok", timeout=1.0),
        depends_on={"database": "healthy", "migrate": "completed"},
        stop=Stop("INT", 5.0),
        start=Start(2.0, 1),
        stable_for=3.0,
        ready_timeout=60.0,
        restart="always",
        log_max_bytes=1000,
        log_backups=2,
        own_port=8000,
        requires_files=("/opt/trading/credentials/api.pem", "/etc/ssl/x.pem"),
        requires_env=("API_KEY", "LEVEL", "PORT"),
    )


def test_every_key_of_a_stack_arrives() -> None:
    stack = checked(FULL)

    assert (stack.name, stack.user, stack.root) == ("trading", "trading", "/opt/trading")
    assert stack.ports == PortRules(8000, 8010, (3000,), (9000,), (22, 2222))
    assert stack.deprecated == {"old": 8002}
    assert stack.checks == Checks((DatabaseCheck("sqlite", "/opt/trading/data/app.db"),), ("FATAL",))
    assert stack.restart_budget == RestartBudget(3, 600.0)
    assert stack.watch == Watch(5.0, 60.0, 6, 6, True), "never critical before it is degraded"
    assert [service.name for service in stack.services] == ["database", "main_app", "migrate"]
    assert stack.paths.socket == "/opt/trading/r/supervisor.sock"
    assert stack.paths.pidfile == "/opt/trading/r/supervisord.pid"
    assert stack.paths.logs == "/var/log/trading"
    assert stack.paths.config == "/opt/trading/etc/supervisord.conf"
    assert stack.paths.manifest == "/opt/trading/etc/manifest.json"
    assert stack.paths.env_dir == "/opt/trading/etc/env"


def test_what_is_left_out_has_its_default() -> None:
    stack = checked(a_manifest())

    assert stack.services == (Service("main_app", ("/opt/trading/bin/run",), "/opt/trading"),)
    assert (stack.user, stack.ports, stack.deprecated, stack.checks) == (None, PortRules(), {}, Checks())
    assert stack.restart_budget == RestartBudget(5, 3600.0)


def test_the_content_of_stack_alone_is_a_manifest_too() -> None:
    assert checked(FULL["stack"]) == checked(FULL)


def test_data_and_its_mappings_are_left_as_they_were() -> None:
    before = json.dumps(FULL)

    check_manifest(FULL, overlay={"stack": {"services": {"main_app": {"env": {"NEW": "1"}}}}})

    assert json.dumps(FULL) == before


# --- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "directory", "command"),
    [
        (["bin/run"], None, ("/opt/trading/bin/run",)),
        (["./run"], "app", ("/opt/trading/app/run",)),
        (["../bin/run"], "app", ("/opt/trading/bin/run",)),
        (["./run"], "/srv/app", ("/srv/app/run",)),
        (["/usr/bin/env", "python3"], None, ("/usr/bin/env", "python3")),
        (["python3", "-c", "print('{name}')"], None, ("python3", "-c", "print('{name}')")),
        ("python3 'a b' \"c d\" e\\ f", None, ("python3", "a b", "c d", "e f")),
        ("sh -c 'a | b > $HOME/c'", None, ("sh", "-c", "a | b > $HOME/c")),
        (["a", ""], None, ("a", "")),
        (["a", " ;x # % ' \" {{ y }} %(here)s"], None, ("a", " ;x # % ' \" {{ y }} %(here)s")),
    ],
)
def test_a_command_is_a_list_or_is_split_as_a_shell_would(
    written: Any, directory: str | None, command: tuple[str, ...]
) -> None:
    keys = {} if directory is None else {"directory": directory}

    assert only_service(command=written, **keys).command == command


@pytest.mark.parametrize(
    "root", ["/opt/trading", "/opt/trading/", "//opt//trading", "/opt/./trading", "/opt/x/../trading"]
)
def test_a_root_is_written_in_one_way(root: str) -> None:
    assert checked(a_manifest(root=root)).root == "/opt/trading"


@pytest.mark.parametrize("written", ["int", "INT", "SIGINT", "sigint"])
def test_a_signal_may_be_written_in_every_usual_way(written: str) -> None:
    assert only_service(stop={"signal": written}).stop == Stop("INT", 10.0)


def test_several_signals_come_to_the_first_and_to_the_sum_of_their_waits() -> None:
    steps = [{"signal": "sigint", "wait": 5}, {"signal": "QUIT", "wait": 2.5}]
    stop = only_service(stop={"signals": steps, "scope": "process"}).stop
    assert stop == Stop("INT", 7.5, "process", (StopStep("INT", 5.0), StopStep("QUIT", 2.5)))


@pytest.mark.parametrize(
    ("own", "signal", "timeout", "signals"),
    [
        ({}, "INT", 5, 1),
        ({"scope": "process"}, "INT", 5, 1),
        ({"timeout": 9}, "TERM", 9, 0),
        ({"signal": "HUP"}, "HUP", 10, 0),
    ],
)
def test_a_time_of_its_own_goes_before_several_signals_of_the_defaults(
    own: dict[str, Any], signal: str, timeout: float, signals: int
) -> None:
    defaults = {"stop": {"signals": [{"signal": "INT", "wait": 5}]}}
    stop = checked(a_manifest({"web": a_service(stop=own)}, defaults=defaults)).services[0].stop
    assert (stop.signal, stop.timeout, len(stop.signals)) == (signal, timeout, signals)


def test_limits_are_numbers_whatever_they_are_written_as() -> None:
    service = only_service(limits={"nofile": 8192, "nproc": "unlimited", "core": 0, "memory": "2G"}, nice=5)
    assert service.limits == Limits(8192, UNLIMITED, 0, 2 * 2**30)
    assert service.nice == 5
    only = checked(a_manifest({"web": a_service(limits={"core": "1M"})}, defaults={"limits": {"nofile": 99}})).services[
        0
    ]
    assert only.limits == Limits(nofile=99, core=2**20)


def test_values_that_a_config_has_trouble_with_are_kept_as_they_are() -> None:
    values = {
        "TEMPLATE": "{{ vault }}",
        "PERCENT": "100% %(here)s",
        "COMMENT": "a ;b #c",
        "QUOTES": '"\'"',
        "UNICODE": "zoë ✓",
        "EMPTY": "",
        "SPACE": "  x ",
        "TAB": "a\tb",
    }

    assert only_service(env=values).env == values


def test_a_health_check_without_a_port_of_its_own_asks_the_services() -> None:
    for health in ({"http": "/"}, {"http": "/", "port": None}):
        checked_health = only_service(port=8000, health=health).health
        assert checked_health is not None
        assert checked_health.port == 8000


def test_a_health_check_may_ask_another_port() -> None:
    health = only_service(health={"tcp": True, "port": 9999, "expect": "+PONG\r\n"}).health

    assert health == Health("tcp", 9999, expect="+PONG\r\n")


def test_null_is_none_for_what_may_be_none() -> None:
    stack = checked(a_manifest({"a": a_service(port=None, health=None)}, user=None, checks={"database": None}))

    assert (stack.user, stack.checks.databases, stack.services[0].port) == (None, (), None)


@pytest.mark.parametrize(
    ("target", "level"),
    [
        (a_service(port=8000, health={"http": "/"}), "healthy"),
        (a_service(port=8000), "running"),
        (a_service(), "running"),
        (a_service(kind="oneshot"), "completed"),
    ],
)
def test_a_list_of_dependencies_waits_for_all_that_each_can_show(target: dict[str, Any], level: str) -> None:
    stack = checked(a_manifest({"b": a_service(depends_on=["a"]), "a": target}))

    assert stack.service("b").depends_on == {"a": level}


# --- defaults ----------------------------------------------------------------------------------------------------


def test_defaults_are_under_what_a_service_says_itself() -> None:
    stack = checked(
        a_manifest(
            {
                "a": {"port": 8000},
                "b": {
                    "command": ["own"],
                    "env": {"B": "own"},
                    "stop": {"timeout": 1},
                    "health": None,
                    "port": 8001,
                    "directory": "/srv",
                },
            },
            defaults={
                "command": ["bin/{name}", "--port={port}", "{name}{name}"],
                "directory": "app",
                "env": {"A": "default", "B": "default"},
                "stop": {"signal": "QUIT", "timeout": 9},
                "health": {"http": "/health"},
                "stable_for": 5,
                "log": {"backups": 7},
            },
        )
    )
    a, b = stack.services

    assert a.command == ("/opt/trading/app/bin/a", "--port=8000", "aa")
    assert (a.env, a.stop, a.stable_for) == ({"A": "default", "B": "default"}, Stop("QUIT", 9.0), 5.0)
    assert a.health == Health("http", 8000, path="/health")
    assert (a.log_max_bytes, a.log_backups) == (10_000_000, 7)
    assert (b.command, b.directory, b.health) == (("own",), "/srv", None)
    assert (b.env, b.stop) == ({"A": "default", "B": "own"}, Stop("QUIT", 1.0))


def test_a_default_health_check_is_for_running_services_with_a_port() -> None:
    stack = checked(
        a_manifest(
            {"a": a_service(), "b": a_service(kind="oneshot", port=8000), "c": a_service(port=8001)},
            defaults={"health": {"http": "/health"}},
        )
    )

    assert [service.health is not None for service in stack.services] == [False, False, True]


def test_a_health_check_of_its_own_changes_or_replaces_the_default_one() -> None:
    stack = checked(
        a_manifest(
            {"a": a_service(port=8000, health={"timeout": 9}), "b": a_service(port=8001, health={"tcp": True})},
            defaults={"health": {"http": "/health", "status": 204}},
        )
    )

    assert stack.services[0].health == Health("http", 8000, path="/health", status=204, timeout=9.0)
    assert stack.services[1].health == Health("tcp", 8001)


def test_a_oneshot_is_never_restarted() -> None:
    stack = checked(a_manifest({"a": a_service(kind="oneshot")}, defaults={"restart": "always"}))

    assert stack.services[0].restart == "never"


def test_a_oneshot_may_end_at_once() -> None:
    stack = checked(a_manifest({"a": a_service(kind="oneshot", start={"seconds": 0}, stable_for=0)}))

    assert stack.services[0].start.seconds == 0


def test_a_list_of_requirements_of_its_own_replaces_the_default_one() -> None:
    stack = checked(
        a_manifest(
            {"a": a_service(), "b": a_service(requires_files=["own"], requires_env=["HOME"], directory="app"),
             "c": a_service(requires_files=[], requires_env=[])},
            defaults={"requires_files": ["common"], "requires_env": ["PATH"]},
        )
    )  # fmt: skip

    assert [service.requires_files for service in stack.services] == [
        ("/opt/trading/common",),
        ("/opt/trading/own",),
        (),
    ]
    assert [service.requires_env for service in stack.services] == [("PATH",), ("HOME",), ()]


def test_requirements_hold_for_each_instance() -> None:
    stack = checked(
        a_manifest(
            {"a": a_service(port=8010, instances=2, requires_files=["key"], requires_env=["INSTANCE", "PORT_DB"],
                            depends_on=["db"]),
             "db": a_service(port=8001)}
        )
    )  # fmt: skip

    for name in ("a-1", "a-2"):
        assert stack.service(name).requires_files == ("/opt/trading/key",)
        assert stack.service(name).requires_env == ("INSTANCE", "PORT_DB")


# --- laying over -------------------------------------------------------------------------------------------------


def test_an_overlay_changes_single_keys_and_adds_services() -> None:
    stack = checked(
        FULL,
        overlay={
            "root": "/srv/trading",
            "ports": {"also": [4000]},
            "services": {"main_app": {"env": {"LEVEL": "debug"}, "port": 8003}, "new": a_service(port=4000)},
        },
    )

    assert stack.root == "/srv/trading"
    assert stack.ports.also == (4000,)
    assert stack.service("main_app").env["LEVEL"] == "debug"
    assert stack.service("main_app").env["WORKERS"] == "4"
    assert stack.service("main_app").port == 8003
    assert stack.service("new").port == 4000


# --- secrets -----------------------------------------------------------------------------------------------------


def test_a_stack_knows_digests_and_no_secrets() -> None:
    stack = checked(FULL)
    digests = stack.service("main_app").secrets

    assert sorted(digests) == ["API_KEY", "PIN"]
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in digests.values())
    assert "planted" not in json.dumps(stack.to_dict()) + repr(stack)


def test_secrets_are_had_from_the_manifest() -> None:
    assert secret_values(FULL) == {"main_app": {"API_KEY": "planted", "PIN": "1234"}}
    assert secret_values(FULL["stack"]) == secret_values(FULL)


def test_default_secrets_reach_every_service_that_has_no_variable_of_that_name() -> None:
    data = a_manifest(
        {"a": a_service(), "b": a_service(env={"TOKEN": "open"}), "c": a_service(secrets={"TOKEN": "own", "X": "x"})},
        defaults={"secrets": {"TOKEN": "common"}, "env": {"X": "hidden"}},
    )

    stack = checked(data)

    assert secret_values(data) == {"a": {"TOKEN": "common"}, "c": {"TOKEN": "own", "X": "x"}}
    assert {service.name: sorted(service.secrets) for service in stack.services} == {
        "a": ["TOKEN"],
        "b": [],
        "c": ["TOKEN", "X"],
    }
    assert [service.env for service in stack.services] == [{"X": "hidden"}, {"X": "hidden", "TOKEN": "open"}, {}]


def test_secrets_laid_over_a_file_reach_its_services() -> None:
    overlay = {"defaults": {"secrets": {"TOKEN": "x"}}}

    assert secret_values(a_manifest(), overlay) == {"main_app": {"TOKEN": "x"}}


@pytest.mark.parametrize(
    "data", [None, [], "text", {}, {"stack": 1}, {"services": []}, {"services": {"a": {"secrets": 5}}}]
)
def test_secrets_of_what_is_no_manifest_are_none(data: Any) -> None:
    assert secret_values(data) == {}


def test_a_secret_may_have_lines() -> None:
    pem = "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"

    assert secret_values(one(secrets={"KEY": pem})) == {"main_app": {"KEY": pem}}
    assert list(only_service(secrets={"KEY": pem}).secrets) == ["KEY"]


def test_a_changed_secret_changes_its_digest_and_the_revision() -> None:
    first, same, other = (checked(one(secrets={"KEY": value})) for value in ("a", "a", "b"))

    assert first == same
    assert first.services[0].secrets != other.services[0].secrets
    assert revision(first, first.services[0]) != revision(other, other.services[0])


# --- data --------------------------------------------------------------------------------------------------------


def test_a_stack_goes_through_json_and_comes_back_the_same() -> None:
    stack = checked(FULL)

    assert Stack.from_dict(json.loads(json.dumps(stack.to_dict()))) == stack


def test_whole_numbers_of_a_template_engine_do_not_change_the_revision() -> None:
    stack = checked(FULL)
    data = json.loads(json.dumps(stack.to_dict()).replace(".0,", ",").replace(".0}", "}"))

    again = Stack.from_dict(data)

    assert [revision(again, service) for service in again.services] == [
        revision(stack, service) for service in stack.services
    ]


def test_databases_are_asked_by_the_variables_of_their_services() -> None:
    services = {
        "web": a_service(secrets={"DATABASE_URL": "postgresql://planted"}, instances=2),
        "worker": a_service(env={"QUEUE": "redis://localhost"}),
    }
    checks = {
        "sqlite": "data/app.db",
        "postgresql": {"service": "web"},
        "redis": {"service": "worker", "variable": "QUEUE", "timeout": 1},
    }

    stack = checked(a_manifest(services, checks={"database": checks}))

    assert stack.checks.databases == (
        DatabaseCheck("sqlite", "/opt/trading/data/app.db"),
        DatabaseCheck("postgresql", service="web", variable="DATABASE_URL", query="SELECT 1"),
        DatabaseCheck("redis", service="worker", variable="QUEUE", timeout=1.0),
    )
    assert [check.subject for check in stack.checks.databases] == ["", "postgresql of web", "redis of worker"]
    assert "planted" not in json.dumps(stack.to_dict())
    assert Stack.from_dict(json.loads(json.dumps(stack.to_dict()))) == stack


def test_a_redis_without_a_password_is_asked_on_its_port() -> None:
    stack = checked(a_manifest(checks={"database": {"redis": {"port": 6379}}}))

    assert stack.checks.databases == (DatabaseCheck("redis", host="127.0.0.1", port=6379),)
    assert stack.checks.databases[0].subject == "redis on port 6379"


def test_a_required_variable_of_a_database_may_be_given_later() -> None:
    services = {"web": a_service(requires_env=["DATABASE_URL"])}
    result = check_manifest(a_manifest(services, checks={"database": {"postgresql": {"service": "web"}}}))

    assert [problem.severity for problem in result.problems] == ["warning"], "only that the service will be held"


@pytest.mark.parametrize(
    ("before", "databases"),
    [(None, ()), ({"kind": "sqlite", "path": "/x.db"}, (DatabaseCheck("sqlite", "/x.db"),))],
)
def test_what_was_installed_when_there_was_one_database_at_most_is_read(
    before: Any, databases: tuple[DatabaseCheck, ...]
) -> None:
    data = checked(a_manifest()).to_dict()
    data["checks"] = {"database": before, "log_critical": ["FATAL"]}

    assert Stack.from_dict(data).checks == Checks(databases, ("FATAL",))


@pytest.mark.parametrize("left", [{}, {"restart_budget": {}}, {"restart_budget": {"restarts": 5}}])
def test_what_was_installed_before_there_were_requirements_and_a_budget_is_read(left: dict[str, Any]) -> None:
    stack = checked(a_manifest())
    data = stack.to_dict()
    del data["restart_budget"]
    for key in ("requires_files", "requires_env"):
        del data["services"][0][key]

    assert Stack.from_dict({**data, **left}) == stack


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.pop("name"),
        lambda data: data.update(services=[{}]),
        lambda data: data.update(services=5),
        lambda data: data.update(unknown=1),
        lambda data: data["services"][0].update(new_key=1),
        lambda data: data["services"][0].update(stop=None),
        lambda data: data.update(paths=[]),
        lambda data: data.update(checks=None),
        lambda data: data.update(restart_budget=None),
        lambda data: data.update(restart_budget={"of_another_version": 1}),
        lambda data: data["services"][0].update(requires_env=None),
    ],
)
def test_data_of_another_version_is_an_error_that_callers_know(spoil: Any) -> None:
    data = checked(FULL).to_dict()
    spoil(data)

    with pytest.raises((KeyError, TypeError, ValueError)):
        Stack.from_dict(data)


def test_an_unknown_service_is_an_error() -> None:
    with pytest.raises(KeyError, match="nobody"):
        checked(FULL).service("nobody")
