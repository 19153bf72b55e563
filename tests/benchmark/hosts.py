# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet costs its controller: ``python -m tests.benchmark hosts [COUNT...]``, as root.

For each number of hosts it prints a line for a question, a rollout and runs with nothing to do: time on the clock, CPU
seconds and memory of the controller, and how many tasks Ansible starts a host. The figures are in
docs/explanation/scale.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.benchmark.arena import PATIENCE, ROOT, THIS, Arena, Failure, end_tree
from tests.benchmark.noise import Noise
from tests.benchmark.places import wheels
from tests.benchmark.ssh_hosts import STACK, SshFleet, enter_namespaces, fleet
from tests.benchmark.table import machine, table

COUNTS = (1, 10, 50)
HEAD = ("hosts", "what", "clock", "controller's CPU", "CPU a host", "memory at most", "tasks a host", "exit code")
CALLBACKS = Path(__file__).resolve().parent / "callbacks"
# The one argument of the process inside the namespaces that nobody types.
INSIDE = "--wheels"
LOOK_EVERY = 1.0


@dataclass(frozen=True)
class Cost:
    """What a playbook cost its controller.

    Attributes:
        seconds: on the clock.
        cpu: seconds, of ansible-playbook, its workers and all clients of SSH.
        memory: bytes at most, pages that several processes share counted once.
        started: how often each task was started, by its name.
        code: how it ended.
        output: what it printed.
    """

    seconds: float
    cpu: float
    memory: int
    started: dict[str, int]
    code: int
    output: str

    def cells(self, what: str, hosts: int) -> list[str]:
        """Return the row of the table."""
        return [
            str(hosts),
            what,
            f"{self.seconds:.1f} s",
            f"{self.cpu:.1f} s",
            f"{self.cpu / hosts:.2f} s",
            f"{self.memory / 2**20:.0f} MiB",
            f"{sum(self.started.values()) / hosts:.1f}",
            str(self.code),
        ]


class Memory(threading.Thread):
    """Looks once a second at the memory of a process and of all its descendants."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self._process = psutil.Process(pid)
        self._ended = threading.Event()

    def run(self) -> None:
        """Look until it is told to end."""
        while not self._ended.wait(LOOK_EVERY):
            with contextlib.suppress(psutil.Error):
                tree = [self._process, *self._process.children(recursive=True)]
                self.most = max(self.most, sum(_memory(process.pid) for process in tree))

    def end(self) -> int:
        """Return the most that was seen."""
        self._ended.set()
        self.join()
        return self.most


def _memory(pid: int) -> int:
    """Return bytes of a process; of a page that n processes have, each has an n-th (smaps_rollup in proc(5))."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))


class Controller:
    """Runs playbooks over a fleet, each with new connections.

    Args:
        place: a directory for what it keeps.
        hosts: the fleet.
        persist: seconds that a connection stays when nobody uses it; 0 for what ansible.cfg says.
        kex: the key exchange of a connection, as KexAlgorithms in ssh_config(5) has it; empty for ssh's own choice.
    """

    def __init__(self, place: Path, hosts: SshFleet, persist: int = 0, kex: str = "") -> None:
        self._place = place
        self._hosts = hosts
        words = f"-o ControlMaster=auto -o ControlPersist={persist or 60}s" + (
            f" -o KexAlgorithms={kex}" if kex else ""
        )
        self._settings = {"ANSIBLE_SSH_ARGS": words} if persist or kex else {}

    def play(self, playbook: str, *arguments: str) -> Cost:
        """Run a playbook and return what it cost.

        Args:
            playbook: of this checkout.
            arguments: further ones of ansible-playbook.
        """
        started = self._place / "started.json"
        started.unlink(missing_ok=True)
        environment = {
            **THIS.environment(),
            "ANSIBLE_HOME": str(self._place / "ansible"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._place / "cp"),
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "STARTED_TASKS": str(started),
            **self._settings,
        }
        command = [str(THIS.bin / "ansible-playbook"), "-i", str(self._hosts.inventory()), playbook, *arguments]
        with open(self._place / "output", "w+", encoding="utf-8") as output:
            began = time.perf_counter()
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment
            )
            watchdog = threading.Timer(PATIENCE, end_tree, [child.pid])
            watchdog.start()
            memory = Memory(child.pid)
            memory.start()
            _pid, status, usage = os.wait4(child.pid, 0)
            seconds = time.perf_counter() - began
            child.returncode = os.waitstatus_to_exitcode(status)
            watchdog.cancel()
            output.seek(0)
            counted = json.loads(started.read_text(encoding="utf-8")) if started.exists() else {}
            return Cost(
                seconds,
                usage.ru_utime + usage.ru_stime + _end_connections(),
                memory.end(),
                counted,
                child.returncode,
                output.read(),
            )


def _end_connections() -> float:
    """End the clients of SSH that Ansible has left for the next playbook, and return the CPU seconds that they had."""
    total = 0.0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if words and words[0].startswith("ssh: ") and words[0].rstrip().endswith("[mux]"):
                times = process.cpu_times()
                total += times.user + times.system
                process.kill()
    return total


def manifest(version: str) -> dict[str, Any]:
    """Return the manifest of every host: one service that does nothing."""
    return {
        "name": "stack",
        "root": str(STACK),
        "ports": {"range": [8000, 8100]},
        "defaults": {"start": {"seconds": 1}, "stable_for": 0},
        "services": {"idle": {"command": ["/usr/bin/sleep", "infinity"], "env": {"VERSION": version}}},
    }


def measure(controller: Controller, hosts: SshFleet, version: str, arguments: Sequence[str]) -> list[tuple[str, Cost]]:
    """Measure everything once over the fleet as it is.

    Args:
        controller: that does it.
        hosts: its fleet, on which another version runs.
        version: the new one.
        arguments: further ones of ansible-playbook.

    Raises:
        Failure: a playbook did not end well.
    """
    hosts.manifest = manifest(version)
    rollout = "playbooks/rollout.yml"
    found = []
    for what, playbook, more in (
        ("ask: `rollout --check`", rollout, ["--check"]),
        ("rollout of a change", rollout, []),
        ("rollout, nothing to do", rollout, []),
        ("`site`, nothing to do", "playbooks/site.yml", []),
    ):
        cost = controller.play(playbook, *more, *arguments)
        if cost.code != 0:
            raise Failure(f"{what} ended with {cost.code}:\n{cost.output[-4000:]}")
        found.append((what, cost))
        print("  ".join(cost.cells(what, len(hosts.hosts))), flush=True)
    return found


def inside(options: argparse.Namespace) -> None:
    """Measure, in namespaces of our own."""
    arguments = ["--forks", str(options.forks)] if options.forks else []
    noise = Noise()
    rows: list[list[str]] = []
    with Arena() as arena:
        place = arena.path / "fleet"
        place.mkdir()
        variables = {
            "ansible_python_interpreter": THIS.python,
            "bootstrap_python": THIS.python,
            "bootstrap_wheels": options.wheels,
            "bootstrap_on_path": False,
            "services_boot": "none",
        }
        with fleet(place, manifest("0"), variables) as hosts:
            controller = Controller(arena.path, hosts, options.persist, options.kex)
            hosts.add()
            first = controller.play("playbooks/site.yml")
            if first.code != 0:
                raise Failure(f"the first install ended with {first.code}:\n{first.output[-4000:]}")
            for turn, count in enumerate(sorted(options.counts), 1):
                if count > len(hosts.hosts):
                    hosts.grow(count)
                noise.sample()
                for what, cost in measure(controller, hosts, str(turn), arguments):
                    rows.append(cost.cells(what, count))
                    if options.verbose:
                        print("\n".join(f"    {number:5}  {name}" for name, number in cost.started.items()))
    print(table(HEAD, rows))
    print("".join(f"- {fact}\n" for fact in [*machine(), *noise.facts()]))


def main(arguments: Sequence[str]) -> int:
    """Enter namespaces of our own, and measure there."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark hosts", description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=list(COUNTS), help="numbers of hosts")
    parser.add_argument("--forks", type=int, help="hosts that Ansible comes to at once")
    parser.add_argument("--persist", type=int, default=0, help="seconds that a connection stays when nobody uses it")
    parser.add_argument("--kex", default="", help="the key exchange of ssh, such as curve25519-sha256")
    parser.add_argument("--verbose", action="store_true", help="tell how often each task was started")
    parser.add_argument(INSIDE, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.wheels:
        with Arena() as arena:
            store = wheels(arena, THIS)
        enter_namespaces(["-m", "tests.benchmark", "hosts", *arguments, INSIDE, str(store)])
    inside(options)
    return 0
