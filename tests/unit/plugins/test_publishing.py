# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A balancer has a server for each instance that runs, and asks what the manifest's health check asks."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.published import EdgeCheck, EdgeTls
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.publishing import (
    Publication,
    publication,
    published_by,
)

WEB = {"port": 8010, "health": {"http": "/health"}}


def answer(number: int = 1, assigned: t.Optional[t.Dict[str, int]] = None, **services: t.Any) -> t.Dict[str, t.Any]:
    made = {name: {"command": ["/bin/true"], **keys} for name, keys in services.items()}
    stack = {"name": "shop", "root": "/opt/shop", "ports": {"range": [8000, 8100]}, "services": made}
    checked = check_manifest({"stack": stack}, assigned=assigned or {})
    assert checked.stack is not None, checked.problems
    told = published_by(checked.stack)
    return {"reached": True, "why": "", "address": f"192.0.2.{number}", "weight": 100, "services": told}


def of(entry: t.Any, *answers: t.Dict[str, t.Any]) -> Publication:
    return publication({"web": entry}, {f"app{number}": each for number, each in enumerate(answers, 1)})


def test_each_instance_of_each_host_is_a_server_on_the_port_that_it_has() -> None:
    two = answer(2, assigned={"web-1": 8020, "web-2": 8021}, web={**WEB, "instances": 2, "fallback_ports": [8020]})
    made = of({"bind": "*:80"}, answer(1, web=WEB), two, answer(3, api=WEB))
    assert made.problems == ()
    (service,) = made.services
    assert [(one.name, one.address, one.port) for one in service.servers] == [
        ("app1", "192.0.2.1", 8010),
        ("app2:1", "192.0.2.2", 8020),
        ("app2:2", "192.0.2.2", 8021),
    ]
    assert (service.bind, service.mode) == (("*:80",), "http")


HTTP = EdgeCheck(http=True, path="/health")


@pytest.mark.parametrize(
    ("health", "checks", "tls", "notes"),
    [
        ({"http": "/health"}, [HTTP], None, []),
        (
            {"http": "/health", "method": "HEAD", "status": 204, "headers": {"X-A": "1", "host": "shop.test"}},
            [
                EdgeCheck(
                    http=True, path="/health", method="HEAD", status=204, headers=(("X-A", "1"),), host="shop.test"
                )
            ],
            None,
            [],
        ),
        ({"http": "/health", "body": "ok"}, [EdgeCheck(http=True, path="/health", body="ok")], None, []),
        ({"http": "/health", "json": {"status": "ok"}}, [HTTP], None, ["http is asked by HAProxy in part"]),
        (
            {"https": "/health", "server_name": "shop.test"},
            [EdgeCheck(http=True, path="/health", host="shop.test")],
            EdgeTls(name="shop.test"),
            [],
        ),
        ({"https": "/health", "verify": False}, [HTTP], EdgeTls(verify=False), []),
        ({"tcp": True, "send": "PING\n", "expect": "PONG"}, [EdgeCheck(send="PING\n", expect="PONG")], None, []),
        ({"exec": ["/bin/true"]}, [EdgeCheck()], None, ["exec is not asked", "only whether its port"]),
        (
            {"http": "/health", "headers": {"Authorization": "{secret:TOKEN}"}},
            [EdgeCheck()],
            None,
            ["it needs a secret", "only whether its port"],
        ),
        (
            {"http": "/health", "port": 9090, "answered_by": "anyone"},
            [EdgeCheck()],
            None,
            ["something else than the port", "only whether its port"],
        ),
        (None, [EdgeCheck()], None, ["only whether its port"]),
        (
            [{"http": "/live", "proves": "alive"}, {"http": "/health", "name": "ready"}, {"exec": ["/bin/true"]}],
            [HTTP],
            None,
            ["exec is not asked"],
        ),
        (
            [{"http": "/health"}, {"http": "/db", "name": "db"}],
            [HTTP, EdgeCheck(http=True, path="/db")],
            None,
            [],
        ),
        (
            [{"http": "/health"}, {"tcp": True, "expect": "hello"}],
            [HTTP],
            None,
            ["not over both"],
        ),
    ],
)
def test_haproxy_asks_what_the_verdict_asks_as_far_as_it_can(
    health: t.Any, checks: t.List[EdgeCheck], tls: t.Optional[EdgeTls], notes: t.List[str]
) -> None:
    made = of({"bind": "*:80"}, answer(web={"port": 8010, "health": health, "secrets": {"TOKEN": "s3cret-of-ours"}}))
    assert made.problems == ()
    assert list(made.services[0].checks) == checks
    assert made.services[0].tls == tls
    assert len(made.notes) == len(notes)
    assert all(word in note for word, note in zip(notes, made.notes, strict=True)), made.notes


ONE = answer(web=WEB)


@pytest.mark.parametrize(
    ("entry", "answers", "places"),
    [
        ("*:80", [ONE], ["edge_services.web"]),
        ({}, [ONE], ["edge_services.web.bind"]),
        ({"bind": 80, "modus": "x", "rise": True}, [ONE], ["bind", "modus", "rise"]),
        ({"bind": "80"}, [ONE], ["web.bind"]),
        ({"bind": "*:80", "port": "admin"}, [ONE], ["edge_services.web.port"]),
        ({"bind": "*:80", "ca": "/ca.pem"}, [ONE], ["edge_services.web.ca"]),
        ({"bind": "*:80"}, [answer(api=WEB)], ["edge_services.web"]),
        ({"bind": "*:80"}, [answer(web={})], ["edge_services.web.port"]),
        ({"bind": "*:80"}, [answer(web={"kind": "oneshot"})], ["edge_services.web"]),
        ({"bind": "*:80"}, [ONE, {}], ["app2"]),
        ({"bind": "*:80"}, [ONE, {"reached": False, "why": "no route"}], ["app2"]),
        ({"bind": "*:80"}, [{**ONE, "address": "a b"}, {**ONE, "weight": 900}], ["web/app1", "web/app2"]),
        ({"bind": "*:80"}, [ONE, answer(web={**WEB, "health": {"http": "/other"}})], ["edge_services.web.health"]),
    ],
)
def test_what_is_wrong_is_told_at_once_with_its_place(
    entry: t.Any, answers: t.List[t.Dict[str, t.Any]], places: t.List[str]
) -> None:
    problems = of(entry, *answers).problems
    assert len(problems) == len(places)
    assert all(found.place.endswith(place) and found.cure for found, place in zip(problems, places, strict=True)), (
        problems
    )


@pytest.mark.parametrize("services", [{}, None, "web"])
def test_nothing_is_no_publication(services: t.Any) -> None:
    assert [found.place for found in publication(services, {}).problems] == ["rollcall_hosts", "edge_services"]


def test_one_of_several_ports_is_published_by_its_name() -> None:
    ports = {"ports": {"http": 8010, "admin": 8030}, "health": {"http": "/health", "port": "admin"}}
    (first,) = of({"bind": "*:80"}, answer(web=ports)).services
    (other,) = of({"bind": "*:80", "port": "admin", "mode": "tcp"}, answer(web=ports)).services
    assert (first.servers[0].port, first.checks) == (8010, (EdgeCheck(),))
    assert (other.servers[0].port, other.checks, other.mode) == (8030, (HTTP,), "tcp")
