# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of a fleet that rollouts are tried on: it says its version, and is sick when a file says so.

In its environment are PORT; VERSION, which every answer is; TAKES, the seconds that the page takes to answer; BROKEN,
with which it does not start; and SICK, a file. While that has the version and the word ``sick``, the health check
fails; with the word ``crash`` the service ends. It ends at once when it is told to, as most do: who asks just then has
no answer.
"""

from __future__ import annotations

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer

VERSION = os.environ.get("VERSION", "")
HEALTH = "/health"


def illness() -> str:
    """Return what this version suffers from; empty when it is well."""
    try:
        version, word = Path(os.environ["SICK"]).read_text(encoding="ascii").split()
    except (KeyError, OSError, ValueError):
        return ""
    return word if version == VERSION else ""


class Page(BaseHTTPRequestHandler):
    """One request; the connection is closed with its answer."""

    # An answer is one piece: a health check may hang up as soon as it has seen the status.
    wbufsize = -1

    def do_GET(self) -> None:
        """Answer with the version."""
        ill = illness()
        if ill == "crash":
            os._exit(1)
        if self.path != HEALTH:
            time.sleep(float(os.environ.get("TAKES", "0")))
        self.send_response(500 if ill and self.path == HEALTH else 200)
        self.send_header("Content-Length", str(len(VERSION)))
        self.end_headers()
        self.wfile.write(VERSION.encode("ascii"))

    def log_message(self, format: str, *args: object) -> None:
        """Keep the log empty: it is on the disk that a test fills."""


class Server(ThreadingHTTPServer):
    """Its server; a client that hangs up is nothing to tell of."""

    request_queue_size = 128

    def server_bind(self) -> None:
        """Bind, and ask no resolver for a name: on a host without one that takes long."""
        TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    if os.environ.get("BROKEN"):
        sys.exit("this version does not start")
    Server(("", int(os.environ["PORT"])), Page).serve_forever()
