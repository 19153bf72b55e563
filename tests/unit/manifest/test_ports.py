# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fallback ports and instances in the manifest: what they become, and what is refused."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Service, Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.revision import revision
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.secret_values import secret_values
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.environment import (
    private_files,
    service_variables,
)

WEB: t.Dict[str, t.Any] = {
    "command": ["/bin/serve", "--port={port}", "--number={instance}"],
    "port": 8010,
    "instances": 3,
    "health": {"http": "/"},
}


def manifest(**services: t.Any) -> t.Dict[str, t.Any]:
    return {"name": "pages", "root": "/opt/pages", "services": copy.deepcopy(services)}


def checked(raw: t.Dict[str, t.Any], **more: t.Any) -> Stack:
    result = check_manifest(raw, **more)
    assert result.stack is not None, result.problems
    return result.stack


def problems(raw: t.Dict[str, t.Any], **more: t.Any) -> t.List[str]:
    return [f"{problem.place} {problem.message}" for problem in check_manifest(raw, **more).problems]


def test_instances_are_services_on_consecutive_ports_with_their_number_and_their_own_health() -> None:
    stack = checked(manifest(web=WEB))
    assert [service.name for service in stack.services] == ["web-1", "web-2", "web-3"]
    assert [service.port for service in stack.services] == [8010, 8011, 8012]
    assert [service.health.port for service in stack.services if service.health] == [8010, 8011, 8012]
    second = stack.service("web-2")
    assert second.command == ("/bin/serve", "--port=8011", "--number=2")
    assert (second.group, second.instance) == ("web", 2)
    told = service_variables(stack, second)
    assert (told["PORT"], told["PORT_WEB_2"], told["INSTANCE"]) == ("8011", "8011", "2")


def test_who_depends_on_a_service_depends_on_all_its_instances() -> None:
    stack = checked(manifest(web=WEB, front={"command": ["/bin/front"], "depends_on": ["web"]}))
    assert stack.service("front").depends_on == {"web-1": "healthy", "web-2": "healthy", "web-3": "healthy"}


def test_instances_have_the_secrets_of_their_service() -> None:
    raw = manifest(web={**WEB, "secrets": {"KEY": "hidden"}})
    files = private_files(checked(raw), secret_values(raw))
    assert {name: values["KEY"] for name, values in files.items()} == dict.fromkeys(
        ("web-1", "web-2", "web-3"), "hidden"
    )


def test_an_assigned_port_is_in_command_environment_and_health_and_the_own_one_is_kept() -> None:
    raw = manifest(web={**WEB, "instances": 2, "fallback_ports": [8050]})
    stack = checked(raw, assigned={"web-1": 8010, "web-2": 8051})
    second = stack.service("web-2")
    assert second.command[1] == "--port=8051"
    assert second.health is not None
    assert second.health.port == 8051
    assert service_variables(stack, second)["PORT"] == "8051"
    assert (second.own_port, second.fallback_ports) == (8011, (8051,))


def test_a_dependent_is_told_the_assigned_port_and_is_another_revision() -> None:
    raw = manifest(
        api={"command": ["/bin/api"], "port": 8001, "fallback_ports": [8002]},
        front={"command": ["/bin/front"], "depends_on": {"api": "running"}},
    )
    before, after = checked(raw), checked(raw, assigned={"api": 8002})
    assert service_variables(after, after.service("front"))["PORT_API"] == "8002"
    assert revision(before, before.service("front")) != revision(after, after.service("front"))


def test_a_longer_list_of_fallback_ports_restarts_nothing() -> None:
    short = manifest(api={"command": ["/bin/api"], "port": 8001, "fallback_ports": [8002]})
    long = manifest(api={"command": ["/bin/api"], "port": 8001, "fallback_ports": [8002, 8003], "auto_fallback": False})
    revisions = [revision(stack, stack.service("api")) for stack in (checked(short), checked(long))]
    assert revisions[0] == revisions[1]


def test_a_stack_comes_back_from_its_data_whole() -> None:
    stack = checked(manifest(web={**WEB, "fallback_ports": [8050]}))
    assert Stack.from_dict(stack.to_dict()) == stack


def test_a_manifest_that_an_earlier_version_installed_can_be_read() -> None:
    data = checked(manifest(api={"command": ["/bin/api"], "port": 8001})).to_dict()
    for key in ("own_port", "fallback_ports", "auto_fallback", "group", "instance"):
        del data["services"][0][key]
    assert isinstance(Stack.from_dict(data).service("api"), Service)


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        (
            {"web": WEB, "api": {"command": ["/bin/api"], "port": 8012}},
            "stack.services.api.port port 8012 is the port of web-3, too",
        ),
        (
            {"web": {**WEB, "instances": 1, "fallback_ports": [8020]}, "api": {"command": ["/bin/api"], "port": 8020}},
            "stack.services.web.fallback_ports[0] port 8020 is the port of api, too",
        ),
        (
            {"web": {**WEB, "fallback_ports": [8012]}},
            "stack.services.web.fallback_ports[0] port 8012 is the port of web-3, too",
        ),
        (
            {"web": {**WEB, "fallback_ports": [9000]}},
            "stack.services.web.fallback_ports[0] port 9000 is to be avoided",
        ),
        (
            {"web": {**WEB, "fallback_ports": [8099]}},
            "stack.services.web.fallback_ports[0] port 8101 is outside the range 8000-8100",
        ),
        (
            {"web": {"command": ["/bin/serve"], "fallback_ports": [8012]}},
            "stack.services.web.fallback_ports the service has no port of its own",
        ),
        (
            {"web": WEB, "web-2": {"command": ["/bin/api"], "port": 8050}},
            "stack.services.web its instance web-2 has the name of a service",
        ),
        (
            {"web": {**WEB, "health": {"http": "/", "port": 8010}}},
            "stack.services.web.health.port every instance has its own port",
        ),
        (
            {"web": {**WEB, "instances": 0}},
            "stack.services.web.instances is 0, not a number of instances from 1 to 100",
        ),
        ({"web": {**WEB, "auto_fallback": "no"}}, "stack.services.web.auto_fallback is text, not a truth value"),
    ],
)
def test_what_cannot_be_is_named_with_its_place(services: t.Dict[str, t.Any], expected: str) -> None:
    assert expected in problems(manifest(**services))


def test_a_block_that_runs_out_of_ports_says_so() -> None:
    raw = manifest(web={**WEB, "port": 65534})
    raw["ports"] = {"range": [60000, 65535], "also": [65534, 65535]}
    assert "stack.services.web.port its last instance would get port 65536" in problems(raw)


def test_a_lease_that_is_none_of_the_services_ports_is_not_put_in() -> None:
    raw = manifest(api={"command": ["/bin/api"], "port": 8001, "fallback_ports": [8002]})
    assert any(
        "8009 to api, which is none of its ports" in problem for problem in problems(raw, assigned={"api": 8009})
    )


def test_placeholders_stay_as_they_are_where_they_mean_nothing() -> None:
    raw = manifest(job={"command": ["/bin/awk", r"\{port}", "{instance}", "{name}"]})
    assert checked(raw).service("job").command == ("/bin/awk", "{port}", "{instance}", "{name}")
