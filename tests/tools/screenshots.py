# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``screenshots.py DIRECTORY``: pictures of the page for 1, 5 and 100 hosts, all well and in trouble.

What hosts tell is real: the demo's ten services run on this machine, well at first. Then one of them crashes after a
change, one hangs, and the database goes; each time it is asked what a host tells. That stands for the hosts of a fleet
under other names.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.version import VERSION
from ansible_collections.rollcall.supervisor.plugins.module_utils.page.document import page
from ansible_collections.rollcall.supervisor.plugins.module_utils.page.gather import host_told
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import rollout
from tests.support.browser import NARROW, WIDE, chromium, shown
from tests.support.commands import rollcall
from tests.support.processes import free_port
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack

Told = t.Dict[str, t.Any]

SERVICE = ROOT / "examples" / "demo" / "service.py"
NAMES = (
    *("main_app", "trade_manager", "trade_executor", "active_trade_supervisor", "auto_entry_supervisor"),
    *("unified_production_coordinator", "system_monitor", "kalshi_account_sync", "kalshi_api_watchdog"),
    "cascading_failure_detector",
)
WITHOUT_PORT = NAMES[-2:]
BEFORE = {
    "main_app": {"trade_manager": "healthy"},
    "active_trade_supervisor": {"trade_executor": "healthy"},
    "kalshi_api_watchdog": {"kalshi_account_sync": "started"},
}
# Seconds from one host of a rollout to the next, and that it takes on one.
BETWEEN, ON_ONE = 9.0, 31.0
# Looks after which the watcher has something to tell.
LOOKS = 4


def services(root: str) -> Told:
    """Return the demo's services, which keep their heartbeats below a root."""
    made: Told = {}
    for name in NAMES:
        made[name] = {"env": {"DATABASE": f"{root}/data/trading.db"}}
        if name not in WITHOUT_PORT:
            made[name].update(port=free_port(), health={"http": "/health", "timeout": 1})
        if name in BEFORE:
            made[name]["depends_on"] = BEFORE[name]
    return made


class Stage:
    """The stack, and what a host tells of it in each of its states."""

    def __init__(self, made: StackUnderTest) -> None:
        self._made = made
        made.raw.update(name="trading", services=services(made.root))
        # Its path is in what a crash writes.
        self._program = os.path.join(made.root, "app", "service.py")
        os.makedirs(os.path.dirname(self._program))
        shutil.copyfile(SERVICE, self._program)
        made.raw["defaults"]["command"] = [made.program, self._program, "{name}"]
        made.raw["checks"] = {"database": {"sqlite": f"{made.root}/data/trading.db"}}
        made.raw["watch"] = {"interval": 1, "grace": 0, "degraded_after": 2, "critical_after": LOOKS}

    def tell(self) -> Told:
        """Return what the host tells now, under a root as hosts have it."""
        told = json.loads(json.dumps(host_told(self._made.root)).replace(self._made.root, "/opt/trading"))
        for run in told["runs"]:
            run["who"] = "anna via sudo"
        return {**told, "release": "2026.11.3"}

    def look(self) -> None:
        """Have the watcher look until it has something to tell."""
        for _look in range(LOOKS):
            rollcall(self._made, "watch", "--once")

    def well(self) -> Told:
        """Return what it tells when all is well, after a first install, a restart, and a rollout."""
        self._made.perform()
        self._made.perform("full")
        me = rollout.Controller("boot", "pid:[1]", os.getpid(), 1)
        for step in ("begin", "run", "done"):
            order = rollout.Order("20261121-100000-77aa", "ben@deploy", me, step)
            rollout.follow(self._made.paths.state, order, "")
        self.look()
        return self.tell()

    def crashed(self) -> Told:
        """Return what it tells when a change makes a service crash."""
        self._made.raw["services"]["trade_executor"]["env"]["DATABASE"] = "/nowhere/trading.db"
        self._made.raw["services"]["trade_executor"]["command"] = [self._made.program, self._program]
        self._made.perform()
        self.look()
        return self.tell()

    def mended(self) -> None:
        """Take the change back."""
        self._made.raw["services"]["trade_executor"].pop("command")
        self._made.raw["services"]["trade_executor"]["env"]["DATABASE"] = f"{self._made.root}/data/trading.db"
        self._made.perform()

    def hung(self) -> Told:
        """Return what it tells while a service hangs."""
        pid = self._made.pids()["system_monitor"]
        os.kill(pid, signal.SIGSTOP)
        try:
            self.look()
            return self.tell()
        finally:
            os.kill(pid, signal.SIGCONT)

    def without_database(self) -> Told:
        """Return what it tells when its database is gone."""
        place = Path(self._made.root, "data", "trading.db")
        place.rename(f"{place}.away")
        try:
            return self.tell()
        finally:
            place.with_suffix(".db.away").rename(place)


def host(name: str, told: t.Optional[Told], number: int, now: float, **other: t.Any) -> Told:
    """Return a host of the page by this name, which tells what was told; None for one that was not reached."""
    if told is not None:
        told = json.loads(json.dumps(told))
        began = now - 7200.0 + number * BETWEEN
        told["rollout"].update(began=began, sign=began + ON_ONE, **other)
        told["engine"] = VERSION
    return {
        "name": name,
        "told": told,
        "reached": told is not None,
        "why": "" if told else "ssh: connect to host web port 22: Connection timed out",
        "last_reached": now if told else now - 5_000.0,
        "lost_since": None if told else now - 4_400.0,
        "by": "ansible-playbook site.yml",
        "next": f"ansible-playbook rollcall.supervisor.status --limit {name}",
        "roll_out": "ansible-playbook rollcall.supervisor.rollout",
    }


def fleets(stage: Stage) -> t.Iterator[t.Tuple[str, t.Any]]:
    """Yield each page's name and what it is made of."""
    well = stage.well()
    crashed = stage.crashed()
    stage.mended()
    hung = stage.hung()
    without = stage.without_database()
    now = time.time()
    for count in (1, 5, 100):
        names = [f"web{number}" for number in range(1, count + 1)]
        hosts = [host(name, well, number, now) for number, name in enumerate(names)]
        yield f"{count}-well", {"at": now, "hosts": hosts, "not_asked": 0}
        broken = list(hosts)
        broken[count > 1] = host(names[count > 1], crashed, 1, now)
        if count > 1:
            broken[3] = host(names[3], None, 3, now)
            drained = {"step": "failed", "drained": "haproxy", "since": now - 7100.0}
            broken[4] = host(names[4], well, 4, now, **drained)
        if count > 5:
            broken[17] = host(names[17], hung, 17, now)
            broken[40:52] = [host(names[at], without, at, now) for at in range(40, 52)]
            broken[77] = host(names[77], None, 77, now)
        yield f"{count}-broken", {"at": now, "hosts": broken, "not_asked": 0}


def main() -> int:
    """Write the pictures."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    with stack({}) as made, chromium() as browser:
        for name, data in fleets(Stage(made)):
            path = Path(made.root, f"{name}.html")
            path.write_text(page(data), encoding="utf-8")
            for width, dark in ((WIDE, False), (NARROW, True)):
                with shown(browser, path, width=width, dark=dark, now=data["at"] + 75.0) as it:
                    it.page.screenshot(path=directory / f"report-{name}-{width}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
