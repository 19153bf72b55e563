# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""systemd's unit of a stack, which starts it after a boot and stops it before the host goes down.

What a run starts is moved into the unit, so that it does not end with the session of the person who asked. The unit is
active when the stack is to run, so `systemctl start`, `systemctl stop` and a shutdown do what they should. The role
``services`` writes the unit. See docs/design/0005-boot.md.
"""

from __future__ import annotations

import os
import typing as t

from ..base.errors import RollcallError
from ..host import births, ours, processes, units
from ..host.labels import trusted_uids
from ..manifest.model import Stack
from ..supervisord.running import supervisords_of
from .modes import NOTHING, Mode

# The unit sets this variable for its own commands.
CALLED = "ROLLCALL_UNIT"
# Seconds to wait for an answer of systemd, and for a job; systemd goes on with a job that takes longer.
ANSWER = 2.0
JOB = 6.0
# How often processes are looked for and moved: one may fork after it was listed.
LOOKS = 5

Ask = t.Callable[[t.Sequence[str], float], str]


class Unit(t.NamedTuple):
    """The unit of a stack.

    Attributes:
        name: as systemd knows it.
        user: whether it is of the user's own service manager.
        ask: runs a command within the given seconds and returns what it printed.
    """

    name: str
    user: bool
    ask: Ask

    @property
    def state(self) -> str:
        """Its state as systemd calls it: active, inactive, failed, activating, deactivating.

        Raises:
            RollcallError: systemd does not answer.
        """
        return self.ask([*self._systemctl, "show", "--property=ActiveState", "--value", self.name], ANSWER).strip()

    @property
    def command(self) -> str:
        """The command that starts it, for people."""
        return f"systemctl {'--user ' if self.user else ''}start {self.name}"

    def start(self) -> None:
        """Start it and wait, also when it was started too often for systemd.

        Raises:
            RollcallError: it did not start in time, or failed.
        """
        self.ask([*self._systemctl, "reset-failed", self.name], ANSWER)
        self.ask([*self._systemctl, "start", self.name], JOB)

    def stop(self) -> None:
        """Stop it and wait; systemd then does not try to start it any more.

        Raises:
            RollcallError: it did not stop in time.
        """
        self.ask([*self._systemctl, "stop", self.name], JOB)

    def adopt(self, pids: t.Sequence[int]) -> None:
        """Move processes into the unit's control group. It must be active.

        Raises:
            RollcallError: systemd refuses, or does not answer.
        """
        manager = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
        scope = ["--user"] if self.user else []
        listed = [str(len(pids)), *map(str, pids)]
        method = ["AttachProcessesToUnit", "ssau", self.name, "", *listed]
        self.ask(["busctl", *scope, "--quiet", "call", *manager, *method], ANSWER)

    def holds(self, pid: int) -> bool:
        """Return whether a process is in the unit's control group; true for one that is gone, which need not move."""
        try:
            with open(f"/proc/{pid}/cgroup", encoding="utf-8") as stream:
                return self.name in stream.read().replace("\n", "/").split("/")
        except (FileNotFoundError, ProcessLookupError):
            return True

    def cgroup_of(self, pid: int) -> str:
        """Return the path of the unit's control group, when a process is in it; else an empty text."""
        for path in processes.reader.cgroups(pid):
            head, name, _rest = f"{path}/".partition(f"/{self.name}/")
            if name:
                return f"{head}/{self.name}"
        return ""

    @property
    def _systemctl(self) -> t.List[str]:
        return ["systemctl", *(["--user"] if self.user else [])]


def find(stack: Stack) -> t.Optional[Unit]:
    """Return the unit of a stack; None when it has none, or systemd is not the init of this host."""
    if not os.path.isdir(units.RUNNING):
        return None
    uid, name = os.geteuid(), units.unit_name(stack.name)
    try:
        ours = units.is_of(os.path.join(units.directory(uid), name), stack.root)
    except (FileNotFoundError, KeyError):
        return None
    return Unit(name, uid != 0, _asked) if ours else None


def enter(unit: Unit, mode: Mode) -> t.List[str]:
    """Move this process into the unit of its stack before a run, so that what it starts belongs to the unit.

    Args:
        unit: of the stack.
        mode: of the run.

    Returns:
        Why that could not be done, for people; empty when it was done, or is not needed.
    """
    if not mode.starts or unit.holds(os.getpid()):
        return []
    try:
        if unit.state in ("active", "activating"):
            unit.adopt([os.getpid()])
    except RollcallError as exc:
        return [exc.message]
    return []


def follow(unit: Unit, stack: Stack, mode: Mode, *, ok: bool, called: bool) -> t.List[str]:
    """Start or stop the unit, or move processes into it, so that it agrees with what a run has done.

    Args:
        unit: of the stack.
        stack: the manifest.
        mode: of the run.
        ok: whether its verdict is OK.
        called: whether the unit itself asked for the run; then systemd sees by the exit code how it ended.

    Returns:
        What could not be done, for people.
    """
    try:
        step = decide(mode, "" if called else unit.state, ok=ok)
        if step == "stop":
            unit.stop()
        elif step == "start":
            # The unit's own run finds nothing to do, and then moves the processes.
            unit.start()
        elif step == "gather":
            gather(unit, stack)
    except RollcallError as exc:
        return [exc.message]
    return []


def decide(mode: Mode, state: str, *, ok: bool) -> str:
    """Return what is done with the unit after a run: ``start``, ``stop``, ``gather``, or an empty text for nothing.

    Args:
        mode: of the run.
        state: of the unit; empty when the unit asked for the run.
        ok: whether its verdict is OK.
    """
    if mode.stops == NOTHING:
        return ""
    if not mode.starts:
        # A failed or inactive unit starts nothing by itself.
        return "stop" if state in ("active", "activating", "reloading") else ""
    if state in ("inactive", "failed"):
        # The unit of a stack that failed stays inactive.
        return "start" if ok else ""
    return "gather"


def gather(unit: Unit, stack: Stack) -> None:
    """Move the supervisords of a stack and all their descendants into the unit.

    Raises:
        RollcallError: systemd refuses, or does not answer.
    """
    for _look in range(LOOKS):
        supervisords = [process.pid for process in supervisords_of(stack)]
        family = ours.family(stack.root, trusted_uids(stack.root, stack.user), supervisords)
        outside = [pid for pid in (*supervisords, *(process.pid for process in family)) if not unit.holds(pid)]
        if not outside:
            if supervisords:
                births.remember(stack.root, cgroup=unit.cgroup_of(supervisords[0]))
            return
        unit.adopt(outside)


def _asked(command: t.Sequence[str], seconds: float) -> str:
    """Run a command of systemd and return what it printed.

    Raises:
        RollcallError: it is not installed, failed, or did not end in time.
    """
    import shlex
    import subprocess

    environment = {**os.environ, "XDG_RUNTIME_DIR": f"/run/user/{os.geteuid()}"}
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise RollcallError(f"systemd did not answer within {seconds:g} s: {shlex.join(command)}") from exc
    except OSError as exc:
        raise RollcallError(f"{command[0]} cannot be run: {exc}") from exc
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise RollcallError(f"systemd refused '{shlex.join(command)}': {said}")
    return done.stdout
