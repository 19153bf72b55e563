# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs the ten services: Rollcall, and its peers as their own pages say.

A service that misbehaves does so in its application, as a new version of it would: what runs it is told nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.benchmark.arena import THIS, Arena, Failure, wait_until
from tests.benchmark.places import Host, Place, Plain
from tests.release.build import ReleaseError
from tests.release.containers import Container

# Between the services and the demo's application, for one of them.
BROKEN = """\
import os
import runpy
import sys

if sys.argv[1] == {service!r}:
    os.environ.update({variables!r})
runpy.run_path({application!r}, run_name="__main__")
"""
# Asks until a service answers, as people write it. Whoever runs it sets the limit.
ASKING = """\
import sys
import time
import urllib.request

while True:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/health", timeout=2).close()
        sys.exit(0)
    except OSError:
        time.sleep(0.1)
"""
UNIT = """\
[Unit]
Description={name}
[Service]
Type=exec
ExecStart={command}
{environment}Restart=on-failure
TimeoutStopSec=10
"""
# As Rollcall's ready_timeout.
ASKED_FOR = 30
# Measures a command from beside it. The clock of a container is that of its machine.
TIMED = """\
import json
import subprocess
import sys
import time

began = time.monotonic()
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, capture_output=True, text=True)
print(json.dumps([began, time.monotonic(), done.returncode, done.stdout + done.stderr]))
"""


class Said(NamedTuple):
    """How a command has ended: when it began and ended (monotonic clock), its exit code, and all that it printed.

    The code is None while it runs on, in the foreground.
    """

    began: float
    ended: float
    code: int | None
    output: str


class Peer:
    """What runs the ten services.

    Attributes:
        name: on the page.
        place: where its services run.
        address: at which they answer.
    """

    name: str
    address = "127.0.0.1"

    def __init__(self, arena: Arena, place: Place) -> None:
        self.arena = arena
        self.place = place
        self._kept = place.directory / "app" / "demo.py"

    def run(self, *words: str | Path) -> Said:
        """Run a command to its end."""
        began = time.monotonic()
        ran = self.arena.run([str(word) for word in words], self.environment())
        return Said(began, began + ran.took.seconds, ran.code, ran.output)

    def environment(self) -> dict[str, str]:
        """Return what its commands need beside the usual."""
        return {}

    def start(self) -> Said:
        """Start everything, where nothing runs."""
        raise NotImplementedError

    def restart(self) -> Said:
        """Restart all services."""
        raise NotImplementedError

    def restart_one(self, service: str) -> Said | None:
        """Restart one service; None when there is no way to."""
        del service
        return None

    def status(self) -> Said | None:
        """Ask how the services are; None when there is no way to."""
        return None

    def words(self, said: Said, service: str) -> str:
        """Return what was said of a service: the line that names it, or else the last one."""
        lines = [" ".join(line.split()) for line in said.output.splitlines() if line.strip(" -")]
        naming = [line for line in lines if service in line]
        return (naming or lines or [""])[-1]

    def version(self) -> str:
        """Return its name and its version."""
        raise NotImplementedError

    def last_line(self, *words: str | Path) -> str:
        """Return the last line that a command prints, which has a version.

        Raises:
            Failure: it ended with another code than 0.
        """
        said = self.run(*words)
        if said.code != 0 or not said.output.strip():
            raise Failure(f"{words[0]} ended with {said.code}: {said.output[-500:]}")
        return said.output.strip().splitlines()[-1].strip()

    def end(self) -> None:
        """End all of it."""
        self.place.end()

    def close(self) -> None:
        """Leave nothing behind."""
        self.end()

    # --- the services ---------------------------------------------------------------------------------------------

    def misbehave(self, service: str, variables: Mapping[str, str]) -> None:
        """Have a service begin with these variables from its next start on."""
        application = self.place.application
        if not self._kept.exists():
            shutil.copy(application, self._kept)
        self._replace(BROKEN.format(service=service, variables=dict(variables), application=str(self._kept)))

    def behave(self) -> None:
        """Have all services begin as they should."""
        if self._kept.exists():
            self._replace(self._kept.read_text(encoding="utf-8"))

    def _replace(self, text: str) -> None:
        new = self._kept.with_name("new.py")
        new.write_text(text, encoding="utf-8")
        new.rename(self.place.application)

    def process(self, service: str) -> psutil.Process:
        """Return the one process of a service."""
        (found,) = self.place.running()[service]
        return found


class Ours(Peer):
    """Rollcall."""

    name = "Rollcall"
    place: Host

    def version(self) -> str:
        return f"Rollcall {(self.place.directory / 'engine' / 'version').read_text(encoding='utf-8').strip()}"

    def start(self) -> Said:
        return self.run(self.place.command, "start")

    def restart(self) -> Said:
        return self.run(self.place.command, "restart")

    def restart_one(self, service: str) -> Said:
        return self.run(self.place.command, "restart", service)

    def status(self) -> Said:
        return self.run(self.place.command, "status")

    def words(self, said: Said, service: str) -> str:
        lines = [" ".join(line.split()) for line in said.output.splitlines()]
        naming = [number for number, line in enumerate(lines) if service in line]
        # Why it has failed stands below its name alone; what else is known of it in the table above.
        reasons = [lines[number + 1] for number in naming if lines[number] == f"FAILED {service}"]
        return (reasons or [lines[number] for number in naming] or [""])[0]

    def end(self) -> None:
        self.run(self.place.command, "stop")


class Supervisorctl(Peer):
    """A plain supervisord and its command."""

    name = "supervisorctl"
    place: Plain

    def control(self, *words: str) -> Said:
        """Call supervisorctl."""
        return self.run(THIS.bin / "supervisorctl", "-c", self.place.config, *words)

    def version(self) -> str:
        return f"supervisor {self.last_line(THIS.bin / 'supervisord', '--version')}"

    def start(self) -> Said:
        return self.run(THIS.bin / "supervisord", "-c", self.place.config)

    def restart(self) -> Said:
        return self.control("restart", "all")

    def restart_one(self, service: str) -> Said:
        return self.control("restart", service)

    def status(self) -> Said:
        return self.control("status")


class Written(Place):
    """Services whose configuration is a peer's."""

    def write(self, name: str, text: str) -> Path:
        """Write a file of the configuration."""
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path


class Honcho(Peer):
    """honcho, which runs a Procfile in the foreground."""

    name = "honcho"
    place: Written

    def __init__(self, arena: Arena, place: Written, tools: Path) -> None:
        super().__init__(arena, place)
        self._tools = tools
        lines = []
        for service in place.services:
            told = " ".join(f"{key}={shlex.quote(value)}" for key, value in place.environment_of(service).items())
            lines.append(f"{service}: {told} {shlex.join(place.command_of(service))}\n")
        self._procfile = place.write("Procfile", "".join(lines))
        self._log = place.directory / "honcho.log"
        self._process: subprocess.Popen[bytes] | None = None

    def version(self) -> str:
        return self.last_line(self._tools / "honcho", "--version")

    def start(self) -> Said:
        began = time.monotonic()
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [self._tools / "honcho", "-f", self._procfile, "start"],
                cwd=self.place.directory,
                env=THIS.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return Said(began, began, None, "")

    def now(self) -> Said:
        """Return how it is by now: whether it runs on, and what it has printed."""
        if self._process is None:
            raise Failure("honcho was not started")
        return Said(0.0, 0.0, self._process.poll(), self._log.read_text(encoding="utf-8", errors="replace"))

    def restart(self) -> Said:
        """End it and start it again: it has no command for that."""
        began = time.monotonic()
        self._stop()
        return self.start()._replace(began=began)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def words(self, said: Said, service: str) -> str:
        # Not what the service itself prints, which it passes on.
        lines = [line for line in said.output.splitlines() if f" {service}.1 " in line.partition("|")[2]]
        return super().words(said._replace(output="\n".join(lines)), service)

    def end(self) -> None:
        self._stop()
        super().end()


class Circus(Peer):
    """circusd and circusctl."""

    name = "circus"
    place: Written

    def __init__(self, arena: Arena, place: Written, tools: Path) -> None:
        super().__init__(arena, place)
        self._tools = tools
        self._endpoint = f"ipc://{place.directory}/control.sock"
        parts = [
            f"[circus]\nendpoint = {self._endpoint}\npubsub_endpoint = ipc://{place.directory}/events.sock\n"
            "statsd = false\n"
        ]
        for service in place.services:
            told = "".join(f"{key} = {value}\n" for key, value in place.environment_of(service).items())
            command = shlex.join(place.command_of(service))
            parts.append(f"[watcher:{service}]\ncmd = {command}\ncopy_env = true\ngraceful_timeout = 10\n")
            parts.append(f"[env:{service}]\n{told}")
        self._config = place.write("circus.ini", "\n".join(parts))

    def control(self, *words: str) -> Said:
        """Call circusctl."""
        return self.run(self._tools / "circusctl", "--endpoint", self._endpoint, *words)

    def version(self) -> str:
        return f"circus {self.last_line(self._tools / 'circusd', '--version')}"

    def start(self) -> Said:
        log = self.place.directory / "circus.log"
        return self.run(self._tools / "circusd", "--daemon", "--log-output", log, self._config)

    def restart(self) -> Said:
        return self.control("restart", "*", "--waiting")

    def restart_one(self, service: str) -> Said:
        return self.control("restart", service, "--waiting")

    def status(self) -> Said:
        return self.control("status")


class Pm2(Peer):
    """PM2."""

    name = "PM2"
    place: Written

    def __init__(self, arena: Arena, place: Written, tools: Path) -> None:
        super().__init__(arena, place)
        self._pm2 = tools / "pm2"
        applications = []
        for service in place.services:
            program, *arguments = place.command_of(service)
            told = place.environment_of(service)
            one = {"name": service, "script": program, "args": arguments, "interpreter": "none", "env": told}
            applications.append({**one, "kill_timeout": 10000})
        self._config = place.write("ecosystem.json", json.dumps({"apps": applications}, indent=1))

    def environment(self) -> dict[str, str]:
        # It asks its maker's site whether there is a newer one.
        return {"PM2_HOME": str(self.place.directory / "pm2"), "PM2_DISABLE_VERSION_CHECK": "true"}

    def control(self, *words: str) -> Said:
        """Call pm2."""
        return self.run(self._pm2, *words, "--no-color")

    def version(self) -> str:
        node = self.last_line("node", "--version").lstrip("v")
        return f"PM2 {self.last_line(self._pm2, '--version')} on Node.js {node}"

    def start(self) -> Said:
        return self.control("start", str(self._config))

    def restart(self) -> Said:
        return self.control("restart", "all")

    def restart_one(self, service: str) -> Said:
        return self.control("restart", service)

    def status(self) -> Said:
        return self.control("status")

    def words(self, said: Said, service: str) -> str:
        # Its table, without what it is drawn with.
        plain = said.output.translate(dict.fromkeys(map(ord, "│┌┬┐├┼┤└┴┘─"), " "))
        return super().words(said._replace(output=plain), service)

    def end(self) -> None:
        self.control("kill")
        super().end()


class Units(Written):
    """Services that run in a container, on its own Python."""

    def command_of(self, name: str) -> list[str]:
        return ["/usr/bin/python3", str(self.application), name]


class Systemd(Peer):
    """Units of systemd, in a container whose first process it is."""

    name = "systemd units"
    place: Units
    TEXT = UNIT

    def __init__(self, arena: Arena, place: Units) -> None:
        super().__init__(arena, place)
        if os.geteuid() != 0 or shutil.which("podman") is None:
            raise Failure("a container with systemd needs root and podman")
        place.write("timed.py", TIMED)
        self._stack = contextlib.ExitStack()
        try:
            volume = f"--volume={place.directory}:{place.directory}"
            self._host = self._stack.enter_context(Container(volume))
            self.address = self._host.run("hostname --all-ip-addresses").split()[0]
            for service in place.services:
                self._host.put(f"/etc/systemd/system/{service}.service", self.unit(service))
            self._host.run("systemctl daemon-reload")
        except BaseException as exc:
            self._stack.close()
            if isinstance(exc, ReleaseError):
                raise Failure(f"the container with systemd did not start: {exc}") from exc
            raise

    def unit(self, service: str) -> str:
        """Return a unit; its service is to be reached from outside of the container, too."""
        told = {**self.place.environment_of(service), "ADDRESS": "0.0.0.0"}
        lines = "".join(f'Environment="{key}={value}"\n' for key, value in told.items())
        return self.TEXT.format(name=service, command=shlex.join(self.place.command_of(service)), environment=lines)

    def control(self, *words: str) -> Said:
        """Call systemctl for all units, or for those that are named."""
        timed = ["/usr/bin/python3", str(self.place.directory / "timed.py"), "systemctl", *words]
        return Said(*json.loads(self._host.run(shlex.join(timed))))

    @property
    def _units(self) -> Sequence[str]:
        return [f"{service}.service" for service in self.place.services]

    def version(self) -> str:
        return self._host.run("systemctl --version").splitlines()[0]

    def start(self) -> Said:
        return self.control("start", *self._units)

    def restart(self) -> Said:
        return self.control("restart", *self._units)

    def restart_one(self, service: str) -> Said:
        return self.control("restart", f"{service}.service")

    def status(self) -> Said:
        return self.control("status", "--no-pager", "--lines=0", *self._units)

    def words(self, said: Said, service: str) -> str:
        # A unit's part of `systemctl status` begins with its name, and says below how it is.
        _before, _name, rest = said.output.partition(f"{service}.service")
        lines = [line.strip() for line in rest.splitlines() if line.strip().startswith("Active:")]
        lines = lines or [line for line in said.output.splitlines() if line.startswith("Job for")]
        return lines[0] if lines else super().words(said, service)

    def end(self) -> None:
        self.control("stop", *self._units)
        self.control("reset-failed")
        wait_until(lambda: not any(self.place.running().values()), "the units' services are gone")

    def close(self) -> None:
        self._stack.close()


class SystemdAsking(Systemd):
    """The same with a check that somebody has written: a unit is not started until its service answers."""

    name = "systemd units that ask"
    TEXT = UNIT + f"TimeoutStartSec={ASKED_FOR}\n"

    def unit(self, service: str) -> str:
        port = self.place.services[service].get("port")
        text = super().unit(service)
        if port is None:
            return text
        asking = self.place.write("asking.py", ASKING)
        return f"{text}ExecStartPost=/usr/bin/python3 {asking} {port}\n"
