# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many hosts on one machine: each has its own network, processes and root directory, and a real sshd.

A host is a set of namespaces (namespaces(7)). All have the same paths and ports, as the hosts of a fleet do. The first
one is installed as a user does it; the others are copies of it, and share the files of its virtual environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.benchmark.arena import Failure, wait_until
from tests.support.sshd import SSHD

# Where the stack of every host is, as the host itself sees it; the machine's own directory is hidden there.
STACK = Path("/srv/stack")
BRIDGE = "fleet0"
NETWORK = "10.77"
# Started beside each other: two cores have no more to give.
TOGETHER = 4
PATIENCE = 60.0

SSHD_CONFIG = """\
Port 22
HostKey {place}/host_key
AuthorizedKeysFile {place}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""
# The shell that makes a host ends as its sshd, which is the first process there and reaps what is left over.
MAKE = """\
set -e
mount -t tmpfs -o mode=755 host /srv
mkdir {stack}
mount --bind "$1" {stack}
mkdir -p /run/sshd
ip link set lo up
read -r _
exec {sshd} -D -f "$2" -E "$3"
"""


def enter_namespaces(arguments: Sequence[str]) -> None:
    """Become a Python with these arguments in a network, a tree of processes and a view of the files of its own.

    All that is started there ends with it, and nothing of it is seen by the machine.

    Raises:
        Failure: only root may do that.
    """
    if os.geteuid() != 0:
        raise Failure("only root can make hosts of namespaces")
    alone = ["unshare", "--net", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]
    os.execvp(alone[0], [*alone, sys.executable, *arguments])


class SshHost:
    """One host.

    Args:
        place: a directory with the keys and the configuration of sshd.
        directory: what the host sees as ``STACK``.
        number: from 1; its address derives from it.
    """

    def __init__(self, place: Path, directory: Path, number: int) -> None:
        self.name = f"h{number:03}"
        self._number = number
        self.address = f"{NETWORK}.{1 + number // 250}.{1 + number % 250}"
        self.directory = directory
        directory.mkdir(exist_ok=True)
        alone = ["unshare", "--net", "--pid", "--mount", "--uts", "--fork", "--mount-proc", "--kill-child"]
        make = MAKE.format(stack=STACK, sshd=SSHD)
        files = [str(directory), str(place / "config"), str(place / f"{self.name}.log")]
        # In a session of its own: a Ctrl-C is for the benchmark, which ends it.
        self._process = subprocess.Popen(
            [*alone, "bash", "-c", make, "host", *files], stdin=subprocess.PIPE, start_new_session=True
        )
        wait_until(lambda: self.pid != 0, f"{self.name} has its namespaces")
        self._connect(number)
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.close()

    @property
    def pid(self) -> int:
        """The first process in the host, as it is seen from here; 0 while there is none."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text(encoding="ascii")
        return int(children.split()[0]) if children.split() else 0

    def _connect(self, number: int) -> None:
        outside, inside = f"out{number}", f"in{number}"
        _run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", str(self.pid))
        _run("ip", "link", "set", outside, "master", BRIDGE, "up")
        _run(*self.entering("--net"), "ip", "address", "add", f"{self.address}/16", "dev", inside)
        # Always the same: who knows a host that was started again would wait for the one that it had.
        card = f"02:00:00:00:{number // 256:02x}:{number % 256:02x}"
        _run(*self.entering("--net"), "ip", "link", "set", inside, "address", card)
        _run(*self.entering("--net"), "ip", "link", "set", inside, "up")

    def cable(self, *, plugged: bool) -> None:
        """Have its network, or none: without one it lives on, and nobody hears of it."""
        _run("ip", "link", "set", f"out{self._number}", "up" if plugged else "down")

    def end(self) -> None:
        """End it with all that runs there, as a machine that loses its power; its files stay."""
        self._process.kill()
        self._process.wait(PATIENCE)
        # The kernel takes the network away when it comes to it.
        here = ["ip", "link", "show", f"out{self._number}"]
        wait_until(
            lambda: subprocess.run(here, capture_output=True, check=False).returncode != 0, f"{self.name} is gone"
        )

    def entering(self, *namespaces: str) -> list[str]:
        """Return the words that have a command run in namespaces of the host."""
        return ["nsenter", f"--target={self.pid}", *namespaces]

    def run(self, *command: str) -> None:
        """Run a command in the host.

        Raises:
            Failure: it did not exit with 0.
        """
        _run(*self.entering("--net", "--pid", "--mount"), *command)


class SshFleet:
    """Hosts that are reached by SSH, with one stack each.

    Args:
        place: an empty directory on a file system that all hosts' files are on.
        manifest: of every host; its root is ``STACK``.
        variables: of all hosts, such as how they are prepared.
        disk: how large the disk of each host is, as tmpfs(5) has it, such as 200m; empty where all share one.

    Attributes:
        of_hosts: further variables of single hosts, by their names.
    """

    def __init__(self, place: Path, manifest: Mapping[str, Any], variables: Mapping[str, Any], disk: str = "") -> None:
        self._place = place
        self._disk = disk
        self.of_hosts: dict[str, dict[str, Any]] = {}
        self.manifest = dict(manifest)
        self._variables = variables
        self.hosts: list[SshHost] = []
        for name in ("host_key", "key"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name))
        (place / "config").write_text(SSHD_CONFIG.format(place=place), encoding="utf-8")
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
        _run("ip", "address", "add", f"{NETWORK}.0.1/16", "dev", BRIDGE)
        _run("ip", "link", "set", BRIDGE, "up")

    def add(self) -> SshHost:
        """Make one more host; nothing is installed there."""
        number = len(self.hosts) + 1
        host = SshHost(self._place, self._root(number), number)
        self.hosts.append(host)
        return host

    def start_again(self, host: SshHost) -> None:
        """Start a host that was ended, with the files that it had; its stack is not started."""
        number = self.hosts.index(host) + 1
        self.hosts[number - 1] = SshHost(self._place, host.directory, number)

    def _root(self, number: int) -> Path:
        """Return the directory with a host's files, on a disk of its own where each has one."""
        root = self._place / f"root{number:03}"
        if not root.exists():
            root.mkdir()
            if self._disk:
                _run("mount", "-t", "tmpfs", "-o", f"mode=755,size={self._disk}", "disk", str(root))
        return root

    def grow(self, count: int) -> None:
        """Make copies of the first host until there are ``count`` hosts, and start their stacks.

        Raises:
            Failure: a stack did not start.
        """
        model = self.hosts[0]
        new = range(len(self.hosts) + 1, count + 1)
        model.run(str(STACK / "bin" / "rollcall"), "stop")
        for number in new:
            _copy(model.directory, self._root(number), links=not self._disk)
        made = [model, *(self.add() for _number in new)]
        with ThreadPoolExecutor(TOGETHER) as pool:
            list(pool.map(lambda host: host.run(str(STACK / "bin" / "rollcall"), "start"), made))

    def inventory(self) -> Path:
        """Write the inventory as it is now, and return its path; YAML takes JSON as it is."""
        known = {host.name: {"ansible_host": host.address, **self.of_hosts.get(host.name, {})} for host in self.hosts}
        shared = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self._place / "key"),
            "ansible_ssh_common_args": "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
            "rollcall_stack": self.manifest,
            **self._variables,
        }
        path = self._place / "hosts.yml"
        path.write_text(json.dumps({"all": {"hosts": known, "vars": shared}}, indent=1), encoding="utf-8")
        return path

    def end(self) -> None:
        """End the hosts, with all that runs there."""
        for host in self.hosts:
            host._process.kill()
        for host in self.hosts:
            host._process.wait(PATIENCE)
            if self._disk:
                # What is left of a host may hold its disk for a moment.
                _run("umount", "--lazy", str(host.directory))


@contextlib.contextmanager
def fleet(place: Path, manifest: Mapping[str, Any], variables: Mapping[str, Any], disk: str = "") -> Iterator[SshFleet]:
    """Yield a fleet without a host, and end what has become of it; the arguments are those of `SshFleet`."""
    made = SshFleet(place, manifest, variables, disk)
    try:
        yield made
    finally:
        made.end()


def _copy(source: Path, target: Path, *, links: bool) -> None:
    """Copy a host's stack; with links only the names are new of what never changes, so that memory holds it once."""

    def is_done(at: str, _names: Sequence[str]) -> list[str]:
        return ["engine"] if at == str(source) else []

    copy = os.link if links else shutil.copy2
    shutil.copytree(source / "engine", target / "engine", symlinks=True, copy_function=copy)
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=is_done)


def _run(*command: str) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
