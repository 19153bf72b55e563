# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest service: answers /health on PORT, or just lives. Misbehaves when its environment says so."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = os.environ.get("BODY", '{"status": "ok"}').encode()
        self.send_response(int(os.environ.get("STATUS", "200")))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the log for what matters."""


def _crash() -> None:
    try:
        raise RuntimeError("the flux capacitor is empty")
    except RuntimeError:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def main() -> None:
    print(f"{sys.argv[1]} starts as pid {os.getpid()}", flush=True)
    if "EXIT" in os.environ:
        sys.exit(int(os.environ["EXIT"]))
    if "IGNORE_TERM" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "CRASH_AFTER" in os.environ:
        threading.Timer(float(os.environ["CRASH_AFTER"]), _crash).start()
    time.sleep(float(os.environ.get("LISTEN_AFTER", "0")))
    if "PORT" in os.environ and "DEAF" not in os.environ:
        HTTPServer(("127.0.0.1", int(os.environ["PORT"])), _Health).serve_forever()
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
