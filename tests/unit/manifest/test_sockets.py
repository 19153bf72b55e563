# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services with a unix socket: which path they may have, and where it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rollcall.supervisor.plugins.module_utils.host.unix_listeners import UnixSocket, at_path
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.host_limits import (
    SOCKET_LIMIT_MACOS,
    HostLimits,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Stack
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.moving import moved
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.references import escaped
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.revision import changed_keys, revisions
from tests.support.manifests import a_manifest, a_service, checked, one, problem, problems


def web(**keys: Any) -> Stack:
    service = a_service(**{"socket": "run/web.sock", **keys})
    return checked(a_manifest({"web": service, "proxy": a_service(env={"UPSTREAM": "unix:{socket:web}"})}))


def test_a_socket_is_below_the_root_and_stands_wherever_it_is_named() -> None:
    stack = web(command=["gunicorn", "--bind", "unix:{socket}"], env={"A": "\\{socket} {socket:web}"})
    service, proxy = stack.services
    assert (service.socket, service.port, service.shows_ready) == ("/opt/trading/run/web.sock", None, True)
    assert service.command[2] == "unix:/opt/trading/run/web.sock"
    assert service.env["A"] == "{socket} /opt/trading/run/web.sock"
    assert proxy.env["UPSTREAM"] == "unix:/opt/trading/run/web.sock"
    assert Stack.from_dict(json.loads(json.dumps(stack.to_dict()))) == stack


def test_another_path_restarts_the_service_and_who_names_it() -> None:
    before, after = web(), web(socket="run/w.sock")
    assert changed_keys(before, after, "web") == ["socket"]
    changed = {name for name, revision in revisions(before).items() if revision != revisions(after)[name]}
    assert changed == {"web", "proxy"}


def test_a_service_with_a_socket_alone_is_asked_over_it() -> None:
    health = web(health={"http": "/x"}).service("web").health
    assert health is not None
    assert (health.socket, health.port, health.path) == ("/opt/trading/run/web.sock", 0, "/x")
    by_port = web(port=8000, health={"http": "/x"}).service("web").health
    assert by_port is not None
    assert (by_port.socket, by_port.port) == ("", 8000)
    default = checked(a_manifest({"a": a_service(socket="a.sock")}, defaults={"health": {"tcp": True, "host": "::1"}}))
    asked = default.services[0].health
    assert asked is not None
    assert asked.socket == "/opt/trading/a.sock"
    place, message, *_cure = problem(one(socket="a.sock", health={"http": "/", "host": "::1"}))
    assert (place, message) == ("stack.services.main_app.health.host", "the service is asked over its socket")


def test_each_instance_has_its_own_and_a_moved_port_changes_none() -> None:
    service = a_service(socket="run/{instance}.sock", instances=2, env={"A": "{socket}"})
    movable = a_service(port=8000, fallback_ports=[8050], env={"A": "{port} {socket:main_app-2}"})
    stack = moved(checked(a_manifest({"main_app": service, "web": movable})), {"web": 8050})
    assert [one.env["A"] for one in stack.services] == [
        "/opt/trading/run/1.sock",
        "/opt/trading/run/2.sock",
        "8050 /opt/trading/run/2.sock",
    ]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../web.sock", "leads out of /opt/trading"),
        ("/tmp/web.sock", "lies where every user may write"),
        ("etc/web.sock", "is Rollcall's own"),
        ("run/supervisor.sock", "is Rollcall's own"),
        (".", "is Rollcall's own"),
        ("ports.json", "is Rollcall's own"),
        ("logs/main_app.log", "is Rollcall's own"),
        ("@web", "names an abstract socket, which has no path"),
        ("~/web.sock", "begins with ~"),
        ("run/{name}.sock", "{name} stands for nothing in the path of a socket"),
        ("run/{port:web.metrics}.sock", "{port:web.metrics} stands for nothing"),
        ("run/{instance}.sock", "{instance} stands for nothing"),
        (f"/srv/{'a' * 103}", "is 108 bytes long, and a socket's path may have 107"),
    ],
)
def test_a_path_that_no_socket_can_have_is_refused_with_its_place(path: str, words: str) -> None:
    place, message, *_cure = problem(one(socket=path))
    assert place == "stack.services.main_app.socket"
    assert words in message


def test_a_socket_outside_of_the_root_is_warned_of() -> None:
    result = check_manifest(one(socket="/run/shop/web.sock"))
    assert result.stack is not None
    (warning,) = result.problems
    assert (warning.severity, warning.place) == ("warning", "stack.services.main_app.socket")
    assert "who may write there can remove it" in warning.message


def test_the_limit_is_that_of_the_kernel() -> None:
    assert checked(one(socket=f"/opt/trading/{'a' * 94}")).services[0].socket
    assert (
        "may have 103" in problem(one(socket=f"/srv/{'a' * 99}"), host=HostLimits(socket_limit=SOCKET_LIMIT_MACOS))[1]
    )


def test_two_services_share_no_path_and_no_text_names_what_is_not_there() -> None:
    both = a_manifest({"a": a_service(socket="run/a"), "b": a_service(socket="/opt/trading/run//a")})
    assert problem(both)[:2] == ("stack.services.b.socket", "/opt/trading/run/a is the socket of a, too")
    texts = {"A": "{socket}", "B": "{socket:b}", "C": "{socket:c}", "D": "{socket:x}"}
    services = {
        "a": a_service(env=texts),
        "b": a_service(),
        "c": a_service(socket="{instance}", instances=2),
    }
    assert [each.message for each in problems(a_manifest(services))] == [
        "{socket} stands for the socket of a, which has none",
        "{socket:b}: b has no socket",
        "{socket:c}: c runs as c-1 to c-2",
        "{socket:x}: 'x' is not a service of this stack",
    ]
    # What is wrong itself is told once.
    assert len(problems(one(socket=5, env={"A": "{socket}"}))) == 1


@given(st.text(st.sampled_from("{}\\:. socketportw"), max_size=40))
def test_an_escaped_text_stands_for_itself(text: str) -> None:
    stack = checked(one(socket="run/w", env={"A": escaped(text)}))
    assert stack.services[0].env["A"] == text


NAMES = st.text(st.sampled_from("ab 1"), min_size=1, max_size=8)


@given(NAMES, st.lists(NAMES, max_size=5))
def test_a_socket_is_found_by_the_path_that_it_was_bound_to(name: str, others: list[str]) -> None:
    path = f"/none/{name}"
    among = [UnixSocket(number, f"/none/{other}", True) for number, other in enumerate(others)]
    found = at_path(path, [*among, UnixSocket(99, path, True), UnixSocket(98, name, True)])
    assert {one.inode for one in found} >= {99}
    assert 98 not in {one.inode for one in found}
