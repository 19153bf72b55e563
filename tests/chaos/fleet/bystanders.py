# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes on the hosts that are none of the stack's business, and near to it. They must survive."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from tests.benchmark.balanced import SERVICE, Balanced

# In the manifest's range, and of no service.
FREE_PORT = 8099
KINDS: dict[str, Sequence[str]] = {
    "a listener on a port of the range": ("/usr/bin/env", f"PORT={FREE_PORT}", "/usr/bin/python3", str(SERVICE)),
    "one with the command line of the service": ("/usr/bin/env", "PORT=7000", "/usr/bin/python3", str(SERVICE)),
    "one with supervisord in its words": ("/usr/bin/tail", "-f", "/dev/null", "/srv/stack/etc/supervisord.conf"),
}


class Bystanders:
    """The bystanders of a fleet.

    Args:
        world: the fleet.
    """

    def __init__(self, world: Balanced) -> None:
        self._world = world
        self._lives: dict[tuple[str, str], subprocess.Popen[bytes]] = {}

    def start(self, host: str) -> None:
        """Start those of a host that do not live."""
        for kind, command in KINDS.items():
            known = self._lives.get((host, kind))
            if known is None or known.poll() is not None:
                self._lives[host, kind] = subprocess.Popen(
                    [*self._world.host(host).entering("--net", "--pid", "--mount"), *command],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )

    def end(self, host: str) -> None:
        """Say that those of a host end with it."""
        for key in [key for key in self._lives if key[0] == host]:
            process = self._lives.pop(key)
            process.kill()
            process.wait()

    def dead(self) -> list[str]:
        """Return who has died."""
        return [f"{kind} on {host}" for (host, kind), process in self._lives.items() if process.poll() is not None]
