# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers are drained and brought back in a real HAProxy: what it says of itself is what is so."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import threading
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer import drain as drains
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer import haproxy as codes
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.drain import WantedServers, drain, undrain
from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.modules import haproxy_server, haproxy_server_info
from tests.support import haproxy, returns
from tests.support.processes import eventually

BACKENDS = """backend web
  option httpchk GET /health
  default-server inter 100 rise 2 fall 1
  server app1 127.0.0.1:{port1} check
  server app2 127.0.0.1:{port2} check
backend api
  server app1 127.0.0.1:{port1} track web/app1
backend plain
  server app1 127.0.0.1:{port1}
  server app2 127.0.0.1:{port2} disabled
"""
LONG = 60.0
ALL = ("web/app1", "api/app1", "plain/app1")


@pytest.fixture(scope="module")
def started() -> t.Iterator[haproxy.Balancer]:
    with haproxy.running(BACKENDS) as balancer:
        yield balancer


@pytest.fixture
def balancer(started: haproxy.Balancer) -> haproxy.Balancer:
    """Return the HAProxy, with everything in use that is."""
    for server in (*ALL, "web/app2"):
        started.say(f"set server {server} state ready")
    started.say("set server plain/app2 state maint")
    for app in started.apps:
        app.sick.clear()
    wait_for(started, {"web/app1": "UP", "web/app2": "UP", "api/app1": "UP", "plain/app1": "no check"})
    return started


@pytest.fixture
def wanted(balancer: haproxy.Balancer, tmp_path: Path) -> WantedServers:
    return WantedServers((balancer.socket,), ("*/app1",), (), str(tmp_path / "drained" / "app1.json"), "run 7")


def wait_for(balancer: haproxy.Balancer, states: t.Mapping[str, str]) -> None:
    assert eventually(lambda: {key: balancer.status(key) for key in states} == states, LONG), balancer.say("show stat")


def refused(call: t.Callable[[], t.Any], code: str) -> RollcallError:
    with pytest.raises(RollcallError) as caught:
        call()
    assert caught.value.evidence["code"] == code, caught.value
    return caught.value


def owners(result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {f"{row['backend']}/{row['server']}": row["owner"] for row in result["servers"]}


def test_an_idle_connection_keeps_a_server_from_being_drained_until_it_is_closed(
    balancer: haproxy.Balancer, wanted: WantedServers
) -> None:
    planned = drain(wanted, timeout=LONG, policy="fail", dry_run=True)
    assert planned["changed"]
    assert not Path(wanted.record).exists()
    clients = [balancer.client(), balancer.client()]
    with contextlib.ExitStack() as closing:
        looking = threading.Timer(1.0, closing.close)
        for client in clients:
            closing.callback(client.close)
        error = refused(lambda: drain(wanted, timeout=0.5, policy="fail"), drains.SESSIONS)
        assert "web/app1 is DRAIN, check L7OK, 1 sessions" in error.message
        assert error.remedies == (cures.FORCE_DRAIN,)
        # As it was found, and nothing is said to be drained.
        assert {balancer.status(server) for server in ALL} == {"UP", "no check"}
        assert not Path(wanted.record).exists()
        looking.start()
        done = drain(wanted, timeout=LONG, policy="fail")
        looking.join()
    assert done["changed"]
    assert {balancer.status(server).split()[0] for server in ALL} == {"MAINT"}
    assert owners(done) == dict.fromkeys(ALL, "rollcall")
    assert (done["drained"]["by"], len(done["drained"]["servers"])) == ("run 7", 3)
    assert done["diff"]["before"].count(" UP\n") == 2
    assert done["diff"]["after"].count(" MAINT") == 3
    again = drain(dataclasses.replace(wanted, by="run 8"), timeout=LONG, policy="fail")
    assert not again["changed"]
    assert again["drained"]["by"] == "run 7"
    requests = balancer.apps[0].requests
    balancer.client().close()
    assert balancer.apps[0].requests == requests

    back = undrain(wanted, timeout=LONG)

    assert back["changed"]
    assert all(row["up"] for row in back["servers"])
    assert back["drained"]["servers"] == []
    assert {balancer.status(server) for server in ALL} == {"UP", "no check"}
    assert not undrain(wanted, timeout=LONG)["changed"]


def test_the_modules_say_what_is_so(
    balancer: haproxy.Balancer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    host = {"host": "app1", "sockets": [balancer.socket], "record_directory": str(tmp_path / "drained")}

    def run(module: t.Any, **options: t.Any) -> dict[str, t.Any]:
        capfd.readouterr()
        with patch_module_args({**host, **options}), pytest.raises(SystemExit):
            module.main()
        return returns.checked(module.__name__.rpartition(".")[2], json.loads(capfd.readouterr().out))

    seen = run(haproxy_server_info)
    assert not seen["changed"]
    assert {(row["server"], row["state"], row["owner"]) for row in seen["servers"]} == {("app1", "ready", None)}
    checked = run(haproxy_server, state="drained", by="7", _ansible_check_mode=True)
    assert checked["changed"]
    # But for the seconds since the last session.
    assert [{**row, "idle": None} for row in checked["servers"]] == [{**row, "idle": None} for row in seen["servers"]]
    assert run(haproxy_server, state="drained", by="7")["drained"]["by"] == "7"
    assert not run(haproxy_server, state="drained")["changed"]
    drained = run(haproxy_server_info)
    assert len(drained["drained"]["servers"]) == 3
    assert {(row["state"], row["up"], row["owner"]) for row in drained["servers"]} == {("drained", False, "rollcall")}
    assert run(haproxy_server, state="ready", _ansible_check_mode=True)["changed"]
    assert run(haproxy_server, state="ready")["drained"] == {"by": None, "since": None, "servers": []}
    assert not run(haproxy_server, state="ready")["changed"]
    missing = run(haproxy_server, state="ready", servers=["x/y"])
    assert (missing["error"]["kind"], missing["error"]["evidence"]["code"]) == ("wrong_use", "no_server")
    assert run(haproxy_server_info, servers=["x/y"])["failed"]


def test_sessions_that_are_left_are_ended_by_the_policy_that_is_told(
    balancer: haproxy.Balancer, wanted: WantedServers
) -> None:
    web = dataclasses.replace(wanted, servers=("web/app1",))
    with balancer.client() as one, balancer.client() as other:
        refused(lambda: drain(web, timeout=0.0, policy="fail"), drains.SESSIONS)

        assert drain(web, timeout=0.3, policy="force")["servers"][0]["sessions"] == 0
        assert balancer.status("web/app1") == "MAINT"
        # One of the two was at app1.
        assert sorted([_is_closed(one), _is_closed(other)]) == [False, True]
    undrain(web, timeout=LONG)


def test_a_server_that_comes_back_gets_nothing_before_a_check_that_began_then_has_passed(
    balancer: haproxy.Balancer, wanted: WantedServers
) -> None:
    web = dataclasses.replace(wanted, servers=("web/app1",))
    drain(web, timeout=LONG, policy="fail")
    balancer.apps[0].sick.set()
    requests = balancer.apps[0].requests

    error = refused(lambda: undrain(web, timeout=5.0), drains.NOT_UP)

    assert "web/app1 is DOWN, check L7STS" in error.message
    assert error.remedies == (cures.BALANCER_CHECK,)
    assert error.evidence["in_use"] == ["web/app1"]
    assert not Path(web.record).exists()
    for _each in range(4):
        balancer.client().close()
    assert balancer.apps[0].requests == requests
    balancer.apps[0].sick.clear()
    wait_for(balancer, {"web/app1": "UP"})


def test_a_server_that_is_down_is_drained_at_once_with_a_session_that_it_still_has(
    balancer: haproxy.Balancer, wanted: WantedServers
) -> None:
    web = dataclasses.replace(wanted, servers=("web/app1",))
    with balancer.client(), balancer.client():
        balancer.apps[0].sick.set()
        wait_for(balancer, {"web/app1": "DOWN"})
        (row,) = drain(web, timeout=LONG, policy="fail")["servers"]
        assert (row["status"], row["sessions"]) == ("MAINT", 1)
    balancer.apps[0].sick.clear()
    undrain(web, timeout=LONG)


def test_the_maintenance_of_somebody_else_stays(balancer: haproxy.Balancer, wanted: WantedServers) -> None:
    balancer.say("set server web/app1 state maint")
    host = dataclasses.replace(wanted, servers=("web/app1", "plain/*"))

    told = drain(host, timeout=LONG, policy="fail")
    assert owners(told) == {"web/app1": "other", "plain/app1": "rollcall", "plain/app2": "other"}
    back = undrain(host, timeout=LONG)

    assert owners(back) == {"web/app1": "other", "plain/app1": None, "plain/app2": "other"}
    assert balancer.status("web/app1") == "MAINT"
    assert not drains.look(host)["drained"]["servers"]


def test_a_reload_that_forgets_the_drain_does_not_end_it(balancer: haproxy.Balancer, wanted: WantedServers) -> None:
    reloads = threading.Timer(0.4, balancer.reload)
    with balancer.client(), balancer.client():
        reloads.start()
        drain(wanted, timeout=LONG, policy="fail")
    reloads.join()
    assert {balancer.status(server).split()[0] for server in ALL} == {"MAINT"}

    balancer.reload()
    assert not undrain(wanted, timeout=LONG)["changed"]
    assert balancer.status("web/app1") == "UP"
    assert "L7OK" in balancer.say("show stat -1 4 -1").splitlines()[1]


def test_what_cannot_be_done_is_told_and_changes_nothing(balancer: haproxy.Balancer, wanted: WantedServers) -> None:
    unknown = dataclasses.replace(wanted, servers=("*/app1", "*/app9"), addresses=("192.0.2.1",))
    error = refused(lambda: drain(unknown, timeout=1, policy="fail"), drains.NO_SERVER)
    assert error.evidence["missing"] == ["*/app9", "192.0.2.1"]
    assert error.remedies == (cures.SERVER_NAMES,)
    here = dataclasses.replace(wanted, servers=(), addresses=("127.0.0.1",))
    assert len(drains.look(here)["servers"]) == 5

    balancer.apps[1].sick.set()
    wait_for(balancer, {"web/app2": "DOWN"})
    few = refused(lambda: drain(wanted, timeout=1, policy="fail", others_up=1), drains.TOO_FEW)
    assert "web: web/app2 is DOWN" in few.message
    assert few.remedies == (cures.OTHER_SERVERS,)
    balancer.apps[1].sick.clear()
    wait_for(balancer, {"web/app2": "UP"})
    web = dataclasses.replace(wanted, servers=("web/app1",))
    assert drain(web, timeout=LONG, policy="fail", others_up=1, dry_run=True)["changed"]

    operator = dataclasses.replace(web, balancers=(balancer.operator,))
    denied = refused(lambda: drain(operator, timeout=1, policy="fail"), codes.DENIED)
    assert denied.remedies == (cures.BALANCER_LEVEL,)
    assert denied.evidence["left_drained"] == []
    silent = dataclasses.replace(web, balancers=(f"{balancer.directory}/none.sock",))
    nobody = refused(lambda: drain(silent, timeout=1, policy="fail"), codes.SILENT)
    assert nobody.remedies == (cures.BALANCER_SOCKET,)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=_greet, args=(listener,), daemon=True).start()
        refused(lambda: drains.look(dataclasses.replace(web, balancers=(f"127.0.0.1:{port}",))), codes.GARBAGE)
    with pytest.raises(RollcallError, match="neither the path of a socket nor an address of this host"):
        drains.look(dataclasses.replace(web, balancers=("192.0.2.1:9999",)))
    Path(web.record).parent.mkdir(exist_ok=True)
    Path(web.record).write_text('{"servers": 7}', encoding="utf-8")
    with pytest.raises(RollcallError, match="cannot be read"):
        drain(web, timeout=1, policy="fail")
    Path(web.record).unlink()
    assert balancer.status("web/app1") == "UP"
    # By what the cures say: the right socket, here the one on a port, and names that there are.
    tcp = dataclasses.replace(web, balancers=(balancer.tcp,))
    assert drain(tcp, timeout=LONG, policy="fail")["changed"]
    assert undrain(tcp, timeout=LONG)["changed"]


def _is_closed(line: socket.socket) -> bool:
    line.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    try:
        return not line.recv(65_536)
    except ConnectionResetError:
        return True


def _greet(listener: socket.socket) -> None:
    for _each in range(2):
        line, _address = listener.accept()
        with line:
            line.recv(100)
            line.sendall(b"220 smtp.example.org\r\n")
