# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container as a fault finds it: the stack's processes and files, commands to run, and what was started here."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.inside import eyes, wall_clock
from tests.chaos.inside.places import (
    APPLICATION,
    CHAOS,
    COMMAND,
    DATABASE,
    ENGINE,
    ETC,
    LOG_DISK,
    LOGS,
    PYTHON,
    ROOT,
    RUN,
    SERVICES,
    STATE,
    USER,
)

# What no command may take, whatever it says of its own limit.
BOUND = 300.0
SAVED = CHAOS / "saved"


class Untrue(Exception):
    """The test has failed: what was said is not so, somebody was killed, or there was no end to it."""


@dataclass(frozen=True)
class Ran:
    """A run of ``rollcall``: its arguments, exit code, JSON, error output and seconds."""

    arguments: tuple[str, ...]
    code: int
    data: dict[str, Any]
    complaint: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it claims success, in both ways.

        Raises:
            Untrue: the exit code says another thing than the JSON.
        """
        said = self.data.get("ok") is True
        if said != (self.code == 0):
            raise Untrue(f"{self} says ok: {self.data.get('ok')} and exits with {self.code}")
        return said

    @property
    def error(self) -> dict[str, Any]:
        """What it was refused or stopped with; empty when it came to a verdict."""
        return dict(self.data.get("error") or {})

    @property
    def reason(self) -> str:
        """Why it did not hold, in words: the error, or the checks that failed."""
        if self.error:
            # What a worker that died has left behind.
            output = str(self.error["evidence"].get("output") or "").strip()
            return f"{self.error['message']}" + (f" [{output}]" if output else "")
        checks = [check for check in self.data.get("checks", []) if not check["ok"]]
        return "; ".join(f"{check['name']} {check['subject']}: {check['evidence']}" for check in checks)

    @property
    def recovering(self) -> bool:
        """Whether it says of nothing but services that have ended once that they have not lived for long since."""
        failed = [check["code"] for check in self.data.get("checks", []) if not check["ok"]]
        return bool(failed) and set(failed) == {"recovering"}

    @property
    def advice(self) -> list[str]:
        """What it says to run next."""
        named = [check["next"] for check in self.data.get("checks", []) if not check["ok"] and check["next"]]
        return [*self.error.get("remedies", []), *self.data.get("next", []), *named]

    def __str__(self) -> str:
        return f"`rollcall {' '.join(self.arguments)}`"


class Crowd:
    """Processes that were started here and are ended here, each in a session of its own."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, user: str = "root", environment: Mapping[str, str] | None = None) -> int:
        """Start a process under a user. Returns its pid."""
        return self._start(command, user, environment or {}, subprocess.DEVNULL).pid

    def python(self, code: str, *arguments: str, user: str = "nobody", **environment: str) -> int:
        """Start a Python program, wait until it has done what ``code`` says, and let it live on. Returns its pid."""
        command = ["/usr/bin/python3", "-c", f"{code}\n{_FOREVER}", *arguments]
        child = self._start(command, user, environment, subprocess.PIPE)
        if child.stdout is None or child.stdout.read() != b"ready":
            raise RuntimeError(f"a helper did not get ready: {code}")
        child.stdout.close()
        return child.pid

    def supervisord(self, config: str) -> int:
        """Start a supervisord by hand, as the stack's user. Returns its pid."""
        return self.start(PYTHON, "-m", "supervisor.supervisord", "--nodaemon", "-c", config, user=USER)

    def stop(self, pid: int) -> None:
        """End the one with this pid in order, with time for what it has to see to, and reap it."""
        (child,) = (child for child in self._children if child.pid == pid)
        child.terminate()
        child.wait(60)
        self._children.remove(child)

    def end(self, *pids: int) -> None:
        """End and reap those with these pids; all of them when none is named."""
        for child in list(self._children):
            if not pids or child.pid in pids:
                child.kill()
                child.wait()
                self._children.remove(child)

    def reap(self) -> None:
        """Take the exit codes of those that others have ended, so that they are no zombies."""
        self._children = [child for child in self._children if child.poll() is None]

    def _start(
        self, command: Sequence[str], user: str, environment: Mapping[str, str], output: int
    ) -> subprocess.Popen[bytes]:
        account = pwd.getpwnam(user)
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", **environment},
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            start_new_session=True,
        )
        self._children.append(child)
        return child


class World:
    """All that a fault may lay its hands on."""

    def __init__(self) -> None:
        self.services: dict[str, int | None] = json.loads(SERVICES.read_text(encoding="utf-8"))
        self.eyes = eyes.Eyes(self.services)
        self.account = pwd.getpwnam(USER)
        self.strangers: set[int] = set()
        self.crowd = Crowd()

    @property
    def with_port(self) -> dict[str, int]:
        """The services that have a port."""
        return {name: port for name, port in self.services.items() if port is not None}

    # --- looking --------------------------------------------------------------------------------------------------

    def look(self) -> eyes.View:
        """Return what is there now."""
        return self.eyes.look(self.strangers)

    def daemon(self) -> int:
        """Return the pid of the stack's one supervisord."""
        (process,) = self.look().daemons
        return process.pid

    def service(self, name: str) -> int:
        """Return the pid of a service that runs once."""
        (process,) = self.look().services[name]
        return process.pid

    def workers(self) -> list[eyes.Process]:
        """Return the processes that carry out a run: sessions of their own with the engine's command line."""
        return [
            process
            for process in self.look().processes.values()
            if ENGINE in process.argv and os.path.basename(process.argv[0]).startswith("python") and _leads(process.pid)
        ]

    # --- commands -------------------------------------------------------------------------------------------------

    def rollcall(self, *arguments: str) -> Ran:
        """Run the command on the host to its end.

        Raises:
            Untrue: it takes longer than it may, or it prints no JSON.
        """
        return self.begin(*arguments).end()

    def begin(self, *arguments: str) -> Running:
        """Start the command on the host and do not wait for it."""
        return Running(self, arguments)

    # --- back to the beginning ------------------------------------------------------------------------------------

    def save(self) -> None:
        """Keep what the faults break and nobody but us can bring back."""
        shutil.rmtree(SAVED, ignore_errors=True)
        SAVED.mkdir()
        self.save_etc()
        shutil.copy2(APPLICATION, SAVED / "service.py")

    def save_etc(self) -> None:
        """Keep the installed generation."""
        subprocess.run(["rm", "-rf", SAVED / "etc"], check=True)
        subprocess.run(["cp", "-a", f"{ETC}/.", SAVED / "etc"], check=True)
        (SAVED / "link").write_text(os.readlink(ETC), encoding="utf-8")

    def restore_etc(self) -> None:
        """Bring the installed generation back as it was."""
        if os.path.isdir(ETC) and not os.path.islink(ETC):
            shutil.rmtree(ETC)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(ETC)
        target = (SAVED / "link").read_text(encoding="utf-8")
        os.symlink(target, ETC)
        generation = os.path.join(ROOT, target)
        subprocess.run(["rm", "-rf", generation], check=True)
        subprocess.run(["cp", "-a", SAVED / "etc", generation], check=True)

    def restore_application(self) -> None:
        """Bring the services' program back."""
        shutil.copy2(SAVED / "service.py", APPLICATION)

    def own(self, path: str, mode: int, user: str = USER) -> None:
        """Make a directory as `bootstrap` makes it."""
        os.makedirs(path, exist_ok=True)
        os.chown(path, *((self.account.pw_uid, self.account.pw_gid) if user == USER else (0, 0)))
        os.chmod(path, mode)

    def free_disks(self) -> None:
        """Remove what filled the disks."""
        for disk in (ROOT, LOG_DISK):
            subprocess.run(["rm", "-rf", f"{disk}/.filling"], check=True)

    def heal(self) -> None:
        """Bring the stack to its beginning by force, whatever was done to it. Only after a failed step."""
        self.crowd.end()
        for process in self.workers():
            _kill(process.pid)
        self.free_disks()
        wall_clock.jump(0.0)
        for _unused in range(20):
            view = self.look()
            left = [*view.daemons, *(process for running in view.services.values() for process in running)]
            left += [process for process in view.processes.values() if process.uid == self.account.pw_uid]
            left = [process for process in left if process.pid not in self.strangers]
            if not left:
                break
            for process in left:
                _kill(process.pid)
            time.sleep(0.1)
        self.own(RUN, 0o700)
        self.own(LOG_DISK, 0o755, "root")
        self.own(LOGS, 0o750)
        self.own(STATE, 0o700, "root")
        # Nothing of that is needed when nothing runs.
        for place in (RUN, STATE):
            for name in os.listdir(place):
                subprocess.run(["rm", "-rf", os.path.join(place, name)], check=True)
        self.restore_etc()
        self.restore_application()
        for path in DATABASE.parent.iterdir():
            path.unlink()
        ran = self.rollcall("restart")
        wrong = self.eyes.wrong(self.look())
        if not ran.ok or wrong:
            raise RuntimeError(f"the stack cannot be brought back: {ran.reason} {ran.complaint} {wrong}")


class Running:
    """A command on its way."""

    def __init__(self, world: World, arguments: Sequence[str]) -> None:
        self.arguments = tuple(arguments)
        self._world = world
        self._began = time.monotonic()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed in end
        self._complaint = tempfile.TemporaryFile()  # noqa: SIM115 - closed in end
        self.child = subprocess.Popen(
            [COMMAND, *arguments, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._complaint,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C"},
        )

    def end(self, killed: bool = False) -> Ran:
        """Wait for its end.

        Args:
            killed: whether somebody has killed it, so that it need not say anything.
        """
        try:
            code = self.child.wait(BOUND)
        except subprocess.TimeoutExpired as exc:
            for pid in {self.child.pid, *(process.pid for process in self._world.workers())}:
                _kill(pid)
            self.child.wait()
            raise Untrue(f"`rollcall {' '.join(self.arguments)}` did not end within {BOUND:g} s") from exc
        seconds = time.monotonic() - self._began
        output, complaint = (_read_all(stream) for stream in (self._output, self._complaint))
        if killed:
            return Ran(self.arguments, code, {}, complaint, seconds)
        try:
            data = json.loads(output)
        except ValueError as exc:
            told = (complaint or output).strip()[-1500:]
            raise Untrue(f"`rollcall {' '.join(self.arguments)} --json` ended with {code} and no JSON: {told}") from exc
        limit = data.get("limit")
        if limit is not None and seconds > limit:
            raise Untrue(f"`rollcall {' '.join(self.arguments)}` took {seconds:.1f} s, and its own limit is {limit} s")
        return Ran(self.arguments, code, data, complaint, seconds)


_FOREVER = "import os, signal\nos.write(1, b'ready')\nos.close(1)\nwhile True: signal.pause()"


def _read_all(stream: Any) -> str:
    stream.seek(0)
    text: str = stream.read().decode("utf-8", "replace")
    stream.close()
    return text


def _leads(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_all(pids: Iterable[int], number: int = signal.SIGKILL) -> None:
    """Signal processes, and after a KILL wait for their ends; one that has ended meanwhile is what was wanted."""
    signalled = list(pids)
    for pid in signalled:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    if number == signal.SIGKILL:
        wait_until(lambda: not any(eyes.read(pid) for pid in signalled), "what was killed is gone")


def wait_until(condition: Callable[[], bool], what: str, patience: float = 60.0) -> None:
    """Wait until a condition holds.

    Raises:
        RuntimeError: it does not in time, so the fault could not be made.
    """
    until = time.monotonic() + patience
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"waited {patience:g} s in vain until {what}")
        time.sleep(0.02)
