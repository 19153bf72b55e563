# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every cure of a manifest's problem is done as it says, at the place that the problem names: the problem is gone."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import Problem, RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest import corrections as c
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest import sql
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.edit import Change, Edited, edit_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.file import check_file
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.keys import DEFAULTS, SERVICE, STACK
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.values import SIGNALS
from tests.support.corrections import Trial, at, below, beside, carried_out, removed, renamed, replaced, written
from tests.support.manifests import NOTHING, a_manifest, a_service, one
from tests.support.repository import ENGINE

APP = "stack.services.main_app"
STEP = {"signal": "TERM", "wait": 30}
WEB = {"http": "/health"}
HOOK = {"kind": "webhook", "url": "https://example.com/alerts"}
MAIL = {"kind": "mail", "host": "mail.example.com", "from": "rollcall@example.com", "to": ["oncall@example.com"]}
URL = {"DATABASE_URL": "postgresql://localhost/trading"}


def two(first: dict[str, Any], second: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return a_manifest({"a": a_service(**first), "b": a_service(**second)}, **keys)


def timer(**keys: Any) -> dict[str, Any]:
    return two({}, {"kind": "timer", **keys})


def database(check: dict[str, Any]) -> dict[str, Any]:
    return a_manifest({"main_app": a_service(secrets=URL)}, checks={"database": check})


def older(**keys: Any) -> dict[str, Any]:
    """Return a document of the older shape, with what it lacks laid over it below stack."""
    stack = {"name": "trading", "root": "/opt/trading", "defaults": {"command": ["bin/run"]}}
    return {"stack": {**stack, "core_services": {"web": {"port": 8000}}, **keys}}


def into_env(text: str) -> Any:
    """Return the edit that has the variable A of the service b in its env, with this text."""

    def edit(data: dict[str, Any], _place: str) -> None:
        del data["stack"]["services"]["b"]["secrets"]
        data["stack"]["services"]["b"]["env"] = {"A": text}

    return edit


def watched(**keys: Any) -> dict[str, Any]:
    return a_manifest(
        {"main_app": a_service(port=8000, secrets={"HOOK": "https://hooks.example.com/T0/B0"})}, watch=keys
    )


def in_a_file(key: str) -> Any:
    """Return the edit that names a file with a value, instead of it."""

    def edit(data: dict[str, Any], place: str) -> None:
        removed(data, place)
        beside(f"{key}_file", written("credentials/it"))(data, place)

    return edit


def in_main_app(key: str, value: Any) -> Any:
    """Return the edit that gives main_app this value for a key."""

    def edit(data: dict[str, Any], _place: str) -> None:
        data["stack"]["services"]["main_app"][key] = value

    return edit


# By the name of a cure in manifest/corrections.py.
OF_DATA: dict[str, list[Trial]] = {
    # leave something out
    "HOST_OR_GROUP": [Trial(one(hosts=["web servers"]), c.HOST_OR_GROUP, written("webservers"))],
    "HOSTS_OF_ONE": [Trial(one(singleton=True), c.HOSTS_OF_ONE, beside("hosts", written(["workers"])))],
    "REVERSIBLE_OF_ONCE": [
        Trial(one(kind="oneshot", reversible=True, hosts=["web"]), c.REVERSIBLE_OF_ONCE, removed),
        Trial(
            one(kind="oneshot", reversible=True, hosts=["web"]), c.REVERSIBLE_OF_ONCE, beside("once", written("fleet"))
        ),
    ],
    "ONCE_IS_ONESHOT": [
        Trial(one(once="fleet", hosts=["web"]), c.ONCE_IS_ONESHOT, removed),
        Trial(one(once="fleet", hosts=["web"]), c.ONCE_IS_ONESHOT, beside("kind", written("oneshot"))),
    ],
    "REMOVE_SINGLETON": [
        Trial(one(kind="oneshot", once="fleet", singleton=True, hosts=["web"]), c.REMOVE_SINGLETON, removed)
    ],
    "REMOVE": [
        Trial(one(port=8000, instances=2, kind="oneshot"), c.REMOVE, removed),
        Trial(one(port=8000, health={**WEB, "expect": "x"}), c.REMOVE, removed),
        Trial(one(port=8000, instances=2, health={**WEB, "port": 8001}), c.REMOVE, removed),
        Trial(a_manifest({"a": a_service(port=8000)}, defaults={"health": {**WEB, "port": 1}}), c.REMOVE, removed),
        Trial(one(requires_env=["PATH", "PATH"]), c.REMOVE, removed),
        Trial(two({}, {"depends_on": ["a", "a"]}), c.REMOVE, removed),
    ],
    "REMOVE_UNREAD": [
        Trial(older(colour="red"), c.REMOVE_UNREAD, removed),
        Trial(older(core_services={"web": {"port": 8000, "team": "x"}}), c.REMOVE_UNREAD, removed),
        Trial(
            older(port_ranges={"safe_range_start": 8000, "safe_range_end": 8100, "x": 1}), c.REMOVE_UNREAD, removed),
    ],
    "REMOVE_ONE": [
        Trial(database({"redis": {"service": "main_app", "variable": "DATABASE_URL", "port": 6379}}),
              c.REMOVE_ONE, below(".port", removed)),
        Trial(database({"redis": {"service": "main_app", "port": 6379}}), c.REMOVE_ONE, below(".service", removed)),
        Trial(older(watchdog_services={"web": {"port": 8001}}), c.REMOVE_ONE, removed),
        Trial(older(watchdog_services={"web": {"port": 8001}}), c.REMOVE_ONE,
              at("stack.core_services.web", removed)),
    ],
    "REMOVE_DEPENDENCY": [
        Trial(two({"depends_on": ["b"]}, {"depends_on": ["a"]}), c.REMOVE_DEPENDENCY, below("[0]", removed)),
        Trial(two({"depends_on": ["b"]}, {"depends_on": ["a"]}), c.REMOVE_DEPENDENCY,
              at("stack.services.b.depends_on", removed)),
    ],
    "REMOVE_STATE": [Trial(one(status="running"), c.REMOVE_STATE, removed)],
    "STACK_OF_USER": [Trial(one(user="shop"), c.STACK_OF_USER, removed)],
    "REMOVE_CHECK": [Trial(one(port=8000, health=WEB, kind="oneshot"), c.REMOVE_CHECK, removed)],
    "REMOVE_OR_NAME_SERVICE": [
        Trial(database({"redis": {"variable": "DATABASE_URL", "port": 6379}}), c.REMOVE_OR_NAME_SERVICE, removed)],
    "REMOVE_OR_SERVICE": [
        Trial(one(kind="oneshot", restart="always"), c.REMOVE_OR_SERVICE, removed),
        Trial(one(kind="oneshot", restart="always"), c.REMOVE_OR_SERVICE, beside("kind", written("service"))),
    ],
    "REMOVE_OR_BELOW_STACK": [
        Trial({**a_manifest(), "user": "bob"}, c.REMOVE_OR_BELOW_STACK, removed),
        Trial({**a_manifest(), "user": "bob"}, c.REMOVE_OR_BELOW_STACK,
              lambda data, place: data["stack"].update(user=data.pop(place))),
    ],
    "REMOVE_HERE_OR_THERE": [
        Trial(a_manifest({"main_app": a_service(), "b": a_service()}, deprecated={"main_app": 1}),
              c.REMOVE_HERE_OR_THERE, edit)
        for edit in (removed, at(APP, removed))
    ],
    "REMOVE_OR_VALUE": [
        Trial(one(env=None), c.REMOVE_OR_VALUE, removed), Trial(one(env=None), c.REMOVE_OR_VALUE, written({"A": 1}))],
    "REMOVE_OR_RENAME": [
        Trial(one(env={"PORT": 1}), c.REMOVE_OR_RENAME, removed),
        Trial(one(env={"PORT": 1}), c.REMOVE_OR_RENAME, renamed("WEB_PORT")),
    ],
    "KEEP_IN_ONE": [
        Trial(one(env={"A": 1}, secrets={"A": 1}), c.KEEP_IN_ONE, removed),
        Trial(one(env={"A": 1}, secrets={"A": 1}), c.KEEP_IN_ONE, at(f"{APP}.env.A", removed)),
    ],
    "key": [
        Trial(a_manifest(colour="red"), c.key(STACK), removed),
        Trial(one(colour="red"), c.key(SERVICE), removed),
        Trial(a_manifest(defaults={"port": 8000}), c.key(DEFAULTS), removed),
    ],
    "MISSPELT": [
        Trial(one(comand=["x"]), c.MISSPELT, removed),
        Trial(a_manifest(usr="bob"), c.MISSPELT, renamed("user")),
    ],
    "gone": [Trial(a_manifest({"a": a_service(port=8000)}, deprecated={"old": 8000}), c.gone("old"), removed)],
    # the document
    "TEXT_KEY": [
        Trial({"stack": {**a_manifest()["stack"], "deprecated": {}, 5: 1}}, c.TEXT_KEY,
              lambda data, _place: data["stack"].update(user=f"u{data['stack'].pop(5)}"))],
    "BELOW_STACK": [
        Trial([1], c.BELOW_STACK, lambda _data, _place: a_manifest()),
        Trial(None, c.BELOW_STACK, lambda _data, _place: a_manifest()),
    ],
    "OF_A_STACK": [Trial({"stack": None}, c.OF_A_STACK, written(a_manifest()["stack"]))],
    "CHECK_MODE": [
        Trial({"rollcall_stack": a_manifest()["stack"] | {"user": "{{ who }}"}}, c.CHECK_MODE,
              # What the playbook sees: the value.
              at("rollcall_stack.user", written("bob")), {"variables": True})],
    "some_of": [
        Trial({"all": {"hosts": {}}}, c.some_of(("stack", *STACK)), lambda _data, _place: a_manifest()),
        Trial(a_manifest({"main_app": 5}), c.some_of(SERVICE), written(a_service())),
    ],
    # values
    "TEXT": [Trial(one(description=5), c.TEXT, written("5"))],
    "ONE_LINE": [
        Trial(one(description="a\0b"), c.ONE_LINE, written("a b")),
        Trial(one(directory=""), c.ONE_LINE, written("app")),
    ],
    "ONE_LINE_OR_SECRET": [
        Trial(one(env={"A": "b\nc"}), c.ONE_LINE_OR_SECRET, written("b c")),
        Trial(one(env={"A": "b\nc"}), c.ONE_LINE_OR_SECRET,
              lambda data, _place: data["stack"]["services"]["main_app"].update(
                  secrets=data["stack"]["services"]["main_app"].pop("env"))),
    ],
    "ONE_LINE_OR_FILE": [Trial(one(command=["a", "b\nc"]), c.ONE_LINE_OR_FILE, written("b c"))],
    "ONE_LINE_OR_LIST": [
        Trial(one(command="a\nb"), c.ONE_LINE_OR_LIST, written("a b")),
        Trial(one(command="a\nb"), c.ONE_LINE_OR_LIST, written(["a", "b"])),
        Trial(one(command="a " + "b" * 16384), c.ONE_LINE_OR_LIST, written(["a", "b" * 16384])),
    ],
    "ENCODED": [Trial(one(secrets={"A": "x\a"}), c.ENCODED, written("eAc="))],
    "INTO_A_FILE": [Trial(one(command=["a", "b" * 131072]), c.INTO_A_FILE, written("@b.txt"))],
    "DOUBLE_QUOTES": [
        Trial(one(port=8000, health={"tcp": True, "send": ""}), c.DOUBLE_QUOTES, written("PING\r\n"))],
    "VALUE_AS_TEXT": [
        Trial(one(env={"A": []}), c.VALUE_AS_TEXT, written("[]")),
        Trial(one(env={"A": 10**5000}), c.VALUE_AS_TEXT, written("1e5000")),
    ],
    "TRUTH": [
        Trial(one(port=8000, fallback_ports=[8001], auto_fallback="yes"), c.TRUTH, written(True))],
    "IN_BETWEEN": [
        Trial(one(port=65536), c.IN_BETWEEN, written(8000)),
        Trial(one(stop={"timeout": -1}), c.IN_BETWEEN, written(10)),
    ],
    "SHORTER": [Trial(one(requires_files=["a"] * 101), c.SHORTER, written(["a"]))],
    "FIRST_AND_LAST": [
        Trial(a_manifest(ports={"range": [2, 1]}), c.FIRST_AND_LAST, written([1, 2])),
        Trial(a_manifest(ports={"range": [8000]}), c.FIRST_AND_LAST, written([8000, 8100])),
    ],
    "UMASK": [
        Trial(one(umask=22), c.UMASK, written("022")),
        Trial(one(umask="rwx"), c.UMASK, written("077")),
    ],
    "LIMIT": [Trial(one(limits={"nproc": "many"}), c.LIMIT, edit) for edit in (written(100), written("unlimited"))],
    "DURATION": [
        Trial(timer(every="5 minutes"), c.DURATION, edit) for edit in (written("30s"), written("1h30m"), written(900))
    ],
    "CRON": [
        Trial(timer(cron=text), c.CRON, written("0 3 * * *")) for text in ("0 3 * *", "0 25 * * 9", "0 0 31 2 *", 3)
    ],
    "EVERY_OR_CRON": [
        Trial(timer(), c.EVERY_OR_CRON, below(".every", written("15m"))),
        Trial(timer(), c.EVERY_OR_CRON, below(".cron", written("0 3 * * *"))),
    ],
    "REMOVE_OR_TIMER": [
        Trial(two({}, {"timeout": 5}), c.REMOVE_OR_TIMER, removed),
        Trial(two({}, {"every": "5m"}), c.REMOVE_OR_TIMER, beside("kind", written("timer"))),
    ],
    "SIZE": [
        Trial(one(limits={"core": "2 GB"}), c.SIZE, edit) for edit in (written(0), written("2G"), written("unlimited"))
    ],
    "DIVIDED_PATTERN": [
        Trial(a_manifest(checks={"logs": {"critical": ["a" * 501]}}), c.DIVIDED_PATTERN,
              at("stack.checks.logs.critical", written(["a" * 250, "a" * 251]))),
        Trial(a_manifest(checks={"logs": {"critical": ["[\u0400-\uffff][\u0400-\uffff]"]}}), c.DIVIDED_PATTERN,
              at("stack.checks.logs.critical", written(["[\u0400-\uffff]", "[\u0400-\uffff]!"])))],
    "ESCAPED_PATTERN": [
        Trial(a_manifest(checks={"logs": {"critical": ["[a"]}}), c.ESCAPED_PATTERN, written(r"\[a"))],
    "HTTP_PATH": [Trial(one(port=8000, health={"http": "http://a/x"}), c.HTTP_PATH, written("/x"))],
    "PERCENT_ENCODED": [Trial(one(port=8000, health={"http": "/a b"}), c.PERCENT_ENCODED, written("/a%20b"))],
    "TRUE": [
        Trial(one(port=8000, health={"tcp": False}), c.TRUE, written(True)),
        Trial(one(port=8000, health={"http": "/", "tls": 5}), c.TRUE, removed),
    ],
    "ONE_QUESTION": [
        Trial(one(port=8000, health={"timeout": 1}), c.ONE_QUESTION, below(".http", written("/"))),
        Trial(one(port=8000, health={"timeout": 1}), c.ONE_QUESTION, below(".https", written("/"))),
        Trial(one(port=8000, health={"timeout": 1}), c.ONE_QUESTION, below(".tcp", written(True))),
        Trial(one(port=8000, health={"timeout": 1}), c.ONE_QUESTION, below(".tls", written(True))),
        Trial(one(port=8000, health={"timeout": 1}), c.ONE_QUESTION, below(".exec", written(["true"]))),
        Trial(one(port=8000, health={**WEB, "tcp": True}), c.ONE_QUESTION, below(".tcp", removed)),
    ],
    "HEADER": [
        Trial(one(port=8000, health={**WEB, "headers": {"Accept: */*": "x"}}), c.HEADER,
              in_main_app("health", {**WEB, "headers": {"Accept": "*/*"}})),
    ],
    "HEADER_VALUE": [
        Trial(one(port=8000, health={**WEB, "headers": {"A": "x\r\nB: y"}}), c.HEADER_VALUE, written("x")),
    ],
    "JSON_FIELD": [
        Trial(one(port=8000, health={**WEB, "json": {"database..up": True}}), c.JSON_FIELD,
              in_main_app("health", {**WEB, "json": {"database.up": True}})),
    ],
    "NO_BODY": [
        Trial(one(port=8000, health={**WEB, "method": "HEAD", "body": "ok"}), c.NO_BODY, removed),
        Trial(one(port=8000, health={**WEB, "method": "HEAD", "json": {"a": 1}}), c.NO_BODY,
              beside("method", written("GET"))),
    ],
    "PORT_NAME": [
        Trial(one(ports={"a-b": 8000}), c.PORT_NAME, in_main_app("ports", {"a_b": 8000})),
    ],
    "NAMED_PORTS": [
        Trial(one(ports=[8000, 8001]), c.NAMED_PORTS, written({"http": 8000, "metrics": 8001})),
    ],
    "ONE_WAY": [
        Trial(one(port=8000, ports={"http": 8001}), c.ONE_WAY, removed),
        Trial(one(port=8000, ports={"http": 8001}), c.ONE_WAY, beside("port", removed)),
    ],
    "port_called": [
        Trial(one(ports={"http": 8000}, health={**WEB, "port": "htp"}), c.port_called(["http"]), written("http")),
        Trial(one(ports={"http": 8000}, env={"A": "{port.htp}"}), c.port_called(["http"]), written("{port.http}")),
    ],
    "secret_first": [
        Trial(one(port=8000, health={**WEB, "headers": {"A": "{secret:KEY}"}}), c.secret_first("KEY"),
              in_main_app("secrets", {"KEY": "planted"})),
    ],
    "not_a_truth": [Trial(a_manifest(user=True), c.not_a_truth(c.USER), written("yes"))],
    "a_number": [Trial(one(stable_for="1"), c.a_number(1), written(1))],
    "a_whole_number": [
        Trial(one(port="web"), c.a_whole_number(1, 65535), written(8000)),
        Trial(older(monitor_instances={"m": {"web": "x"}}), c.a_whole_number(1, 65535), written(8000)),
    ],
    "without_quotes": [Trial(one(port="08080"), c.without_quotes(8080), written(8080))],
    "one_of": [
        Trial(one(kind="daemon"), c.one_of(("service", "oneshot", "timer")), written("service")),
        Trial(one(stop={"signal": "STOP"}), c.one_of(SIGNALS), written("TERM")),
        Trial(one(stop={"signal": 15}), c.one_of(SIGNALS), written("TERM")),
    ],
    "a_list": [
        Trial(one(requires_env={"A": "b"}), c.a_list("variables", "API_KEY"), written(["PATH"])),
        Trial(one(requires_files="key.pem"), c.a_list("paths", "credentials/api.pem"), written(["key.pem"])),
        Trial(a_manifest(ports={"also": 3000}), c.a_list("ports", "3000, 4000"), written([3000])),
        Trial(a_manifest(checks={"logs": {"critical": "x"}}), c.a_list("regular expressions", "FATAL"),
              written(["x"])),
    ],
    "write_as": [
        Trial(one(env=["A=1"]), c.write_as("NAME: value"), written({"A": 1})),
        Trial(a_manifest(deprecated=[1]), c.write_as("name: port"), written({"old": 1})),
        Trial({"stack": {"name": "x", "root": "/x", "services": ["a"]}}, c.write_as("name: {...}"),
              written({"a": a_service()})),
        Trial(a_manifest(checks={"database": {}}), c.write_as("{sqlite: path of its file}"), written({"sqlite": "a"})),
        Trial(older(core_services={"web": 8000}), c.write_as("{port: ..., description: ...}"),
              written({"port": 8000, "description": "Web"})),
        Trial(older(core_services={"web": {"prot": 8000}}), c.write_as("port"), renamed("port")),
        Trial(older(watchdog_services=[1]), c.write_as("name: {...}"), written({"b": {"port": 8001}})),
        Trial(older(monitor_instances={"m": 1, "n": {"web": 8000}}), c.write_as("service: port"),
              written({"web": 8001})),
        Trial(older(port_ranges=1), c.write_as("{safe_range_start: 8000, safe_range_end: 8100}"),
              written({"safe_range_start": 8000, "safe_range_end": 8100})),
    ],
    # names and paths
    "NAME": [Trial(a_manifest(name="a:b"), c.NAME, written("a-b"))],
    "NAME_IN_QUOTES": [Trial(a_manifest(name=True), c.NAME_IN_QUOTES, written("yes"))],
    "NAME_NOT_EMPTY": [Trial(a_manifest(name=""), c.NAME_NOT_EMPTY, written("trading"))],
    "SHORTER_NAME": [Trial(a_manifest(name="a" * 64), c.SHORTER_NAME, written("a" * 63))],
    "SHORTER_SERVICE": [
        Trial(a_manifest({"a" * 63: a_service(port=8000, instances=2)}), c.SHORTER_SERVICE, renamed("a" * 60))],
    "RENAME_ONE": [
        Trial(a_manifest({"a-b": a_service(), "a_b": a_service()}), c.RENAME_ONE, renamed("c")),
        Trial(a_manifest({"a": a_service(port=8000, instances=2), "a-1": a_service()}), c.RENAME_ONE, renamed("c")),
    ],
    "USER": [Trial(a_manifest(user="a:b"), c.USER, written("a.b"))],
    "HOST": [Trial(one(port=8000, health={**WEB, "host": "[::1]"}), c.HOST, written("::1"))],
    "VARIABLE": [
        Trial(one(env={"A B": 1}), c.VARIABLE, renamed("A_B")),
        Trial(one(requires_env=["1A"]), c.VARIABLE, written("PATH")),
    ],
    "STACK_NAME": [Trial(a_manifest(name=NOTHING), c.STACK_NAME, written("trading"))],
    "STACK_ROOT": [Trial(a_manifest(root=NOTHING), c.STACK_ROOT, written("/opt/trading"))],
    "A_SERVICE": [Trial(a_manifest(services={}), c.A_SERVICE, written({"a": a_service()}))],
    "ABSOLUTE": [Trial(a_manifest(root="opt/x"), c.ABSOLUTE, written("/opt/x"))],
    "ABSOLUTE_IF_MEANT": [Trial(one(directory="../x"), c.ABSOLUTE_IF_MEANT, written("/opt/x"))],
    "BELOW_SYSTEM": [Trial(a_manifest(root="/etc"), c.BELOW_SYSTEM, written("/opt/trading"))],
    "NO_SPACE": [Trial(a_manifest(root="/opt/a "), c.NO_SPACE, written("/opt/a"))],
    "NO_TILDE": [Trial(one(directory="~/x"), c.NO_TILDE, written("/home/bob/x"))],
    "OWN_DIRECTORY": [Trial(a_manifest(paths={"logs": "/tmp/x"}), c.OWN_DIRECTORY, written("logs"))],
    "SHORTER_ROOT": [
        Trial(a_manifest(root="/" + "r" * 80), c.SHORTER_ROOT, written("/opt/r")),
        Trial(a_manifest(root="/" + "r" * 80), c.SHORTER_ROOT,
              lambda data, _place: data["stack"].update(paths={"run": "/run/trading"})),
        Trial(a_manifest(paths={"run": "/" + "r" * 90}), c.SHORTER_ROOT, written("/run/trading")),
    ],
    "another": [
        Trial(a_manifest(name="all"), c.another("name"), written("every")),
        Trial(a_manifest(root="/opt/100%"), c.another("path"), written("/opt/100")),
        Trial(one(port=22), c.another("port"), written(8000)),
        Trial(a_manifest({"a": a_service(port=6000, health=WEB)}, ports={"range": [5001, 8100], "avoid": []}),
              c.another("port"), written(8000)),
        Trial(a_manifest(paths={"logs": "etc"}), c.another("directory"), written("log")),
    ],
    # services
    "COMMANDS": [
        Trial(a_manifest({"a": {}, "b": {}}), c.COMMANDS,
              lambda data, _place: data["stack"].update(defaults={"command": ["bin/{name}"]})),
        Trial(a_manifest({"a": a_service(), "b": {}}), c.COMMANDS, below(".command", written(["bin/b"]))),
    ],
    "PROGRAM_AND_ARGUMENTS": [
        Trial(one(command=[]), c.PROGRAM_AND_ARGUMENTS, written(["bin/run", "-x"])),
        Trial(one(command=5), c.PROGRAM_AND_ARGUMENTS, written(["bin/run"])),
    ],
    "ARGUMENTS": [Trial(one(command="a 'b"), c.ARGUMENTS, written(["a", "'b"]))],
    "NO_SHELL": [
        Trial(one(command="a | b"), c.NO_SHELL, written(["sh", "-c", "exec a | b"])),
        Trial(one(command="echo <a>"), c.NO_SHELL, written(["echo", "<a>"])),
    ],
    "PROGRAM_FIRST": [Trial(one(command=["-x"]), c.PROGRAM_FIRST, written("bin/run"))],
    "PORT_OR_COMMAND": [
        Trial(a_manifest({"main_app": {}}, defaults={"command": ["a", "{port}"]}), c.PORT_OR_COMMAND, edit)
        for edit in (below(".port", written(8000)), below(".command", written(["bin/run"])))
    ],
    "PORT_OR_NO_CHECK": [
        Trial(one(health=WEB), c.PORT_OR_NO_CHECK, beside("port", written(8000))),
        Trial(one(health=WEB), c.PORT_OR_NO_CHECK, removed),
    ],
    "SECOND_TOGETHER": [
        Trial(one(start={"seconds": 0}, stable_for=0.9), c.SECOND_TOGETHER, written(1)),
        Trial(one(start={"seconds": 0}, stable_for=0.9), c.SECOND_TOGETHER, at(f"{APP}.start.seconds", written(1))),
    ],
    "STOP_STEPS": [
        Trial(one(stop={"signals": steps}), c.STOP_STEPS, at(f"{APP}.stop.signals", written([STEP])))
        for steps in ("TERM", [], [{"signal": "TERM"}])
    ],
    "SHORTER_WAITS": [
        Trial(one(stop={"signals": [{**STEP, "wait": 604_800}, STEP]}), c.SHORTER_WAITS, written([STEP]))
    ],
    "LONGER_READY": [Trial(one(ready_timeout=5, start={"seconds": 5}), c.LONGER_READY, written(6))],
    "CRITICAL_LATER": [
        Trial(a_manifest(watch={"degraded_after": 5, "critical_after": 3}), c.CRITICAL_LATER, written(5))
    ],
    "ALERTS": [Trial(watched(alerts={"kind": "webhook"}), c.ALERTS, written([HOOK]))],
    "ALERT_KIND": [Trial(watched(alerts=[{"url": HOOK["url"]}]), c.ALERT_KIND, below(".kind", written("webhook")))],
    "ONE_URL": [
        Trial(watched(alerts=[{"kind": "webhook"}]), c.ONE_URL, below(".url", written(HOOK["url"]))),
        Trial(watched(alerts=[{**HOOK, "url_file": "hook"}]), c.ONE_URL, below(".url", removed)),
        Trial(watched(heartbeat={"every": 60}), c.ONE_URL, below(".url_file", written("credentials/heartbeat"))),
    ],
    "HTTP_URL": [
        Trial(watched(alerts=[{"kind": "webhook", "url": url}]), c.HTTP_URL, written(HOOK["url"]))
        for url in ("hooks.example.com/x", "ftp://example.com", "https://", "https://a:b:c/", "https://a b/")
    ],
    "HTTPS": [
        Trial(watched(alerts=[{**HOOK, "url": "http://example.com/", "token_file": "token"}]), c.HTTPS, edit)
        for edit in (written("https://example.com/"), beside("token_file", removed))
    ],
    "SECRET_ELSEWHERE": [
        *(Trial(watched(alerts=[{"kind": kind, "url": "https://discord.example/api/webhooks/1/abc"}]),
                c.SECRET_ELSEWHERE, edit)
          for kind in ("discord", "slack", "apprise") for edit in (written("{secret:HOOK}"), in_a_file("url"))),
        Trial(watched(alerts=[{**HOOK, "token": "abc"}]), c.SECRET_ELSEWHERE, written("{secret:HOOK}")),
        Trial(watched(alerts=[{**HOOK, "token": "x{secret:HOOK}"}]), c.SECRET_ELSEWHERE, in_a_file("token")),
        Trial(watched(alerts=[{**MAIL, "user": "me", "password": "abc"}]), c.SECRET_ELSEWHERE, in_a_file("password")),
        Trial(watched(alerts=[{**HOOK, "url": "https://me:pw@example.com/"}]), c.SECRET_ELSEWHERE,
              written("https://{secret:HOOK}@example.com/")),
    ],
    "MAIL": [
        Trial(watched(alerts=[{key: value for key, value in MAIL.items() if key != missing}]), c.MAIL,
              below(f".{missing}", written(MAIL[missing])))
        for missing in ("host", "from", "to")
    ],
    "MAIL_LOGIN": [
        Trial(watched(alerts=[{**MAIL, "user": "me"}]), c.MAIL_LOGIN, below(".password_file", written("mail"))),
        Trial(watched(alerts=[{**MAIL, "password_file": "mail"}]), c.MAIL_LOGIN, below(".password_file", removed)),
    ],
    "MAIL_TLS": [
        Trial(watched(alerts=[{**MAIL, "tls": "none"}]), c.MAIL_TLS, written(tls)) for tls in ("starttls", "tls")
    ],
    "MAIL_ADDRESS": [
        Trial(watched(alerts=[{**MAIL, "from": "me"}]), c.MAIL_ADDRESS, written("oncall@example.com"))],
    "SECRET_FILE": [
        Trial(watched(alerts=[{"kind": "slack", "url_file": "/root/slack"}]), c.SECRET_FILE,
              written("credentials/alerts"))],
    "TEXTFILE": [
        Trial(watched(metrics={"textfile": f"{directory}/it.prom"}), c.TEXTFILE,
              written("/var/lib/prometheus/node-exporter/rollcall.prom"))
        for directory in ("/etc/cron.d", "/", "/tmp/it", "/usr/lib", "/home/me")
    ],
    "PROM": [Trial(watched(metrics={"textfile": "metrics.txt"}), c.PROM, written("metrics.prom"))],
    "SHARED_SECRETS": [
        Trial(a_manifest({f"s{number}": a_service(secrets={"A": str(number)}) for number in range(101)}),
              c.SHARED_SECRETS,
              lambda data, _place: data["stack"].update(
                  defaults={"secrets": {"A": "1"}}, services={f"s{number}": a_service() for number in range(101)}))],
    "GIVE_VARIABLE": [
        Trial(one(requires_env=["KEY"]), c.GIVE_VARIABLE, at(f"{APP}.env", written({"KEY": "x"}))),
        Trial(one(requires_env=["KEY"]), c.GIVE_VARIABLE, at(f"{APP}.secrets", written({"KEY": "x"}))),
    ],
    "DEPENDS_ON": [
        Trial(two({}, {"depends_on": "a"}), c.DEPENDS_ON, written(["a"])),
        Trial(two({}, {"depends_on": "a"}), c.DEPENDS_ON, written({"a": "running"})),
    ],
    "ITS_NAME": [Trial(two({}, {"depends_on": [5]}), c.ITS_NAME, written("a"))],
    "COMPLETED": [
        Trial(two({"kind": "oneshot"}, {"depends_on": {"a": "running"}}), c.COMPLETED, written("completed"))],
    "HEALTHY_OR_ONESHOT": [
        Trial(two({"port": 8000}, {"depends_on": {"a": "completed"}}), c.HEALTHY_OR_ONESHOT, written("healthy")),
        Trial(two({}, {"depends_on": {"a": "completed"}}), c.HEALTHY_OR_ONESHOT,
              at("stack.services.a.kind", written("oneshot"))),
    ],
    "RUNNING_OR_CHECK": [
        Trial(two({}, {"depends_on": {"a": "healthy"}}), c.RUNNING_OR_CHECK, written("running")),
        Trial(two({}, {"depends_on": {"a": "healthy"}}), c.RUNNING_OR_CHECK,
              at("stack.services.a.port", written(8000))),
    ],
    "DEPENDENCY": [
        Trial(two({}, {"depends_on": ["aa"]}), c.DEPENDENCY, at("stack.services.b.depends_on[0]", written("a"))),
        Trial(two({}, {"depends_on": {"aa": "running"}}), c.DEPENDENCY, removed),
    ],
    "DATABASE_SERVICE": [
        Trial(database({"postgresql": {"service": "main_ap"}}), c.DATABASE_SERVICE, written("main_app"))],
    "DATABASE_VARIABLE": [
        Trial(database({"postgresql": {"service": "main_app", "variable": "DB"}}), c.DATABASE_VARIABLE, edit)
        for edit in (below(".variable", written("DATABASE_URL")), at(f"{APP}.env", written({"DB": "x"})),
                     at(f"{APP}.secrets.DB", written("x")))
    ],
    "one_query": [
        Trial(database({"postgresql": {"service": "main_app", "query": query}}), c.one_query(sql.READING),
              written("SELECT 1"))
        for query in ("SELECT 1; COMMIT", "DROP TABLE x")
    ],
    "answered_by": [
        Trial(one(port=8000, health={**WEB, "answered_by": "proxy"}), c.answered_by("anyone"), written(who))
        for who in ("main_app", "anyone")
    ],
    "url_of": [
        Trial(database({"postgresql": {}}), c.url_of("DATABASE_URL", or_port=False),
              below(".service", written("main_app"))),
        Trial(database({"redis": {}}), c.url_of("REDIS_URL", or_port=True), below(".port", written(6379))),
    ],
    # ports
    "PORT_FIRST": [Trial(one(fallback_ports=[8000]), c.PORT_FIRST, beside("port", written(8001)))],
    "LOWER_PORT": [
        Trial(a_manifest({"main_app": a_service(port=65535, instances=2)}, ports={"also": [65535]}), c.LOWER_PORT,
              written(8000)),
        Trial(a_manifest({"main_app": a_service(port=65535, instances=2)}, ports={"also": [65535]}), c.LOWER_PORT,
              beside("instances", written(1))),
    ],
    "NOT_AVOIDED": [
        Trial(one(port=9000), c.NOT_AVOIDED, written(8000)),
        Trial(a_manifest({"a": a_service(port=8005)}, ports={"avoid": [8005]}), c.NOT_AVOIDED,
              at("stack.ports.avoid", written([]))),
    ],
    "SEVERAL": [
        Trial(one(port=8000, update="rolling"), c.SEVERAL, beside("instances", written(2))),
        Trial(one(port=8000, update="rolling"), c.SEVERAL, removed),
    ],
    "NO_BROWSER": [
        Trial(a_manifest({"a": a_service(port=6000)}, ports={"range": [5001, 8100], "avoid": []}), c.NO_BROWSER,
              written(8000))],
    "GIVE_ANOTHER": [
        Trial(two({"port": 8000}, {"port": 8000}), c.GIVE_ANOTHER, written(8001)),
        Trial(two({"port": 8000}, {"port": 8000}), c.GIVE_ANOTHER, at("stack.services.a.port", written(8001))),
        Trial(two({"port": 8000}, {"port": 8001, "fallback_ports": [8000]}), c.GIVE_ANOTHER, written(8002)),
        Trial(two({"socket": "run/a"}, {"socket": "/opt/trading/run/./a"}), c.GIVE_ANOTHER, written("run/b")),
        Trial(older(monitor_instances={"m": {"web": 8001}, "n": {"web": 8001}}), c.GIVE_ANOTHER, written(8002)),
        Trial(older(monitor_instances={"m": {"other": 8000}}), c.GIVE_ANOTHER, written(8002)),
    ],
    "NAMED_PORT": [
        Trial(a_manifest({"main_app": a_service(port=8000)}, checks={"database": {"sqlite": "{port}.db"}}),
              c.NAMED_PORT, written("{port:main_app}.db"))],
    "OWN_PORT": [
        Trial(two({"port": 8000}, {"env": {"A": "{port}"}}), c.OWN_PORT, edit)
        for edit in (at("stack.services.b.port", written(8001)), written("{port:a}"), written("\\{port}"))
    ],
    "NAMED_SOCKET": [
        Trial(a_manifest({"main_app": a_service(socket="run/a")}, checks={"database": {"sqlite": "{socket}.db"}}),
              c.NAMED_SOCKET, written("{socket:main_app}.db"))],
    "OWN_SOCKET": [
        Trial(two({"socket": "run/a"}, {"env": {"A": "{socket}"}}), c.OWN_SOCKET, edit)
        for edit in (at("stack.services.b.socket", written("run/b")), written("{socket:a}"), written("\\{socket}"))
    ],
    "service_with_socket": [
        Trial(two({"socket": "run/a"}, {"env": {"A": "{socket:b}"}}), c.service_with_socket(["a"]), written(text))
        for text in ("{socket:a}", "\\{socket:b}")
    ],
    "SHORTER_SOCKET": [Trial(one(socket=f"run/{'a' * 99}"), c.SHORTER_SOCKET, written("run/web.sock"))],
    "PLAIN_SOCKET": [Trial(one(socket="run/{port}.sock"), c.PLAIN_SOCKET, written("run/web.sock"))],
    "SOCKET_BELOW": [Trial(one(socket="/srv/web.sock"), c.SOCKET_BELOW, written("run/web.sock"))],
    "INSTANCE_IN_SOCKET": [
        Trial(one(socket="run/web.sock", instances=2), c.INSTANCE_IN_SOCKET, written("run/web-{instance}.sock"))],
    "off_a_list": [
        Trial(a_manifest(ports={"also": [5000]}), c.off_a_list("avoid"), written([])),
        Trial(a_manifest(ports={"also": [8000], "avoid": [8000]}), c.off_a_list("avoid"),
              beside("avoid", written([]))),
        Trial(a_manifest(ports={"also": [22]}), c.off_a_list("protect"), written([])),
    ],
    "from_port": [
        Trial(a_manifest({"a": a_service(port=443)}, ports={"also": [443]}), c.from_port(1024), written(8000))],
    "listed": [
        Trial(one(port=9090), c.listed(9090), written(8000)),
        Trial(one(port=9090), c.listed(9090), at("stack.ports", written({"also": [9090]}))),
    ],
    "port_of": [
        Trial(two({}, {"env": {"A": "{port:a}"}}), c.port_of("a"), at("stack.services.a.port", written(8000))),
        Trial(two({}, {"env": {"A": "{port:a}"}}), c.port_of("a"), written("\\{port:a}")),
    ],
    "instance": [
        Trial(two({"port": 8000, "instances": 2}, {"env": {"A": "{port:a}"}}), c.instance("a-1"),
              written("{port:a-1}"))],
    "service_with_port": [
        Trial(two({"port": 8000}, {"env": {"A": "{port:aa}"}}), c.service_with_port(["a"]), written(text))
        for text in ("{port:a}", "\\{port:aa}")
    ],
    "follows": [
        Trial(two({"port": 8000, "fallback_ports": [8001]}, {"env": {"A": "http://localhost:8000"}}),
              c.follows("{port:a}"), written("http://localhost:{port:a}")),
        Trial(one(port=8000, fallback_ports=[8001], env={"A": "8000"}), c.follows("{port}"), written("{port}")),
    ],
    "IN_ENV": [
        Trial(two({"port": 8000}, {"secrets": {"A": "{port:a}"}}), c.IN_ENV, into_env("{port:a}"))],
    "in_env": [
        Trial(two({"port": 8000, "fallback_ports": [8001]}, {"secrets": {"A": "http://:pw@localhost:8000"}}),
              c.in_env("{port:a}"), into_env("http://:pw@localhost:{port:a}"))],
    # the older shape
    "DEPRECATE": [
        Trial(older(core_services={"web": {"port": 8000}, "old": {"port": 8001, "status": "retired"}}), c.DEPRECATE,
              lambda data, _place: data["stack"].update(
                  deprecated_services={"old": data["stack"]["core_services"].pop("old")["port"]}))],
    "RUN_MONITOR": [
        Trial(older(monitor_instances={"m": {"web": 8000}}), c.RUN_MONITOR,
              lambda data, _place: data["stack"].update(
                  monitor_instances={}, services={"m": {"command": ["bin/m"], "port": 8001}}))],
    "add": [
        Trial(older(port_ranges={"safe_range_start": 8000}), c.add("safe_range_end"),
              below(".safe_range_end", written(8100)))],
}  # fmt: skip

HEAD = "stack:\n  name: trading\n  root: /opt/trading\n"
GOOD = f"{HEAD}  services:\n    web: {{command: [bin/run]}}\n"
AS_JSON = json.dumps(a_manifest())

OF_TEXT: dict[str, list[Trial]] = {
    "REMOVE_ONE": [Trial(f"{GOOD}  user: a\n  user: b\n", c.REMOVE_ONE, replaced("  user: a\n", ""))],
    "REMOVE_DOCUMENTS": [Trial(f"{GOOD}---\na: 1\n", c.REMOVE_DOCUMENTS, replaced("---\na: 1\n", ""))],
    "REMOVE_DIRECTIVE": [
        Trial(f"%YAML 1.1\n---\n{GOOD}", c.REMOVE_DIRECTIVE, replaced("%YAML 1.1\n", "")),
        Trial(f"{GOOD}  user: |\n%x\n", c.REMOVE_DIRECTIVE, replaced("|\n%x", "|-\n    x")),
    ],
    "REMOVE_CONTROL": [Trial(f"{GOOD}  user: a\a\n", c.REMOVE_CONTROL, replaced("\a", ""))],
    "TAB": [Trial(f"{GOOD}\tuser: a\n", c.TAB, replaced("\tuser", "  user"))],
    "WHOLE_LINE": [Trial(GOOD[:-1], c.WHOLE_LINE, lambda text, _place: text + "\n")],
    "RESTORE": [
        Trial(f"{GOOD}  user: [\n", c.RESTORE, replaced("user: [", "user: a")),
        Trial(AS_JSON[:-1], c.RESTORE, lambda text, _place: text + "}", {"name": "m.json"}),
    ],
    "WRITE_OR_RESTORE": [Trial("\n", c.WRITE_OR_RESTORE, lambda _text, _place: GOOD)],
    "NUMBERS": [
        Trial(f'{AS_JSON[:-2]}, "user": {"9" * 5000}}}}}', c.NUMBERS, replaced("9" * 5000, '"a"'), {"name": "m.json"}),
        Trial(f'{AS_JSON[:-2]}, "user": NaN}}}}', c.NUMBERS, replaced("NaN", '"a"'), {"name": "m.json"}),
        Trial("[" * 100000 + "]" * 100000, c.NUMBERS, lambda _text, _place: AS_JSON, {"name": "m.json"}),
    ],
    "SMALLER": [
        Trial(f"{GOOD}  user: [{'a, ' * 40000}]\n", c.SMALLER, replaced(f"[{'a, ' * 40000}]", "a"))],
    "SMALLER_FILE": [Trial(f"{GOOD}#{'a' * 2**20}\n", c.SMALLER_FILE, replaced(f"#{'a' * 2**20}\n", ""))],
    "FLATTER": [Trial(f"{GOOD}  user: {'[' * 40}{']' * 40}\n", c.FLATTER, replaced("[" * 40 + "]" * 40, "a"))],
    "UTF_8": [
        Trial(f"{GOOD}  user: a\n# \udcff\n", c.UTF_8, replaced("\udcff", "ÿ"))],
    "PLAIN_KEY": [Trial(f"{GOOD}  ? [a]\n  : b\n", c.PLAIN_KEY, replaced("? [a]\n  : b", "user: b"))],
    "INTO_DEFAULTS": [
        Trial(f"{HEAD}  services:\n    web: &web {{command: [bin/run]}}\n    b:\n      <<: *web\n", c.INTO_DEFAULTS,
              lambda _text, _place: f"{HEAD}  defaults: {{command: [bin/run]}}\n  services: {{web: {{}}, b: {{}}}}\n")],
    "ITSELF": [Trial(f"{GOOD}  user: *who\n", c.ITSELF, replaced("*who", "bob"))],
    "ITSELF_OR_INVENTORY": [
        Trial(f"{GOOD}  user: !unsafe bob\n", c.ITSELF_OR_INVENTORY, replaced("!unsafe bob", "bob"))],
    "TEXT_IN_QUOTES": [Trial(f"{GOOD}  user: {'9' * 40}\n", c.TEXT_IN_QUOTES,
                             replaced("9" * 40, "a"))],
    "PLAIN_NUMBER": [
        Trial(GOOD.replace("{", "{port: 08080, "), c.PLAIN_NUMBER, replaced("08080", "8080")),
        Trial(GOOD.replace("{", "{description: 010, "), c.PLAIN_NUMBER, replaced("010", "'010'")),
    ],
    "truth": [
        Trial(GOOD.replace("{", "{auto_fallback: yes, "), c.truth("yes"), replaced("yes", "true")),
        Trial(GOOD.replace("{", "{env: {A: no}, "), c.truth("no"), replaced("A: no", "A: 'no'")),
    ],
}  # fmt: skip


def problems_of(data: Any, options: dict[str, Any]) -> list[Problem]:
    return check_manifest(data, **options).problems


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, trials in OF_DATA.items() for number in range(len(trials))]
)
def test_the_edit_that_a_cure_describes_ends_the_problem(name: str, number: int) -> None:
    trial = OF_DATA[name][number]

    carried_out(trial, lambda data: problems_of(data, trial.options), copy.deepcopy)


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, trials in OF_TEXT.items() for number in range(len(trials))]
)
def test_the_edit_of_a_text_that_a_cure_describes_ends_the_problem(tmp_path: Path, name: str, number: int) -> None:
    trial = OF_TEXT[name][number]
    path = tmp_path / trial.options.get("name", "m.yml")

    def look(text: str) -> list[Problem]:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return check_file(str(path)).problems

    carried_out(trial, look, str)


# --- files -------------------------------------------------------------------------------------------------------

# What no table can have, and the test of each.
OF_FILES = {
    "A_FILE": "test_a_path_that_is_no_file_is_given_another_one",
    "READABLE": "test_a_path_that_is_no_file_is_given_another_one",
    "AS_JSON": "test_yaml_that_cannot_be_changed_is_changed_as_json",
    "JSON_OR_DIVIDE": "test_yaml_that_cannot_be_changed_is_changed_as_json",
    "JSON_OR_YAML": "test_without_pyyaml_json_is_read_and_with_it_yaml",
    "JSON_OR_LIBRARY": "test_without_the_library_of_pyyaml_json_is_read_and_with_it_yaml",
    "THERE": "test_a_change_that_is_refused_is_made_as_the_cure_says",
    "KEYS": "test_a_change_that_is_refused_is_made_as_the_cure_says",
    "RANGE_PLACES": "test_a_change_that_is_refused_is_made_as_the_cure_says",
    "name_one": "test_a_change_that_is_refused_is_made_as_the_cure_says",
    "whole_value": "test_a_change_that_is_refused_is_made_as_the_cure_says",
    "SERVICE_FIRST": "test_a_manifest_that_has_no_service_or_an_alias_is_changed_after_an_edit",
    "NO_ALIAS": "test_a_manifest_that_has_no_service_or_an_alias_is_changed_after_an_edit",
    "WITH_RUAMEL": "test_a_python_without_ruamel_is_told_where_it_is",
    "install_ruamel": "test_a_python_without_ruamel_is_told_where_it_is",
}
OLDER = json.dumps(older(port_ranges={"safe_range_start": 8000, "safe_range_end": 8100})["stack"])
PORT = ("services", "web", "port")


def changed(path: Path, *place: str, to: Any = 8001) -> Edited:
    return edit_manifest(str(path), [Change(place, to)])


def refusal(path: Path, *place: str, to: Any = 8001) -> tuple[str, ...]:
    """Return the cures of a change that is refused."""
    with pytest.raises(RollcallError) as caught:
        changed(path, *place, to=to)
    return caught.value.remedies


def test_a_path_that_is_no_file_is_given_another_one(tmp_path: Path) -> None:
    good = tmp_path / "m.yml"
    good.write_text(GOOD)

    os.mkfifo(tmp_path / "pipe.yml")
    assert [problem.cure for problem in check_file(str(tmp_path / "pipe.yml")).problems] == [c.A_FILE]
    assert [problem.cure for problem in check_file(str(tmp_path / "none.yml")).problems] == [c.READABLE]
    assert check_file(str(good)).problems == []


@pytest.mark.parametrize(
    ("text", "place", "cure", "other"),
    [
        (GOOD, (), c.KEYS, PORT),
        (OLDER, ("ports", "range"), c.RANGE_PLACES, ("port_ranges", "safe_range_start")),
        (GOOD, ("services", "wbe", "port"), c.name_one(["web"]), PORT),
        (GOOD.replace("web:", "web: 5\n    b:"), PORT, c.whole_value("stack.services.web"), ("services", "web")),
    ],
)
def test_a_change_that_is_refused_is_made_as_the_cure_says(
    tmp_path: Path, text: str, place: tuple[str, ...], cure: str, other: tuple[str, ...]
) -> None:
    path = tmp_path / "m.yml"
    path.write_text(text)
    value: Any = {"services": a_service(), "port_ranges": 7000}[other[0]] if len(other) == 2 else 8001

    assert refusal(path, *place) == (cure,)
    assert refusal(tmp_path / "none.yml", *other) == (c.THERE,)
    assert changed(path, *other, to=value).changed


def test_a_manifest_that_has_no_service_or_an_alias_is_changed_after_an_edit(tmp_path: Path) -> None:
    path = tmp_path / "m.yml"
    path.write_text(HEAD)
    assert refusal(path, *PORT) == (c.SERVICE_FIRST,)
    path.write_text(GOOD)
    assert changed(path, *PORT).changed

    path.write_text(f"{HEAD}  services:\n    web: &web {{command: [a]}}\n    b: *web\n")
    assert refusal(path, "services", "b", "port") == (c.NO_ALIAS,)
    path.write_text(path.read_text().replace("*web", "{command: [a]}"))
    assert changed(path, "services", "b", "port").changed


@pytest.mark.parametrize(("extra", "cure"), [("#" * 2**18, c.JSON_OR_DIVIDE), ("  user:\ta", c.AS_JSON)])
def test_yaml_that_cannot_be_changed_is_changed_as_json(tmp_path: Path, extra: str, cure: str) -> None:
    path = tmp_path / "m.yml"
    path.write_text(f"{GOOD}{extra}\n")
    assert refusal(path, *PORT) == (cure,)

    as_json = tmp_path / "m.json"
    as_json.write_text(json.dumps(yaml.load(path.read_text(), Loader=yaml.CSafeLoader)))
    assert changed(as_json, *PORT).changed


def cures_of(path: Path, *, packages: Path | None = None, isolated: bool = False) -> list[str]:
    """Return the cures that this Python tells for a manifest, with more packages, or without its own."""
    code = (
        f"import sys; sys.path[:0] = {[*([str(packages)] if packages else []), str(ENGINE.parent)]!r};"
        f"from {ENGINE.name}.manifest.file import check_file;"
        "import json; print(json.dumps([problem.cure for problem in check_file(sys.argv[1]).problems]))"
    )
    ran = subprocess.run(
        [sys.executable, *(["-I", "-S"] if isolated else []), "-c", code, str(path)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    cures: list[str] = json.loads(ran.stdout)
    return cures


def test_without_pyyaml_json_is_read_and_with_it_yaml(tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_text(GOOD)
    (tmp_path / "m.json").write_text(AS_JSON)

    assert cures_of(tmp_path / "m.yml", isolated=True) == [c.JSON_OR_YAML]
    assert cures_of(tmp_path / "m.json", isolated=True) == []
    assert cures_of(tmp_path / "m.yml") == []


def test_without_the_library_of_pyyaml_json_is_read_and_with_it_yaml(tmp_path: Path) -> None:
    source = Path(str(yaml.__file__)).parent
    shutil.copytree(source, tmp_path / "packages" / "yaml", ignore=shutil.ignore_patterns("_yaml*", "__pycache__"))
    (tmp_path / "m.yml").write_text(f"{GOOD}#{'a' * 2**16}\n")
    (tmp_path / "m.json").write_text(AS_JSON + " " * 2**16)

    assert cures_of(tmp_path / "m.yml", packages=tmp_path / "packages", isolated=True) == [c.JSON_OR_LIBRARY]
    assert cures_of(tmp_path / "m.json", packages=tmp_path / "packages", isolated=True) == []
    assert cures_of(tmp_path / "m.yml") == []


def test_a_python_without_ruamel_is_told_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "m.yml"
    path.write_text(GOOD)
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "yaml").symlink_to(Path(str(yaml.__file__)).parent)
    code = (
        f"import sys; sys.path[:0] = [{str(packages)!r}, {str(ENGINE.parent)!r}];"
        f"from {ENGINE.name}.manifest import edit; from {ENGINE.name}.base.errors import RollcallError\n"
        f"try: edit.edit_manifest(sys.argv[1], [edit.Change({PORT!r}, 8001)])\n"
        "except RollcallError as exc: print('\\n'.join(exc.remedies))"
    )

    def told(*options: str) -> list[str]:
        ran = subprocess.run(
            [sys.executable, *options, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=60
        )
        return ran.stdout.splitlines()

    assert told("-I", "-S") == [c.install_ruamel(sys.executable), c.WITH_RUAMEL]
    assert path.read_text() == GOOD
    assert told() == []
    assert "8001" in path.read_text()
