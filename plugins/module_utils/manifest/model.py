# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The manifest: what a stack is made of, in what order its services depend on each other, and their revisions.

What somebody wrote becomes a :class:`Stack` in manifest_check.py. docs/reference/manifest.md is the reference.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import typing as t
from dataclasses import dataclass, field

from ..base.errors import RollcallError

# --- what a stack is made of -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Health:
    """How a service is asked whether it is well.

    Attributes:
        kind: ``http`` or ``tcp``.
        path: for http: what is asked for.
        status: for http: the only status that is well.
        body: for http: text that the answer must contain.
        send: for tcp: text sent after connecting.
        expect: for tcp: text that the answer must contain.
        timeout: seconds for one question, from name look-up to the last byte.
    """

    kind: str
    port: int
    host: str = "127.0.0.1"
    path: str = "/"
    status: int = 200
    body: t.Optional[str] = None
    send: t.Optional[str] = None
    expect: t.Optional[str] = None
    timeout: float = 2.0


@dataclass(frozen=True)
class Stop:
    """How a service is ended: the signal, and the seconds it has before SIGKILL."""

    signal: str = "TERM"
    timeout: float = 10.0


@dataclass(frozen=True)
class Start:
    """When a started process counts as up: the seconds it must live, and how often its start is tried again."""

    seconds: float = 1.0
    retries: int = 3


@dataclass(frozen=True)
class Service:
    """One service; it becomes one program of supervisord.

    Attributes:
        command: arguments; the program, unless it is looked up on PATH, is absolute.
        directory: absolute.
        kind: ``service`` keeps running, ``oneshot`` runs to its end.
        secrets: digests by the variable's name; the values are in no Stack.
        depends_on: ``started``, ``running``, ``healthy`` or ``completed``, by service.
        stable_for: seconds that its process must not change before it is believed.
        ready_timeout: seconds from its start until it must be ready.
        restart: ``always``, ``unexpected`` (exit code other than 0) or ``never``, when it ends by itself.
        port: the assigned one.
        own_port: the one that the manifest says; where none is assigned yet, ``port`` is the same.
        fallback_ports: what it may have instead, in this order.
        auto_fallback: whether a run may take one of those by itself.
        group: of an instance: the service it is one of; empty for others.
        instance: its number, from 1; 0 for others.
        log_max_bytes: size at which its log is rotated; 0 is never.
        requires_files: absolute paths; while one is missing on the host, the service is held.
        requires_env: variables that it must have, not empty; while one is missing, it is held.
    """

    name: str
    command: t.Tuple[str, ...]
    directory: str
    description: str = ""
    kind: str = "service"
    env: t.Mapping[str, str] = field(default_factory=dict)
    secrets: t.Mapping[str, str] = field(default_factory=dict)
    port: t.Optional[int] = None
    health: t.Optional[Health] = None
    depends_on: t.Mapping[str, str] = field(default_factory=dict)
    stop: Stop = Stop()
    start: Start = Start()
    stable_for: float = 2.0
    ready_timeout: float = 30.0
    restart: str = "unexpected"
    log_max_bytes: int = 10_000_000
    log_backups: int = 3
    own_port: t.Optional[int] = None
    fallback_ports: t.Tuple[int, ...] = ()
    auto_fallback: bool = True
    group: str = ""
    instance: int = 0
    requires_files: t.Tuple[str, ...] = ()
    requires_env: t.Tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Service:
        """Return the service that JSON data describes; raises as :meth:`Stack.from_dict` does."""
        health = data["health"]
        stop, start = dict(data["stop"]), dict(data["start"])
        changed = {
            "command": tuple(data["command"]),
            "env": dict(data["env"]),
            "secrets": dict(data["secrets"]),
            "depends_on": dict(data["depends_on"]),
            "health": None if health is None else Health(**{**health, "timeout": float(health["timeout"])}),
            "stop": Stop(stop.pop("signal"), float(stop.pop("timeout")), **stop),
            "start": Start(float(start.pop("seconds")), **start),
            "stable_for": float(data["stable_for"]),
            "ready_timeout": float(data["ready_timeout"]),
            "fallback_ports": tuple(data.get("fallback_ports", ())),
            "requires_files": tuple(data.get("requires_files", ())),
            "requires_env": tuple(data.get("requires_env", ())),
        }
        return cls(**{**data, **changed})


@dataclass(frozen=True)
class PortRules:
    """Which ports services may have, and which are never flushed.

    Attributes:
        low: first port of the range.
        high: last port of the range.
        also: ports outside of it that are meant.
        avoid: ports that no service may have; macOS holds some of the default ones.
        protect: ports of the host itself.
    """

    low: int = 8000
    high: int = 8100
    also: t.Tuple[int, ...] = ()
    avoid: t.Tuple[int, ...] = (5000, 7000, 9000, 10000)
    protect: t.Tuple[int, ...] = (22,)


@dataclass(frozen=True)
class Paths:
    """The directories of a stack, absolute."""

    etc: str
    run: str
    state: str
    logs: str

    @classmethod
    def of(cls, root: str) -> Paths:
        """Return the directories below ``root`` that a manifest has unless it says otherwise."""
        return cls(*(os.path.join(root, name) for name in ("etc", "run", "state", "logs")))

    @property
    def socket(self) -> str:
        """The unix socket of supervisord."""
        return os.path.join(self.run, "supervisor.sock")

    @property
    def pidfile(self) -> str:
        """The file into which supervisord writes its pid."""
        return os.path.join(self.run, "supervisord.pid")

    @property
    def config(self) -> str:
        """The config of supervisord."""
        return os.path.join(self.etc, "supervisord.conf")

    @property
    def manifest(self) -> str:
        """The normalised manifest."""
        return os.path.join(self.etc, "manifest.json")

    @property
    def env_dir(self) -> str:
        """The directory of the private environment files."""
        return os.path.join(self.etc, "env")


@dataclass(frozen=True)
class DatabaseCheck:
    """A database whose answer is part of the verdict.

    Attributes:
        kind: ``sqlite``, ``postgresql`` or ``redis``.
        path: for sqlite: the file, absolute.
        service: whose environment says where the database is; empty for sqlite, and for a Redis without a password.
        variable: of that environment.
        host: for a Redis without a service.
        port: for a Redis without a service.
        query: for postgresql: what is asked.
        timeout: seconds for all of it, from name look-up to the last byte.
    """

    kind: str
    path: str = ""
    service: str = ""
    variable: str = ""
    host: str = ""
    port: t.Optional[int] = None
    query: str = ""
    timeout: float = 2.0

    @property
    def subject(self) -> str:
        """What it is called in a verdict, unlike any service; empty for the stack's own file."""
        if self.kind == "sqlite":
            return ""
        return f"{self.kind} of {self.service}" if self.service else f"{self.kind} on port {self.port}"


@dataclass(frozen=True)
class Checks:
    """What the verdict looks at beyond the services: databases, and regular expressions no log line may match."""

    databases: t.Tuple[DatabaseCheck, ...] = ()
    log_critical: t.Tuple[str, ...] = (r"\bCRITICAL\b", r"^Traceback \(most recent call last\)")

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Checks:
        """Return the checks that JSON data describes; raises as :meth:`Stack.from_dict` does."""
        # What an earlier version of Rollcall has installed knows of one database, an SQLite file, or of none.
        databases = data["databases"] if "databases" in data else [data["database"]] if data["database"] else []
        return cls(
            tuple(
                DatabaseCheck(**{**one, "timeout": float(one.get("timeout", DatabaseCheck.timeout))})
                for one in databases
            ),
            tuple(data["log_critical"]),
        )


@dataclass(frozen=True)
class RestartBudget:
    """How many automatic restarts there may be within some seconds."""

    restarts: int = 5
    within: float = 3600.0


@dataclass(frozen=True)
class Stack:
    """The services that one supervisord runs on one host.

    Attributes:
        root: absolute; all that is Rollcall's is below it.
        user: who runs the services; None is whoever runs the engine.
        deprecated: services that are never started, with the ports they had.
        release: the id of the application's release that the services run, below ``root/releases``; None without one.
    """

    name: str
    root: str
    paths: Paths
    services: t.Tuple[Service, ...]
    user: t.Optional[str] = None
    ports: PortRules = PortRules()
    deprecated: t.Mapping[str, int] = field(default_factory=dict)
    checks: Checks = Checks()
    release: t.Optional[str] = None
    restart_budget: RestartBudget = RestartBudget()

    def service(self, name: str) -> Service:
        """Return the service called ``name``; KeyError when there is none."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)

    def to_dict(self) -> t.Dict[str, t.Any]:
        """Return the stack as plain JSON data, the way :meth:`from_dict` reads it. No secret value is in it."""
        data: t.Dict[str, t.Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return data

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Stack:
        """Return the stack that :meth:`to_dict` made ``data`` of.

        Raises:
            KeyError, TypeError, ValueError: it did not, or another version of Rollcall did.
        """
        rules: t.Dict[str, t.Any] = {
            key: tuple(value) if isinstance(value, (list, tuple)) else value for key, value in data["ports"].items()
        }
        # What an earlier version of Rollcall has installed knows of no budget.
        budget = {**dataclasses.asdict(RestartBudget()), **data.get("restart_budget", {})}
        changed = {
            "paths": Paths(**data["paths"]),
            "services": tuple(Service.from_dict(service) for service in data["services"]),
            "ports": PortRules(**rules),
            "deprecated": dict(data["deprecated"]),
            "checks": Checks.from_dict(data["checks"]),
            "restart_budget": RestartBudget(**{**budget, "within": float(budget["within"])}),
        }
        return cls(**{**data, **changed})


# The PATH of supervisord, and so of every service that does not set its own.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What every service has: from supervisord (preflight.daemon_environment), and its labels (config.labels).
GIVEN_TO_ALL = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "PYTHONUTF8"),
        *("ROLLCALL_STACK", "ROLLCALL_ROOT", "ROLLCALL_SERVICE", "ROLLCALL_REVISION"),
    )
)


# --- graph and revision ------------------------------------------------------------------------------------------

# What a process never sees and supervisord is never told: changing it restarts nothing.
_BESIDE_THE_PROCESS = (
    *("description", "health", "depends_on", "stable_for", "ready_timeout"),
    *("own_port", "fallback_ports", "auto_fallback", "requires_files", "requires_env"),
)


# The link of a generation to the release that belongs to it.
RELEASE = "release"


def current_release(root: str) -> str:
    """Return the path by which services name the release that is in place, whichever it is."""
    return os.path.join(root, "current")


def release_link(paths: Paths) -> str:
    """Return what the symbolic link ``current_release`` says: it leads through the generation, and switches with it."""
    return os.path.join(os.path.basename(paths.etc), RELEASE)


def release_directory(root: str, release: str) -> str:
    """Return the directory of one release."""
    return os.path.join(root, "releases", release)


def runs_release(stack: Stack, service: Service) -> bool:
    """Return whether a service runs from the application's release: then another release is another revision."""
    current = current_release(stack.root)
    return any(current in text for text in (service.directory, *service.command, *service.env.values()))


def revision(stack: Stack, service: Service) -> str:
    """Return 12 hex digits over all that makes the service what it is: another value needs another process."""
    own = {key: value for key, value in dataclasses.asdict(service).items() if key not in _BESIDE_THE_PROCESS}
    # A process is told the ports of what it depends on.
    ports = {name: stack.service(name).port for name in service.depends_on}
    told = {name: port for name, port in ports.items() if port is not None}
    all_of_it = [stack.name, stack.user, stack.root, dataclasses.asdict(stack.paths), own, told]
    if stack.release is not None and runs_release(stack, service):
        all_of_it.append(stack.release)
    data = json.dumps(all_of_it, sort_keys=True)
    return hashlib.sha256(data.encode("utf-8")).hexdigest()[:12]


def levels(stack: Stack) -> t.List[t.List[str]]:
    """Return the services by dependency: each list needs only those before it. Within one, the manifest's order.

    Raises:
        RollcallError: some depend on each other in a circle, which :func:`check` never lets through.
    """
    height: t.Dict[str, int] = {}
    waiting = list(stack.services)
    ordered: t.List[t.List[str]] = []
    while waiting:
        level = [service.name for service in waiting if all(name in height for name in service.depends_on)]
        if not level:
            names = ", ".join(service.name for service in waiting)
            raise RollcallError(f"These services wait for each other or for unknown ones: {names}.", kind="wrong_use")
        height.update(dict.fromkeys(level, len(ordered)))
        ordered.append(level)
        waiting = [service for service in waiting if service.name not in height]
    return ordered


def dependents(stack: Stack, names: t.Iterable[str]) -> t.Set[str]:
    """Return ``names`` and every service that depends on one of them, directly or through others."""
    needed_by: t.Dict[str, t.List[str]] = {}
    for service in stack.services:
        for name in service.depends_on:
            needed_by.setdefault(name, []).append(service.name)
    found: t.Set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(needed_by.get(name, ()))
    return found


def held_back(stack: Stack, missing: t.Mapping[str, str]) -> t.Dict[str, str]:
    """Return the services that must stay down, with the reason: those that lack something, and what depends on them.

    Args:
        stack: the manifest.
        missing: what each service lacks, in words.
    """
    held = dict(missing)
    for name in (name for level in levels(stack) for name in level):
        needed = next((other for other in stack.service(name).depends_on if other in held), None)
        if needed is not None and name not in held:
            held[name] = f"it depends on {needed}, which is held"
    return held


# --- problems ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what, and what to do about it. A warning does not keep a manifest from use."""

    place: str
    message: str
    cure: str
    severity: str = "error"

    def as_dict(self) -> t.Dict[str, t.Any]:
        """Return the problem as data."""
        return dataclasses.asdict(self)
