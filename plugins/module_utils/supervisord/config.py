# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What supervisord.conf must say of a stack's programs, key by key."""

from __future__ import annotations

import math
import re
import typing as t
from dataclasses import dataclass, field

from ..base.digest import hex_of
from ..manifest.model import UNLIMITED, Service, Stack
from .environment import divide_variables, why_impossible
from .launch import launched
from .places import log_file
from .quoting import Unrepresentable, quote_command, quote_value, why_unwritable

SUPERVISORD_LOG_MAX_BYTES = 10_000_000
SUPERVISORD_LOG_BACKUPS = 3

# How many files supervisord may open when its config does not say so (its key ``minfds``).
USUAL_DESCRIPTORS = 1024
# Below that limit on processes supervisord does not start (its key ``minprocs``, as it is by itself).
PROCESSES = 200
# What supervisord holds of each program: its ends of the pipes to standard input and from the output, and the log.
_DESCRIPTORS_EACH = 3
# Its own files, the pipes of the program that it starts at the moment, and a caller.
_OWN_DESCRIPTORS = 10

_COMMENT = re.compile(r"\s[;#]")
_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")

# What Rollcall never sets of a program, and how it is then.
_UNSET: t.Mapping[str, t.Any] = {
    "uid": None,
    "serverurl": None,
    "stderr_logfile": None,
    "stdout_syslog": False,
    "stderr_syslog": False,
    "stdout_events_enabled": False,
    "stderr_events_enabled": False,
    "stdout_capture_maxbytes": 0,
    "stderr_capture_maxbytes": 0,
}

_AUTORESTART: t.Mapping[str, str] = {"always": "true", "unexpected": "unexpected", "never": "false"}


@dataclass(frozen=True)
class Program:
    """One ``[program:x]`` section, key by key in the order of the file, as supervisor must understand it.

    A key that is None is not written.

    Attributes:
        autorestart: ``true``, ``unexpected`` or ``false``.
        startsecs: seconds it must stay up to count as RUNNING.
        stopsignal: without ``SIG``.
        stopwaitsecs: seconds from that signal to SIGKILL.
        umask: octal digits; None: that of supervisord, which is the default of a service.
        others: keys that Rollcall never writes, when they are set nevertheless.
    """

    name: str
    command: t.Tuple[str, ...]
    directory: str
    environment: t.Mapping[str, str]
    autostart: bool
    autorestart: str
    exitcodes: t.Tuple[int, ...]
    startsecs: int
    startretries: int
    stopsignal: str
    stopwaitsecs: int
    stopasgroup: bool
    killasgroup: bool
    redirect_stderr: bool
    stdout_logfile: str
    stdout_logfile_maxbytes: int
    stdout_logfile_backups: int
    umask: t.Optional[str] = None
    others: t.Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Program:
        """Return the program that JSON data describes, as ``config_reader`` prints it."""
        known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
        others = {key: str(data[key]) for key, unset in _UNSET.items() if data[key] != unset}
        lists = {key: tuple(data[key]) for key in ("command", "exitcodes")}
        umask = None if data["umask"] is None else f"{data['umask']:03o}"
        return cls(**{**known, **lists, "umask": umask, "others": others})


def descriptors(stack: Stack) -> int:
    """Return how many files supervisord must be able to open: the key ``minfds``, up to which it raises its own limit.

    In steps, because a change takes a restart of supervisord: hardly ever does a further service ask for one.
    """
    needed = _OWN_DESCRIPTORS + _DESCRIPTORS_EACH * len(stack.services)
    return USUAL_DESCRIPTORS * math.ceil(needed / USUAL_DESCRIPTORS)


def wanted_limits(stack: Stack) -> t.Dict[str, int]:
    """Return what supervisord's hard limits must be at the least, for itself and for the limits of services."""
    wanted = {"nofile": descriptors(stack), "nproc": PROCESSES}
    for service in stack.services:
        for name, value in vars(service.limits).items():
            if value is not None and wanted.get(name) != UNLIMITED:
                wanted[name] = UNLIMITED if value == UNLIMITED else max(value, wanted.get(name, 0))
    return wanted


def programs(stack: Stack) -> t.List[Program]:
    """Return what every program's section must say, in the manifest's order.

    A service with secrets, or with values the config cannot carry, is started through ``launcher.py``, which adds the
    variables of its private file (``environment.private_files``); one with limits or a niceness, too, as it sets them.
    ``autostart`` is always off: we start by dependency.

    Raises:
        Unrepresentable: names every place in the manifest whose value can be written in no way.
    """
    problems = _path_problems(stack)
    for service in stack.services:
        problems += _service_problems(service)
    if problems:
        raise Unrepresentable(problems)
    return [_program(stack, service) for service in stack.services]


def _program(stack: Stack, service: Service) -> Program:
    in_config, in_file = divide_variables(stack, service)
    oneshot = service.kind == "oneshot"
    return Program(
        name=service.name,
        command=launched(stack, service, private=bool(in_file or service.secrets)),
        directory=service.directory,
        environment=in_config,
        autostart=False,
        autorestart="false" if oneshot else _AUTORESTART[service.restart],
        exitcodes=(0,),
        # supervisor knows whole seconds. A one-shot may end at once: that is its success.
        startsecs=0 if oneshot else math.ceil(service.start.seconds),
        startretries=service.start.retries,
        stopsignal=service.stop.signal,
        stopwaitsecs=math.ceil(service.stop.timeout),
        stopasgroup=service.stop.scope == "group",
        # What SIGKILL takes the parent of would be left over.
        killasgroup=True,
        redirect_stderr=True,
        stdout_logfile=log_file(stack, service.name),
        stdout_logfile_maxbytes=service.log_max_bytes,
        stdout_logfile_backups=service.log_backups,
        umask=None if service.umask == Service.umask else service.umask,
    )


def _path_problems(stack: Stack) -> t.List[t.Tuple[str, str]]:
    """Paths of the daemon and of the logs expand twice, or where the break has no meaning."""
    problems = []
    for place, path in (("stack.paths.run", stack.paths.run), ("stack.paths.logs", stack.paths.logs)):
        reason = why_unwritable(path)
        if reason is None and "%" in path:
            reason = "the path of a socket or a log cannot contain '%'"
        if reason is None and (_COMMENT.search(path) or path != path.strip()):
            reason = "the path of a socket or a log cannot have white space at an end or before ';' or '#'"
        if reason is not None:
            problems.append((place, reason))
    return problems


def _service_problems(service: Service) -> t.List[t.Tuple[str, str]]:
    """Everything of one service that neither the config nor the private file can carry."""
    place = f"stack.services.{service.name}"
    problems: t.List[t.Tuple[str, str]] = []
    if not _PROGRAM.match(service.name):
        problems.append((place, "a program's name consists of letters, digits, '_', '-' and '.'"))
    try:
        quote_command(service.command, f"{place}.command")
    except Unrepresentable as exc:
        problems += exc.problems
    try:
        quote_value(service.directory, f"{place}.directory")
    except Unrepresentable as exc:
        problems += exc.problems
    for key, variables in (("env", service.env), ("secrets", dict.fromkeys(service.secrets, ""))):
        for name, value in variables.items():
            reason = why_impossible(name, value)
            if reason is not None:
                problems.append((f"{place}.{key}.{name}", reason))
    return problems


def supervisord_revision(text: str) -> str:
    """Return 12 hex digits over all of a config that only a restart of supervisord itself puts into effect.

    That is everything outside of the programs' sections; comments and blank lines do not count.
    """
    kept = []
    of_program = False
    for line in text.splitlines():
        if line.startswith("["):
            of_program = line.startswith("[program:")
        if line and not line.startswith((";", "#")) and not of_program:
            kept.append(line)
    return hex_of("\n".join(kept).encode("utf-8"), 12)
