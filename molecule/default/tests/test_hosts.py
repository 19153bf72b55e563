# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both hosts from outside, after a clean install and again after things were broken and converged."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support import eyes

TOKEN = "planted-7f3a91c4"


@dataclass(frozen=True)
class Expected:
    """What one host should have.

    Attributes:
        root: the directory of the stack.
        user: whose processes are all of the stack, but the neighbours.
        ports: the port of each service that has one.
        words: of each service, what its command line holds. Not its environment: redis overwrites that.
    """

    root: str
    user: str
    ports: dict[str, int]
    words: dict[str, str]


DEMO = {
    name: f"/srv/demo/service.py {name}"
    for name in ("trade_manager", "main_app", "trade_executor", "kalshi_api_watchdog")
}
STACKS = {
    "app1": Expected(
        "/opt/trading", "trading", {"trade_manager": 4000, "main_app": 3000, "trade_executor": 8001}, DEMO
    ),
    "app2": Expected(
        "/opt/shop", "shop", {"cache": 6379, "web": 8080}, {"cache": "redis-server 127.0.0.1:6379", "web": "gunicorn"}
    ),
}


@pytest.fixture
def expected(host: Any) -> Expected:
    return STACKS[host.backend.get_hostname()]


@pytest.fixture
def view(host: Any) -> eyes.View:
    return eyes.look(host)


def own(host: Any, view: eyes.View, expected: Expected) -> list[eyes.Process]:
    """Return the processes of the stack's user that are not the neighbour's."""
    neighbours = {int(pid) for pid in host.run("cat /root/neighbour").stdout.split()}
    return [process for process in view.of_user(expected.user) if process.pid not in neighbours]


def test_each_port_is_held_by_its_own_service_under_supervisord(view: eyes.View, expected: Expected) -> None:
    (daemon,) = view.supervisord(expected.root)
    for service, port in expected.ports.items():
        assert view.listeners.get(port), f"nothing listens on {port} ({service})"
        for pid in view.listeners[port]:
            assert expected.words[service] in " ".join(view.processes[pid].argv)
            assert daemon.pid in view.ancestors(pid)


def test_every_service_runs_once(view: eyes.View, expected: Expected) -> None:
    (daemon,) = view.supervisord(expected.root)
    children = [" ".join(process.argv) for process in view.processes.values() if process.ppid == daemon.pid]
    assert len(children) == len(expected.words)
    for words in expected.words.values():
        assert len([child for child in children if words in child]) == 1


def test_there_is_one_supervisord_and_no_orphan(host: Any, view: eyes.View, expected: Expected) -> None:
    (daemon,) = view.supervisord(expected.root)
    outside = [
        process
        for process in own(host, view, expected)
        if process.pid != daemon.pid and daemon.pid not in view.ancestors(process.pid)
    ]
    assert outside == []


def test_all_of_it_runs_as_the_user_of_the_stack(view: eyes.View, expected: Expected) -> None:
    (daemon,) = view.supervisord(expected.root)
    everything = [
        process for process in view.processes.values() if daemon.pid in [process.pid, *view.ancestors(process.pid)]
    ]
    assert {process.user for process in everything} == {expected.user}


def test_bystanders_are_who_they_were(host: Any, view: eyes.View, expected: Expected) -> None:
    assert view.listeners[8099] == [int(host.file("/root/bystander").content_string)]
    # Its user is the stack's, and still it is none of the stack's business.
    if expected.user == "trading":
        assert view.processes[int(host.file("/root/neighbour").content_string)].argv == ["/usr/bin/sleep", "infinity"]


def fetch(host: Any, url: str) -> Any:
    """Return the JSON that ``url`` answers on the host itself."""
    program = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())"
    return json.loads(host.check_output("python3 -c %s %s", program, url))


def test_the_applications_answer_their_own_clients(host: Any) -> None:
    if host.backend.get_hostname() == "app1":
        for port in (3000, 4000, 8001):
            assert fetch(host, f"http://127.0.0.1:{port}/health")["status"] == "ok"
    else:
        assert host.check_output("redis-cli -p 6379 ping") == "PONG"
        assert fetch(host, "http://127.0.0.1:8080/get?a=1")["args"] == {"a": "1"}


def test_private_things_are_private(host: Any, expected: Expected) -> None:
    for path, mode, owner in (
        ("run", 0o700, expected.user),
        ("run/supervisor.sock", 0o700, expected.user),
        ("state", 0o700, "root"),
        ("logs", 0o750, expected.user),
        ("etc/supervisord.conf", 0o640, "root"),
        ("etc/manifest.json", 0o640, "root"),
        ("etc/env", 0o700, expected.user),
    ):
        file = host.file(f"{expected.root}/{path}")
        assert file.exists, path
        assert (path, oct(file.mode), file.user) == (path, oct(mode), owner)


def test_a_secret_reaches_its_service_and_nobody_else(host: Any, view: eyes.View, expected: Expected) -> None:
    if host.backend.get_hostname() != "app1":
        pytest.skip("this host has none")
    knowing = {process.pid for process in view.processes.values() if TOKEN in process.environment.get("API_KEY", "")}
    assert knowing == set(view.listeners[3000])
    assert not [process for process in view.processes.values() if TOKEN in " ".join(process.argv)]
    # One in each generation that is kept.
    holding = host.run("grep -rlF %s /opt /var/log /tmp /root/.ansible", TOKEN).stdout.split()
    assert {path.rpartition("/")[2] for path in holding} == {"main_app.json"}
    for path in holding:
        assert (oct(host.file(path).mode), host.file(path).user) == ("0o600", expected.user)


def test_the_command_on_the_host_agrees(host: Any, expected: Expected) -> None:
    name = expected.root.rpartition("/")[2]
    report = json.loads(host.check_output("rollcall --stack %s status --json", name))
    assert report["ok"], report
    rows = {row["name"]: row for row in report["services"]}
    assert set(rows) == set(expected.words)
    for service, port in expected.ports.items():
        assert (rows[service]["state"], rows[service]["port"]) == ("RUNNING", port)
        assert (rows[service]["health"], rows[service]["provenance"]) == ("ok", "supervised")


def test_applications_and_other_hosts_can_ask_for_every_port(host: Any, expected: Expected) -> None:
    fact = json.loads(host.check_output("/etc/ansible/facts.d/rollcall.fact"))
    stack = fact["stacks"][expected.root.rpartition("/")[2]]
    assert stack["root"] == expected.root
    assert set(stack["services"]) == set(expected.words)
    for service, entry in stack["services"].items():
        assert entry["port"] == expected.ports.get(service)
    for service, port in expected.ports.items():
        client = f"{expected.root}/lib/rollcall_ports.py"
        assert host.check_output("runuser -u %s -- python3 %s %s", expected.user, client, service) == str(port)


def test_nothing_restarts_by_itself(host: Any, view: eyes.View, expected: Expected) -> None:
    before = {process.pid for process in own(host, view, expected)}
    time.sleep(3)
    assert before <= set(eyes.look(host).processes)
