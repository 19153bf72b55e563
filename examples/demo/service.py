# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service of the demo: ``service.py NAME``. Python 3.9 or later and nothing else.

It knows nothing of Rollcall but its environment:

- ``PORT``: answers /health there; without it, just works. main_app shows a page at /.
- ``ADDRESS``: where it listens, by default 127.0.0.1, so that nobody else reaches it.
- ``PORT_<OTHER>``: another service that it depends on and asks how it is.
- ``DATABASE``: the SQLite file that all of them write their heartbeats to.

Three more make it misbehave, to see what is said of it then: ``CRASH_AFTER`` and ``LISTEN_AFTER`` (seconds), and
``HEALTH_STATUS`` (an HTTP status).

Ten of these start at once on somebody's laptop, so it imports little: http.server alone would double its start.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import socketserver
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping

INTERVAL = 2.0
# A heartbeat older than this is worth a word.
LATE = 3 * INTERVAL
# The log gets a line of life this often; what changes gets one at once.
TALK = 30.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS heartbeats (
    service TEXT PRIMARY KEY, pid INTEGER NOT NULL, port INTEGER, beats INTEGER NOT NULL, last REAL NOT NULL
)
"""
BEAT = """
INSERT INTO heartbeats VALUES (?, ?, ?, 1, ?)
ON CONFLICT (service) DO UPDATE SET pid = excluded.pid, port = excluded.port, beats = beats + 1, last = excluded.last
"""


def log(text: str) -> None:
    """Write one line to standard output, at once."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)


class Database:
    """The file that all services share."""

    def __init__(self, path: str) -> None:
        self._path = path
        directory = os.path.dirname(path)
        os.makedirs(directory, mode=0o750, exist_ok=True)
        # Several services start at once, and SQLite does not wait when two switch a file to WAL together.
        with open(os.path.join(directory, ".create.lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with self._open() as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(SCHEMA)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # The timeout is how long a writer waits for another.
        connection = sqlite3.connect(self._path, timeout=5.0)
        try:
            with connection:  # commits, and leaves the file open
                yield connection
        finally:
            connection.close()

    def beat(self, service: str, port: int | None) -> None:
        """Write that ``service`` is alive now."""
        with self._open() as connection:
            connection.execute(BEAT, (service, os.getpid(), port, time.time()))

    def beats(self) -> list[tuple[str, int, int | None, int, float]]:
        """Return service, pid, port, number of heartbeats and the time of the last, for each service ever seen."""
        with self._open() as connection:
            return connection.execute(
                "SELECT service, pid, port, beats, last FROM heartbeats ORDER BY service"
            ).fetchall()


class Worker:
    """What a service does all day: write a heartbeat, and ask what it depends on.

    Args:
        name: the service's name.
        port: its port; None when it has none.
        database: where the heartbeats go.
        dependencies: ports of the services it depends on, by name.
    """

    def __init__(self, name: str, port: int | None, database: Database, dependencies: Mapping[str, int]) -> None:
        self.name = name
        self.port = port
        self.database = database
        self._dependencies = dependencies
        self.last_beat = 0.0
        self.heard: dict[str, str] = {}

    def work(self) -> None:
        """Do one round."""
        try:
            self.database.beat(self.name, self.port)
            self.last_beat = time.monotonic()
        except sqlite3.Error as exc:
            log(f"ERROR the heartbeat was not written: {exc}")
        for dependency, port in self._dependencies.items():
            answer = ask(port)
            if self.heard.get(dependency) != answer:
                log(f"{dependency} on port {port}: {answer}")
            self.heard[dependency] = answer

    def forever(self) -> None:
        """Do a round every two seconds."""
        told = time.monotonic()
        while True:
            time.sleep(INTERVAL)
            self.work()
            if time.monotonic() - told >= TALK:
                told = time.monotonic()
                log("at work")

    def health(self) -> tuple[int, dict[str, object]]:
        """Return the status and the body of a health answer: ok as long as heartbeats reach the database."""
        status = int(os.environ.get("HEALTH_STATUS", "200"))
        if time.monotonic() - self.last_beat > LATE:
            status = 503
        word = "ok" if status == 200 else "failing"
        return status, {"status": word, "service": self.name, "pid": os.getpid(), "depends_on": self.heard}


def ask(port: int) -> str:
    """Return what the service on a port of this host says of its health, in a word or two."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as line:
            line.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            with line.makefile("rb") as answer:
                _head, _blank, body = answer.read(65536).partition(b"\r\n\r\n")
        return str(json.loads(body)["status"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        return f"no answer ({exc.__class__.__name__})"


class Server(socketserver.ThreadingTCPServer):
    """The service's web server."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, port: int, worker: Worker) -> None:
        self.worker = worker
        super().__init__((os.environ.get("ADDRESS", "127.0.0.1"), port), Handler)

    def handle_error(self, request: object, client_address: tuple[str, int]) -> None:
        """Give a client that hung up one line, not a traceback: nothing is wrong with the service then."""
        if isinstance(sys.exc_info()[1], OSError):
            log(f"the client at {client_address[0]} hung up before its answer")
        else:
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # typeshed lists the kinds of sockets


class Handler(socketserver.StreamRequestHandler):
    """One request, and then the connection is closed."""

    server: Server
    timeout = 10.0

    def handle(self) -> None:
        """Answer /health, and / for a person."""
        words = self.rfile.readline(8192).split()
        while self.rfile.readline(8192).strip():
            # The head's other lines change nothing here.
            continue
        worker = self.server.worker
        path = words[1].decode("latin-1") if len(words) == 3 and words[0] == b"GET" else ""
        if path == "/health":
            status, body = worker.health()
            self._send(status, "application/json", json.dumps(body))
        elif path == "/":
            self._send(200, "text/html; charset=utf-8", page(worker))
        else:
            self._send(404 if path else 400, "application/json", json.dumps({"error": "there is GET / and /health"}))

    def _send(self, status: int, kind: str, text: str) -> None:
        data = text.encode("utf-8")
        head = (
            f"HTTP/1.0 {status} {'OK' if status == 200 else 'Not OK'}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(data)}",
        )
        self.wfile.write("\r\n".join((*head, "", "")).encode("ascii") + data)


def page(worker: Worker) -> str:
    """Return the page for a person: what the database says of every service, and how old that is."""
    if worker.name != "main_app":
        return f"<!doctype html><title>{worker.name}</title><p>{worker.name}: <a href=/health>its health</a>"
    import html

    now = time.time()
    rows = "".join(
        f"<tr><td>{html.escape(service)}<td>{pid}<td>{'none' if port is None else port}<td>{beats}"
        f"<td>{'' if now - last <= LATE else 'SILENT, '}{max(0.0, now - last):.1f} s ago"
        for service, pid, port, beats, last in worker.database.beats()
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>Rollcall demo</title>
<style>
body {{ font: 1em/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 50em; padding: 0 1em }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .2em 1em .2em 0; border-bottom: 1px solid #8884 }}
</style>
<h1>The demo's services</h1>
<p>Each writes a heartbeat to a SQLite database every {INTERVAL:g} seconds. This page shows what the database said at
{time.strftime("%H:%M:%S")}, and is asked for again every two seconds. Whether the services are as they should be is for
<code>rollcall status</code> to say.</p>
<table><tr><th>service<th>pid<th>port<th>heartbeats<th>last
{rows}</table>
</html>
"""


def crash(_signal: int, _frame: object) -> None:
    """Fail as services do: an exception that nobody caught."""
    raise ConnectionError("the exchange closed the session")


def stop(_signal: int, _frame: object) -> None:
    """Leave whatever the main thread waits in."""
    raise SystemExit(0)


def dependencies(name: str, environment: Mapping[str, str]) -> dict[str, int]:
    """Return the ports of other services that this one was told of."""
    own = f"PORT_{name.upper()}"
    return {
        key[len("PORT_") :].lower(): int(value)
        for key, value in environment.items()
        if key.startswith("PORT_") and key != own
    }


def main() -> None:
    """Be the service that the command line names."""
    (name,) = sys.argv[1:]
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if "CRASH_AFTER" in os.environ:
        signal.signal(signal.SIGALRM, crash)
        signal.setitimer(signal.ITIMER_REAL, float(os.environ["CRASH_AFTER"]))
    port = int(os.environ["PORT"]) if "PORT" in os.environ else None
    log(f"{name} starts as pid {os.getpid()}")
    try:
        worker = Worker(name, port, Database(os.environ["DATABASE"]), dependencies(name, os.environ))
        # The first round comes before the first answer, so that healthy means that the database took it.
        worker.work()
        threading.Thread(target=worker.forever, daemon=True).start()
        time.sleep(float(os.environ.get("LISTEN_AFTER", "0")))
        if port is None:
            log("works without a port")
            threading.Event().wait()
        else:
            with Server(port, worker) as server:
                log(f"answers on http://127.0.0.1:{port}/health")
                server.serve_forever()
    finally:
        log(f"{name} ends")


if __name__ == "__main__":
    main()
