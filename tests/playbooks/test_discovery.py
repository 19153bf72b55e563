# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook discovery over a host with a stack and one that cannot be reached."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from tests.support.playbooks import PLAYBOOK
from tests.support.processes import free_port
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack

# Answers every GET on each of its ports.
TWO_PORTS = """\
import http.server, sys, threading


class Fine(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()


servers = [http.server.HTTPServer(("127.0.0.1", int(port)), Fine) for port in sys.argv[1:]]
for one in servers[1:]:
    threading.Thread(target=one.serve_forever, daemon=True).start()
servers[0].serve_forever()
"""
UNREACHABLE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}


def discover(place: Path, made: StackUnderTest, *arguments: str, **h2: t.Any) -> subprocess.CompletedProcess[str]:
    """Run the playbook over h1, which has the stack, and h2, which is reached as the variables say."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "rollcall_stack": made.raw}
    hosts = {"h1": {**local, "ansible_host": "10.0.0.1"}, "h2": {**local, "discovery_address": "10.0.0.2", **h2}}
    inventory = place / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    paths = [f"discovery_prometheus={place}/targets.json", f"discovery_consul={place}/consul.json"]
    options = [word for path in paths for word in ("-e", path)]
    command = [str(PLAYBOOK), "-i", str(inventory), "playbooks/discovery.yml", *options, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)


def test_what_hosts_have_is_written_for_others_and_a_lost_host_never_goes_in_silence(tmp_path: Path) -> None:
    ports = {"http": free_port(), "metrics": free_port()}
    targets, consul = tmp_path / "targets.json", tmp_path / "consul.json"
    script = tmp_path / "web.py"
    script.write_text(TWO_PORTS, encoding="utf-8")
    command = [sys.executable, str(script), *map(str, ports.values())]
    web = {"command": command, "ports": ports, "health": {"http": "/"}}
    with stack({"web": web, "db": {"port": free_port()}}) as made:
        assert made.perform()["ok"]
        before = made.pids()

        refused = discover(tmp_path, made, **UNREACHABLE)
        assert refused.returncode != 0
        assert "not known: h2: " in refused.stdout
        assert cures.KEEP_OR_DROP in " ".join(refused.stdout.split())
        assert (targets.exists(), consul.exists()) == (False, False)

        planned = discover(tmp_path, made, "--check", "--diff")
        assert planned.returncode == 0, planned.stdout
        assert f"10.0.0.2:{ports['metrics']}" in planned.stdout
        assert (targets.exists(), consul.exists()) == (False, False)

        # The two names are of one machine, and so have one file for Consul.
        assert discover(tmp_path, made, "-f", "1").returncode == 0
        found = json.loads(targets.read_text(encoding="utf-8"))
        assert [(one["labels"]["host"], one["targets"]) for one in found] == [
            ("h1", [f"10.0.0.1:{ports['metrics']}"]),
            ("h2", [f"10.0.0.2:{ports['metrics']}"]),
        ]
        services = json.loads(consul.read_text(encoding="utf-8"))["services"]
        assert [service["name"] for service in services] == ["test-web", "test-web-metrics", "test-db"]
        assert services[0]["checks"][0]["http"] == f"http://127.0.0.1:{ports['http']}/"

        # As the refusal says.
        kept = discover(tmp_path, made, "-e", "discovery_lost=keep", "--limit", "h2", **UNREACHABLE)
        assert kept.returncode == 0, kept.stdout
        assert json.loads(targets.read_text(encoding="utf-8")) == found
        # One that takes the connection and says nothing is not reached either, and the others are written.
        with socket.create_server(("127.0.0.1", 0)) as silent:
            frozen = {**UNREACHABLE, "ansible_port": silent.getsockname()[1]}
            # Without a longer timeout ssh would give up by itself before.
            options = ["-e", "discovery_lost=drop", "-e", "discovery_ports=all", "-e", "rollout_patience=20"]
            dropped = discover(tmp_path, made, *options, "--timeout", "100", **frozen)
        assert dropped.returncode == 0, dropped.stdout
        assert "not known: h2: it has not answered within 20 seconds" in dropped.stdout
        left = json.loads(targets.read_text(encoding="utf-8"))
        assert {one["labels"]["host"] for one in left} == {"h1"}
        assert len(left) == 3
        assert made.pids() == before
