# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts in containers for the proofs of a release: Debian with systemd, Python and sshd, as the scenarios have them."""

from __future__ import annotations

import secrets
import time
import types
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.container import settings
from tests.release.build import ROOT, ReleaseError, run

BOOT = 60.0


def image() -> str:
    """Return the name of the image of the hosts; made when missing."""
    return run(ROOT / "molecule" / "shared" / "build-image.sh", "bookworm", environment=settings()).split()[-1]


def podman(*arguments: str | Path, seconds: float = 600) -> str:
    """Run podman and return what it printed."""
    return run("podman", *arguments, environment=settings(), seconds=seconds)


class Container:
    """A host, made on entering and removed on leaving."""

    def __init__(self, *options: str) -> None:
        self.name = f"rollcall-release-{secrets.token_hex(4)}"
        self._options = options

    def __enter__(self) -> Container:
        usual = ["--detach", f"--name={self.name}", "--hostname=app1", "--systemd=always", "--cap-add=SYS_PTRACE"]
        try:
            podman("run", *usual, *self._options, image(), "/sbin/init")
            self._wait()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: types.TracebackType | None
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        podman("rm", "--force", "--ignore", "--time=0", "--volumes", self.name)

    def _wait(self) -> None:
        """Wait until systemd has started all of its units."""
        deadline = time.monotonic() + BOOT
        while True:
            try:
                state = self.run("systemctl is-system-running").strip()
            except ReleaseError as error:
                state = str(error)
            if state == "running":
                return
            if time.monotonic() > deadline:
                raise ReleaseError(f"The host did not start within {BOOT:.0f} s; systemd says last: {state}")
            time.sleep(0.2)

    def run(self, *commands: str, directory: str = "/root", seconds: float = 600) -> str:
        """Run commands of a shell on the host, as root, one after the other, and return what they printed.

        Raises:
            ReleaseError: one did not end with 0.
        """
        script = "\n".join(["set -euo pipefail", *commands])
        return podman("exec", f"--workdir={directory}", self.name, "bash", "-c", script, seconds=seconds)

    def put(self, path: str, text: str) -> None:
        """Write a file on the host."""
        self.run(f"mkdir -p {path.rpartition('/')[0]}", f"cat >{path} <<'END_OF_FILE'\n{text}\nEND_OF_FILE")

    def processes(self, words: Sequence[str]) -> set[str]:
        """Return pid, start and command of each process whose command has one of these words."""
        lines = self.run("ps -e -o pid= -o lstart= -o args=").splitlines()
        return {line.strip() for line in lines if any(word in line for word in words)}
