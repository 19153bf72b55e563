# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What must hold before anything is stopped: the config is proved, the host is fit, no stranger is in the way."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import typing as t

from . import config, flush, journal, plan, processes, registry, supervisor
from .errors import RollcallError
from .journal import Generation
from .manifest import (
    GIVEN_TO_ALL,
    Problem,
    Service,
    Stack,
    current_release,
    release_directory,
    runs_release,
)
from .plan import Plan
from .verdict import Observation

PARSE_BACK_TIMEOUT = 20.0
# A config, a journal and a few log lines need less; below it supervisord fails in ways that are hard to read.
MINIMUM_FREE = 8 * 1024 * 1024
# The record of one run.
RECORD = 256 * 1024


class Account(t.NamedTuple):
    """Who runs the services."""

    name: str
    uid: int
    gid: int
    home: str


def account(stack: Stack) -> Account:
    """Return the account that runs the services: the stack's user, or whoever runs this.

    Raises:
        RollcallError: the user does not exist, or is not the one running this and this is not root.
    """
    who = _who_runs(stack)
    if os.geteuid() not in (0, who.uid):
        raise RollcallError(
            f"Stack {stack.name} runs as user '{who.name}', and this is neither that user nor root.",
            kind="wrong_use",
            remedies=["run the same command with sudo", "in a playbook: become: true"],
        )
    owner = os.stat(stack.root).st_uid if os.path.isdir(stack.root) else who.uid
    if stack.user is None and who.uid == 0 and owner != 0:
        name = processes.user_name(owner)
        raise RollcallError(
            f"Stack {stack.name} is run by user '{name}', to whom {stack.root} belongs, and this is root: its files "
            f"would become root's, and {name} could not use them any more. Nothing was stopped or changed.",
            kind="wrong_use",
            evidence={"root": stack.root, "owner": name},
            remedies=[f"sudo -u {name} {stack.root}/bin/rollcall status", "name the user in the manifest: user"],
        )
    return who


def _who_runs(stack: Stack) -> Account:
    try:
        entry = pwd.getpwuid(os.geteuid()) if stack.user is None else pwd.getpwnam(stack.user)
    except KeyError as exc:
        who = f"user '{stack.user}'" if stack.user else f"uid {os.geteuid()}"
        raise RollcallError(
            f"{who} of stack {stack.name} does not exist on this host.",
            kind="wrong_use",
            remedies=["ansible-playbook site.yml makes it", f"useradd --system {stack.user}"],
        ) from exc
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def held(
    stack: Stack, environment: t.Optional[t.Mapping[str, t.Mapping[str, str]]] = None, awaited: str = ""
) -> t.Dict[str, str]:
    """Return the services that are to stay down, with the reason: something they require is missing, or held itself.

    Args:
        stack: the manifest.
        environment: the variables of the services' private files; None reads those that are installed.
        awaited: the directory of a release that is yet to come; what is inside of it is taken as there.

    Raises:
        RollcallError: the private files cannot be read, or there is no such user.
    """
    if not any(service.requires_files or service.requires_env for service in stack.services):
        return {}
    variables = journal.load_environment(stack.paths) if environment is None else environment
    lacking = {
        service.name: _lacks(stack, service, variables.get(service.name, {}), awaited) for service in stack.services
    }
    return plan.held_back(stack, {name: what for name, what in lacking.items() if what})


def _lacks(stack: Stack, service: Service, private: t.Mapping[str, str], awaited: str) -> str:
    """Return what a service requires and does not have, in words; empty when it has all."""
    parts = []
    who = _who_runs(stack)
    for path in service.requires_files:
        real = as_installed(stack, path)
        if _inside(real, awaited):
            continue
        if not os.path.exists(real):
            parts.append(f"the file {path}, which does not exist")
        elif not may(real, who, 0o4):
            parts.append(f"the file {path}, which user {who.name} may not read")
    known = {**dict.fromkeys(GIVEN_TO_ALL, "given"), **config.environment(stack, service), **private}
    parts += [f"the variable {name}, which is not set" for name in service.requires_env if not known.get(name)]
    return f"it needs {', and '.join(parts)}" if parts else ""


def daemon_environment(stack: Stack, revision: str) -> t.Dict[str, str]:
    """Return the whole environment of supervisord: nothing of the caller's own reaches the services.

    UTF-8 is set because supervisord fails on non-ASCII values under a C locale; the markers tell whose it is.
    """
    who = account(stack)
    return {
        "PATH": config.DEFAULT_PATH,
        "HOME": who.home,
        "USER": who.name,
        "LOGNAME": who.name,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
        "ROLLCALL_STACK": stack.name,
        "ROLLCALL_ROOT": stack.root,
        "ROLLCALL_REVISION": revision,
    }


def prove_config(stack: Stack, text: str) -> None:
    """Have the host's own supervisor read ``text`` and compare what it understood with the manifest.

    Raises:
        RollcallError: it refuses the config, or understood something else. Nothing was changed.
    """
    parsed = config.parse_back(config.engine_python(stack.root), text, timeout=PARSE_BACK_TIMEOUT)
    differences = config.compare(stack, parsed)
    if differences:
        raise RollcallError(
            f"The config of stack {stack.name} does not say what its manifest says; nothing was changed:\n"
            + "\n".join(f"  {difference}" for difference in differences),
            kind="wrong_use",
            evidence={"differences": differences, "supervisor": parsed.supervisor_version},
            remedies=["write the value another way", "report it with the manifest entry: this is a fault of Rollcall"],
        )


def check_private_files(generation: Generation) -> None:
    """Check that every service which is started with a private file has one.

    Raises:
        RollcallError: ``wrong_use``, naming each that lacks its own. Nothing was changed.
    """
    stack = generation.stack
    missing = [name for name in config.with_private_file(stack) if name not in generation.environment]
    if missing:
        files = ", ".join(os.path.join(stack.paths.env_dir, f"{name}.json") for name in missing)
        raise RollcallError(
            f"Variables of {', '.join(missing)} are missing: {files} should be there. Nothing was stopped or changed.",
            kind="wrong_use",
            evidence={"services": missing},
            remedies=["ansible-playbook site.yml", "rollcall rollback"],
        )


def check_host(stack: Stack, *, new: bool = True, awaited: str = "", rights: bool = True) -> None:
    """Check accounts, directories, rights, space, commands and, of a new manifest, what the kernel does with its ports.

    Args:
        stack: the manifest.
        new: whether it is another one than that which ran here before, and so has proved nothing about its ports.
        awaited: the directory of a release that is yet to come; what is inside of it is not looked for.
        rights: whether to look at who else could change what root's supervisord reads.

    Raises:
        RollcallError: ``wrong_use`` with every problem, its place and its cure. Nothing was changed.
    """
    who = account(stack)
    problems = [*files(stack, awaited), *_space(stack), *dependencies(stack, awaited)]
    if rights and who.uid == 0:
        problems += _open_to_others(stack)
    if new:
        problems += [*_kernel_ports(stack, who), *_places(stack)]
    if problems:
        raise RollcallError(
            f"Stack {stack.name} cannot start as it is; nothing was stopped or changed:\n"
            + "\n".join(f"  {problem.place}: {problem.message}. {problem.cure}" for problem in problems),
            kind="wrong_use",
            evidence={"problems": [problem.as_dict() for problem in problems]},
            remedies=["rollcall doctor", "correct the manifest or the host, then run the same command again"],
        )


def check_record(state: str) -> None:
    """Check that there is room for the record of a run, without which no step is taken.

    Raises:
        RollcallError: there is none. Nothing was changed.
        OSError: the directory cannot be looked at.
    """
    problems = list(_room(state, RECORD)) if os.path.isdir(state) else []
    if problems:
        raise RollcallError(
            "\n".join(f"{one.place} {one.message}: no record of a run can be written. {one.cure}." for one in problems)
            + " Nothing was stopped or changed.",
            evidence={"problems": [problem.as_dict() for problem in problems]},
            remedies=[f"df -h {state}; df -i {state}"],
        )


def _problem(place: str, message: str, cure: str) -> Problem:
    return Problem(place=place, message=message, cure=cure, severity="error")


def _kernel_ports(stack: Stack, who: Account) -> t.Iterator[Problem]:
    """Find ports that this host's kernel gives to clients, or to nobody but root (ip-sysctl, Linux)."""
    first, last = _numbers("/proc/sys/net/ipv4/ip_local_port_range") or (0, -1)
    unprivileged = _numbers("/proc/sys/net/ipv4/ip_unprivileged_port_start") or (0,)
    reserved = _reserved()
    for service in stack.services:
        port = service.port
        if port is None:
            continue
        place = f"stack.services.{service.group or service.name}.port"
        if first <= port <= last and port not in stack.ports.also and port not in reserved:
            yield _problem(
                place,
                f"port {port} is one of those that this host's kernel gives to clients ({first}-{last})",
                f"sysctl -w net.ipv4.ip_local_reserved_ports={port}, or add it to stack.ports.also if it is meant",
            )
        if who.uid != 0 and port < unprivileged[0]:
            yield _problem(
                place,
                f"port {port} can be bound by root only on this host, and {who.name} runs the stack",
                f"choose {unprivileged[0]} or above",
            )


def _numbers(path: str) -> t.Tuple[int, ...]:
    """Return the numbers in a file of the kernel's; nothing where there is no such file."""
    try:
        with open(path, encoding="ascii") as stream:
            return tuple(int(word) for word in stream.read().split())
    except FileNotFoundError:
        return ()


def _reserved() -> t.Set[int]:
    """Return the ports that the kernel keeps from clients: numbers and ranges, divided by commas."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_reserved_ports", encoding="ascii") as stream:
            words = stream.read().strip().split(",")
    except FileNotFoundError:
        return set()
    found: t.Set[int] = set()
    for first, dash, last in (word.partition("-") for word in words if word):
        found.update(range(int(first), int(last if dash else first) + 1))
    return found


def _directories(stack: Stack, who: Account) -> t.Iterator[Problem]:
    for place, path in (("stack.paths.run", stack.paths.run), ("stack.paths.logs", stack.paths.logs)):
        if not os.path.isdir(path):
            yield _problem(place, f"directory {path} does not exist", "rollcall doctor --fix makes it")
        elif not may(path, who, 0o3):
            yield _problem(place, f"user {who.name} may not write to {path}", f"chown {who.name} {path}")


def _places(stack: Stack) -> t.Iterator[Problem]:
    """Find directories into which whoever runs this could not install a new generation."""
    for path in dict.fromkeys((journal.store(stack.root), os.path.dirname(stack.paths.etc), stack.paths.state)):
        if os.path.isdir(path) and not os.access(path, os.W_OK | os.X_OK):
            name = pwd.getpwuid(os.geteuid()).pw_name
            yield _problem(path, f"user {name}, who runs this, may not write to it", f"ls -ld {path}")


def _open_to_others(stack: Stack) -> t.Iterator[Problem]:
    """Find directories by which others than root could have root's supervisord do anything, by a config or a link."""
    paths = stack.paths
    own = (stack.root, journal.store(stack.root), os.path.realpath(paths.etc), paths.state, paths.run, paths.logs)
    for path in dict.fromkeys(path for path in own if os.path.isdir(path)):
        seen = os.stat(path)
        if seen.st_uid != 0:
            message = f"belongs to user {processes.user_name(seen.st_uid)}, and supervisord runs as root"
            yield _problem(path, message, f"chown root {path}, or name the user of the stack: user")
        elif seen.st_mode & (stat.S_IWOTH if seen.st_gid == 0 else stat.S_IWOTH | stat.S_IWGRP):
            mode = stat.S_IMODE(seen.st_mode)
            message = f"has mode {mode:04o}, so that others may write to it, and supervisord runs as root"
            yield _problem(path, message, f"chmod go-w {path}")


def _space(stack: Stack) -> t.Iterator[Problem]:
    paths = stack.paths
    for path in dict.fromkeys((stack.root, paths.state, paths.logs, paths.run, journal.store(stack.root))):
        if os.path.isdir(path):
            yield from _room(path, MINIMUM_FREE)


def _room(path: str, least: int) -> t.Iterator[Problem]:
    """Find that a file system cannot be written, or has less than ``least`` bytes or no inode left."""
    numbers = os.statvfs(path)
    free = numbers.f_bavail * numbers.f_frsize
    if numbers.f_flag & os.ST_RDONLY:
        yield _problem(
            path,
            "is on a file system mounted read-only",
            f"mount -o remount,rw $(df --output=target {path} | tail -1)",
        )
    elif free < least or (numbers.f_files and numbers.f_favail == 0):
        inodes = f" and {numbers.f_favail} inodes" if numbers.f_files else ""
        yield _problem(path, f"has {free // 1024} KiB{inodes} free", f"free some: df -h {path}; df -i {path}")


def absent_release(stack: Stack) -> str:
    """Return where the release of the manifest would be when it is not on this host; else nothing."""
    place = "" if stack.release is None else release_directory(stack.root, stack.release)
    return "" if os.path.isdir(place) else place


def _without_release(stack: Stack) -> t.Iterator[Problem]:
    """Find that services run from the release in place, and the manifest has none: the link would lead nowhere."""
    if stack.release is None and registry.leads_to_release(stack):
        named = [service.name for service in stack.services if runs_release(stack, service)]
        if named:
            place = current_release(stack.root)
            message = f"there is none, and {', '.join(named)} run from {place}, which would lead nowhere"
            yield _problem("rollcall_release", message, "keep it in the inventory, or have them run from elsewhere")


def _inside(path: str, directory: str) -> bool:
    return bool(directory) and (path == directory or path.startswith(f"{directory}/"))


def as_installed(stack: Stack, path: str) -> str:
    """Return where a path leads once the manifest is installed: before that, ``current`` is still another release."""
    current = current_release(stack.root)
    if stack.release is None or not (path == current or path.startswith(f"{current}/")):
        return path
    return release_directory(stack.root, stack.release) + path[len(current) :]


def files(stack: Stack, awaited: str = "") -> t.List[Problem]:
    """Return which directories of the stack and its services are missing, or cannot be used by who runs them.

    Args:
        stack: the manifest.
        awaited: the directory of a release that is yet to come; what is inside of it is not looked for.
    """
    problems = list(_directories(stack, _who_runs(stack)))
    absent = absent_release(stack)
    if absent and absent != awaited:
        cure = "ansible-playbook site.yml brings it"
        problems.append(_problem(absent, "the release does not exist on this host", cure))
    problems += _without_release(stack)
    for service in stack.services:
        real = as_installed(stack, service.directory)
        if not _inside(real, awaited) and not os.path.isdir(real):
            place = f"stack.services.{service.name}.directory"
            problems.append(_problem(place, f"{service.directory} does not exist", "create it, or correct the entry"))
    return problems


def dependencies(stack: Stack, awaited: str = "") -> t.List[Problem]:
    """Return which programs of the services are not installed, or may not be executed by who runs them.

    Args:
        stack: the manifest.
        awaited: the directory of a release that is yet to come; a program that may be in it is not missing.
    """
    who = _who_runs(stack)
    return [problem for service in stack.services for problem in _program(stack, service, who, awaited)]


def _program(stack: Stack, service: Service, who: Account, awaited: str) -> t.Iterator[Problem]:
    """Find the program as supervisord's child will: absolute, or along the PATH of the service."""
    place = f"stack.services.{service.name}"
    program = service.command[0]
    if os.path.isabs(program):
        real = as_installed(stack, program)
        if _inside(real, awaited):
            return
        if not os.path.exists(real):
            yield _problem(f"{place}.command[0]", f"{program} does not exist", "install it, or correct the command")
        elif os.path.isdir(real) or not may(real, who, 0o1):
            yield _problem(f"{place}.command[0]", f"user {who.name} may not execute {program}", f"chmod +x {program}")
    else:
        entries = service.env.get("PATH", config.DEFAULT_PATH).split(os.pathsep)
        places = [as_installed(stack, entry) for entry in entries]
        path = os.pathsep.join(places)
        if shutil.which(program, path=path) is None and not any(_inside(place, awaited) for place in places):
            yield _problem(
                f"{place}.command[0]", f"'{program}' is not on the PATH {path}", "install it, or give its absolute path"
            )


def may(path: str, who: Account, bits: int) -> bool:
    """Return whether ``who`` has the permission ``bits`` (4 read, 2 write, 1 execute or search) on ``path``.

    Judged from the mode bits as path_resolution(7) describes them, because root, asking for itself, may anything.
    """
    if who.uid == os.geteuid():
        return os.access(path, bits)
    if who.uid == 0:
        return True
    status = os.stat(path)
    if status.st_uid == who.uid:
        shift = 6
    elif status.st_gid in os.getgrouplist(who.name, who.gid):
        shift = 3
    else:
        shift = 0
    return (status.st_mode >> shift) & bits == bits


def check_daemon(seen: Observation) -> None:
    """Refuse to go on over a supervisord that is alive, has its socket and does not answer on it.

    A live one whose socket is gone is no reason to refuse: it is found by its config and ended properly.

    Raises:
        RollcallError: its message names the daemon; nothing was stopped.
    """
    # One that shuts down is waited for, one without a socket is found by its config and ended.
    fine = (supervisor.ABSENT, supervisor.STALE, supervisor.SHUTTING_DOWN)
    if seen.silence is None or seen.silence.evidence["problem"] in fine:
        _refuse_immovable(seen.silence)
        return
    if not seen.daemons:
        # What is refused to us here is refused to the supervisord that is to take its place, too.
        socket = seen.silence.evidence["socket"]
        raise RollcallError(
            f"{seen.silence.message}. No supervisord of this stack is alive: something else has its socket. Nothing "
            "was stopped or changed.",
            kind="refused",
            evidence=seen.silence.evidence,
            remedies=[f"fuser -v {socket}; ls -l {socket}", "rollcall restart emergency"],
        )
    pids = " ".join(str(process.pid) for process in seen.daemons)
    stopped = [process for process in seen.daemons if process.state in ("T", "stopped")]
    raise RollcallError(
        f"{seen.silence.message}. Alive over this config: pid {pids}"
        + (", stopped by a signal (state T)" if stopped else "")
        + ". Nothing was stopped or changed.",
        evidence={**seen.silence.evidence, "pids": [process.pid for process in seen.daemons]},
        remedies=[
            *([f"kill -CONT {pids}  # then the same command again"] if stopped else []),
            "rollcall restart emergency",
        ],
    )


def _refuse_immovable(silence: t.Optional[RollcallError]) -> None:
    """Refuse over a left-over socket that may not be removed: of somebody else, in a sticky directory (unlink(2))."""
    if silence is None or silence.evidence["problem"] != supervisor.STALE or os.geteuid() == 0:
        return
    path = silence.evidence["socket"]
    place, own = os.stat(os.path.dirname(path)), os.lstat(path)
    if place.st_mode & stat.S_ISVTX and os.geteuid() not in (place.st_uid, own.st_uid):
        raise RollcallError(
            f"The left-over socket {path} belongs to uid {own.st_uid}, and uid {os.geteuid()} may not remove it. "
            "Nothing was stopped or changed.",
            kind="refused",
            evidence=silence.evidence,
            remedies=[f"sudo rm {path}", "run the same command with sudo"],
        )


def check_ports(stack: Stack, seen: Observation, the_plan: Plan, policy: str) -> None:
    """Refuse before anything is stopped when a port that is needed is held by what may not be ended.

    Raises:
        RollcallError: ``refused``, with pid, user and command of each holder.
    """
    if the_plan.mode == "quick":
        _refuse_leftovers(seen)
    ports = plan.assigned_ports(stack) if the_plan.mode == "quick" else the_plan.flush
    if ports:
        flush.flush(stack, ports, policy=policy, dry_run=True)


def _refuse_leftovers(seen: Observation) -> None:
    """A quick restart flushes nothing, so what is left over from before must be out of the way already."""
    left = [
        f"port {port} is held by {holder.summary}"
        for port, holders in seen.holders.items()
        for holder in holders
        if holder.provenance in ("orphan", "duplicate")
    ]
    if left:
        raise RollcallError(
            "A quick restart flushes no port, and " + "; ".join(left) + ". Nothing was stopped or changed.",
            kind="refused",
            evidence={"holders": left},
            remedies=["rollcall restart full  # it ends what is left over and then restarts"],
        )
