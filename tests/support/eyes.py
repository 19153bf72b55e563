# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host of a scenario through the kernel and the applications' own clients, never through Rollcall."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

# One call returns everything: every process with its parent, user and environment, and every listening socket's owner.
LOOK = """
import json, os, pwd, re, subprocess
processes = {}
for name in filter(str.isdigit, os.listdir('/proc')):
    try:
        stat = open('/proc/%s/stat' % name).read()
        raw = open('/proc/%s/environ' % name, 'rb').read().decode('utf-8', 'replace')
        argv = open('/proc/%s/cmdline' % name, 'rb').read().decode('utf-8', 'replace')
        uid = os.stat('/proc/' + name).st_uid
    except OSError:
        continue
    processes[name] = {
        'ppid': int(stat.rpartition(')')[2].split()[1]),
        'user': pwd.getpwuid(uid).pw_name,
        'argv': argv.rstrip('\\0').split('\\0'),
        'environment': dict(item.split('=', 1) for item in raw.split('\\0') if '=' in item),
    }
listeners = {}
for line in subprocess.check_output(['ss', '-H', '-ltnp'], universal_newlines=True).splitlines():
    port = line.split()[3].rpartition(':')[2]
    listeners.setdefault(port, []).extend(int(pid) for pid in re.findall(r'pid=(\\d+)', line))
print(json.dumps({'processes': processes, 'listeners': listeners}))
"""


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it."""

    pid: int
    ppid: int
    user: str
    argv: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class View:
    """A host at one moment.

    Attributes:
        processes: all of them, by pid.
        listeners: port to the pids that hold a listening socket on it.
    """

    processes: dict[int, Process]
    listeners: dict[int, list[int]]

    def ancestors(self, pid: int) -> list[int]:
        """Return the pids above ``pid``, its parent first."""
        found: list[int] = []
        while pid in self.processes and self.processes[pid].ppid:
            pid = self.processes[pid].ppid
            found.append(pid)
        return found

    def of_user(self, user: str) -> list[Process]:
        """Return every process of ``user``."""
        return [process for process in self.processes.values() if process.user == user]

    def supervisord(self, root: str) -> list[Process]:
        """Return the supervisords that run with the config under ``root``."""
        config = f"{root}/etc/supervisord.conf"
        return [process for process in self.processes.values() if config in process.argv]


def look(host: Any) -> View:
    """Return what is on a testinfra host now."""
    seen = json.loads(host.check_output("python3 -c %s", LOOK))
    processes = {int(pid): Process(pid=int(pid), **facts) for pid, facts in seen["processes"].items()}
    return View(processes, {int(port): pids for port, pids in seen["listeners"].items()})
