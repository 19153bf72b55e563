# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One stack of liars: started, judged by Rollcall, and watched from outside. Prints what was said and seen, as JSON.

The observer knows nothing of Rollcall and supervisord: it reads the pids that services write down, asks the kernel
whether they live, and asks for their health as any client would.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from tests.liars.draw import AFTER, BEFORE
from tests.support.stacks import StackUnderTest, stack

SERVICE = str(Path(__file__).with_name("service.py"))
# Seconds between two looks of the observer.
EVERY = 0.5
ANSWER = 2.0


class Sight(t.TypedDict):
    """What the observer saw of a service at one moment."""

    at: float
    lives: int
    alive: bool
    answer: bool
    critical: bool


def look(root: Path, name: str, port: int, began: float) -> Sight:
    """Look at a service once."""
    written = root / f"{name}.lives"
    pids = [int(line) for line in written.read_text(encoding="ascii").split()] if written.exists() else []
    log = root / "logs" / f"{name}.log"
    return {
        "at": round(time.monotonic() - began, 2),
        "lives": len(pids),
        "alive": bool(pids) and _is_running(pids[-1]),
        "answer": _answers(port),
        "critical": log.exists() and b"CRITICAL" in log.read_bytes(),
    }


def _is_running(pid: int) -> bool:
    """Return whether a process lives and may run: not a zombie, not stopped; proc_pid_stat(5), field state."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZTtX"


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=ANSWER) as line:
            line.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return line.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


class Observer:
    """Looks at services again and again, from before they are started until it is left.

    It runs beside what it watches: what happens while Rollcall works is seen too.
    """

    def __init__(self, root: Path, ports: t.Mapping[str, int], began: float) -> None:
        self.sights: dict[str, list[Sight]] = {name: [] for name in ports}
        self._root, self._ports, self._began = root, ports, began
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Observer:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            turn = time.monotonic()
            for name, port in self._ports.items():
                self.sights[name].append(look(self._root, name, port, self._began))
            self._over.wait(max(0.0, EVERY - (time.monotonic() - turn)))


def failed_checks(report: t.Mapping[str, t.Any]) -> list[list[str]]:
    """Return name, subject and evidence of each failed check of a report."""
    return [
        [check["name"], check["subject"], check["evidence"]] for check in report.get("checks", []) if not check["ok"]
    ]


def start(made: StackUnderTest) -> dict[str, t.Any]:
    """Start the stack, and return what Rollcall says of it."""
    try:
        report = made.perform()
    except RollcallError as exc:
        return {"ok": False, "failed": [["error", exc.kind, exc.message]]}
    return {"ok": bool(report["ok"]), "failed": failed_checks(report)}


def say(made: StackUnderTest, verb: str) -> dict[str, t.Any]:
    """Return what the stack's own command says: the exit code, and of each failed check its name and subject."""
    done = subprocess.run(
        [made.command, verb, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        stdin=subprocess.DEVNULL,
    )
    report = json.loads(done.stdout)
    return {"ok": done.returncode == 0, "code": done.returncode, "failed": failed_checks(report)}


def run(behaviours: t.Mapping[str, t.Mapping[str, t.Any]], ports: t.Sequence[int]) -> dict[str, t.Any]:
    """Return what was said at the start and later, and every sight."""
    names = dict(zip(behaviours, ports, strict=False))
    began = time.monotonic()

    def now() -> float:
        return round(time.monotonic() - began, 2)

    with stack({}, ports={"range": [1024, 65000]}) as made:
        root = Path(made.root)
        made.raw["defaults"].update(
            command=[made.program, "-S", SERVICE], stable_for=2, health={"http": "/health", "timeout": 2}
        )
        made.raw["services"] = {
            name: {
                "port": names[name],
                "restart": "always",
                "env": {"BEHAVIOUR": json.dumps(behaviour), "LIVES": str(root / f"{name}.lives")},
            }
            for name, behaviour in behaviours.items()
        }

        with Observer(root, names, began) as observer:
            first = {**start(made), "at": now()}
            time.sleep(BEFORE)
            asked = now()
            later = {verb: say(made, verb) for verb in ("verify", "status")}
            said = now()
            time.sleep(AFTER)
            last = {verb: say(made, verb) for verb in ("verify", "status")}
            ended = now()
            time.sleep(4)
        # What still writes into the directory would be in the way when it is removed.
        say(made, "stop")
    return {
        "first": first,
        "later": {"asked": asked, "said": said, **later},
        "last": {"asked": said + AFTER, "said": ended, **last},
        "sights": observer.sights,
    }


def main() -> None:
    wanted = json.loads(sys.argv[1])
    os.setsid()
    print(json.dumps(run(wanted["services"], wanted["ports"])))


if __name__ == "__main__":
    main()
