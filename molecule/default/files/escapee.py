# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that leaves a child behind which is known by nothing of its own, whenever somebody has removed a file.

The child has no label in its environment, a session of its own and no parent of the stack. The file has its pid.
"""

from __future__ import annotations

import os
import sys
import time

PIDFILE = sys.argv[1]
SLEEP = ["/usr/bin/sleep", "86399"]


def leave() -> None:
    """Fork twice, with a session in between, and become another program with an empty environment."""
    if os.fork():
        os.wait()
        return
    os.setsid()
    pid = os.fork()
    if pid:
        with open(f"{PIDFILE}.new", "w", encoding="ascii") as stream:
            stream.write(str(pid))
        os.rename(f"{PIDFILE}.new", PIDFILE)
        os._exit(0)
    os.execve(SLEEP[0], SLEEP, {})


while True:
    if not os.path.exists(PIDFILE):
        leave()
    time.sleep(0.1)
