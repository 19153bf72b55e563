# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command while a client asks a page all the time, and counts.

``python -m tests.tools.under_load PORT COMMAND...``: the port is that of the page on this machine. The exit code is
the command's, or 9 when a request had no answer, or another status than 200.
"""

from __future__ import annotations

import subprocess
import sys

from tests.support.askers import RATE, Asker

MISSED = 9


def main(port: str, *command: str) -> int:
    """Run the command, and say how many requests failed meanwhile."""
    with Asker([int(port)]) as users:
        code = subprocess.run(command, check=False).returncode
    print(f"requests meanwhile, {RATE} a second: {users.asked}, of them failed: {users.missed}", flush=True)
    return MISSED if users.missed else code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
