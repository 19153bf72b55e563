# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services with several ports, each by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.port_numbers import UdpPort, read_port
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.moving import moved
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.revision import changed_keys, revisions
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import registry
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.environment import service_variables
from tests.support.manifests import a_manifest, a_service, checked, one, problem, problems

PORTS = {"http": 8000, "metrics": 8090}


def web(**keys: Any) -> Stack:
    """Return a stack of web, which has two ports, and of a worker that depends on it."""
    service = a_service(**{"ports": PORTS, "health": {"http": "/"}, **keys})
    return checked(a_manifest({"web": service, "worker": a_service(depends_on=["web"])}))


def test_the_first_port_is_the_port_of_the_service_and_the_others_stand_beside_it() -> None:
    service = web().service("web")
    assert (service.port, service.port_name, service.more_ports) == (8000, "http", {"metrics": 8090})
    assert service.all_ports == PORTS
    assert service.health is not None
    assert service.health.port == 8000
    assert Stack.from_dict(json.loads(json.dumps(web().to_dict()))) == web()


def test_one_port_without_a_name_is_as_it_was() -> None:
    stack = checked(a_manifest({"web": a_service(port=8000)}))
    assert stack.services[0].all_ports == {"": 8000}
    assert "ports" not in json.loads(registry.text(stack))["services"]["web"]
    assert {"PORT", "PORT_WEB"} <= set(service_variables(stack, stack.services[0]))


def test_a_health_check_may_name_the_port_that_it_asks() -> None:
    health = web(health={"http": "/", "port": "metrics"}).service("web").health
    assert health is not None
    assert health.port == 8090


def test_the_service_and_what_depends_on_it_have_all_ports_as_variables() -> None:
    stack = web()
    ports = {"PORT_WEB": "8000", "PORT_WEB_HTTP": "8000", "PORT_WEB_METRICS": "8090"}
    own, other = (service_variables(stack, service) for service in stack.services)
    assert ports.items() <= own.items()
    assert own["PORT"] == "8000"
    assert ports.items() <= other.items()
    assert "PORT" not in other


def test_texts_name_a_port_of_several() -> None:
    env = {"A": "{port} {port.http} {port.metrics} {port:web.metrics} \\{port.metrics}", "B": "{port:web}"}
    stack = web(env=env)
    assert stack.service("web").env == {"A": "8000 8000 8090 8090 {port.metrics}", "B": "8000"}


def test_only_the_first_port_can_move_and_who_names_it_follows() -> None:
    env = {"A": "{port:web.http} {port:web.metrics} {port:web}"}
    service = a_service(
        ports=PORTS, fallback_ports=[8050], health={"http": "/"}, env={"B": "{port.http}/{port.metrics}"}
    )
    stack = moved(checked(a_manifest({"web": service, "worker": a_service(env=env)})), {"web": 8050})
    first, worker = stack.services
    assert first.all_ports == {"http": 8050, "metrics": 8090}
    assert first.health is not None
    assert first.health.port == 8050
    assert first.env == {"B": "8050/8090"}
    assert worker.env == {"A": "8050 8090 8050"}
    entry = json.loads(registry.text(stack))["services"]["web"]
    assert (entry["port"], entry["ports"]) == (8050, {"http": 8050, "metrics": 8090})


def test_each_instance_has_ports_of_its_own() -> None:
    health = {"http": "/", "port": "metrics"}
    stack = web(instances=2, health=health, env={"A": "{port.metrics}"})
    ports = {service.name: service.all_ports for service in stack.services if service.group}
    assert ports == {"web-1": {"http": 8000, "metrics": 8090}, "web-2": {"http": 8001, "metrics": 8091}}
    assert [service.health.port for service in stack.services if service.health] == [8090, 8091]
    assert stack.service("web-2").env == {"A": "8091"}


def test_a_port_that_changes_restarts_the_service_and_what_knows_it() -> None:
    before, after = web(), web(ports={"http": 8000, "metrics": 8091})
    assert [name for name, one in revisions(before).items() if revisions(after)[name] != one] == ["web", "worker"]
    assert changed_keys(before, after, "web") == ["ports.metrics"]
    assert changed_keys(before, after, "worker") == ["port of web.metrics"]


APP = "stack.services.main_app"


@pytest.mark.parametrize(
    ("service", "place", "message"),
    [
        ({"ports": {}}, f"{APP}.ports", "has no port"),
        ({"ports": 8000}, f"{APP}.ports", "is a number, not a mapping"),
        ({"ports": {"a b": 8000}}, f"{APP}.ports['a b']", "is no name of a port"),
        ({"ports": {"http": "x"}}, f"{APP}.ports.http", "is text, not a port number"),
        ({"ports": {"http": 8000, "metrics": 0}}, f"{APP}.ports.metrics", "is 0, not a port number"),
        ({"ports": {"http": 8000}, "port": 8001}, f"{APP}.ports", "it has a port as well"),
        ({"ports": {"http": 8000, "metrics": 8000}}, f"{APP}.ports.metrics", "is the port of main_app.http, too"),
        ({"ports": {"http": 8000, "metrics": 9000}}, f"{APP}.ports.metrics", "port 9000 is to be avoided"),
        ({"ports": {"http": 8000, "metrics": 22}}, f"{APP}.ports.metrics", "port 22 is protected"),
        ({"ports": {"http": 8000, "metrics": 8200}}, f"{APP}.ports.metrics", "outside the range"),
        ({"ports": {"http": 8000, "metrics": 80}}, f"{APP}.ports.metrics", "port 80 is outside the range"),
        ({"ports": {"http": 8000, "HTTP": 8001}}, f"{APP}.ports.HTTP", "shares the variable PORT_MAIN_APP_HTTP with"),
        ({"ports": {"http": 8000}, "env": {"A": "{port.x}"}}, f"{APP}.env.A", "main_app has no port called x"),
        ({"port": 8000, "env": {"A": "{port.x}"}}, f"{APP}.env.A", "main_app has no port called x"),
        ({"ports": {"http": 8000}, "env": {"A": "{port:main_app.x}"}}, f"{APP}.env.A", "has no port called x"),
        ({"ports": {"http": 8000}, "health": {"tcp": True, "port": "x"}}, f"{APP}.health.port", "has no port called x"),
        ({"ports": {"a": 8000, "b": 8001}, "instances": 2}, f"{APP}.ports", "is the port of main_app-1.b, too"),
    ],
)
def test_what_is_wrong_with_several_ports_is_told_at_its_place(service: Any, place: str, message: str) -> None:
    found = problems(one(**service))
    assert any(each.place.startswith(place) and message in each.message and each.cure for each in found), found


def test_two_services_share_no_port_and_no_variable_of_one() -> None:
    others = {"web": a_service(ports=PORTS), "api": a_service(port=8090)}
    assert problem(a_manifest(others)).message == "port 8090 is the port of web.metrics, too"
    named = {"web": a_service(ports=PORTS), "web_metrics": a_service(port=8001)}
    assert problem(a_manifest(named)).message == "shares the variable PORT_WEB_METRICS with web_metrics"


# --- ports of UDP -------------------------------------------------------------------------------------------------

BOTH = {"query": "8053/udp", "http": 8000, "zone": 8053}


def test_a_port_of_udp_stands_beside_those_of_tcp_and_may_have_the_same_number() -> None:
    stack = web(ports=BOTH, command=["bin/run", "{port}", "{port.query}"])
    service = stack.service("web")
    assert (service.port, service.more_ports, service.udp_ports) == (8000, {"zone": 8053}, {"query": 8053})
    assert service.all_ports == {"http": 8000, "zone": 8053, "query": UdpPort(8053)}
    assert service.command[1:] == ("8000", "8053")
    assert Stack.from_dict(json.loads(json.dumps(stack.to_dict()))) == stack
    own, other = (service_variables(stack, one) for one in stack.services)
    named = {"PORT_WEB": "8000", "PORT_WEB_HTTP": "8000", "PORT_WEB_QUERY": "8053", "PORT_WEB_ZONE": "8053"}
    assert named.items() <= own.items()
    assert named.items() <= other.items()


def test_a_service_may_have_ports_of_udp_alone() -> None:
    stack = checked(
        a_manifest(
            {
                "dns": a_service(ports={"query": "8053/udp"}, env={"AT": "{port.query}"}),
                "client": a_service(depends_on={"dns": "healthy"}, env={"DNS": "{port:dns.query}"}),
            }
        )
    )
    dns, client = stack.services
    assert (dns.port, dns.env["AT"], client.env["DNS"]) == (None, "8053", "8053")
    assert {"PORT", "PORT_DNS"}.isdisjoint(service_variables(stack, dns))
    entry = json.loads(registry.text(stack))["services"]["dns"]
    assert (entry["port"], entry["ports"], entry["udp"]) == (None, {"query": 8053}, ["query"])
    instances = checked(a_manifest({"dns": a_service(ports={"query": "8053/udp"}, instances=2)}))
    assert [one.udp_ports for one in instances.services] == [{"query": 8053}, {"query": 8054}]


@pytest.mark.parametrize(
    ("keys", "place", "message"),
    [
        ({"ports": {"a": "53/UDP"}}, f"{APP}.ports.a", "not"),
        ({"ports": {"a": "70000/udp"}}, f"{APP}.ports.a", "not"),
        ({"ports": {"a": "5353/udp"}}, f"{APP}.ports.a", "port 5353 is outside the range"),
        ({"ports": {"a": "9000/udp"}}, f"{APP}.ports.a", "port 9000/udp is to be avoided"),
        ({"ports": {"a": "8000/udp", "b": "8000/udp"}}, f"{APP}.ports.b", "port 8000/udp is the port of main_app.a"),
        (
            {"ports": {"a": "8000/udp", "b": 8000}, "health": {"tcp": True, "port": "a"}},
            f"{APP}.health.port",
            "a is a port of UDP, and only TCP is asked",
        ),
        ({"ports": {"a": "8000/udp"}, "command": ["x", "{port}"]}, f"{APP}.command[1]", "which has none"),
    ],
)
def test_a_wrong_port_of_udp_is_told_at_its_place(keys: dict[str, Any], place: str, message: str) -> None:
    found = problem(one(**keys))
    assert found.place == place
    assert message in found.message


def test_a_port_of_udp_equals_no_port_of_tcp() -> None:
    assert UdpPort(53) == UdpPort(53)
    assert UdpPort(53) != 53
    assert len({UdpPort(53), UdpPort(53), 53}) == 2
    assert (f"{UdpPort(53)}", json.dumps([UdpPort(53)]), json.dumps({"a": UdpPort(53)}, indent=2)) == (
        "53/udp",
        "[53]",
        '{\n  "a": 53\n}',
    )
    texts = ("53", "53/udp", "0", "65536/udp", "x", "53/tcp", "-1", "²")
    assert [read_port(text) for text in texts] == [53, UdpPort(53), None, None, None, None, None, None]
