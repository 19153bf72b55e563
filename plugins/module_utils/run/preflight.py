# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What is checked before anything is stopped: the config, the host, supervisord, and who listens on the ports."""

from __future__ import annotations

import os
import pwd
import stat
import typing as t

from ..base import cures
from ..base.errors import Problem, RollcallError
from ..host import processes, rlimits
from ..host.accounts import Account, user_name
from ..host.labels import label_of
from ..host.model import Process
from ..host.system_directories import forbidden
from ..manifest.model import UNLIMITED, Stack
from ..manifest.selection import narrowed
from ..ports import flush
from ..ports.needs import all_needs
from ..state.generations import Generation, generations_directory
from ..supervisord import client_errors
from ..supervisord.config import descriptors, wanted_limits
from ..supervisord.environment import services_with_private_file
from ..supervisord.places import engine_python, supervisord_log
from ..supervisord.running import supervisord_options
from ..verdict import fitness, places
from ..verdict.observation import Observation
from .modes import ALL, Mode
from .plan import KEEP, RunPlan, assigned_ports
from .request import Request

PARSE_BACK_TIMEOUT = 20.0
# Bytes, for the record of one run.
RECORD = 256 * 1024


def prove_config(stack: Stack, text: str, *, installed: bool = False) -> None:
    """Have the host's own supervisor read a config, and compare what it understood with the manifest.

    Args:
        stack: the manifest.
        text: of the config.
        installed: whether it is the one in place: it was proved before that, so somebody has edited it since.

    Raises:
        RollcallError: ``wrong_use``: it refuses the config, or understood something else. Nothing was changed.
    """
    from ..supervisord.parse_back import compare, parse_back  # late: most runs have no new config

    parsed = parse_back(engine_python(stack.root), text, timeout=PARSE_BACK_TIMEOUT)
    differences = compare(stack, parsed)
    if differences:
        edited = f"{stack.paths.config} was edited after it was installed: it"
        which = edited if installed else f"The config of stack {stack.name}"
        raise RollcallError(
            f"{which} does not say what its manifest says; nothing was changed:\n"
            + "\n".join(f"  {difference}" for difference in differences),
            kind="wrong_use",
            evidence={"differences": differences, "supervisor": parsed.supervisor_version},
            remedies=[cures.INSTALL if installed else cures.then("write the value another way")],
        )


def check_private_files(generation: Generation) -> None:
    """Check that every service that is started with a private file has one.

    Raises:
        RollcallError: ``wrong_use``: some do not; they are named. Nothing was changed.
    """
    stack = generation.stack
    missing = [name for name in services_with_private_file(stack) if name not in generation.environment]
    if missing:
        files = ", ".join(os.path.join(stack.paths.env_dir, f"{name}.json") for name in missing)
        raise RollcallError(
            f"Variables of {', '.join(missing)} are missing: {files} should be there. Nothing was stopped or changed.",
            kind="wrong_use",
            evidence={"services": missing},
            remedies=[cures.INSTALL],
        )


def check_host(stack: Stack, *, new: bool = True, rights: bool = True) -> None:
    """Check the host as `begin_host_check` does, and wait for it; arguments and errors as there."""
    begin_host_check(stack, new=new, rights=rights)()


def begin_host_check(stack: Stack, *, new: bool = True, awaited: str = "", rights: bool = True) -> fitness.Look:
    """Check accounts, directories, rights, space, commands and, for a new manifest, the kernel's rules for its ports.

    A child looks at thousands of files meanwhile.

    Args:
        stack: the manifest.
        new: whether another manifest ran here before: then nothing about the ports is proved.
        awaited: the directory of a release that is yet to come; nothing is looked for in it.
        rights: whether to check that only root can change what a supervisord of root reads.

    Returns:
        What waits for the child, to be called once. It raises as below, and tells what is unfit as it is now, as the
        same look has seen it.

    Raises:
        RollcallError: ``wrong_use``: with every problem, its place and its remedy. Nothing was changed.
    """
    who = fitness.account(stack)
    given = rights and os.geteuid() == 0
    besides = _of_directories if rights else _at_all
    answered = fitness.begin_fit_to_start(stack, awaited, given=given, besides=besides)

    def fit() -> fitness.Fitness:
        (files, dependencies), now = answered()
        problems = [*files, *dependencies, *_immutable(stack)]
        if rights and who.uid == 0:
            problems += _open_to_others(stack)
        if new:
            problems += [*_kernel_ports(stack, who), *_not_writable(stack)]
        _refuse(stack, problems)
        return now

    return fit


def check_places(stack: Stack) -> None:
    """Check that no directory of a stack is the system's or a user's. Raises as `begin_host_check`."""
    _refuse(stack, list(forbidden(stack)))


def _refuse(stack: Stack, problems: t.Sequence[Problem]) -> None:
    if problems:
        raise RollcallError(
            f"Stack {stack.name} cannot start as it is; nothing was stopped or changed:\n"
            + "\n".join(f"  {problem.place}: {problem.message}. {problem.cure}" for problem in problems),
            kind="wrong_use",
            evidence={"problems": [problem.as_dict() for problem in problems]},
            remedies=[*dict.fromkeys(problem.cure for problem in problems), cures.AGAIN],
        )


def check_limits(stack: Stack) -> None:
    """Check that supervisord may have as many files and processes as it must, and services the limits they are to have.

    Raises:
        RollcallError: ``wrong_use``: a hard limit is lower, and this process cannot raise it. Nothing was changed.
    """
    allowed, wanted = rlimits.own_hard_limits(), wanted_limits(stack)
    lacking = rlimits.lacking(allowed, wanted)
    if not lacking or (os.geteuid() == 0 and rlimits.may_raise(lacking)):
        return
    who = fitness.account(stack)
    told = []
    for name, value in lacking.items():
        most = f"and as {who.name} it may"
        if name == "nofile" and value == descriptors(stack):
            told.append(f"supervisord must be able to open {value} files, {most} open {allowed[name]}")
        elif not _who_wants(stack, name, value):
            told.append(f"supervisord must be able to have {value} processes, {most} have {allowed[name]}")
        else:
            told.append(f"{_who_wants(stack, name, value)}, {most} be {_limit_words(allowed[name])} at the most")
    raise RollcallError(
        "; ".join(told) + ". Nothing was stopped or changed. Raise the hard limit: LimitNOFILE= and the like of the "
        "unit that starts this, /etc/security/limits.conf for a log-in, or what starts the container.",
        kind="wrong_use",
        evidence={"needed": lacking, "allowed": {name: allowed[name] for name in lacking}, "user": who.name},
        remedies=[cures.HARD_LIMIT, *(cures.raise_limit(*item) for item in lacking.items()), cures.AGAIN],
    )


def check_running_limits(stack: Stack, seen: Observation, plan: RunPlan) -> None:
    """Check the same for services that a supervisord is to start which runs already, and keeps its hard limits.

    Raises:
        RollcallError: ``wrong_use``: it must be another supervisord. Nothing was changed.
    """
    if plan.supervisord != KEEP or seen.supervisord is None:
        return
    own = narrowed(stack, plan.start)
    wanted = {name: value for name, value in wanted_limits(own).items() if _who_wants(own, name, value)}
    lacking = rlimits.lacking(rlimits.hard_limits_of(seen.supervisord.pid) or {}, wanted) if wanted else {}
    if lacking:
        raise RollcallError(
            "; ".join(_who_wants(own, name, value) for name, value in lacking.items())
            + f". The supervisord that runs, pid {seen.supervisord.pid}, was started with a lower hard limit, which no "
            "service can exceed. Nothing was stopped or changed. A restart of supervisord comes first.",
            kind="wrong_use",
            evidence={"needed": lacking, "pid": seen.supervisord.pid},
            remedies=[cures.FULL, cures.AGAIN],
        )


def _who_wants(stack: Stack, name: str, value: int) -> str:
    """Return which service wants a limit; empty when none does."""
    service = next((one.name for one in stack.services if getattr(one.limits, name) == value), None)
    return "" if service is None else f"limits.{name} of {service} is {_limit_words(value)}"


def _limit_words(limit: int) -> str:
    return "unlimited" if limit == UNLIMITED else str(limit)


def check_record(state: str) -> None:
    """Check that there is space for the record of a run: no step is taken without it.

    Raises:
        RollcallError: ``wrong_use``: there is not enough. Nothing was changed.
        OSError: the directory cannot be looked at.
    """
    problems = list(fitness.lacks_space(state, RECORD)) if os.path.isdir(state) else []
    if problems:
        raise RollcallError(
            "No record of a run can be written; nothing was stopped or changed:\n"
            + "\n".join(f"  {problem.place}: {problem.message}. {problem.cure}" for problem in problems),
            kind="wrong_use",
            evidence={"problems": [problem.as_dict() for problem in problems]},
            remedies=[cures.space(state), cures.AGAIN],
        )


def _kernel_ports(stack: Stack, who: Account) -> t.Iterator[Problem]:
    """Find ports that the kernel gives to clients, or that only root may bind (Linux: ip-sysctl.rst)."""
    first, last = _numbers("/proc/sys/net/ipv4/ip_local_port_range") or (0, -1)
    unprivileged = _numbers("/proc/sys/net/ipv4/ip_unprivileged_port_start") or (0,)
    reserved = _reserved()
    for service in stack.services:
        place = f"stack.services.{service.group or service.name}.port"
        for port in service.all_ports.values():
            if first <= port <= last and int(port) not in stack.ports.also and int(port) not in reserved:
                yield fitness.problem(
                    place,
                    f"port {port} is one of those that this host's kernel gives to clients ({first}-{last})",
                    cures.reserve(port),
                )
            if who.uid != 0 and port < unprivileged[0]:
                yield fitness.problem(
                    place,
                    f"port {port} can be bound by root only on this host, and {who.name} runs the stack",
                    cures.another_port(service.name),
                )


def _numbers(path: str) -> t.Tuple[int, ...]:
    """Return the numbers in a file of /proc; none when there is no such file."""
    try:
        with open(path, encoding="ascii") as stream:
            return tuple(int(word) for word in stream.read().split())
    except FileNotFoundError:
        return ()


def _reserved() -> t.Set[int]:
    """Return the ports that the kernel gives to no client. Its file has numbers and ranges, with commas between."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_reserved_ports", encoding="ascii") as stream:
            words = stream.read().strip().split(",")
    except FileNotFoundError:
        return set()
    found: t.Set[int] = set()
    for first, dash, last in (word.partition("-") for word in words if word):
        found.update(range(int(first), int(last if dash else first) + 1))
    return found


def _not_writable(stack: Stack) -> t.Iterator[Problem]:
    """Find directories that a new generation must be written to, and that this user may not write to."""
    for path in dict.fromkeys((generations_directory(stack.root), os.path.dirname(stack.paths.etc), stack.paths.state)):
        if os.path.isdir(path) and not os.access(path, os.W_OK | os.X_OK):
            name = pwd.getpwuid(os.geteuid()).pw_name
            yield fitness.problem(path, f"user {name}, who runs this, may not write to it", cures.rights(path))


def _immutable(stack: Stack) -> t.Iterator[Problem]:
    """Find what supervisord writes or removes when it starts and ends, and nobody can: a run would leave it down."""
    paths = stack.paths
    for path in (paths.run, paths.pidfile, paths.socket, paths.logs, supervisord_log(stack)):
        # access(2): root may write all but what is immutable (chattr(1)), and what is on a read-only file system.
        if os.geteuid() == 0 and os.path.exists(path) and not os.access(path, os.W_OK):
            yield fitness.problem(path, "is immutable: nobody can change or remove it", cures.mutable(path))


def _open_to_others(stack: Stack) -> t.Iterator[Problem]:
    """Find directories in which others than root could replace what a supervisord of root uses.

    All others must be root's whoever runs supervisord (verdict/places.py).
    """
    for path in dict.fromkeys(path for path in (stack.paths.run, stack.paths.logs) if os.path.isdir(path)):
        seen = os.stat(path)
        if seen.st_uid != 0:
            message = f"belongs to user {user_name(seen.st_uid)}, and supervisord runs as root"
            yield fitness.problem(path, message, cures.give("root", os.path.realpath(path)))
        elif seen.st_mode & (stat.S_IWOTH if seen.st_gid == 0 else stat.S_IWOTH | stat.S_IWGRP):
            mode = stat.S_IMODE(seen.st_mode)
            message = f"has mode {mode:04o}, so that others may write to it, and supervisord runs as root"
            yield fitness.problem(path, message, cures.mode("go-w", path))


def _of_directories(stack: Stack) -> t.Iterator[Problem]:
    """Find what is wrong with the directories of a stack, whoever runs it."""
    yield from places.problems(stack)
    yield from _space(stack)


def _at_all(stack: Stack) -> t.Iterator[Problem]:
    """Find the same but for the rights of others."""
    yield from forbidden(stack)
    yield from _space(stack)


def _space(stack: Stack) -> t.Iterator[Problem]:
    paths = stack.paths
    for path in dict.fromkeys((stack.root, paths.state, paths.logs, paths.run, generations_directory(stack.root))):
        if os.path.isdir(path):
            yield from fitness.lacks_space(path, fitness.MINIMUM_FREE)


def check_supervisord(seen: Observation) -> None:
    """Check that the supervisord of the stack, if one is alive, answers on its socket or can be ended without it.

    Raises:
        RollcallError: it does not answer, or something else answers. Nothing was stopped.
    """
    # A run waits for a supervisord that shuts down; one whose socket is gone is found by its config, and ended.
    fine = (client_errors.ABSENT, client_errors.STALE, client_errors.SHUTTING_DOWN)
    if seen.silence is None or seen.silence.evidence["problem"] in fine:
        _check_left_over_socket(seen.silence)
        return
    if not seen.supervisords:
        # A new supervisord could not have the socket either.
        socket = seen.silence.evidence["socket"]
        raise RollcallError(
            f"{seen.silence.message}. No supervisord of this stack is alive: something else has its socket. Nothing "
            "was stopped or changed.",
            kind="refused",
            evidence=seen.silence.evidence,
            remedies=[cures.holder(socket), cures.EMERGENCY],
        )
    pids = " ".join(str(process.pid) for process in seen.supervisords)
    stopped = [process for process in seen.supervisords if _state_now(process) in ("T", "stopped")]
    raise RollcallError(
        f"{seen.silence.message}. Alive over this config: pid {pids}"
        + (", stopped by a signal (state T)" if stopped else "")
        + ". Nothing was stopped or changed.",
        evidence={**seen.silence.evidence, "pids": [process.pid for process in seen.supervisords]},
        remedies=[
            *([cures.go_on(*(process.pid for process in stopped))] if stopped else []),
            cures.EMERGENCY,
        ],
    )


def _state_now(process: Process) -> str:
    """Return the state of a process: it was seen seconds ago, and a signal takes effect when its turn comes."""
    now = processes.describe(process.pid)
    return now.state if now is not None and now.start == process.start else process.state


def check_socket(seen: Observation) -> None:
    """Check that no other stack's supervisord answers on the socket, whose socket an emergency would remove.

    Raises:
        RollcallError: ``refused``: one does. Nothing was stopped.
    """
    if seen.silence is None or seen.silence.evidence["problem"] != client_errors.STRANGER:
        return
    pid = seen.silence.evidence["pid"]
    label = label_of(pid)
    if label is not None and not label.service and supervisord_options(processes.reader.command(pid)) is not None:
        raise RollcallError(
            f"{seen.silence.message}: it is that of stack {label.stack} at {label.root}. Each stack needs a run "
            "directory of its own. Nothing was stopped or changed.",
            kind="refused",
            evidence={**seen.silence.evidence, "root": label.root},
            remedies=[cures.then("give one of the two another directory: stack.paths.run"), *seen.silence.remedies[:1]],
        )


def _check_left_over_socket(silence: t.Optional[RollcallError]) -> None:
    """Check that a left-over socket may be removed: in a sticky directory only its owner may (unlink(2)).

    Raises:
        RollcallError: ``refused``: it may not. Nothing was stopped.
    """
    if silence is None or silence.evidence["problem"] != client_errors.STALE or os.geteuid() == 0:
        return
    path = silence.evidence["socket"]
    place, own = os.stat(os.path.dirname(path)), os.lstat(path)
    if place.st_mode & stat.S_ISVTX and os.geteuid() not in (place.st_uid, own.st_uid):
        raise RollcallError(
            f"The left-over socket {path} belongs to uid {own.st_uid}, and uid {os.geteuid()} may not remove it. "
            "Nothing was stopped or changed.",
            kind="refused",
            evidence=silence.evidence,
            remedies=[cures.AS_ROOT],
        )


def check_ports(stack: Stack, seen: Observation, plan: RunPlan, request: Request) -> None:
    """Check that whatever listens on a port of the stack may be ended.

    Raises:
        RollcallError: ``refused``: with pid, user and command of each listener that may not. Nothing was stopped.
    """
    ports, mode = plan.flush, request.mode
    if mode.stops == ALL and mode.starts and not mode.frees_ports:
        # No port will be flushed: each must be free once the services are stopped.
        _check_no_left_overs(seen, mode)
        ports = assigned_ports(stack)
    if ports:
        try:
            needed = all_needs(stack, seen.holders)
            flush.flush(stack, ports, policy=request.policy, force=request.force, needed=needed, dry_run=True)
        except RollcallError as exc:
            if any(service.fallback_ports and service.port in ports for service in stack.services):
                # None of its ports can be had, or none by itself (auto_fallback).
                exc.remedies = (cures.AUTO_FIX, cures.INSTALL, *exc.remedies)
            raise


def _check_no_left_overs(seen: Observation, mode: Mode) -> None:
    """Check that nothing of the stack is left over on its ports, for a mode that flushes none.

    Raises:
        RollcallError: ``refused``: something is. Nothing was stopped.
    """
    left = [
        f"port {port} is taken by {holder.summary}"
        for port, holders in seen.holders.items()
        for holder in holders
        if holder.provenance in ("orphan", "duplicate")
    ]
    if left:
        raise RollcallError(
            f"A {mode.title} flushes no port, and " + "; ".join(left) + ". Nothing was stopped or changed.",
            kind="refused",
            evidence={"holders": left},
            remedies=[cures.FULL],
        )
