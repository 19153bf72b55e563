# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook edge publishes what the hosts run, on the ports that they have, by a HAProxy with users."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import typing as t
import urllib.request
from pathlib import Path

import pytest

from tests.support import haproxy
from tests.support.playbooks import BOUND, PLAYBOOK
from tests.support.processes import eventually, free_port
from tests.support.repository import ROOT

# A Python with nothing installed for it, as on a balancer.
PLAIN = "/usr/bin/python3"
SECRET = "user admin password s3cret-of-stats"


class Fleet:
    """Two hosts of an application and a balancer, all of them this machine."""

    def __init__(self, directory: str) -> None:
        self.directory, self.port = directory, free_port()
        self.apps = [haproxy.App(), haproxy.App()]
        self.config, self.pid, self.socket = (f"{directory}/{name}" for name in ("haproxy.cfg", "pid", "admin.sock"))
        first, second = self.apps[0].port, self.apps[1].port
        self.hosts = {"app1": self._host("app1", first), "app2": self._host("app2", first, second)}
        # That host has got the other port.
        Path(directory, "app2").mkdir()
        registry = {"rollcall": 1, "services": {"web": {"port": second}}}
        Path(directory, "app2", "ports.json").write_text(json.dumps(registry), encoding="utf-8")
        self.balancer = {
            "edge_services": {"web": {"bind": f"127.0.0.1:{self.port}", "interval": 0.2}},
            "edge_extra": f"# {SECRET}\n",
            "edge_reload": list(haproxy.reloading(self.pid, self.config)),
            **{"edge_path": self.config, "edge_socket": self.socket, "edge_states": f"{directory}/states"},
            **{"edge_program": haproxy.PROGRAM, "edge_record_directory": f"{directory}/drained"},
            **dict.fromkeys(("edge_package", "edge_service", "edge_user", "edge_group", "edge_chroot", "edge_log"), ""),
        }

    def _host(self, name: str, port: int, *fallbacks: int) -> dict[str, t.Any]:
        service = {
            "command": ["/bin/true"],
            "port": port,
            "fallback_ports": list(fallbacks),
            "health": {"http": "/health"},
        }
        also = [port, *fallbacks]
        stack = {
            "name": "shop",
            "root": f"{self.directory}/{name}",
            "ports": {"also": also},
            "services": {"web": service},
        }
        return {"rollcall_stack": stack, "edge_address": "localhost"}

    def play(self, *arguments: str) -> tuple[int, int, str]:
        """Run the playbook; return its exit code, how many tasks have changed something, and all that was said."""
        known = {"ansible_connection": "local", "ansible_python_interpreter": PLAIN}
        groups = {
            "app": {"hosts": {name: {**known, **host} for name, host in self.hosts.items()}},
            "rollcall_edge": {"hosts": {"lb1": {**known, **self.balancer}}},
        }
        inventory = Path(self.directory, "hosts.json")
        inventory.write_text(json.dumps({"all": {"children": groups}}), encoding="utf-8")
        done = subprocess.run(
            [str(PLAYBOOK), "-i", str(inventory), "playbooks/edge.yml", *arguments],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=BOUND,
        )
        said = done.stdout + done.stderr
        return done.returncode, len(re.findall(r"^changed: ", said, re.MULTILINE)), said

    def stop(self) -> None:
        haproxy.end(self.pid, self.socket)
        for app in self.apps:
            app.stop()


@pytest.fixture
def fleet() -> t.Iterator[Fleet]:
    directory = tempfile.mkdtemp(prefix="edge-")
    made = Fleet(directory)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory)


def test_what_the_hosts_run_is_published_and_what_is_wrong_is_told_before_anything_is_changed(fleet: Fleet) -> None:
    services = fleet.balancer["edge_services"]
    fleet.balancer["edge_services"] = {"web": {"bind": "80"}, "shop": {"bind": "*:80"}}
    code, changed, said = fleet.play()
    assert (code, changed) == (2, 0)
    assert "edge_services.shop: runs on no host" in said
    assert "web.bind: '80' is no address with a port" in said
    fleet.balancer["edge_services"] = services

    code, changed, said = fleet.play("--check", "--diff")
    assert (code, changed) == (0, 1), said
    assert f"+  server app2 127.0.0.1:{fleet.apps[1].port} weight 100" in said
    assert SECRET not in said
    assert not Path(fleet.config).exists()

    assert fleet.play()[:2] == (0, 1)
    states = {"web/app1": "UP", "web/app2": "UP"}
    assert eventually(lambda: states.items() <= haproxy.statuses(fleet.socket).items(), BOUND)
    for _each in range(4):
        with urllib.request.urlopen(f"http://127.0.0.1:{fleet.port}/", timeout=BOUND) as answer:
            assert answer.status == 200
    assert [app.requests for app in fleet.apps] == [2, 2]

    code, changed, said = fleet.play()
    assert (code, changed) == (0, 0), said
    # A host that was not asked is not one that is gone.
    code, changed, said = fleet.play("--limit", "lb1")
    assert (code, changed) == (2, 0)
    assert "app1: nobody knows what it runs" in said
    del fleet.hosts["app1"]
    assert fleet.play()[:2] == (0, 1)
    assert "web/app1" not in haproxy.statuses(fleet.socket)
