# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container: Debian with systemd and sshd, as Molecule has it, and the demo on it, installed by site.yml over ssh.

Two small disks of its own, for the root and for the logs, can be filled to the last byte without filling anybody's.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.inside import places

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
INSIDE = Path(__file__).resolve().parent / "inside"
DEMO = ROOT / "inventories" / "demo" / "group_vars" / "all.yml"
SHARED = ROOT / "molecule" / "shared"

# Blocks of 4 KiB and inodes of the two disks. What is installed takes about half of the larger one.
DISKS = {places.ROOT: (24576, 8000), places.LOG_DISK: (8192, 500)}
BOOT = 180.0
# Seconds that a service has to stop: it has ten by itself, and a stopped one takes all of them.
STOP = 4


class Failure(Exception):
    """The test itself cannot go on."""


def run(*command: str | Path, environment: Mapping[str, str] | None = None, timeout: float = 600.0) -> str:
    """Run a command to its end and return what it printed.

    Raises:
        Failure: it did not exit with 0; with its last lines.
    """
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**os.environ, **settings(), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0:
        raise Failure(f"{command[0]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def settings() -> dict[str, str]:
    """Return podman's settings where this machine needs some of its own, as molecule/shared/vars/main.yml has it."""
    kind = subprocess.run(["stat", "-fc", "%T", "/sys/fs/cgroup"], capture_output=True, text=True, check=True).stdout
    if kind.strip() == "cgroup2fs" or "CONTAINERS_CONF" in os.environ:
        return {}
    return {"CONTAINERS_CONF": str(SHARED / "containers.conf")}


def manifest() -> dict[str, Any]:
    """Return the demo's ten services for a host of their own, one of them with a secret."""
    demo = yaml.safe_load(DEMO.read_text(encoding="utf-8"))["rollcall_stack"]
    services = {name: dict(service) for name, service in demo["services"].items()}
    services["main_app"]["secrets"] = {"API_KEY": "planted-by-chaos"}
    return {
        "name": places.STACK,
        "user": places.USER,
        "root": places.ROOT,
        "paths": {"logs": places.LOGS},
        "ports": demo["ports"],
        "defaults": {
            "command": ["/usr/bin/python3", str(places.APPLICATION), "{name}"],
            "env": {"DATABASE": str(places.DATABASE)},
            "stop": {"timeout": STOP},
            # What was killed is watched for thirty times as long after the next restart.
            "stable_for": 0.2,
        },
        "services": services,
        "checks": {"database": {"sqlite": str(places.DATABASE)}},
    }


class Container:
    """The container with the demo, made on entering and removed on leaving, whatever happens between."""

    def __init__(self) -> None:
        self.name = f"rollcall-chaos-{secrets.token_hex(4)}"
        self._volumes = {f"{self.name}-{number}": place for number, place in enumerate(DISKS)}
        self._directory = tempfile.TemporaryDirectory(prefix="rollcall-chaos-")
        self._place = Path(self._directory.name)

    def __enter__(self) -> Container:
        try:
            self._create()
            self._install()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the container, its disks and our key."""
        run("podman", "rm", "--force", "--ignore", "--time=0", "--volumes", self.name)
        for volume in self._volumes:
            with suppress(Failure):  # it was not made yet
                run("podman", "volume", "rm", volume)
        self._directory.cleanup()

    def lines(self, *arguments: str, timeout: float) -> Iterator[str]:
        """Run the series in the container and yield each line of its output as it comes.

        Raises:
            Failure: it takes longer than ``timeout`` seconds, or ends without a word.
        """
        command = ["podman", "exec", "--workdir", str(places.CHAOS), self.name]
        command += [
            "timeout",
            "--kill-after=10",
            str(int(timeout)),
            "/usr/bin/python3",
            "-B",
            "-m",
            "tests.chaos.inside",
        ]
        child = subprocess.Popen(
            [*command, *arguments],
            env={**os.environ, **settings()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            if child.stdout is not None:
                yield from child.stdout
            # 1: some steps have failed, and have said so.
            if child.wait() not in (0, 1):
                raise Failure(f"the series ended with {child.returncode}")
        finally:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()

    # --- how it is made -------------------------------------------------------------------------------------------

    def _create(self) -> None:
        image = run(SHARED / "build-image.sh", "bookworm").splitlines()[-1]
        key = self._place / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "chaos", "-f", key)
        for volume, place in self._volumes.items():
            blocks, inodes = DISKS[place]
            # podman takes `size` for a quota; the kernel's own words for the same reach tmpfs as they are.
            kind = ("--opt", "type=tmpfs", "--opt", "device=tmpfs")
            run(
                "podman",
                "volume",
                "create",
                *kind,
                "--opt",
                f"o=nr_blocks={blocks},nr_inodes={inodes},mode=0755",
                volume,
            )
        run(
            "podman",
            "run",
            "--detach",
            f"--name={self.name}",
            "--hostname=chaos",
            "--systemd=always",
            "--cap-add=SYS_PTRACE",  # see molecule/shared/create.yml
            "--publish=127.0.0.1::22",
            f"--volume={key}.pub:/root/.ssh/authorized_keys:ro",
            *(f"--volume={volume}:{place}" for volume, place in self._volumes.items()),
            image,
            "/sbin/init",
        )
        until = time.monotonic() + BOOT
        while self._state() != "running":
            if time.monotonic() > until:
                raise Failure(f"systemd in the container did not come up within {BOOT:g} s: {self._state()}")
            time.sleep(0.5)

    def _state(self) -> str:
        done = subprocess.run(
            ["podman", "exec", self.name, "systemctl", "is-system-running"],
            env={**os.environ, **settings()},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    def exec(self, *command: str) -> str:
        """Run a command in the container and return its output."""
        return run("podman", "exec", self.name, *command)

    def _install(self) -> None:
        stack = manifest()
        self.exec("useradd", "--system", "--no-create-home", "--home-dir", places.ROOT, places.USER)
        self.exec("install", "-d", "-o", places.USER, "-m", "0750", str(places.DATABASE.parent))
        self.exec("mkdir", "-p", str(places.APPLICATION.parent), str(places.CHAOS / "tests" / "chaos"))
        run("podman", "cp", ROOT / "examples" / "demo" / "service.py", f"{self.name}:{places.APPLICATION}")
        run("podman", "cp", INSIDE, f"{self.name}:{places.CHAOS / 'tests' / 'chaos' / 'inside'}")
        ports = {name: service.get("port") for name, service in stack["services"].items()}
        self._write(places.SERVICES, json.dumps(ports))
        self._play(stack)
        self._give_clock()

    def _write(self, path: Path, text: str) -> None:
        file = self._place / "file"
        file.write_text(text, encoding="utf-8")
        file.chmod(0o644)
        run("podman", "cp", file, f"{self.name}:{path}")

    def _play(self, stack: Mapping[str, Any]) -> None:
        """Install the stack with site.yml, over ssh."""
        wheels = self._place / "wheels"
        run(ROOT / "tests" / "tools" / "wheels.sh", ROOT / "roles/bootstrap/files/requirements.txt", "3.11", wheels)
        port = run("podman", "port", self.name, "22").split(":")[-1].strip()
        host = {
            "ansible_host": "127.0.0.1",
            "ansible_port": int(port),
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self._place / "key"),
            "bootstrap_wheels": str(wheels),
            "rollcall_stack": dict(stack),
        }
        inventory = self._place / "inventory.json"
        inventory.write_text(json.dumps({"all": {"hosts": {"chaos": host}}}), encoding="utf-8")
        run(
            BIN / "ansible-playbook",
            "site.yml",
            "--inventory",
            inventory,
            environment={
                "ANSIBLE_HOST_KEY_CHECKING": "false",
                # No master connection: it would live on for a minute.
                "ANSIBLE_SSH_ARGS": "-o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -o LogLevel=ERROR",
            },
        )

    def _give_clock(self) -> None:
        """Have every Python of the container start with the wall clock that can jump, and restart the stack."""
        begin = f"import sys; sys.path.append({str(places.CHAOS)!r})"
        begin += "; import tests.chaos.inside.wall_clock as clock; clock.begin(); sys.path.pop()\n"
        packages = self.exec(places.PYTHON, "-c", "import site; print(site.getsitepackages()[0])").strip()
        for directory in (packages, "/usr/lib/python3/dist-packages"):
            self._write(Path(directory, "chaos.pth"), begin)
        self.exec(places.COMMAND, "restart")
