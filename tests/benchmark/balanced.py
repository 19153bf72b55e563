# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of SSH hosts behind a real HAProxy, with users who ask all the time, and a controller that can be killed."""

from __future__ import annotations

import contextlib
import subprocess
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.benchmark.arena import ROOT, THIS, Failure, end_tree, wait_until
from tests.benchmark.service import HEALTH
from tests.benchmark.ssh_hosts import STACK, SshFleet, SshHost, fleet
from tests.support.haproxy import PROGRAM, statuses

PORT = 8000
BACKEND = "web"
SERVICE = Path(__file__).resolve().parent / "service.py"
# A host that does not answer is known to be gone after nine seconds.
SSH_OPTIONS = (
    "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    " -o ConnectTimeout=5 -o ServerAliveInterval=3 -o ServerAliveCountMax=3"
)
HEAD = """\
global
  stats socket {socket} mode 600 level admin
defaults
  mode http
  retries 3
  option redispatch 1
  timeout connect 2s
  timeout client 30s
  timeout server 10s
  timeout check 3s
"""
WAY = """\
frontend {name}
  bind 127.0.0.1:{port}
  default_backend {name}
backend {name}
  option httpchk GET /health
{servers}
"""
# Seconds to answer an eye of the test.
LOOK = 3.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Seen:
    """What is true of a host, as it is seen from outside.

    Attributes:
        version: that its service answers with; empty when it does not answer, or says that it is not well.
        server: its status in the balancer, as its own page has it; empty when the balancer is silent.
    """

    version: str
    server: str


class FleetBalancer:
    """A HAProxy before the hosts of a fleet.

    Args:
        place: a directory for its configuration and its socket.
        ways: for each backend the port that it has before the hosts, and that of the service on them.
    """

    def __init__(self, place: Path, hosts: Sequence[SshHost], ways: Mapping[str, tuple[int, int]]) -> None:
        self.socket = str(place / "admin.sock")
        self._config = place / "haproxy.cfg"
        self._log = place / "haproxy.log"
        text = [HEAD.format(socket=self.socket)]
        for name, (port, service) in ways.items():
            servers = [
                f"  server {host.name} {host.address}:{service} check inter 300ms fall 3 rise 1" for host in hosts
            ]
            text.append(WAY.format(name=name, port=port, servers="\n".join(servers)))
        self._config.write_text("".join(text), encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-db", "-f", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: bool(self.statuses()), "HAProxy answers")

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def statuses(self, backend: str = BACKEND) -> dict[str, str]:
        """Return the status of each host's server; nothing while it does not answer."""
        with contextlib.suppress(OSError, ValueError):
            found = statuses(self.socket)
            return {name.partition("/")[2]: word for name, word in found.items() if name.partition("/")[0] == backend}
        return {}


class Running:
    """A playbook that runs, in a session of its own.

    Args:
        command: what is run.
        output: the file for what it prints.
        environment: all of its environment.
        apart: in a tree of processes of its own, as on another machine: nobody here sees whether it lives.
    """

    def __init__(self, command: Sequence[str], output: Path, environment: Mapping[str, str], *, apart: bool) -> None:
        self._output = output
        alone = ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"] if apart else []
        with open(output, "wb") as file:
            self._process = subprocess.Popen(
                [*alone, *command],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def code(self) -> int | None:
        """How it has ended; None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, and return whether it has."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.code is not None

    def kill(self) -> None:
        """Kill it with all that it has started, but for the connections that it leaves to others."""
        end_tree(self._process.pid)
        self._process.wait()


class Balanced:
    """A fleet whose hosts run the service, behind a balancer.

    Args:
        place: an empty directory.
        hosts: its fleet, without a host yet.
        takes: seconds that the page takes.
        ways: further ones of the balancer.
    """

    def __init__(
        self, place: Path, hosts: SshFleet, takes: float, ways: Mapping[str, tuple[int, int]] | None = None
    ) -> None:
        self.place = place
        self.fleet = hosts
        self.takes = takes
        self._ways = {BACKEND: (PORT, PORT), **(ways or {})}
        self._number = 0
        self.balancer: FleetBalancer

    @property
    def names(self) -> list[str]:
        """The hosts, in their order."""
        return [host.name for host in self.fleet.hosts]

    def host(self, name: str) -> SshHost:
        """Return a host by its name."""
        return self.fleet.hosts[self.names.index(name)]

    def sickness(self, name: str) -> Path:
        """Return the file that says that a host's service is sick."""
        return self.place / f"sick-{name}"

    def manifest(self, version: str, **more: str) -> dict[str, Any]:
        """Return the manifest of a host.

        Args:
            version: of the service.
            more: of its environment.
        """
        environment = {"VERSION": version, "TAKES": str(self.takes), **more}
        page = {"command": ["/usr/bin/python3", str(SERVICE)], "port": PORT, "health": {"http": HEALTH}}
        return {
            "name": "stack",
            "root": str(STACK),
            "ports": {"range": [8000, 8100]},
            "defaults": {"start": {"seconds": 1}, "stable_for": 1},
            "services": {"page": {**page, "env": environment}},
        }

    def bring(self, version: str, broken: Collection[str] = ()) -> None:
        """Have the next playbook bring a version.

        Args:
            version: of all hosts.
            broken: hosts on which it does not start.
        """
        self.fleet.of_hosts = {}
        for name in self.names:
            more = {"BROKEN": "yes"} if name in broken else {}
            manifest = self.manifest(version, SICK=str(self.sickness(name)), **more)
            self.fleet.of_hosts[name] = {"rollcall_stack": manifest}

    def install(self, version: str, count: int) -> None:
        """Install a version on so many hosts, and start the balancer before them."""
        self.fleet.add()
        self.bring(version)
        first = self.play("playbooks/site.yml")
        if not first.wait(300) or first.code != 0:
            raise Failure(f"the first install ended with {first.code}:\n{first.output[-4000:]}")
        self.fleet.grow(count)
        self.balancer = FleetBalancer(self.place, self.fleet.hosts, self._ways)
        self.balancer.start()

    def play(self, playbook: str, *arguments: str, inventory: Path | None = None, apart: bool = False) -> Running:
        """Start a playbook over the fleet.

        Args:
            playbook: of this checkout.
            arguments: further ones of ansible-playbook.
            inventory: another one.
            apart: see `Running`.
        """
        self._number += 1
        # A copy: what runs reads its own, whatever is brought next.
        copy = self.place / f"hosts-{self._number}.yml"
        copy.write_text((inventory or self.fleet.inventory()).read_text(encoding="utf-8"), encoding="utf-8")
        command = [str(THIS.bin / "ansible-playbook"), "-i", str(copy), playbook, *arguments]
        # Connections too are its own: the hosts of another fleet on this machine have the same addresses.
        own = {"ANSIBLE_HOME": str(self.place / "ansible"), "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.place / "cp")}
        environment = {**THIS.environment(), **own}
        return Running(command, self.place / f"output-{self._number}", environment, apart=apart)

    # --- eyes that know nothing of Rollcall -----------------------------------------------------------------------

    def version(self, name: str, port: int = PORT) -> str:
        """Return the version that a host's service answers with; empty when it does not answer, or is not well."""
        with contextlib.suppress(OSError, urllib.error.URLError, ValueError):
            address = f"http://{self.host(name).address}:{port}{HEALTH}"
            with _OPENER.open(address, timeout=LOOK) as answer:
                return str(answer.read(100).decode("ascii"))
        return ""

    def look(self, away: Collection[str] = ()) -> dict[str, Seen]:
        """Return what is true of each host, but of those that are away."""
        servers = self.balancer.statuses()
        return {name: Seen(self.version(name), servers.get(name, "")) for name in self.names if name not in away}

    # --- what happens to hosts ------------------------------------------------------------------------------------

    def forget_connections(self) -> None:
        """End the clients of SSH that Ansible has left for the next playbook."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if words and words[0].startswith("ssh: ") and words[0].rstrip().endswith("[mux]"):
                    process.kill()

    def boot(self, name: str) -> None:
        """Start a host that was ended, and its stack as the unit of systemd does."""
        self.fleet.start_again(self.host(name))
        rollcall = [str(STACK / "bin" / "rollcall"), "start", "--automatic"]
        host = self.host(name)
        # A stack that does not come up is nothing that the boot says; whoever looks at it sees it.
        subprocess.run(
            [*host.entering("--net", "--pid", "--mount"), *rollcall],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def sever(self, name: str) -> None:
        """Kill the sessions of SSH that a host has, and nothing else of it."""
        first = psutil.Process(self.host(name).pid)
        for process in first.children():
            with contextlib.suppress(psutil.Error):
                if process.name() == "sshd":
                    process.kill()

    def end(self) -> None:
        """End the balancer."""
        if hasattr(self, "balancer"):
            self.balancer.kill()


@contextlib.contextmanager
def balanced(
    place: Path, wheels: str, takes: float, disk: str = "", ways: Mapping[str, tuple[int, int]] | None = None
) -> Iterator[Balanced]:
    """Yield a fleet behind a balancer without a host, and end what has become of it.

    Args:
        place: an empty directory.
        wheels: the directory with what a host's virtual environment gets.
        takes: seconds that the page takes.
        disk: how large the disk of each host is; empty where all share one.
        ways: further ones of the balancer.
    """
    variables = {
        "ansible_python_interpreter": THIS.python,
        "ansible_ssh_common_args": SSH_OPTIONS,
        "bootstrap_python": THIS.python,
        "bootstrap_wheels": wheels,
        "bootstrap_on_path": False,
        "services_boot": "none",
        "rollout_drain": "haproxy",
        "rollout_balancers": ["localhost"],
        "drain_haproxy_sockets": [str(place / "admin.sock")],
        "drain_haproxy_others_up": 1,
        "drain_record_directory": str(place / "drained"),
    }
    with fleet(place, {}, variables, disk) as hosts:
        made = Balanced(place, hosts, takes, ways)
        try:
            yield made
        finally:
            made.end()
