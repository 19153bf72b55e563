# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wrong manifest: each fault is named at its place, with words to go by; many are named at once."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.host_limits import (
    SOCKET_LIMIT_MACOS,
    HostLimits,
)
from tests.support.manifests import NOTHING, a_manifest, a_service, checked, one, problem, problems

APP = "stack.services.main_app"
WEB = {"http": "/health"}


def two(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return a_manifest({"a": a_service(**first), "b": a_service(**second)})


def database(check: dict[str, Any]) -> dict[str, Any]:
    return a_manifest(
        {"main_app": a_service(secrets={"DATABASE_URL": "postgresql://planted@localhost/trading"})},
        checks={"database": check},
    )


def chain(**needs: list[str]) -> dict[str, Any]:
    return a_manifest({name: a_service(depends_on=others) for name, others in needs.items()})


CASES: dict[str, tuple[Any, str, str]] = {
    # the document
    "no mapping": ([1], "stack", "is a list, not a mapping"),
    "nothing": (None, "stack", "is empty, not a mapping"),
    "something else": ({"all": {"hosts": {}}}, "stack", "has no key of a manifest"),
    "stack is none": ({"stack": None}, "stack", "is empty, not a mapping"),
    "key beside stack": ({**a_manifest(), "services": {}}, "services", "is not a key beside stack"),
    "no name": (a_manifest(name=NOTHING), "stack.name", "is missing"),
    "no root": (a_manifest(root=NOTHING), "stack.root", "is missing"),
    "no services": (a_manifest(services={}), "stack.services", "there are no services"),
    "services null": (a_manifest(services=None) | {"stack": {"name": "x", "root": "/x", "services": None}},
                      "stack.services", "is empty"),
    "services a list": ({"stack": {"name": "x", "root": "/x", "services": ["a"]}}, "stack.services", "is a list"),
    "unknown key": (a_manifest(colour="red"), "stack.colour", r"is not a key of a stack$"),
    "misspelt key": (a_manifest(defualts={}), "stack.defualts", r"\(did you mean defaults\?\)"),
    "key that is no text": (a_manifest(**{"deprecated": {}}) | {"stack": {**a_manifest()["stack"], 5: 1}},
                            "stack[5]", "is a key that is not text"),
    # root and paths
    "relative root": (a_manifest(root="opt"), "stack.root", "is not an absolute path"),
    "root of everything": (a_manifest(root="/"), "stack.root", "belongs to the system"),
    "root of everything in other words": (a_manifest(root="/opt/x/../.."), "stack.root", "belongs to the system"),
    "root of the system": (a_manifest(root="/etc/"), "stack.root", "belongs to the system"),
    "root of a shell": (a_manifest(root="~/x"), "stack.root", "only a shell understands"),
    "root with a percent sign": (a_manifest(root="/opt/100%"), "stack.root", "contains '%'"),
    "root with a quote": (a_manifest(root="/opt/it's"), "stack.root", 'contains "\'"'),
    "root with an end": (a_manifest(root="/opt/a\n[program:x]"), "stack.root", r"control character '\\n'"),
    "root with a space at its end": (a_manifest(root="/opt/a "), "stack.root", "begins or ends with white space"),
    "root too long": (a_manifest(root="/" + "r" * 80), "stack.root", "101 bytes long, and 99 work"),
    "run too long": (a_manifest(paths={"run": "/" + "r" * 90}), "stack.paths.run", "bytes long, and 99 work"),
    "logs for everybody": (a_manifest(paths={"logs": "/tmp/x"}), "stack.paths.logs", "every user may write"),
    "logs outside": (a_manifest(paths={"logs": "../x"}), "stack.paths.logs", "leads out of /opt/trading"),
    "logs that are the config": (a_manifest(paths={"logs": "etc"}), "stack.paths.logs", "another use"),
    "paths of others": (a_manifest(paths={"state": "/x"}), "stack.paths.state", "is not a key of paths"),
    "directory outside": (one(directory="../x"), f"{APP}.directory", "leads out of /opt/trading"),
    "program outside": (one(command=["../x"]), f"{APP}.command[0]", "leads out of /opt/trading"),
    "database outside": (a_manifest(checks={"database": {"sqlite": "../x"}}), "stack.checks.database.sqlite", "leads"),
    "user by number": (a_manifest(user=0), "stack.user", "is a number, not the name of a user"),
    "user with a colon": (a_manifest(user="a:b"), "stack.user", "is not the name of a user"),
    # ports
    "port 0": (one(port=0), f"{APP}.port", "is 0, not a port number from 1 to 65535"),
    "port 65536": (one(port=65536), f"{APP}.port", "is 65536, not a port number"),
    "port below 0": (one(port=-8000), f"{APP}.port", "is -8000, not a port number"),
    "port of many digits": (one(port=10**400), f"{APP}.port", "is far too large for a port number"),
    "port true": (one(port=True), f"{APP}.port", "is a truth value, not a port number"),
    "port 8000.0": (one(port=8000.0), f"{APP}.port", "is a number, not a port number"),
    "port 08080": (one(port="08080"), f"{APP}.port", "is text, not a port number"),
    "port outside": (one(port=9090), f"{APP}.port", r"port 9090 is outside the range 8000-8100"),
    "port avoided": (one(port=9000), f"{APP}.port", "port 9000 is to be avoided"),
    "port of the host": (one(port=22), f"{APP}.port", "port 22 is protected"),
    "port twice": (two({"port": 8000}, {"port": 8000}), "stack.services.b.port", "is the port of a, too"),
    "range upside down": (a_manifest(ports={"range": [2, 1]}), "stack.ports.range", "ends before it begins"),
    "range of one": (a_manifest(ports={"range": [8000]}), "stack.ports.range", "is not a list of two ports"),
    "range of words": (a_manifest(ports={"range": ["a", 1]}), "stack.ports.range[0]", "is text, not a port number"),
    "also avoided": (a_manifest(ports={"also": [5000]}), "stack.ports.also", "port 5000 is on the list avoid"),
    "also protected": (a_manifest(ports={"also": [22]}), "stack.ports.also", "port 22 is on the list protect"),
    "also a number": (a_manifest(ports={"also": 3000}), "stack.ports.also", "is a number, not a list"),
    "deprecated and not": (a_manifest(deprecated={"main_app": 1}), "stack.deprecated.main_app", "is a service"),
    # commands
    "no command": (a_manifest({"a": a_service(), "b": {}}), "stack.services.b", "has no command"),
    "no command at all": (a_manifest({"a": {}, "b": {}}), "stack.defaults.command", "no service has a command: a, b"),
    "empty command": (one(command=[]), f"{APP}.command", "names no program"),
    "empty text": (one(command=""), f"{APP}.command", "names no program"),
    "empty program": (one(command=[" "]), f"{APP}.command", "names no program"),
    "option as program": (one(command=["-x"]), f"{APP}.command[0]", "is not a program"),
    "home as program": (one(command=["~/x"]), f"{APP}.command[0]", "is not a program"),
    "command of mappings": (one(command=[{}]), f"{APP}.command[0]", "is a mapping, not text"),
    "command of a number": (one(command=5), f"{APP}.command", "is a number, not a list"),
    "command with an end": (one(command=["a", "b\nc"]), f"{APP}.command[1]", r"control character '\\n'"),
    "command without Unicode": (one(command=["a", "\ud800"]), f"{APP}.command[1]", "is not valid Unicode"),
    "command of 128 KiB": (one(command=["a", "b" * 131072]), f"{APP}.command[1]", "longer than the 128 KiB"),
    "pipe": (one(command="a | b"), f"{APP}.command", r"contains \|, which only a shell understands"),
    "and": (one(command="a && b"), f"{APP}.command", "contains &&, which"),
    "redirection": (one(command="a >b"), f"{APP}.command", "contains >, which"),
    "background": (one(command="a&"), f"{APP}.command", "contains &, which"),
    "variable": (one(command="a $HOME"), f"{APP}.command", r"contains \$, which"),
    "subshell": (one(command="a `b`"), f"{APP}.command", "contains `, which"),
    "half a quote": (one(command="a 'b"), f"{APP}.command", "without its counterpart"),
    "port for none": (a_manifest({"main_app": {}}, defaults={"command": ["a", "{port}"]}), APP, "has no port, and"),
    # variables
    "env a list": (one(env=["A=1"]), f"{APP}.env", "is a list, not a mapping"),
    "env null": (one(env=None), f"{APP}.env", "is empty"),
    "env of lists": (one(env={"A": []}), f"{APP}.env.A", "is a list, not text"),
    "env of nothing": (one(env={"A": None}), f"{APP}.env.A", "is empty, not text"),
    "env with an end": (one(env={"A": "b\nc"}), f"{APP}.env.A", r"contains the control character '\\n'"),
    "env of 128 KiB": (one(env={"A": "b" * 131072}), f"{APP}.env.A", "longer than the 128 KiB"),
    "env by another name": (one(env={"A B": "c"}), f"{APP}.env['A B']", "is not the name of a variable"),
    "env of no name": (one(env={"": "c"}), f"{APP}.env['']", "is not the name of a variable"),
    "env of a number": (one(env={1: "c"}), f"{APP}.env[1]", "is a number, not the name of a variable"),
    "env PORT": (one(env={"PORT": "c"}), f"{APP}.env.PORT", "is reserved"),
    "env PORT_X": (one(env={"PORT_X": "c"}), f"{APP}.env.PORT_X", "is reserved"),
    "env ROLLCALL_X": (one(env={"ROLLCALL_X": "c"}), f"{APP}.env.ROLLCALL_X", "is reserved"),
    "secret PORT": (one(secrets={"PORT": "c"}), f"{APP}.secrets.PORT", "is reserved"),
    "secret and not": (one(env={"A": 1}, secrets={"A": 1}), f"{APP}.secrets.A", "is in env, too"),
    "secret in a list": (one(secrets={"A": ["planted"]}), f"{APP}.secrets.A", "is a list, not text"),
    "secrets as text": (one(secrets="planted"), f"{APP}.secrets", "is text, not a mapping"),
    "secret with a bell": (one(secrets={"A": "planted\a"}), f"{APP}.secrets.A", r"control character '\\x07'"),
    # health
    "health of neither": (
        one(port=8000, health={"timeout": 1}), f"{APP}.health", "says none of http, https, tcp, tls, exec"),
    "health of both": (one(port=8000, health={**WEB, "tcp": True}), f"{APP}.health", "says http and tcp"),
    "health of tcp with a CA": (
        one(port=8000, health={"tcp": True, "ca": "x"}), f"{APP}.health.ca", "is not a key of a check by tcp"),
    "health with a header of the connection": (
        one(port=8000, health={**WEB, "headers": {"connection": "x"}}), f"{APP}.health.headers.connection",
        "is sent by Rollcall"),
    "health with half of two lines in a header": (
        one(port=8000, health={**WEB, "headers": {"A": "b\r\nC: d"}}), f"{APP}.health.headers.A",
        "is not what a header can say"),
    "health with a list for a field": (
        one(port=8000, health={**WEB, "json": {"a": [1]}}), f"{APP}.health.json.a", "is a list, not text, a number"),
    "health with a secret that there is not": (
        one(port=8000, health={**WEB, "headers": {"A": "{secret:KEY}"}}, secrets={"OTHER": "planted"}),
        f"{APP}.health.headers.A", "main_app has no secret KEY"),
    "health false": (one(port=8000, health=False), f"{APP}.health", "is a truth value, not a mapping"),
    "health of no port": (one(health=WEB), f"{APP}.health", "the service has no port to ask"),
    "health of a URL": (one(port=8000, health={"http": "http://a/"}), f"{APP}.health.http", "does not begin with /"),
    "health with a space": (one(port=8000, health={"http": "/a b"}), f"{APP}.health.http", "a path cannot have"),
    "health of tcp with a status": (
        one(port=8000, health={"tcp": True, "status": 200}), f"{APP}.health.status", "is not a key of a check by tcp"),
    "health of http with a banner": (
        one(port=8000, health={**WEB, "expect": "x"}), f"{APP}.health.expect", "is not a key of a check by http"),
    "health status": (one(port=8000, health={**WEB, "status": 2000}), f"{APP}.health.status", "is 2000, not a status"),
    "health timeout": (one(port=8000, health={**WEB, "timeout": 0}), f"{APP}.health.timeout", "is 0, not from"),
    "health host": (one(port=8000, health={**WEB, "host": "[::1]"}), f"{APP}.health.host", "is not a host"),
    "health tcp false": (one(port=8000, health={"tcp": False}), f"{APP}.health.tcp", "is not true"),
    "health of a oneshot": (
        one(port=8000, health=WEB, kind="oneshot"), f"{APP}.health", "a oneshot ends"),
    "health port for all": (
        a_manifest({"a": a_service(port=8000)}, defaults={"health": {**WEB, "port": 1}}),
        "stack.defaults.health.port", "is not a default"),
    # time, signals, words
    "stop signal": (one(stop={"signal": "STOP"}), f"{APP}.stop.signal", "is not a signal that stops a service"),
    "stop signal by number": (one(stop={"signal": 15}), f"{APP}.stop.signal", "is a number, not the name"),
    "stop scope": (one(stop={"scope": "all"}), f"{APP}.stop.scope", "is none of the words it may be"),
    "stop signals without a wait": (
        one(stop={"signals": [{"signal": "INT"}]}), f"{APP}.stop.signals[0]", "has no wait"),
    "stop signals of no kind": (
        one(stop={"signals": [{"signal": "STOP", "wait": 1}]}),
        f"{APP}.stop.signals[0].signal", "is not a signal that stops a service"),
    "stop signals beside a signal": (
        one(stop={"signals": [{"signal": "INT", "wait": 1}], "signal": "TERM"}),
        f"{APP}.stop.signal", "stands beside signals"),
    "stop signals for too long": (
        one(stop={"signals": [{"signal": "INT", "wait": 604_000}] * 2}),
        f"{APP}.stop.signals", "comes to 1208000 seconds"),
    "stop signals too many": (
        one(stop={"signals": [{"signal": "INT", "wait": 1}] * 6}), f"{APP}.stop.signals", "has 6 items"),
    "stop timeout": (one(stop={"timeout": -1}), f"{APP}.stop.timeout", "is -1, not from 0 to 604800 seconds"),
    "stop timeout for ever": (one(stop={"timeout": float("inf")}), f"{APP}.stop.timeout", "is inf, not from"),
    "stop timeout of none": (one(stop={"timeout": float("nan")}), f"{APP}.stop.timeout", "is nan, not from"),
    "stop timeout of many digits": (one(stop={"timeout": 10**400}), f"{APP}.stop.timeout", "not from 0 to 604800"),
    "stop as text": (one(stop="TERM"), f"{APP}.stop", "is text, not a mapping"),
    "retries in part": (one(start={"retries": 1.5}), f"{APP}.start.retries", "is a number, not a number of tries"),
    "restart no": (one(restart=False), f"{APP}.restart", "is a truth value, not one of the words"),
    "restart sometimes": (one(restart="unexpectedly"), f"{APP}.restart", r"\(did you mean unexpected\?\)"),
    "restart of a oneshot": (one(kind="oneshot", restart="always"), f"{APP}.restart", "a oneshot runs once"),
    "kind": (one(kind="daemon"), f"{APP}.kind", "is none of the words it may be"),
    "crash loop": (one(start={"seconds": 0}, stable_for=0.9), f"{APP}.stable_for", "less than 1 second"),
    "crash loop by default": (
        a_manifest(defaults={"start": {"seconds": 0}, "stable_for": 0}), "stack.defaults.stable_for", "less than 1"),
    "never ready": (one(ready_timeout=5, start={"seconds": 5}), f"{APP}.ready_timeout", "has 5 seconds to be ready"),
    "description of a number": (one(description=5), f"{APP}.description", "is a number, not text"),
    "log size": (one(log={"max_bytes": "10MB"}), f"{APP}.log.max_bytes", "is text, not a number of bytes"),
    "state": (one(status="running"), f"{APP}.status", "is runtime state"),
    "misspelt in a service": (one(comand="x"), f"{APP}.comand", r"\(did you mean command\?\)"),
    "own key by default": (a_manifest(defaults={"port": 8000}), "stack.defaults.port", "is not a key of defaults"),
    # dependencies
    "unknown dependency": (one(depends_on=["x"]), f"{APP}.depends_on.x", "is not a service"),
    "misspelt dependency": (
        two({}, {"depends_on": ["aa"]}), "stack.services.b.depends_on.aa", r"is not a service \(did you mean a\?\)"),
    "deprecated dependency": (
        a_manifest({"a": a_service(depends_on=["old"])}, deprecated={"old": 8000}),
        "stack.services.a.depends_on.old", "is deprecated, so it is never started"),
    "dependency on a oneshot": (
        two({"kind": "oneshot"}, {"depends_on": {"a": "running"}}), "stack.services.b.depends_on.a", "is a oneshot"),
    "completion of a service": (
        two({}, {"depends_on": {"a": "completed"}}), "stack.services.b.depends_on.a", "never completes"),
    "health of what has none": (
        two({}, {"depends_on": {"a": "healthy"}}), "stack.services.b.depends_on.a", "neither a health check nor"),
    "health of what has only the default one, for others": (
        a_manifest({"a": a_service(), "b": a_service(depends_on={"a": "healthy"})}, defaults={"health": WEB}),
        "stack.services.b.depends_on.a", "neither a health check nor"),
    "env of thousands of digits": (one(env={"A": 10**5000}), f"{APP}.env.A", "is a number, not text"),
    "key of thousands of digits": (one(env={10**5000: "a"}), f"{APP}.env[...]", "is a number, not the name of"),
    "nothing to send": (one(port=8000, health={"tcp": True, "send": ""}), f"{APP}.health.send", "is empty text"),
    "half a character to send": (
        one(port=8000, health={"tcp": True, "send": "\ud800"}), f"{APP}.health.send", "is not valid Unicode"),
    "dependency by another word": (
        two({}, {"depends_on": {"a": "ready"}}), "stack.services.b.depends_on.a", "is none of the words"),
    "dependency as text": (two({}, {"depends_on": "a"}), "stack.services.b.depends_on", "is text, not a list"),
    "dependency twice": (two({}, {"depends_on": ["a", "a"]}), "stack.services.b.depends_on[1]", "twice"),
    "on itself": (one(depends_on=["main_app"]), f"{APP}.depends_on", "in a circle: main_app -> main_app$"),
    "circle of two": (chain(a=["b"], b=["a"]), "stack.services.a.depends_on", "in a circle: a -> b -> a$"),
    "circle behind a way": (
        chain(x=["a"], a=["b"], b=["c"], c=["a"]), "stack.services.a.depends_on", "in a circle: a -> b -> c -> a$"),
    # what holds a service, and the budget
    "file of no name": (one(requires_files=[""]), f"{APP}.requires_files[0]", "is empty text"),
    "file outside": (one(requires_files=["a", "../x"]), f"{APP}.requires_files[1]", "leads out of /opt/trading"),
    "file of a shell": (one(requires_files=["~/key"]), f"{APP}.requires_files[0]", "only a shell understands"),
    "file as text": (one(requires_files="key.pem"), f"{APP}.requires_files", "is text, not a list"),
    "file of none": (one(requires_files=[None]), f"{APP}.requires_files[0]", "is empty, not text"),
    "file twice": (
        one(requires_files=["a/b", "c", "/opt/trading/a//b"]), f"{APP}.requires_files[2]", "is in the list twice"),
    "file twice for all": (
        a_manifest({"a": a_service(), "b": a_service()}, defaults={"requires_files": ["a", "./a"]}),
        "stack.defaults.requires_files[1]", "is in the list twice"),
    "files without end": (one(requires_files=["a"] * 101), f"{APP}.requires_files", "has 101 items, and 100 are"),
    "variable by another name": (one(requires_env=["A B"]), f"{APP}.requires_env[0]", "is not the name of a variable"),
    "variable of a number": (one(requires_env=[5]), f"{APP}.requires_env[0]", "is a number, not the name of"),
    "variables as a mapping": (one(requires_env={"A": "b"}), f"{APP}.requires_env", "is a mapping, not a list"),
    "variable twice": (one(requires_env=["PATH", "PATH"]), f"{APP}.requires_env[1]", "is in the list twice"),
    "budget of a number": (a_manifest(restart_budget=5), "stack.restart_budget", "is a number, not a mapping"),
    "budget of nothing": (
        a_manifest(restart_budget={"restarts": 0}), "stack.restart_budget.restarts", "is 0, not a number of restarts"),
    "budget without end": (
        a_manifest(restart_budget={"restarts": 1001}), "stack.restart_budget.restarts", "from 1 to 1000"),
    "budget of no time": (
        a_manifest(restart_budget={"within": 0}), "stack.restart_budget.within", "is 0, not from 1 to 604800 seconds"),
    "budget by another word": (
        a_manifest(restart_budget={"withn": 5}), "stack.restart_budget.withn", r"\(did you mean within\?\)"),
    # checks
    "no such database": (a_manifest(checks={"database": {"mysql": {}}}),
                         "stack.checks.database.mysql", "is not a key of a database check"),
    "database of nobody": (database({"postgresql": {}}), "stack.checks.database.postgresql", "names no service"),
    "database of a stranger": (
        database({"postgresql": {"service": "main_ap"}}),
        "stack.checks.database.postgresql.service", r"is not a service of this stack \(did you mean main_app\?\)"),
    "database without a URL": (
        database({"postgresql": {"service": "main_app", "variable": "DB"}}),
        "stack.checks.database.postgresql", "main_app is not given the variable DB"),
    "database of a service in two places": (
        database({"redis": {"service": "main_app", "variable": "DATABASE_URL", "port": 6379}}),
        "stack.checks.database.redis", "names a service, and a host or port as well"),
    "database by a variable of nobody": (
        database({"redis": {"variable": "REDIS_URL", "port": 6379}}),
        "stack.checks.database.redis.variable", "is a variable of no service"),
    "database on no port": (
        database({"redis": {"port": 0}}), "stack.checks.database.redis.port", "is 0, not a port number"),
    "database with a query of Redis": (
        database({"redis": {"service": "main_app", "variable": "DATABASE_URL", "query": "SELECT 1"}}),
        "stack.checks.database.redis.query", "is not a key of a check of Redis"),
    "database whose query is several": (
        database({"postgresql": {"service": "main_app", "query": "SELECT 1; COMMIT; DROP TABLE x; COMMIT"}}),
        "stack.checks.database.postgresql.query", "has more than one statement"),
    "database whose query does not read": (
        database({"postgresql": {"service": "main_app", "query": "/* SELECT */ COPY x TO PROGRAM 'sh'"}}),
        "stack.checks.database.postgresql.query", "does not begin with a command that reads"),
    "database that is a service": (
        database({"postgresql": {"service": 5}}), "stack.checks.database.postgresql.service", "is a number, not text"),
    "pattern": (a_manifest(checks={"logs": {"critical": ["ok", "[a"]}}),
                "stack.checks.logs.critical[1]", "is not a regular expression"),
    "pattern that is long to compile": (
        a_manifest(checks={"logs": {"critical": ["(?i)" + "[\u0100-\uffff]" * 90]}}),
        "stack.checks.logs.critical[0]", "has sets of more than 70000 characters"),
    "pattern that hides its sets": (
        a_manifest(checks={"logs": {"critical": ["(?:a|(?=[^\u0100-\uffff]))(?i:(?P<x>[\u4e00-\u9fff])*?)"]}}),
        "stack.checks.logs.critical[0]", "has sets of more than 70000 characters"),
    "pattern that is deep": (a_manifest(checks={"logs": {"critical": ["(" * 501]}}),
                             "stack.checks.logs.critical[0]", "longer than 500"),
    "pattern as text": (a_manifest(checks={"logs": {"critical": "x"}}), "stack.checks.logs.critical", "is text, not a"),
}  # fmt: skip


@pytest.mark.fault(37)
@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_named_at_its_place(case: str) -> None:
    data, place, words = CASES[case]

    found = [item for item in problems(data) if item.place == place]

    assert [item.severity for item in found] == ["error"]
    assert re.search(words, found[0].message), found[0].message
    assert found[0].cure
    assert "\n" not in found[0].message + found[0].cure + found[0].place


@pytest.mark.parametrize("case", [name for name in CASES if name not in ("services null", "no such database")])
def test_a_fault_is_all_there_is(case: str) -> None:
    """One mistake makes one problem: what follows from it is not told as well."""
    assert len(problems(CASES[case][0])) == 1, problems(CASES[case][0])


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("all", "means every service"),
        ("All", "means every service"),
        ("supervisord", "is the name of supervisord's own log"),
        ("a:b", "cannot be used"),
        ("../x", "cannot be used"),
        ("-x", "cannot be used"),
        ("_x", "cannot be used"),
        ("1a", "cannot be used"),
        ("a.b", "cannot be used"),
        ("a b", "cannot be used"),
        ("a\n", "cannot be used"),
        ("zoë", "cannot be used"),
        ("", "is empty"),
        ("a" * 64, "longer than 63"),
        (5, "a name is text, and this is a number"),
        (True, "a name is text, and this is a truth value"),
        (None, "a name is text, and this is empty"),
    ],
)
def test_a_name_that_means_something_else_is_refused(name: Any, words: str) -> None:
    found = problem(a_manifest({name: a_service()}))

    assert found.place.startswith("stack.services")
    assert words in found.message
    if name is not None:
        assert words in problem(a_manifest(name=name)).message


@pytest.mark.parametrize("name", ["a", "A", "main_app", "main-app", "x1", "a" * 63])
def test_a_good_name_is_taken(name: str) -> None:
    assert checked(a_manifest({name: a_service()}, name=name)).services[0].name == name


@pytest.mark.parametrize("other", ["a_b", "A-B", "A_b"])
def test_names_that_share_a_variable_are_refused(other: str) -> None:
    found = problem(a_manifest({"a-b": a_service(), other: a_service()}))

    assert found.place == f"stack.services.{other}"
    assert found.message == "shares the variable PORT_A_B with a-b"


@pytest.mark.fault(37)
def test_all_problems_are_found_at_once() -> None:
    data = a_manifest(
        {
            "a": a_service(port=8000, comand="x", depends_on=["b"]),
            "b": a_service(port=8000, env={"PORT": 1}, depends_on=["a"]),
            "c:d": a_service(),
            "e": 5,
        },
        root="relative",
        colour="red",
    )

    assert sorted(item.place for item in problems(data)) == [
        "stack.colour",
        "stack.root",
        "stack.services.a.comand",
        "stack.services.a.depends_on",
        "stack.services.b.env.PORT",
        "stack.services.b.port",
        "stack.services.e",
        "stack.services['c:d']",
    ]


@pytest.mark.fault(33)
def test_several_circles_are_all_named() -> None:
    found = problems(chain(a=["b"], b=["a"], c=["d"], d=["c"], e=["a", "c"]))

    assert [item.message.rsplit(": ")[1] for item in found] == ["a -> b -> a", "c -> d -> c"]


# --- ports by circumstances --------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", [3000, 40000, 79 + 1024])
def test_a_port_outside_the_range_is_taken_when_it_is_listed(port: int) -> None:
    assert f"add {port} to stack.ports.also" in problem(one(port=port)).cure
    assert checked(a_manifest({"a": a_service(port=port)}, ports={"also": [port]})).services[0].port == port


def test_a_port_that_clients_get_is_refused_even_within_the_range() -> None:
    data = a_manifest({"a": a_service(port=40000)}, ports={"range": [30000, 50000]})

    assert problem(data).message == "port 40000 is one of those that the kernel gives to clients (32768-60999)"
    assert checked(data, host=HostLimits(ephemeral=(45000, 60999)))
    assert "outside the range 8000-8100 and is one of those" in problem(one(port=40000)).message


def test_a_port_below_1024_needs_root() -> None:
    ports = {"also": [443]}
    data = a_manifest({"a": a_service(port=443)}, ports=ports)

    assert problem(data).message == "port 443 can be bound by root only"
    assert problem(a_manifest({"a": a_service(port=443)}, ports=ports, user="bob"))
    assert checked(a_manifest({"a": a_service(port=443)}, ports=ports, user="root"))
    assert problem(a_manifest({"a": a_service(port=443)}, ports=ports, user="root"), host=HostLimits(as_root=False))
    assert checked(data, host=HostLimits(as_root=True))
    assert checked(data, host=HostLimits(unprivileged_from=80))


@pytest.mark.parametrize("port", [2049, 4045, 5060, 5061, 6000, 6566, 6665, 6669, 10080])
def test_a_port_that_browsers_refuse_is_an_error_for_the_web_and_a_warning_elsewhere(port: int) -> None:
    wide = {"range": [1024, 11000], "avoid": []}

    assert problem(a_manifest({"a": a_service(port=port, health=WEB)}, ports=wide)).message == (
        f"port {port} is refused by every browser"
    )
    for data in (
        a_manifest({"a": a_service(port=port, health={"tcp": True})}, ports=wide),
        a_manifest({"a": a_service(port=port, health=WEB)}, ports={"also": [port]}),
    ):
        result = check_manifest(data)
        assert result.stack is not None
        assert [item.severity for item in result.problems] == ["warning"]


def test_the_limit_of_the_socket_is_in_bytes_and_may_be_another() -> None:
    assert checked(a_manifest(root="/" + "r" * 78))
    assert problem(a_manifest(root="/" + "r" * 78), host=HostLimits(socket_limit=SOCKET_LIMIT_MACOS))
    assert problem(a_manifest(root="/" + "ë" * 40))


def test_a_deprecated_port_that_is_used_again_is_warned_about() -> None:
    result = check_manifest(a_manifest({"a": a_service(port=8000)}, deprecated={"old": 8000}))

    assert result.stack is not None
    assert [(item.place, item.severity) for item in result.problems] == [("stack.deprecated.old", "warning")]


# --- what nothing gives ------------------------------------------------------------------------------------------


def warnings(data: Any) -> list[tuple[str, str]]:
    """Return place and message of the warnings of a manifest that is in use nevertheless."""
    result = check_manifest(data)
    assert result.stack is not None
    assert {item.severity for item in result.problems} <= {"warning"}
    return [(item.place, item.message) for item in result.problems]


@pytest.mark.parametrize(
    "keys", [{}, {"env": {"KEY": ""}}, {"secrets": {"KEY": ""}}, {"env": {"KEYS": "x"}}, {"env": {"key": "x"}}]
)
def test_a_variable_that_nothing_gives_a_value_is_warned_about(keys: dict[str, Any]) -> None:
    assert warnings(one(requires_env=["PATH", "KEY"], **keys)) == [
        (f"{APP}.requires_env[1]", "nothing gives KEY a value: main_app will be held")
    ]


@pytest.mark.parametrize(
    ("variable", "keys"),
    [
        ("KEY", {"env": {"KEY": "x"}}),
        ("KEY", {"env": {"KEY": 0}}),
        ("KEY", {"secrets": {"KEY": "x"}}),
        ("PORT", {"port": 8000}),
        ("PORT_MAIN_APP", {"port": 8000}),
        ("INSTANCE", {"instances": 1}),
        ("ROLLCALL_REVISION", {}),
        ("HOME", {}),
    ],
)
def test_what_is_given_by_the_manifest_or_by_rollcall_is_not_warned_about(variable: str, keys: dict[str, Any]) -> None:
    assert warnings(one(requires_env=[variable], **keys)) == []


@pytest.mark.parametrize(
    ("variable", "keys"),
    [("PORT", {}), ("PORT_B", {"port": 8000}), ("INSTANCE", {}), ("PATH", {"env": {"PATH": ""}})],
)
def test_what_rollcall_gives_to_others_only_is_warned_about(variable: str, keys: dict[str, Any]) -> None:
    data = a_manifest({"a": a_service(requires_env=[variable], **keys), "b": a_service(port=8001)})

    assert [place for place, _message in warnings(data)] == ["stack.services.a.requires_env[0]"]


def test_all_services_that_a_default_requirement_will_hold_are_in_one_warning() -> None:
    services = {"a": a_service(env={"KEY": "x"}), "b": a_service(port=8010, instances=2), "c": a_service()}

    assert warnings(a_manifest(services, defaults={"requires_env": ["KEY"]})) == [
        ("stack.defaults.requires_env[0]", "nothing gives KEY a value: b-1, b-2, c will be held")
    ]


# --- secrets and sizes -------------------------------------------------------------------------------------------


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    "secrets",
    [
        "planted",
        ["planted"],
        {"A": ["planted"]},
        {"A": {"planted": 1}},
        {"PORT": "planted"},
        {"A": "planted\0"},
        {"A B": "planted"},
        {"A": b"planted"},
        {"A": "planted" * 30000},
    ],
)
def test_no_problem_repeats_a_secret(secrets: Any) -> None:
    for data in (one(secrets=secrets), a_manifest(defaults={"secrets": secrets})):
        result = check_manifest(data)
        assert result.stack is None
        assert "planted" not in repr(result)


def test_more_secrets_than_can_be_digested_in_time_are_refused() -> None:
    services = {f"s{number}": a_service(secrets={"A": str(number)}) for number in range(101)}

    assert problem(a_manifest(services)).place == "stack.services"


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    "services",
    [
        {f"s{number}": a_service(depends_on=[f"t{number}"]) for number in range(3000)},
        {f"s{number}": a_service(depends_on=[f"s{(number + 1) % 3000}"]) for number in range(3000)},
        {f"s{number}": a_service(port=8000) for number in range(3000)},
        {f"s{number}": a_service(**{f"comand{number}": 1}) for number in range(3000)},
        {"x" * number: a_service() for number in range(3000)},
        {f"s{number}": a_service(requires_files=["a", "a"], requires_env=["A", "A"]) for number in range(3000)},
    ],
    ids=["unknown", "circle", "ports", "keys", "names", "requirements"],
)
def test_thousands_of_problems_are_found_in_a_few_seconds(services: dict[str, Any]) -> None:
    data = a_manifest(services)

    began = time.process_time()
    assert problems(data)

    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "pattern", ["[\u0400-\u04ff]+ [\u4e00-\u9fff]", "[^\\x00-\\x7f]", r"(?i)[a-z0-9]" + "[a-f]" * 90, r"[\w\s]+"]
)
def test_a_pattern_with_the_letters_of_a_language_is_taken(pattern: str) -> None:
    checked(a_manifest(checks={"logs": {"critical": [pattern]}}))
