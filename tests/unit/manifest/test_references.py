# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``{port}`` and ``{port:NAME}``: each text has the port that a service has on its host, and its revision follows."""

from __future__ import annotations

import typing as t

import hypothesis
import hypothesis.strategies as st
import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import Checked, check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Service, Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.revision import revision

WEB: t.Mapping[str, t.Any] = {"command": ["web"], "port": 8001, "fallback_ports": [8011]}


def check(services: t.Mapping[str, t.Any], assigned: t.Optional[t.Mapping[str, int]] = None, **more: t.Any) -> Checked:
    defaults = {"command": ["run"]}
    stack = {"name": "trading", "root": "/opt/trading", "defaults": defaults, "services": services, **more}
    return check_manifest({"stack": stack}, assigned=assigned)


def stack_of(checked: Checked) -> Stack:
    assert checked.stack is not None, checked.problems
    return checked.stack


def errors(checked: Checked) -> t.List[t.Tuple[str, str, str]]:
    return [(one.place, one.message, one.cure) for one in checked.problems if one.severity == "error"]


def warnings(checked: Checked) -> t.List[str]:
    return [f"{one.place}: {one.message}; {one.cure}" for one in checked.problems if one.severity == "warning"]


# What a text of the service `api`, on port 8002, is with `web` on a fallback port.
TEXTS = [
    ("{port}", "8002"),
    ("http://localhost:{port:web}/x?own={port}", "http://localhost:8011/x?own=8002"),
    ("{port:web}{port:web}", "80118011"),
    (r"\{port}", "{port}"),
    (r"\{port:web} {port:web}", "{port:web} 8011"),
    ('{"port": 1}', '{"port": 1}'),
    ("{name} {} {ports} {{", "{name} {} {ports} {{"),
]
PLACES: t.Mapping[str, t.Tuple[t.Callable[[str], t.Mapping[str, t.Any]], t.Callable[[Service], str]]] = {
    "command": (lambda text: {"command": ["run", text]}, lambda one: one.command[1]),
    "env": (lambda text: {"env": {"URL": text}}, lambda one: one.env["URL"]),
    "health": (lambda text: {"health": {"http": f"/{text}"}}, lambda one: one.health.path[1:] if one.health else ""),
    "directory": (lambda text: {"directory": f"/srv/{text}"}, lambda one: one.directory[len("/srv/") :]),
    "files": (lambda text: {"requires_files": [f"/srv/{text}"]}, lambda one: one.requires_files[0][len("/srv/") :]),
}


@pytest.mark.parametrize("place", ["command", "env"])
@pytest.mark.parametrize(("text", "wanted"), TEXTS)
def test_a_text_has_the_ports_that_the_host_has_given(place: str, text: str, wanted: str) -> None:
    write, read = PLACES[place]
    found = stack_of(check({"web": WEB, "api": {"port": 8002, **write(text)}}, {"web": 8011}))

    assert read(found.service("api")) == wanted


@pytest.mark.parametrize("place", PLACES)
def test_a_port_follows_wherever_a_service_has_a_text(place: str) -> None:
    write, read = PLACES[place]
    services = {"web": WEB, "api": {"port": 8002, **write("{port:web}.{port}")}}
    before, after = (stack_of(check(services, given)) for given in ({}, {"web": 8011}))

    assert (read(before.service("api")), read(after.service("api"))) == ("8001.8002", "8011.8002")


@pytest.mark.parametrize("place", ["command", "env", "directory"])
def test_who_follows_a_port_that_moves_is_another_revision_and_nobody_else_is(place: str) -> None:
    write, _read = PLACES[place]
    services = {"web": WEB, "api": write("{port:web}"), "other": {"env": {"A": "1"}}}
    before, after = (stack_of(check(services, given)) for given in ({}, {"web": 8011}))
    changed = {one.name for one in before.services if revision(before, one) != revision(after, after.service(one.name))}

    assert changed == {"web", "api"}


def test_a_database_follows_and_each_instance_has_its_own() -> None:
    services = {"web": {**WEB, "instances": 2, "env": {"OWN": "{port}", "FIRST": "{port:web-1}"}, "fallback_ports": []}}
    checks = {"database": {"sqlite": "data/{port:web-2}.db"}}
    found = stack_of(check(services, checks=checks))

    assert [dict(one.env) for one in found.services] == [
        {"OWN": "8001", "FIRST": "8001"},
        {"OWN": "8002", "FIRST": "8001"},
    ]
    assert found.checks.databases[0].path == "/opt/trading/data/8002.db"


def test_a_default_is_filled_for_each_service() -> None:
    services = {"web": {"port": 8001}, "api": {"port": 8002}}
    found = stack_of(check(services, defaults={"command": ["run"], "env": {"BIND": "127.0.0.1:{port}"}}))

    assert [one.env["BIND"] for one in found.services] == ["127.0.0.1:8001", "127.0.0.1:8002"]


@pytest.mark.parametrize(
    ("text", "message", "cure"),
    [
        ("{port:wep}", "'wep' is not a service of this stack", "name one with a port (web, pair-1, pair-2), or write"),
        ("{port:}", "'' is not a service of this stack", "name one with a port"),
        ("{port: web}", "' web' is not a service of this stack", "name one with a port"),
        ("{port}", "{port} stands for the port of api, which has none", "give it a port, name another service"),
        ("{port:idle}", "{port:idle}: idle has no port", "give idle a port"),
        ("{port:pair}", "{port:pair}: pair runs as pair-1 to pair-2", "name one of them: {port:pair-1}"),
    ],
)
def test_what_names_no_port_is_an_error_with_its_place_and_cure(text: str, message: str, cure: str) -> None:
    services = {"web": WEB, "idle": {}, "pair": {"port": 8003, "instances": 2}, "api": {"env": {"URL": text}}}
    ((place, said, told),) = errors(check(services))

    assert place.startswith("stack.services.api.env.URL")
    assert said.startswith(message)
    assert told.startswith(cure)


@pytest.mark.parametrize(
    ("entry", "place", "way"),
    [
        ({"env": {"URL": "http://localhost:8001/"}}, "stack.services.api.env.URL", "{port:web}"),
        ({"command": ["run", "--web", "8001"]}, "stack.services.api.command[2]", "{port:web}"),
        ({"command": ["run", "-p8001"]}, "stack.services.api.command[1]", "{port:web}"),
        ({"command": ["run", "ask localhost:8001."]}, "stack.services.api.command[1]", "{port:web}"),
        ({"port": 8005, "health": {"http": "/?of=8001"}}, "stack.services.api.health.http", "{port:web}"),
        ({"port": 8005, "health": {"http": "/", "port": 8001}}, "stack.services.api.health.port", "{port:web}"),
    ],
)
def test_a_literal_port_of_a_service_that_may_move_is_warned_about(
    entry: t.Mapping[str, t.Any], place: str, way: str
) -> None:
    (warning,) = warnings(check({"web": WEB, "api": entry}))

    assert warning.startswith(f"{place}: 8001 is the port of web, and a host may give that another one; write {way}")


def test_a_secret_follows_nothing_and_is_warned_about() -> None:
    literal, reference = warnings(
        check({"web": WEB, "api": {"secrets": {"URL": "redis://:pw@localhost:8001/0", "OTHER": "x{port:web}"}}})
    )
    assert literal.startswith(
        "stack.services.api.secrets.URL: 8001 is the port of web, and a host may give that another"
    )
    assert literal.endswith("write it in env instead of secrets, with {port:web}, which follows")
    assert reference.startswith("stack.services.api.secrets.OTHER: {port:web} stays as it is in a secret")
    (of_socket,) = warnings(check({"api": {"secrets": {"URL": "unix:{socket:web}"}}}))
    assert of_socket.startswith("stack.services.api.secrets.URL: {socket:web} stays as it is in a secret")


def test_a_port_that_is_asked_elsewhere_follows() -> None:
    redis: t.Dict[str, t.Any] = {"database": {"redis": {"port": "{port:web}"}}}
    services = {"web": WEB, "api": {"port": 8002, "health": {"tcp": True, "port": "{port:web}"}}}
    followed = stack_of(check(services, {"web": 8011}, checks=redis))
    health = followed.service("api").health
    assert health is not None
    assert (health.port, followed.checks.databases[0].port) == (8011, 8011)
    redis["database"]["redis"]["port"] = 8001
    (warning,) = warnings(check({"web": WEB}, checks=redis))
    assert warning.startswith("stack.checks.database.redis.port: 8001 is the port of web")
    assert errors(check({"web": WEB, "api": {"port": 8002, "health": {"tcp": True, "port": "{port:wep}"}}}))


def test_a_literal_port_of_its_own_is_warned_about_as_well() -> None:
    (warning,) = warnings(check({"web": {**WEB, "env": {"BIND": "0.0.0.0:8001"}}}))
    assert warning.endswith("write {port}, which follows")


@pytest.mark.parametrize("text", ["18001", "8001.5", "v8001", "8011", "{port:web}"])
def test_what_is_not_that_port_is_not_warned_about(text: str) -> None:
    assert warnings(check({"web": WEB, "api": {"env": {"A": text}}})) == []


def test_the_port_of_a_service_that_never_moves_may_be_written_out() -> None:
    fixed = {"command": ["web"], "port": 8001}
    assert warnings(check({"web": fixed, "api": {"env": {"URL": "http://localhost:8001"}}})) == []


@hypothesis.given(st.text(alphabet="{}port:web\\ 1", max_size=30))
def test_a_text_without_a_reference_stays_as_it_is_and_nothing_raises(text: str) -> None:
    checked = check({"web": WEB, "api": {"port": 8002, "env": {"A": text}}})
    if checked.stack is not None and "{port}" not in text and "{port:" not in text:
        assert checked.stack.service("api").env["A"] == text
