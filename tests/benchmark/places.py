# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where services run: what both sides have in common, a plain supervisord, and a host of Rollcall's."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml
from supervisor.xmlrpc import SupervisorTransport

from tests.benchmark.arena import (
    CACHE,
    HERE,
    ROOT,
    THIS,
    Arena,
    Checkout,
    Ran,
    command_line,
    end_all,
    is_alive,
    mentioning,
    wait_until,
)

APPLICATION = ROOT / "examples" / "demo" / "service.py"
DEMO = ROOT / "inventories" / "demo" / "group_vars" / "all.yml"
REQUIREMENTS = Path("roles", "bootstrap", "files", "requirements.txt")


def demo_services(arena: Arena, count: int = 10) -> dict[str, dict[str, Any]]:
    """Return the demo's ten services as its manifest has them, on free ports; beyond ten, more of the same kind."""
    demo = yaml.safe_load(DEMO.read_text(encoding="utf-8"))["rollcall_stack"]["services"]
    services = {name: dict(service) for name, service in demo.items()}
    health = demo["main_app"]["health"]
    services.update({f"extra_{number}": {"port": 0, "health": health} for number in range(count - len(services))})
    with_port = [service for service in services.values() if "port" in service]
    for service, port in zip(with_port, arena.ports(len(with_port)), strict=True):
        service["port"] = port
    return services


class Place:
    """A directory with an application of its own, so that each of its processes is known by its command line.

    Args:
        directory: made here; its path is as unique as the arena's.
        services: as the manifest has them; one without a command is the demo's application.
    """

    def __init__(self, directory: Path, services: Mapping[str, Mapping[str, Any]]) -> None:
        self.directory = directory
        self.services = services
        self.application = directory / "app" / "service.py"
        self.application.parent.mkdir(parents=True)
        shutil.copy(APPLICATION, self.application)

    @property
    def config(self) -> Path:
        """The configuration of its supervisord."""
        raise NotImplementedError

    @property
    def socket(self) -> Path:
        """The socket of its supervisord."""
        raise NotImplementedError

    @property
    def ports(self) -> list[int]:
        """The ports of its services."""
        return [service["port"] for service in self.services.values() if "port" in service]

    def command_of(self, name: str) -> list[str]:
        """Return what a service runs, by which its processes are known."""
        command = self.services[name].get("command", [sys.executable, str(self.application), name])
        return [str(word) for word in command]

    def environment_of(self, name: str) -> dict[str, str]:
        """Return what a service has to know: the same as Rollcall tells it."""
        service = self.services[name]
        known = {f"PORT_{other.upper()}": self.services[other].get("port") for other in service.get("depends_on", {})}
        ports = {"PORT": service.get("port"), **known}
        told = {key: str(port) for key, port in ports.items() if port is not None}
        return {"DATABASE": f"{self.directory}/data/demo.db", **told}

    def processes(self) -> list[psutil.Process]:
        """Return all that lives here."""
        return [process for process in mentioning(f"{self.directory}/") if is_alive(process)]

    def daemons(self) -> list[psutil.Process]:
        """Return the supervisords over its configuration."""
        names = ("supervisord", "supervisor.supervisord")
        found = []
        for process in self.processes():
            arguments = command_line(process)
            if str(self.config) in arguments and any(Path(argument).name in names for argument in arguments):
                found.append(process)
        return found

    def running(self) -> dict[str, list[psutil.Process]]:
        """Return the processes of each service, whoever started them."""
        found: dict[str, list[psutil.Process]] = {name: [] for name in self.services}
        names = {tuple(self.command_of(name)): name for name in self.services}
        for process in self.processes():
            name = names.get(tuple(command_line(process)))
            if name is not None:
                found[name].append(process)
        return found

    def pids(self) -> dict[str, set[int]]:
        """Return the pids of each service's processes."""
        return {name: {process.pid for process in processes} for name, processes in self.running().items()}

    def call(self, method: str) -> Any:
        """Call a method of its supervisord over XML-RPC."""
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        with contextlib.closing(transport):
            server = xmlrpc.client.ServerProxy("http://localhost", transport)
            return getattr(server.supervisor, method)()

    def kill_daemon(self) -> None:
        """SIGKILL the supervisord; its services stay."""
        (daemon,) = self.daemons()
        daemon.kill()
        wait_until(lambda: not self.daemons(), "the killed supervisord is gone")

    def start(self) -> None:
        """Start supervisord where nothing runs, and wait until all services are RUNNING."""
        raise NotImplementedError

    def end(self) -> None:
        """End all that lives here."""
        end_all(self.processes)


class Plain(Place):
    """Ten services under a supervisord of their own, as one sets it up by hand. Both rivals work on one of these."""

    def __init__(self, directory: Path, services: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(directory, services)
        self._pidfile = directory / "supervisord.pid"
        self.config.write_text("\n\n".join(self._sections()) + "\n", encoding="utf-8")

    @property
    def config(self) -> Path:
        return self.directory / "supervisord.conf"

    @property
    def socket(self) -> Path:
        return self.directory / "supervisor.sock"

    def _sections(self) -> Iterable[str]:
        yield f"[unix_http_server]\nfile={self.socket}"
        yield f"[supervisord]\nlogfile={self.directory}/supervisord.log\npidfile={self._pidfile}"
        factory = "supervisor.rpcinterface:make_main_rpcinterface"
        yield f"[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory={factory}"
        yield f"[supervisorctl]\nserverurl=unix://{self.socket}"
        for name in self.services:
            variables = ",".join(f'{key}="{value}"' for key, value in self.environment_of(name).items())
            yield (
                f"[program:{name}]\ncommand={shlex.join(self.command_of(name))}\nenvironment={variables}\n"
                f"startsecs=1\nstopwaitsecs=10\nredirect_stderr=true\nstdout_logfile={self.directory}/{name}.log"
            )

    def start(self) -> None:
        for path in (self.socket, self._pidfile):
            path.unlink(missing_ok=True)
        subprocess.run(
            [THIS.bin / "supervisord", "-c", self.config], check=True, env=THIS.environment(), stdout=subprocess.DEVNULL
        )
        wait_until(self._all_running, "all services of the plain supervisord are RUNNING")

    def _all_running(self) -> bool:
        try:
            return all(program["statename"] == "RUNNING" for program in self.call("getAllProcessInfo"))
        except (OSError, xmlrpc.client.Error):
            return False

    def shell_restart(self, arena: Arena) -> Ran:
        """Run the shell script on it."""
        return arena.run(
            [str(HERE / "shell_restart.sh")],
            {
                "CONFIG": str(self.config),
                "APPLICATION": f"{self.directory}/",
                "PORTS": " ".join(map(str, self.ports)),
                "SERVICES": " ".join(self.services),
            },
        )

    def variables(self) -> dict[str, Any]:
        """Return what the plain playbook wants to know of it."""
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "supervisor_config": str(self.config),
            "supervisorctl": str(THIS.bin / "supervisorctl"),
            "services": [{"name": name, "port": service.get("port")} for name, service in self.services.items()],
        }


class Host(Place):
    """One host of Rollcall's: a root directory that ``site.yml`` prepares and installs."""

    @property
    def config(self) -> Path:
        return self.directory / "etc" / "supervisord.conf"

    @property
    def socket(self) -> Path:
        return self.directory / "run" / "supervisor.sock"

    @property
    def command(self) -> str:
        """Its ``rollcall``."""
        return str(self.directory / "bin" / "rollcall")

    def start(self) -> None:
        subprocess.run([self.command, "start"], check=True, env=THIS.environment(), stdout=subprocess.DEVNULL)

    def variables(self, checkout: Checkout, wheels: Path) -> dict[str, Any]:
        """Return its inventory variables for a checkout's playbooks."""
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": checkout.python,
            "bootstrap_python": checkout.python,
            "bootstrap_on_path": False,
            "services_boot": "none",
            "bootstrap_wheels": str(wheels),
            "rollcall_stack": self.manifest(),
        }

    def manifest(self) -> dict[str, Any]:
        """Return the manifest: the demo's services, one start second and no time of stability."""
        return {
            "name": self.directory.name,
            "root": str(self.directory),
            "ports": {"range": [20000, 32767]},
            "defaults": {
                "command": [sys.executable, str(self.application), "{name}"],
                "env": {"DATABASE": f"{self.directory}/data/demo.db"},
                "start": {"seconds": 1},
                "stable_for": 0,
            },
            "services": dict(self.services),
            "checks": {"database": {"sqlite": f"{self.directory}/data/demo.db"}},
        }


def inventory(path: Path, hosts: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write an inventory; YAML takes JSON as it is."""
    path.write_text(json.dumps({"all": {"hosts": hosts}}, indent=1), encoding="utf-8")
    return path


def wheels(arena: Arena, checkout: Checkout) -> Path:
    """Return a directory with what a host's virtual environment gets, so that no row waits for the network."""
    directory = CACHE / "benchmark" / "wheels"
    pip = [checkout.python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    arena.run([*pip, "--requirement", str(checkout.root / REQUIREMENTS), "--dest", str(directory)]).must("pip download")
    return directory


class Rollcall:
    """The collection at work on some hosts of this machine.

    Args:
        arena: where the inventory goes.
        name: of that inventory.
        hosts: under the names they have in it.
        checkout: whose playbooks and ansible-core do it.
    """

    def __init__(self, arena: Arena, name: str, hosts: Sequence[Host], checkout: Checkout = THIS) -> None:
        self._arena = arena
        self._checkout = checkout
        self.hosts = hosts
        store = wheels(arena, checkout)
        variables = {host.directory.name: host.variables(checkout, store) for host in hosts}
        self._inventory = inventory(arena.path / f"{name}.yml", variables)

    def play(self, playbook: str, *arguments: str) -> Ran:
        """Run one of the collection's playbooks, as a user does."""
        command = [str(self._checkout.bin / "ansible-playbook"), "-i", str(self._inventory), playbook, *arguments]
        home = {"ANSIBLE_HOME": str(self._arena.path / "ansible")}
        return self._arena.run(command, home, self._checkout).must(playbook)

    def stop(self) -> None:
        """Stop all services and their supervisords."""
        for host in self.hosts:
            self._arena.run([host.command, "stop"]).must("rollcall stop")


class PlainPlaybook:
    """community.general's supervisorctl, wait_for and uri at work on some plain supervisords.

    Args:
        arena: where its inventory and settings go.
        name: of that inventory.
        places: one for each inventory name.
        collections: a directory with community.general.
    """

    def __init__(self, arena: Arena, name: str, places: Sequence[Plain], collections: Path) -> None:
        self._arena = arena
        self._inventory = inventory(
            arena.path / f"{name}.yml", {place.directory.name: place.variables() for place in places}
        )
        # The very settings that Rollcall's playbooks get from ansible.cfg; only the roll call is not printed.
        self._settings = arena.path / f"{name}.cfg"
        ours = (ROOT / "ansible.cfg").read_text(encoding="utf-8").splitlines()
        settings = [line for line in ours if not line.startswith(("inventory", "callbacks_enabled"))]
        self._settings.write_text("\n".join(settings) + "\n", encoding="utf-8")
        self._environment = {
            "ANSIBLE_CONFIG": str(self._settings),
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "ANSIBLE_HOME": str(arena.path / "ansible"),
        }

    def play(self, wanted: str) -> Ran:
        """Bring every service to a state: ``restarted`` or ``started``."""
        command = [str(THIS.bin / "ansible-playbook"), "-i", str(self._inventory), str(HERE / "plain.yml")]
        return self._arena.run([*command, "-e", f"wanted={wanted}"], self._environment).must("plain.yml")


def collections(arena: Arena) -> Path:
    """Return a directory with community.general out of the PyPI package that requirements.txt pins."""
    pinned = (HERE / "requirements.txt").read_text(encoding="utf-8").split("==")[1].split()[0]
    directory = CACHE / "benchmark" / f"collections-{pinned}"
    if not directory.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        arena.run([*pip, "-r", str(HERE / "requirements.txt"), "-d", str(arena.path / "package")]).must("pip download")
        (package,) = (arena.path / "package").iterdir()
        unpack(package, directory)
    return directory


def unpack(package: Path, directory: Path) -> None:
    """Unpack community.general alone; the directory is there only when it is whole."""
    import zipfile

    partial = directory.with_name(f"{directory.name}.{os.getpid()}")
    with zipfile.ZipFile(package) as archive:
        wanted = [name for name in archive.namelist() if name.startswith("ansible_collections/community/general/")]
        archive.extractall(partial, wanted)
    partial.rename(directory)
