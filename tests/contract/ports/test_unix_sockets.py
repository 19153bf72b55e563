# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that listens on a unix socket: proved by who holds it, cleared where it is left over, else refused."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.socket_owners import EVERY, ONE
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports.unix_sockets import look_at_sockets
from tests.support.commands import rollcall
from tests.support.processes import eventually, is_alive
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

# Answers over HTTP on the unix socket that its argument names. It refuses to start where one is left over.
SERVES = """
import http.server, os, socketserver, sys
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(self.headers["Host"].encode())
    def log_message(self, *args): pass
    def address_string(self): return ""
Server(sys.argv[1], Handler).serve_forever()
"""


@pytest.fixture(name="made")
def a_stack() -> t.Iterator[StackUnderTest]:
    service = {
        "command": [sys.executable, "serve.py", "{socket}"],
        "socket": "run/web.sock",
        "health": {"http": "/", "body": "localhost"},
        "ready_timeout": 60,
        "stop": {"timeout": 10},
        "stable_for": 0.2,
    }
    with stack({"web": service}) as made:
        Path(made.root, "serve.py").write_text(SERVES, encoding="utf-8")
        made.raw["services"]["client"] = {"depends_on": {"web": "healthy"}, "env": {"WEB": "{socket:web}"}}
        made.raw["services"]["client"]["stable_for"] = 0.2
        yield made


def at(made: StackUnderTest) -> str:
    return f"{made.root}/run/web.sock"


@contextlib.contextmanager
def listening(path: str) -> t.Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)
        one.listen()
        yield one


def leave_socket(path: str) -> None:
    with listening(path):
        pass


def refused(made: StackUnderTest, mode: str = "auto") -> RollcallError:
    with pytest.raises(RollcallError) as error:
        made.perform(mode)
    assert error.value.kind == "refused"
    assert "Nothing was stopped or changed" in error.value.message
    return error.value


def test_a_socket_is_proved_told_and_cleared_when_it_is_left_over(made: StackUnderTest) -> None:
    report = made.perform()
    assert report["ok"], failed_checks(report)
    web = made.pids()["web"]
    row = report["services"][0]
    assert (row["port"], row["socket"], row["listener_pid"], row["provenance"]) == (None, at(made), web, "supervised")
    assert check_of(report, "socket", "web")["evidence"] == f"socket {at(made)} is its own"
    assert check_of(report, "health", "web")["evidence"].startswith("200")
    environment = Path(f"/proc/{made.pids()['client']}/environ").read_text(encoding="utf-8")
    assert f"WEB={at(made)}\0" in environment
    assert "web.sock" in rollcall(made, "status").out
    assert at(made) in rollcall(made, "ports", "show-config").out
    assert "web.sock" in rollcall(made, "ports", "list").out
    assert not made.perform()["changed"], "a second run changes nothing"

    # The server leaves its socket when it ends, and refuses to start while it is there.
    report = made.perform("full")
    assert report["ok"], failed_checks(report)
    assert made.pids()["web"] != web

    # Killed with all of its stack: the next run says what it removes.
    made.kill_daemon()
    web = report["services"][0]["pid"]
    os.kill(web, signal.SIGKILL)
    assert eventually(lambda: not made.daemons() and not is_alive(web))
    report = made.perform()
    assert report["ok"], failed_checks(report)
    removed = [action for action in report["actions"] if action["action"] == "remove"]
    assert [action["subject"] for action in removed] == [at(made)]

    # Who deletes its file cuts it off, whatever it still listens on; a start mends that.
    os.unlink(at(made))
    look = made.status()
    assert check_of(look, "socket", "web")["code"] == "free"
    assert "its file was removed" in check_of(look, "socket", "web")["evidence"]
    assert rollcall(made, "doctor").code != 0
    drifted = json.loads(rollcall(made, "manifest", "drift", "--json").out)
    assert [code for row in drifted["services"] for code in row["codes"]] == ["socket"]
    report = made.perform()
    assert report["ok"], failed_checks(report)

    # Another program with the socket of the service: no run ends it, and status names it.
    os.unlink(at(made))
    with listening(at(made)):
        proof = check_of(made.status(), "socket", "web")
        assert (proof["code"], proof["data"]["pid"], proof["data"]["provenance"]) == ("taken", os.getpid(), "foreign")
        assert f"pid {os.getpid()}" in refused(made).message
        assert "socket_held" in rollcall(made, "doctor", "--json").out


def test_what_no_run_removes_is_refused_before_anything_is_stopped(made: StackUnderTest, tmp_path: Path) -> None:
    made.raw["services"] = {"client": {"stable_for": 0.2}, "web": made.raw["services"]["web"]}
    path = at(made)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_text("mine", encoding="utf-8")
    error = refused(made)
    assert "is a regular file" in error.message
    assert error.remedies[0] == f"mv -T {path} {path}.saved"
    assert Path(path).read_text(encoding="utf-8") == "mine"
    os.unlink(path)
    made.raw["services"]["web"]["socket"] = "/etc/passwd"
    assert refused(made).remedies[0] == cures.correct("the manifest: give web another socket")
    made.raw["services"]["web"]["socket"] = "run/web.sock"

    elsewhere = str(tmp_path / "web.sock")
    leave_socket(elsewhere)
    os.symlink(elsewhere, path)
    assert "is a link" in refused(made).message
    os.unlink(path)
    os.symlink(tmp_path, f"{made.root}/lead")
    made.raw["services"]["web"]["socket"] = "lead/web.sock"
    error = refused(made)
    assert "a link leads to" in error.message
    assert os.path.exists(elsewhere)
    assert error.remedies[0] == f"rm {made.root}/lead/web.sock"
    # What is told is what does it.
    subprocess.run(["sh", "-c", error.remedies[0]], check=True)
    made.raw["services"]["web"]["socket"] = "run/web.sock"
    report = made.perform()
    assert report["ok"], failed_checks(report)

    # Its socket goes to another service, which starts when the first is down.
    pid = made.pids()["client"]
    made.raw["services"]["other"] = made.raw["services"].pop("web")
    report = made.perform()
    assert report["ok"], failed_checks(report)
    assert made.pids()["client"] == pid

    # A service that listens on the socket of another one of the stack is told by its name.
    command = [sys.executable, "serve.py", "{socket:late}"]
    made.raw["services"]["thief"] = {"command": command}
    made.raw["services"]["late"] = {"command": ["sleep", "600"], "socket": "run/late.sock", "ready_timeout": 10}
    report = made.perform()
    assert not report["ok"]
    assert "is listened to by service thief (pid" in check_of(report, "socket", "late")["evidence"]
    assert check_of(report, "socket", "late")["next"] == cures.correct("the manifest: give late another socket")
    assert "is listened to by service thief (pid" in check_of(report, "running", "late")["evidence"]


# Binds to the first path, and renames that to the second one.
LISTENS = """
import os, socket, sys
with socket.socket(socket.AF_UNIX) as one:
    one.bind(sys.argv[1]); one.listen(); os.rename(*sys.argv[1:]); print(flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def program_that_listens(bound: Path, path: Path, *before: str) -> t.Iterator[int]:
    command = [*before, sys.executable, "-c", LISTENS, str(bound), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        program.stdout.readline()
        yield program.pid
        program.communicate()


@pytest.mark.parametrize(
    ("name", "before"),
    [("other.sock", ()), ("run/web.sock", ("unshare", "-n"))],
    ids=["bound to another path", "in another network namespace"],
)
def test_who_takes_the_place_of_a_services_socket_is_not_the_service(
    name: str, before: t.Sequence[str], tmp_path: Path
) -> None:
    if before and os.geteuid():
        pytest.skip("only root makes a network namespace")
    path = tmp_path / "run" / "web.sock"
    path.parent.mkdir()
    services = {"web": {"command": ["web"], "socket": "run/web.sock"}}
    shop = check_manifest({"stack": {"name": "shop", "root": str(tmp_path), "services": services}}).stack
    assert shop is not None
    web = shop.service("web")
    with program_that_listens(path, path) as pid:
        assert not look_at_sockets(shop, [web], {pid: "web"})[str(path)].why_not(web)
        if before:
            path.unlink()
        with program_that_listens(tmp_path / name, path, *before) as stranger:
            for sharing in (EVERY, ONE):
                why = look_at_sockets(shop, [web], {pid: "web"}, sharing=sharing)[str(path)].why_not(web)
                assert f"is listened to by pid {stranger} " in why
