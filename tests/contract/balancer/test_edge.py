# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HAProxy is brought to its configuration while users ask: none of them has no answer."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer import edge
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.drain import SESSIONS, drain, wanted_servers
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.edge import EdgePlace, converge
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.haproxy import ServerKey
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.published import (
    FIRST_LINE,
    EdgeCheck,
    EdgeConfig,
    EdgeServer,
    EdgeService,
    config_text,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.record import DrainRecord, write_drained
from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from tests.support import haproxy
from tests.support.askers import Asker
from tests.support.processes import eventually, free_port

LONG = 60.0


class Edge:
    """A HAProxy in a directory of its own, and the servers that it may have."""

    def __init__(self, directory: str) -> None:
        self.config, self.pid = f"{directory}/haproxy.cfg", f"{directory}/pid"
        self.socket = f"{directory}/admin.sock"
        self.apps = [haproxy.App() for _each in range(4)]
        self.port = free_port()
        self.place = EdgePlace(
            config=self.config,
            program=haproxy.PROGRAM,
            reload=haproxy.reloading(self.pid, self.config),
            replace=False,
            timeout=LONG,
            drain_timeout=LONG,
            policy="fail",
            records=f"{directory}/drained",
        )

    def wanted(self, **apps: int) -> EdgeConfig:
        """Return what is wanted: by the server's name, the number of the app."""
        servers = tuple(EdgeServer(name, "127.0.0.1", self.apps[app].port) for name, app in apps.items())
        service = EdgeService(
            "web",
            (f"127.0.0.1:{self.port}",),
            checks=(EdgeCheck(http=True, path="/health"),),
            interval=0.2,
            servers=servers,
        )
        return EdgeConfig((service,), self.socket, f"{self.config}.states")

    def status(self, server: str) -> str:
        return haproxy.statuses(self.socket)[f"web/{server}"]

    def process(self) -> str:
        return haproxy.say(self.socket, "show info").partition("Pid: ")[2].split()[0]

    def stop(self) -> None:
        haproxy.end(self.pid, self.socket)
        for app in self.apps:
            app.stop()


@pytest.fixture
def here() -> t.Iterator[Edge]:
    directory = tempfile.mkdtemp(prefix="edge-")
    made = Edge(directory)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory)


def up(edge_: Edge, *servers: str) -> bool:
    return eventually(lambda: all(edge_.status(server) == "UP" for server in servers), LONG)


def test_servers_come_move_and_go_and_what_is_drained_stays_so_while_users_ask(here: Edge) -> None:
    two = here.wanted(app1=0, **{"app2:1": 1})
    planned = converge(two, here.place, dry_run=True)
    assert planned["changed"]
    assert not Path(here.config).exists()

    started = converge(two, here.place)

    assert (started["reloaded"], len(started["servers"])) == (True, 2)
    assert Path(here.config).stat().st_mode & 0o777 == edge.MODE
    assert up(here, "app1", "app2:1")
    assert not converge(two, here.place)["changed"]
    process = here.process()
    # As the role drain means it: the servers of a host, by its name.
    drained = {"host": "app2", "sockets": [here.socket], "servers": [], "addresses": []}
    mine = wanted_servers({**drained, "record_directory": here.place.records}, "run 7")
    with Asker([here.port, here.port], "/") as asker:
        drain(mine, timeout=LONG, policy="fail")

        # One comes, one that is in use and one that is drained are elsewhere.
        three = here.wanted(app1=3, **{"app2:1": 0}, app3=2)
        assert [row["change"] for row in converge(three, here.place, dry_run=True)["servers"]] == [
            "added",
            "moved",
            "moved",
        ]
        changed = converge(three, here.place)

        assert (changed["changed"], changed["reloaded"]) == (True, False)
        assert here.process() == process
        assert up(here, "app1", "app3")
        assert here.status("app2:1") == "MAINT"
        assert eventually(lambda: min(here.apps[3].requests, here.apps[2].requests) > 0, LONG)
        assert not converge(three, here.place)["changed"]
        # The file is what a restart would read.
        assert Path(here.config).read_text(encoding="utf-8") == config_text(three)

        quiet = here.apps[0].requests
        # A new port for users needs a reload; the server that comes with it is sick.
        here.apps[1].sick.set()
        more = here.wanted(app1=3, **{"app2:1": 0}, app3=2, app4=1)
        new = f"127.0.0.1:{free_port()}"
        wider = dataclasses.replace(
            more, services=(dataclasses.replace(more.services[0], bind=(*more.services[0].bind, new)),)
        )
        before = here.apps[1].requests
        reloaded = converge(wider, here.place)

        assert reloaded["reloaded"]
        assert here.process() != process
        assert (here.status("app2:1"), here.status("app4")) == ("MAINT", "DOWN")
        assert here.apps[1].requests == before
        here.apps[1].sick.clear()
        assert up(here, "app1", "app3", "app4")
        # Who reloads it later does not have the drain of now.
        assert Path(wider.states).read_text(encoding="utf-8") == "1\n"

        assert here.apps[0].requests == quiet
        # Hosts that are no longer there go: one in use, and the one that is drained.
        fewer = dataclasses.replace(
            wider, services=(dataclasses.replace(wider.services[0], servers=wider.services[0].servers[2:]),)
        )
        gone = converge(fewer, here.place)
        assert [row["change"] for row in gone["servers"]] == ["removed", "removed"]
        assert set(haproxy.statuses(here.socket)) >= {"web/app3", "web/app4"}
        assert not {"web/app1", "web/app2:1"} & set(haproxy.statuses(here.socket))
        assert not converge(fewer, here.place)["changed"]

        # A run that was killed while it took a server out, and then that is wanted again.
        app4 = ServerKey(here.socket, "web", "app4")
        record = f"{here.place.records}/edge:removed.json"
        write_drained(record, DrainRecord("edge", 1.0, frozenset([app4])))
        haproxy.say(here.socket, "set server web/app4 state maint")
        assert [row["change"] for row in converge(fewer, here.place)["servers"]] == ["returned"]
        assert up(here, "app4")
    assert asker.asked > 100
    assert (asker.missed, asker.failed) == (0, 0)
    assert os.listdir(here.place.records) == ["app2.json"]


def test_what_cannot_be_is_refused_and_what_ran_before_runs_on(here: Edge) -> None:
    Path(here.config).write_text("global\n", encoding="utf-8")
    # Where each connection is a session, for as long as it is open.
    wanted = but(here.wanted(app1=0, app2=1), mode="tcp")
    service = wanted.services[0]
    assert refused(lambda: converge(wanted, here.place), edge.FOREIGN).remedies == (cures.REPLACE_CONFIG,)
    converge(wanted, dataclasses.replace(here.place, replace=True))
    assert up(here, "app1", "app2")
    text = Path(here.config).read_text(encoding="utf-8")

    missing = but(wanted, certificate="/nowhere/site.pem")
    rejected = refused(lambda: converge(missing, here.place, dry_run=True), edge.REJECTED)
    assert "/nowhere/site.pem" in rejected.message
    assert rejected.remedies == (cures.CONFIG_OF_BALANCER,)
    refused(lambda: converge(missing, here.place), edge.REJECTED)
    nameless = but(wanted, servers=(EdgeServer("app9", "no-host.invalid", 80),))
    assert "no-host.invalid: has no address" in refused(lambda: converge(nameless, here.place), edge.WRONG).message
    # A port that somebody has: HAProxy finds the file right, and cannot load it.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        clash = but(wanted, bind=(*service.bind, f"127.0.0.1:{taken.getsockname()[1]}"))
        short = dataclasses.replace(here.place, timeout=2.5)
        assert refused(lambda: converge(clash, short), edge.NOT_LOADED).remedies == (cures.BALANCER_LOG,)
    assert Path(here.config).read_text(encoding="utf-8") == text
    assert text.startswith(FIRST_LINE)
    # By what the cure says: nobody has it any more.
    assert converge(clash, here.place)["reloaded"]
    assert up(here, "app1", "app2")

    # Sessions of a server that is to go keep it, and it is in use as before.
    fewer = but(clash, servers=service.servers[1:])
    with contextlib.ExitStack() as clients:
        for _each in range(2):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", here.port)))
            client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        impatient = dataclasses.replace(here.place, drain_timeout=0.2)
        assert refused(lambda: converge(fewer, impatient), SESSIONS).remedies == (cures.FORCE_REMOVAL,)
        assert here.status("app1") == "UP"
        assert converge(fewer, dataclasses.replace(impatient, policy="force"))["changed"]
    assert "web/app1" not in haproxy.statuses(here.socket)
    assert not os.listdir(here.place.records)


def but(wanted: EdgeConfig, **keys: t.Any) -> EdgeConfig:
    return dataclasses.replace(wanted, services=(dataclasses.replace(wanted.services[0], **keys),))


def refused(call: t.Callable[[], t.Any], code: str) -> RollcallError:
    with pytest.raises(RollcallError) as caught:
        call()
    assert caught.value.evidence["code"] == code, caught.value
    return caught.value
