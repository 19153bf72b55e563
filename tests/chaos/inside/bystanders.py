# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that are none of the stack's business, each as near to one of its own as it can be. They must survive."""

from __future__ import annotations

import os
from pathlib import Path

from tests.chaos.inside import eyes
from tests.chaos.inside.places import APPLICATION, CHAOS, CONFIG, ROOT, STACK, USER
from tests.chaos.inside.world import Crowd, World, wait_until

# In the manifest's range, and of no service.
FREE_PORT = 8099
SUPERVISED = CHAOS / "other" / "supervisord.conf"

LISTEN = """
import socket, sys
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
"""

# Keeps a connection to a service open as well as it can: what dies with the service is the connection alone.
CLIENT = """
import socket, sys, threading, time
def talk():
    while True:
        try:
            with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5) as line:
                line.settimeout(None)
                line.recv(1)
        except OSError:
            pass
        time.sleep(0.1)
threading.Thread(target=talk, daemon=True).start()
"""

OTHER = f"""\
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={SUPERVISED.parent}/pid

[unix_http_server]
file={SUPERVISED.parent}/sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[program:trade_manager]
command=/usr/bin/sleep infinity
"""


class Bystanders:
    """The bystanders of a series.

    Args:
        world: where they live.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._crowd = crowd = Crowd()
        self._known: dict[str, eyes.Identity] = {}
        port = str(world.with_port["trade_executor"])
        as_service = {"DATABASE": "/tmp/bystander/demo.db", "TMPDIR": "/tmp"}
        self._makers = {
            "a process of the stack's user": lambda: crowd.start("/usr/bin/sleep", "infinity", user=USER),
            "a listener beside the stack's ports": lambda: crowd.python(LISTEN, str(FREE_PORT)),
            "a client of a service": lambda: crowd.python(CLIENT, port, user=USER),
            "a process with a service's command line": lambda: crowd.start(
                "/usr/bin/python3", str(APPLICATION), "trade_executor", user="nobody", environment=as_service
            ),
            "an operator who reads the config": lambda: crowd.start("/usr/bin/tail", "-F", CONFIG),
            "a process that speaks of supervisord": lambda: crowd.python("", "supervisord", "-c", CONFIG, user=USER),
            "a stranger with the stack's labels": lambda: crowd.start(
                "/usr/bin/sleep",
                "infinity",
                user="nobody",
                environment={"ROLLCALL_STACK": STACK, "ROLLCALL_ROOT": ROOT, "ROLLCALL_SERVICE": "trade_manager"},
            ),
            "another supervisord": self._start_other,
        }

    def start(self) -> None:
        """Start those that do not live."""
        for name, make in self._makers.items():
            if name not in self._known:
                self._keep(name, make())
        (program,) = self._programs()
        self._keep("another supervisord's program", program)
        self._world.strangers = {pid for pid, _start in self._known.values()}

    def dead(self) -> list[str]:
        """Return those that have died since they were started, and forget them."""
        found = []
        for name, (pid, start) in list(self._known.items()):
            process = eyes.read(pid)
            if process is None or process.start != start:
                found.append(f"{name} (pid {pid})")
                del self._known[name]
        self._crowd.reap()
        return found

    def _keep(self, name: str, pid: int) -> None:
        process = eyes.read(pid)
        if process is None:
            raise RuntimeError(f"{name} did not live")
        self._known[name] = process.identity

    def _start_other(self) -> int:
        SUPERVISED.parent.mkdir(exist_ok=True)
        os.chown(SUPERVISED.parent, self._world.account.pw_uid, self._world.account.pw_gid)
        SUPERVISED.write_text(OTHER, encoding="utf-8")
        for name in ("sock", "pid"):
            Path(SUPERVISED.parent, name).unlink(missing_ok=True)
        pid = self._crowd.supervisord(str(SUPERVISED))
        wait_until(lambda: bool(self._programs()), "the other supervisord runs its program")
        return pid

    def _programs(self) -> list[int]:
        """Return the pid of the other supervisord's program, told from the sleep of its user by its parent."""
        processes = self._world.look().processes.values()
        daemons = {process.pid for process in processes if str(SUPERVISED) in process.argv}
        return [process.pid for process in processes if process.ppid in daemons and "sleep" in process.argv[0]]
