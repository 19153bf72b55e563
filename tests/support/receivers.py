# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A far end that alerts are sent to, which keeps what it gets, and an incident to tell."""

from __future__ import annotations

import http.server
import json
import threading
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.rollcall.supervisor.plugins.module_utils.base.watch_documents import (
        Incident,
        WatchEvent,
        WatchState,
    )

# 2026-12-01 03:12 UTC.
THEN = 1_796_094_720.0


class Taken(t.NamedTuple):
    """A request that a receiver has got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> t.Any:
        """Its body, which is JSON."""
        return json.loads(self.body)


class HttpReceiver:
    """Takes requests on a free port, each in a thread of its own.

    Attributes:
        taken: what came.
        answers: status and headers of the next answers; afterwards each is 204.
    """

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.taken.append(Taken(self.command, self.path, dict(self.headers), body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = _take

            def log_message(self, *_arguments: t.Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> HttpReceiver:
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        self._server.shutdown()
        self._server.server_close()


def an_event(event: t.Any = "critical", **keys: t.Any) -> WatchEvent:
    """Return what has happened to an incident of the service web; ``keys`` replace what is said of that."""
    incident: dict[str, t.Any] = {
        "id": "not_up:web",
        "code": "not_up",
        "subject": "web",
        "services": ["web"],
        "level": "critical",
        "why": "web is down: EXITED with status 1",
        "told": "",
        "evidence": "web is down: EXITED with status 1\nbind: address already in use",
        "next": ["rollcall logs web", "rollcall restart web"],
        "since": THEN,
        "looks": 4,
        "restarts": 0,
        "gave_up": False,
        **keys,
    }
    return {
        "event": event,
        "at": THEN + 720,
        "incident": t.cast("Incident", incident),
        "lasted": 720.0,
        "stack": "shop",
        "host": "app1",
        "root": "/opt/shop",
    }


def a_state(**keys: t.Any) -> WatchState:
    """Return the memory of a watcher that has looked once; ``keys`` replace what is in it."""
    state: dict[str, t.Any] = {
        "at": THEN,
        "interval": 15.0,
        "level": "ok",
        "looks": 1,
        "seconds": 0.05,
        "incidents": [],
        "recovering": {},
        "boot": "",
        "grace_until": 0.0,
        "run": None,
        "deliveries": {},
        **keys,
    }
    return t.cast("WatchState", state)
