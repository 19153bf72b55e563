# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role drain over real balancers and an application's own ways, judged by a client outside."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import typing as t
from pathlib import Path

import pytest

from tests.support import haproxy
from tests.support.playbooks import BOUND, PLAYBOOK
from tests.support.processes import eventually, free_port
from tests.support.repository import ROOT

BACKENDS = """backend web
  option httpchk GET /health
  default-server inter 100 rise 2 fall 1
  server app1 127.0.0.1:{port1} check
  server app2 127.0.0.1:{port2} check
"""
# A Python with nothing installed for it, as on a balancer.
PLAIN = "/usr/bin/python3"


def step(name: str, role_step: str, **variables: t.Any) -> list[dict[str, t.Any]]:
    """Return tasks that drain, or bring back, and say before that they begin."""
    role: dict[str, t.Any] = {"name": "rollcall.supervisor.drain"}
    role.update({"tasks_from": "undrain"} if role_step == "undrain" else {})
    return [
        {"ansible.builtin.debug": {"msg": f"STEP {name}"}},
        {"ansible.builtin.include_role": role, "vars": variables},
    ]


def play(directory: Path, tasks: list[dict[str, t.Any]], **variables: t.Any) -> tuple[int, dict[str, int], str]:
    """Run tasks for the host app1; return the exit code, how many tasks of each step changed something, and all."""
    known = {"ansible_connection": "local", "ansible_python_interpreter": PLAIN}
    hosts = {"app1": {**known, **variables}, "lb1": known}
    (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    playbook = [{"hosts": "app1", "gather_facts": False, "tasks": tasks}]
    (directory / "play.yml").write_text(json.dumps(playbook), encoding="utf-8")
    done = subprocess.run(
        [str(PLAYBOOK), "-i", str(directory / "hosts.json"), str(directory / "play.yml")],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * BOUND,
    )
    steps = re.split(r'msg"?: "?STEP ([^"\n]*)"?', done.stdout.partition("PLAY RECAP")[0])[1:]
    changed = {name: len(re.findall(r"^changed: ", text, re.MULTILINE)) for name, text in zip(steps[::2], steps[1::2])}
    return done.returncode, changed, done.stdout + done.stderr


@contextlib.contextmanager
def load(port: int) -> t.Iterator[list[int]]:
    """Send requests one after the other meanwhile, and yield the statuses that they had, 0 for none."""
    seen: list[int] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.wait(0.02):
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
                    line.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    seen.append(int(line.recv(4096).split()[1]))
            except (OSError, IndexError):
                seen.append(0)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def test_haproxy_drains_and_brings_back_under_load_from_a_plain_python(tmp_path: Path) -> None:
    there = {"drain_haproxy_sockets": [], "rollout_drain": "haproxy", "rollout_balancers": ["lb1"], "rollout_id": "r1"}
    record = tmp_path / "drained"
    with haproxy.running(BACKENDS, mode="http") as balancer:
        assert eventually(lambda: {balancer.status(f"web/app{n}") for n in (1, 2)} == {"UP"}, haproxy.BOUND)
        there["drain_haproxy_sockets"] = [balancer.socket]
        look = {
            "rollcall.supervisor.haproxy_server_info": {
                "host": "app1",
                "sockets": [balancer.socket],
                "record_directory": str(record),
            },
            "register": "seen",
        }
        there["drain_record_directory"] = str(record)
        tasks = [
            *step("drain", "drain"),
            look,
            {"ansible.builtin.assert": {"that": "seen.servers[0].status == 'MAINT' and seen.drained.by == 'r1'"}},
            *step("drain again", "drain"),
            *step("undrain", "undrain"),
            *step("undrain again", "undrain"),
        ]
        with load(balancer.port) as statuses:
            code, changed, told = play(tmp_path, tasks, **there)
        assert code == 0, told
        assert changed == {"drain": 1, "drain again": 0, "undrain": 1, "undrain again": 0}
        assert set(statuses) == {200}
        assert balancer.status("web/app1") == "UP"
        # One that cannot be drained is brought back, and the reason is told.
        code, _changed, told = play(tmp_path, step("few", "drain", drain_haproxy_others_up=5), **there)
        assert code == 2
        assert "Fewer than 5 other servers would be up in web" in told
        assert "app1 was not drained, and gets requests as before" in told
        code, _changed, told = play(tmp_path, step("what", "drain"), rollout_drain="by hand")
        assert code == 2
        assert "app1 cannot be drained by 'by hand': this is none of haproxy, nginx" in told


@contextlib.contextmanager
def nginx(directory: Path, servers: str) -> t.Iterator[dict[str, t.Any]]:
    """Run nginx in a directory; yield the role's variables for it."""
    port = free_port()
    (directory / "upstream.conf").write_text(f"upstream web {{\n{servers}}}\n", encoding="utf-8")
    paths = " ".join(f"{name}_temp_path t;" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (directory / "nginx.conf").write_text(
        f"pid {directory}/nginx.pid; error_log {directory}/error.log; daemon off; user root;\n"
        f"events {{ }}\nhttp {{ access_log off; {paths} include {directory}/upstream.conf;\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://web; }} }} }}\n",
        encoding="utf-8",
    )
    command = ["/usr/sbin/nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        assert eventually((directory / "nginx.pid").exists, haproxy.BOUND)
        yield {
            "rollout_drain": "nginx",
            "rollout_balancers": ["lb1"],
            "drain_nginx_file": str(directory / "upstream.conf"),
            "drain_nginx_test": [*command, "-t"],
            "drain_nginx_reload": [*command, "-s", "reload"],
            "drain_nginx_pid_file": str(directory / "nginx.pid"),
            "port": port,
        }
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(haproxy.BOUND)


def test_nginx_is_told_by_its_upstream_file_and_what_it_refuses_is_taken_back(tmp_path: Path) -> None:
    apps = [haproxy.App(), haproxy.App()]
    mine, other = (f"127.0.0.1:{app.port}" for app in apps)
    before = f"  server {mine} max_fails=0; # rack 1\n  server {other};\n  server 127.0.0.1:9 down; # by hand\n"
    with nginx(tmp_path, before) as known:
        port, upstream = known.pop("port"), tmp_path / "upstream.conf"
        known["drain_nginx_servers"] = [mine]
        asked = {"ansible.builtin.command": f"cp {upstream} {tmp_path}/while", "changed_when": False}
        tasks = [
            *step("drain", "drain"),
            asked,
            *step("drain again", "drain"),
            *step("undrain", "undrain"),
            *step("undrain again", "undrain"),
        ]
        with load(port) as statuses:
            code, changed, told = play(tmp_path, tasks, **known)
        assert code == 0, told
        assert [changed[name] > 0 for name in ("drain", "drain again", "undrain", "undrain again")] == [
            True,
            False,
            True,
            False,
        ]
        assert set(statuses) == {200}
        drained = (tmp_path / "while").read_text(encoding="utf-8")
        assert f"  server {mine} max_fails=0 down; # rack 1 # drained by Rollcall\n  server {other};\n" in drained
        assert upstream.read_text(encoding="utf-8") == f"upstream web {{\n{before}}}\n"

        # Somebody else's error, which nginx would refuse.
        with upstream.open("a", encoding="utf-8") as stream:
            stream.write("nonsense;\n")
        broken = upstream.read_text(encoding="utf-8")
        code, _changed, told = play(tmp_path, step("broken", "drain"), **known)
        assert code == 2
        assert "refuses its configuration" in told
        assert 'unknown directive "nonsense"' in told
        assert upstream.read_text(encoding="utf-8") == broken
        code, _changed, told = play(
            tmp_path, step("missing", "drain"), **{**known, "drain_nginx_servers": ["127.0.0.1:1", mine]}
        )
        assert code == 2
        assert "has no line for the server 127.0.0.1:1. Nothing was changed." in told
    for app in apps:
        app.stop()


@pytest.mark.long
def test_what_nginx_still_serves_at_the_deadline_is_ended_by_the_policy_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        with nginx(tmp_path, f"  server {server};\n  server 127.0.0.1:9;\n") as known:
            port, upstream = known.pop("port"), tmp_path / "upstream.conf"
            known.update(drain_nginx_servers=[server], rollout_drain_timeout=0.5)
            before = upstream.read_text(encoding="utf-8")
            with socket.create_connection(("127.0.0.1", port), timeout=haproxy.BOUND) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                held, _address = silent.accept()
                code, _changed, told = play(tmp_path, step("fail", "drain"), **known)
                assert code == 2
                assert "Requests are left on lb1 after 0.5 s" in told
                assert upstream.read_text(encoding="utf-8") == before
                code, _changed, told = play(tmp_path, step("force", "drain", drain_policy="force"), **known)
                assert code == 0, told
                assert " down; # drained by Rollcall\n" in upstream.read_text(encoding="utf-8")
                assert not client.recv(4096).startswith(b"HTTP/1.1 200")
                held.close()


class Switch(http.server.BaseHTTPRequestHandler):
    """An application that takes itself out when it is told to."""

    out: t.ClassVar[list[bool]] = [False]
    tokens: t.ClassVar[list[str]] = []

    def do_POST(self) -> None:
        wanted = self.path == "/drain"
        self.tokens.extend(self.headers.get_all("Authorization", []))
        self.send_response(204 if self.out[0] == wanted else 200)
        self.end_headers()
        self.out[0] = wanted

    def log_message(self, *_words: t.Any) -> None:
        pass


SQLITE = "import sqlite3, sys; base = sqlite3.connect(sys.argv[1]); rows = base.execute(sys.stdin.read()).fetchall()"
SQLITE += "; base.commit(); [print(*row) for row in rows]"


def test_the_applications_own_ways_each_drain_and_bring_back(tmp_path: Path) -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), Switch)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    base = tmp_path / "base"
    with contextlib.closing(sqlite3.connect(base)) as made:
        made.executescript("CREATE TABLE hosts (name TEXT, out INT); INSERT INTO hosts VALUES ('app1', 0)")
    own = tmp_path / "own.yml"
    task = {"ansible.builtin.copy": {"content": "{{ drain_state }} {{ drain_host }}\n", "dest": f"{tmp_path}/own"}}
    own.write_text(json.dumps([task]), encoding="utf-8")
    update = "UPDATE hosts SET out = {0} WHERE name = '{{{{ drain_host }}}}' AND out <> {0} RETURNING name"
    variables = {
        "drain_file": f"{tmp_path}/maintenance",
        "drain_http_drained": {"url": f"{url}/drain", "headers": {"Authorization": "Bearer planted-token"}},
        "drain_http_ready": {"url": f"{url}/ready"},
        "drain_sql_command": [PLAIN, "-c", SQLITE, str(base)],
        "drain_sql_drained": update.format(1),
        "drain_sql_ready": update.format(0),
    }
    steps = [("drain", "drain"), ("drain again", "drain"), ("undrain", "undrain"), ("undrain again", "undrain")]
    ways = ["file", "http", "sql"]
    tasks = [task for way in ways for name, kind in steps for task in step(f"{way} {name}", kind, drain_by=way)]
    tasks += [*step("own drain", "drain", drain_by=str(own)), *step("own undrain", "undrain", drain_by=str(own))]
    tasks += step("none", "drain", drain_by="none")

    code, changed, told = play(tmp_path, tasks, **variables)

    assert code == 0, told
    assert Switch.tokens == ["Bearer planted-token"] * 2
    assert "planted-token" not in told
    for way in ways:
        assert [changed[f"{way} {name}"] for name, _kind in steps] == [1, 0, 1, 0], told
    assert (changed["own drain"], changed["own undrain"], changed["none"]) == (1, 1, 0)
    assert own.with_suffix("").read_text(encoding="utf-8") == "ready app1\n"
    # What somebody else has put there stays, and what does not come in time is told.
    (tmp_path / "maintenance").write_text("by hand\n", encoding="utf-8")
    waits = step("others", "undrain", drain_by="file")
    waits += step("waits", "drain", drain_by="file", drain_until_drained=["false"], drain_timeout=0.3)
    code, changed, told = play(tmp_path, waits, **variables)
    assert code == 2
    assert changed["others"] == 0
    assert "After 0.3 s 'false' on app1 does not end with 0" in told
    assert (tmp_path / "maintenance").read_text(encoding="utf-8") == "by hand\n"
    forced = step("forced", "drain", drain_by="file", drain_until_drained=["false"], drain_timeout=0.3)
    code, _changed, told = play(tmp_path, forced, **variables, drain_policy="force")
    assert code == 0, told
    server.shutdown()
    server.server_close()
