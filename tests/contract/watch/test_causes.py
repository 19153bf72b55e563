# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A watcher beside a real PostgreSQL that goes away: one incident, one alert, one recovery, whoever suffers."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

from tests.contract.cli.test_foreground import state_of
from tests.contract.watch.test_watch import WATCH, watching
from tests.support import postgresql
from tests.support.commands import rollcall
from tests.support.processes import eventually, free_port
from tests.support.receivers import HttpReceiver
from tests.support.stacks import StackUnderTest, failed_checks, stack

# Seconds for whatever has to come, on a machine with much to do.
BOUND = 120
DATABASE = "database:postgresql of api"
# Answers on PORT: 200 while its database takes connections, else 503. Without a PORT it ends when that takes none.
NEEDY = """
import os, socket, time
from http.server import BaseHTTPRequestHandler, HTTPServer

def is_there():
    with socket.socket() as line:
        line.settimeout(20)
        return line.connect_ex(("127.0.0.1", int(os.environ["DATABASE_URL"].rpartition(":")[2].partition("/")[0]))) == 0

class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if is_there() else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

if "PORT" in os.environ:
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Health).serve_forever()
while is_there():
    time.sleep(0.1)
raise SystemExit(1)
"""


@contextlib.contextmanager
def needy(receiver: HttpReceiver, server: postgresql.Cluster) -> t.Iterator[StackUnderTest]:
    """A stack whose services need a database: one ends without it, two say that they are ill, one hangs on these."""
    url = f"postgresql://{postgresql.ADMIN}@127.0.0.1:{server.port}/postgres"
    watch = {
        **WATCH,
        "degraded_after": 2,
        "restart": True,
        "alerts": [{"kind": "webhook", "url": receiver.url}],
    }
    checks = {"database": {"postgresql": {"service": "api", "timeout": 20}}}
    with stack({}, watch=watch, checks=checks) as made:
        program = Path(made.root, "needy.py")
        program.write_text(NEEDY, encoding="utf-8")
        shared: t.Any = {"command": [made.program, str(program)], "env": {"DATABASE_URL": url}, "stable_for": 0.1}
        asked = {**shared, "health": {"http": "/", "timeout": 20}}
        made.raw["services"] = {
            "api": {**asked, "port": free_port()},
            "web": {**asked, "port": free_port(), "depends_on": {"api": "healthy"}},
            "worker": {**shared, "start": {"seconds": 1, "retries": 0}},
            "idle": {"command": ["sleep", "600"], "depends_on": ["worker"]},
        }
        yield made


def automatic_runs(made: StackUnderTest) -> list[str]:
    """Return by whom services were started again."""
    runs = rollcall(made, "history", "--json").data["runs"]
    return [run["who"] for run in runs if run["automatic"]]


def test_a_database_that_goes_away_is_told_once_with_all_who_wait_and_once_when_it_is_back() -> None:
    with contextlib.ExitStack() as held:
        server = held.enter_context(postgresql.cluster())
        receiver = held.enter_context(HttpReceiver())
        made = held.enter_context(needy(receiver, server))
        report = made.perform("full")
        assert report["ok"], failed_checks(report)
        with watching(made) as watcher:
            assert eventually(watcher.is_calm, BOUND)
            assert watcher.told() == []
            server.stop()
            assert eventually(lambda: bool(watcher.told()) and state_of(made, "worker") == "FATAL", BOUND)
            # Long enough for whatever else could be told, and for a start of what has ended.
            known = len(watcher.documents)
            assert eventually(lambda: len(watcher.documents) > known + 5, BOUND)
            assert watcher.told() == [("degraded", DATABASE)], watcher.documents
            assert set(watcher.documents[-1]["incidents"][0]["services"]) == {"api", "web", "worker"}
            assert automatic_runs(made) == []

            server.start()
            assert eventually(lambda: ("recovered", DATABASE) in watcher.told(), BOUND)
            # Nobody starts again what has ended meanwhile, but the watcher may.
            assert eventually(lambda: ("restarted", "service:worker") in watcher.told(), BOUND), watcher.documents[-3:]
            assert watcher.told()[:2] == [("degraded", DATABASE), ("recovered", DATABASE)]
            assert {scope for _event, scope in watcher.told()[2:]} == {"service:worker"}
            assert state_of(made, "worker") == "RUNNING"
            assert automatic_runs(made) == ["rollcall watch"]
            assert eventually(lambda: len(receiver.taken) >= 3, BOUND)
        alerts = [request.data for request in receiver.taken if request.data["id"] == DATABASE]
        assert [alert["alert"] for alert in alerts] == ["degraded", "recovered"]
        assert "is down" in alerts[0]["title"]
        assert "api, web, worker affected" in alerts[0]["title"]
