# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a rollout and kills its controller as soon as a server is out of the balancer.

``python -m tests.tools.kill_when_drained SOCKET COMMAND...``: the runtime socket is the balancer's. The exit code is 0
when the rollout was killed, and 1 when nobody was taken out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.support.haproxy import statuses
from tests.support.processes import eventually

PATIENCE = 120


def main(path: str, *command: str) -> int:
    """Run it and kill it."""
    # What a rollout leaves on a host has a session of its own; what belongs to the controller is in this one.
    rollout = subprocess.Popen(command, start_new_session=True)

    def is_to_end() -> bool:
        return is_anyone_out(path) or rollout.poll() is not None

    found = eventually(is_to_end, PATIENCE) and rollout.poll() is None
    if rollout.poll() is None:
        os.killpg(rollout.pid, signal.SIGKILL)
        rollout.wait()
    return 0 if found else 1


def is_anyone_out(path: str) -> bool:
    """Return whether a server is drained or in maintenance."""
    return any(status.startswith(("MAINT", "DRAIN")) for status in statuses(path).values())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
