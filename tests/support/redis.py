# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Redis of the test's own: in a temporary directory, on a free port and a unix socket."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

from tests.support.processes import accepts, eventually, free_port

BOUND = 60


class Redis:
    """A running server.

    Attributes:
        directory: of its socket and its log.
        port: of 127.0.0.1.
        socket: path of its socket.
    """

    def __init__(self, directory: str, *options: str) -> None:
        self.directory = directory
        self.port = free_port()
        self.socket = f"{directory}/redis.sock"
        self._log = f"{directory}/log"
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", directory]
        with open(self._log, "a", encoding="utf-8") as log:
            self._server = subprocess.Popen(
                [*command, "--unixsocket", self.socket, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        if not eventually(lambda: accepts(self.socket), BOUND):
            raise AssertionError(Path(self._log).read_text(encoding="utf-8"))

    def stop(self) -> None:
        """Stop the server at once and take its exit status."""
        self._server.kill()
        self._server.wait(BOUND)


@contextlib.contextmanager
def running(*options: str) -> t.Iterator[Redis]:
    """Start a server; stop it by its pid and remove all of it afterwards.

    Args:
        options: of redis-server.
    """
    directory = tempfile.mkdtemp(prefix="redis-")
    made = None
    try:
        made = Redis(directory, *options)
        yield made
    finally:
        if made is not None:
            made.stop()
        shutil.rmtree(directory)
