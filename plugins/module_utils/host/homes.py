# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Homes: the systemd unit or the container that a process belongs to, and that starts it again when it is ended."""

from __future__ import annotations

import functools
import os
import shlex
import typing as t

from . import processes
from .model import Process

SYSTEMD = "systemd"
# The inode of the machine's own pid namespace (linux/proc_ns.h, PROC_PID_INIT_INO).
FIRST_PID_NAMESPACE = 0xEFFFFFFC
# Seconds. systemctl(1) answers in some milliseconds, or systemd is in trouble and not worth waiting for.
SYSTEMCTL_TIMEOUT = 2.0
# How container engines name the cgroup of a container before its id, and the command that stops one.
CONTAINER_ENGINES = {
    "docker": "docker stop",
    "libpod": "podman stop",
    "libpod-conmon": "podman stop",
    "crio": "crictl stop",
    "crio-conmon": "crictl stop",
    "cri-containerd": "crictl stop",
}


class Home(t.NamedTuple):
    """What a process belongs to and comes back from: a unit of systemd, a container, a program of a supervisord.

    Attributes:
        name: what it is called.
        stop: the command that stops it for good; empty where none is known.
        is_container: whether it is a container.
    """

    name: str
    stop: str
    is_container: bool = False


def home_of(pid: int) -> t.Optional[Home]:
    """Return the systemd unit or the container a process runs in, by its cgroup; None when it is in neither."""
    for path in processes.reader.cgroups(pid):
        parts = path.split("/")
        # The outermost container first: a unit within it is none of this machine.
        for place, part in enumerate(parts):
            container = _container(part, parts[place - 1] if place else "")
            if container is not None:
                return container
        for part in reversed(parts):
            # user@1000.service and session-3.scope hold everything a person starts, and so does sshd's own unit where
            # logins get no scope of theirs: naming them helps nobody, and stopping them locks people out.
            if part.endswith(".service") and not part.startswith(("user@", "ssh.", "ssh@", "sshd.", "sshd@")):
                of_a_user = any(other.startswith("user@") for other in parts)
                return Home(part, shlex.join(["systemctl", *(["--user"] if of_a_user else []), "stop", part]))
    return None


def home_name(pid: int) -> t.Optional[str]:
    """Return the name of the systemd unit or the container a process runs in; None when it is in neither."""
    home = home_of(pid)
    return None if home is None else home.name


def _container(part: str, above: str) -> t.Optional[Home]:
    """Return the container that a directory of a cgroup's path stands for; None when it stands for none.

    Args:
        part: its name, by systemd's way (``docker-ID.scope``) or by cgroupfs's (``libpod-ID``, ``docker/ID``).
        above: the name of the directory above it.
    """
    name = part[: -len(".scope")] if part.endswith(".scope") else part
    engine, _unused, ident = name.rpartition("-")
    if len(ident) == 64 and not ident.strip("0123456789abcdef"):
        stop = CONTAINER_ENGINES.get(engine or ("docker" if above == "docker" else "cri-containerd"))
        return Home(f"container {ident[:12]}", "" if stop is None else f"{stop} {ident[:12]}", is_container=True)
    if name.startswith("lxc.payload."):
        name = name[len("lxc.payload.") :]
        return Home(f"container {name}", shlex.join(["lxc-stop", "-n", name]), is_container=True)
    if part.startswith("systemd-nspawn@") and part.endswith(".service"):
        name = part[len("systemd-nspawn@") : -len(".service")]
        return Home(f"container {name}", shlex.join(["systemctl", "stop", part]), is_container=True)
    return None


def describe_namespace(process: Process) -> str:
    """Return words for the pid namespace, other than ours, that a process lives in."""
    for pid in processes.lineages([process.pid], [process])[process.pid]:
        above = processes.describe(pid)
        if above is not None and not above.container:
            return f"the pid namespace below pid {above.pid} '{above.shown}'"
    return "another pid namespace"


@functools.lru_cache(maxsize=1)
def in_first_namespace() -> bool:
    """Return whether this runs in the machine's own pid namespace; from any other not every process can be seen."""
    return not processes.LINUX or os.stat("/proc/self/ns/pid").st_ino == FIRST_PID_NAMESPACE


def program_names(process: Process) -> t.Set[str]:
    """Return what a process's program is called, by its file and by its command line; sshd adds a colon there."""
    return {os.path.basename(process.exe), os.path.basename(process.command[0]).rstrip(":")}


def starts_units(process: Process) -> bool:
    """Return whether a process is one that starts units: pid 1, or the systemd of a user."""
    return process.pid == 1 or SYSTEMD in program_names(process)


def socket_unit(process: Process, port: int) -> t.Optional[Home]:
    """Return the socket unit for which a systemd listens on a port itself; None when it does not tell.

    Only systemd knows. It is asked only for the text of a refusal.
    """
    import subprocess

    if not starts_units(process):
        return None
    systemctl = ["systemctl"] if process.pid == 1 else ["systemctl", "--user"]
    try:
        done = subprocess.run(
            [*systemctl, "list-sockets", "--all", "--full", "--no-legend", "--no-pager"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SYSTEMCTL_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        # No systemd here, or one that does not answer.
        return None
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) > 1 and words[0].rpartition(":")[2] == str(port):
            return Home(words[1], shlex.join([*systemctl, "stop", words[1]]))
    return None
