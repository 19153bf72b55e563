# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The manifest as data: what a stack is made of, checked, with every default filled in.

A key of a service is declared in two places: its field here (type, default, whether a change restarts the service),
and its entry in keys.py (what may be written, what the reference page says). Other code names it only to act on it.
The reference is docs/reference/manifest.md.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import typing as t
from dataclasses import dataclass, field

from ..base.port_numbers import UdpPort
from .critical import CRITICAL
from .record import Record
from .watch_model import AS_EVER, Watch

# A field of a service, or of a part of it such as Stop, is in the service's revision: a change restarts the service.
# There are two exceptions.
# Neither the process nor supervisord is told the value: a change restarts nothing.
NO_RESTART: t.Mapping[str, str] = {"revision": "never"}
# The field was added after the first release. The default value is no part of the revision, so an upgrade of Rollcall
# restarts nothing; any other value is.
RESTART_WHEN_SET: t.Mapping[str, str] = {"revision": "when_set"}


# --- data from JSON ----------------------------------------------------------------------------------------------

_Conversion = t.Callable[[t.Any], t.Any]


@functools.cache
def _maker(cls: t.Callable[..., t.Any]) -> _Conversion:
    """Return a function that makes a data class of JSON data.

    A key that is missing gets its default, because an earlier version of Rollcall did not write it. The function raises
    a TypeError or a ValueError for an unknown key and for a value of another type.
    """
    found = [(each.name, _conversion(str(each.type))) for each in dataclasses.fields(t.cast(t.Any, cls))]
    conversions = [(name, convert) for name, convert in found if convert is not None]

    def make(data: t.Mapping[str, t.Any]) -> t.Any:
        values = dict(data)
        for name, convert in conversions:
            if name in values:
                values[name] = convert(values[name])
        return cls(**values)

    return make


def _conversion(annotation: str) -> t.Optional[_Conversion]:
    """Return the function that converts JSON data to the type of an annotation; None when no conversion is needed."""
    outer, _bracket, inner = annotation.rstrip("]").partition("[")
    if outer == "t.Optional":
        convert = _conversion(inner)
        return None if convert is None else lambda value: None if value is None else convert(value)
    cls = globals().get(inner.partition(",")[0] or outer)
    if outer == "t.Tuple":
        return tuple if cls is None else lambda items: tuple(map(_maker(cls), items))
    return {"t.Mapping": dict, "float": float}.get(outer) if cls is None else _maker(cls)


# --- what a stack is made of -------------------------------------------------------------------------------------


# How health is asked: over HTTP, HTTP in TLS, TCP, TLS, or by a program whose exit code 0 is well.
HTTP, HTTPS, TCP, TLS, EXEC = HEALTH_KINDS = ("http", "https", "tcp", "tls", "exec")
# What stands for a secret in a header; its group is the secret's name.
SECRET = r"\{secret:([A-Za-z_][A-Za-z0-9_]*)\}"
# How instances are restarted: all at once, or one after the other.
TOGETHER, ROLLING = "together", "rolling"

# What a good answer of a health check proves: that the service lives, that it is ready to work, or both.
ALIVE, READY, BOTH = PROVES = ("alive", "ready", "both")

# What a oneshot runs once for.
FLEET = "fleet"

# What stands in a health check whose answer may come from a process that is not the stack's.
ANYONE = "anyone"


@dataclass(frozen=True, eq=False, repr=False)
class Health(Record):
    """How a service is asked whether it is healthy.

    Attributes:
        kind: one of ``HEALTH_KINDS``.
        port: that is asked; 0 for exec, which asks none.
        path: for http and https: the path, with its query.
        status: for http and https: the only status that is healthy.
        body: for http and https: text that the answer must contain.
        send: for tcp and tls: text sent after connecting.
        expect: for tcp and tls: text that the answer must contain.
        timeout: seconds for one question, from name look-up to the last byte; of exec, until its end.
        answered_by: whose the listener must be that answers: another service of the stack, or ``ANYONE``; empty for the
            service itself.
        method: for http and https: GET, HEAD or POST.
        headers: for http and https: what is sent beside the usual ones; ``{secret:NAME}`` stands for a secret.
        json: for http and https: by the path of a field, such as ``db.up`` or ``nodes.0.name``, the value it must have.
        ca: for https and tls: the file of the authorities that the certificate is checked by; empty for the host's.
        server_name: for https and tls: the name that the certificate must have; empty for ``host``.
        verify: for https and tls: whether the certificate is checked.
        command: for exec: the program and its arguments; the program as that of a service.
        name: what it is called; empty for the only one of a service that gives it no name.
        proves: one of ``PROVES``.
        socket: the path of the unix socket that is asked instead of host and port; empty where these are.
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
    answered_by: str = ""
    method: str = "GET"
    headers: t.Mapping[str, str] = field(default_factory=dict)
    json: t.Mapping[str, t.Any] = field(default_factory=dict)
    ca: str = ""
    server_name: str = ""
    verify: bool = True
    command: t.Tuple[str, ...] = ()
    name: str = ""
    proves: str = BOTH
    socket: str = ""


# Seconds: a week, for a worker that drains what it has.
LONGEST_STOP = 604_800


@dataclass(frozen=True, eq=False, repr=False)
class StopStep(Record):
    """One of several signals that end a service, and the seconds that it has until the next one, or SIGKILL."""

    signal: str
    wait: float


@dataclass(frozen=True, eq=False, repr=False)
class Stop(Record):
    """How a service is ended: the signal, and the seconds it has before SIGKILL.

    Attributes:
        signals: where there are several: all of them. ``signal`` is the first one then, ``timeout`` the sum of waits.
        scope: who has the signal: ``group``, the service's process and all of its process group, or ``process``, its
            process alone. SIGKILL always goes to all of the group.
    """

    signal: str = "TERM"
    timeout: float = 10.0
    scope: str = field(default="group", metadata=RESTART_WHEN_SET)
    signals: t.Tuple[StopStep, ...] = field(default=(), metadata=RESTART_WHEN_SET)


@dataclass(frozen=True, eq=False, repr=False)
class Start(Record):
    """When a started process counts as up: the seconds it must live, and how often its start is tried again.

    Attributes:
        grace: seconds from its start in which a bad answer to a health check says that it is warming up, and not ill.
    """

    seconds: float = 1.0
    retries: int = 3
    grace: float = field(default=0.0, metadata=NO_RESTART)


# A limit that is none.
UNLIMITED = -1


@dataclass(frozen=True, eq=False, repr=False)
class Limits(Record):
    """What each process of a service may use at the most (getrlimit(2)); None: what whoever starts the stack may.

    Attributes:
        nofile: files that it may have open.
        nproc: processes and threads of its user; root has no such limit.
        core: bytes of a core dump.
        memory: bytes of its address space.
    """

    nofile: t.Optional[int] = None
    nproc: t.Optional[int] = None
    core: t.Optional[int] = None
    memory: t.Optional[int] = None


# The kind of a service that supervisord knows nothing of: its job is started by systemd, or by hand.
TIMER = "timer"

# What `Service.ends` says of a service that ends by design.
EXPECTED = "expected"


@dataclass(frozen=True, eq=False, repr=False)
class Reload(Record):
    """How a service is told to read its files anew while its process lives on.

    Attributes:
        signal: what tells it.
        command: what is run instead of sending the signal; empty where it is the signal.
        files: absolute paths; when only these have changed, it is reloaded and not restarted.
        workers: whether a reload replaces all child processes, which is then proved.
    """

    signal: str = "HUP"
    command: t.Tuple[str, ...] = ()
    files: t.Tuple[str, ...] = ()
    workers: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Service(Record):
    """One service; it becomes one program of supervisord.

    Attributes:
        command: the program and its arguments; the program is absolute, or a name that is looked up on PATH.
        directory: where it runs, absolute.
        kind: ``service`` keeps running, ``oneshot`` runs to its end, ``TIMER`` runs a job on a schedule.
        secrets: the digest of each secret by its variable; no Stack has the values.
        depends_on: how far each other service must be: ``started``, ``running``, ``healthy`` or ``completed``.
        stable_for: seconds that its process must stay the same before the verdict calls it up.
        ready_timeout: seconds from its start until it must be ready.
        restart: ``always``, ``unexpected`` (exit code other than 0) or ``never``, when it ends by itself.
        ends: ``EXPECTED`` where it is well also when it has ended by itself with exit code 0; else ``unexpected``.
        port: the port that it has on its host; the first one of several.
        health: how it is asked whether it is healthy; the first of several checks.
        more_health: its other checks.
        own_port: the port that the manifest says; ``port`` is the same unless the host gave it another one.
        fallback_ports: the ports that it may have instead, in this order.
        auto_fallback: whether a run may take one of those by itself.
        port_name: what that port is called; empty for a service whose only port has no name.
        more_ports: its other ports by their names. They are as the manifest says on every host.
        udp_ports: its ports of UDP by their names; as the manifest says, too.
        socket: the path of the unix socket that it listens on, absolute; empty for none.
        group: for an instance: the service that it is an instance of; empty for others.
        instance: for an instance: its number, from 1; 0 for others.
        update: how its instances are restarted: ``TOGETHER``, or ``ROLLING``, one after the other.
        reload: how it reloads; None when it does not.
        detaches: whether what it puts into the background while it runs is meant, and no left-over.
        umask: of its process, three octal digits.
        nice: its niceness, 0 to 19 (setpriority(2)).
        log_max_bytes: size at which its log is rotated; 0 is never.
        requires_files: absolute paths; the service is held while one of them is missing on the host.
        requires_env: variables; the service is held while one of them is missing or empty.
        every: for a timer: seconds from one start of its job to the next; 0 where ``cron`` says when.
        cron: for a timer: the five fields of cron; empty where ``every`` says when.
        timeout: for a timer: seconds after which its job is ended.
        hosts: names or patterns of the hosts and groups of the inventory that it runs on; empty for all.
        singleton: whether it runs on the first of those alone.
        once: ``FLEET`` for a oneshot that runs on the first of those alone, for all of them; else empty.
        reversible: for such a oneshot: whether what ran before it can live with what it has changed.
    """

    name: str
    command: t.Tuple[str, ...]
    directory: str
    description: str = field(default="", metadata=NO_RESTART)
    kind: str = "service"
    env: t.Mapping[str, str] = field(default_factory=dict)
    secrets: t.Mapping[str, str] = field(default_factory=dict)
    port: t.Optional[int] = None
    health: t.Optional[Health] = field(default=None, metadata=NO_RESTART)
    depends_on: t.Mapping[str, str] = field(default_factory=dict, metadata=NO_RESTART)
    stop: Stop = Stop()
    start: Start = Start()
    stable_for: float = field(default=2.0, metadata=NO_RESTART)
    ready_timeout: float = field(default=30.0, metadata=NO_RESTART)
    restart: str = "unexpected"
    ends: str = field(default="unexpected", metadata=NO_RESTART)
    detaches: bool = field(default=False, metadata=NO_RESTART)
    umask: str = field(default="022", metadata=RESTART_WHEN_SET)
    limits: Limits = field(default=Limits(), metadata=RESTART_WHEN_SET)
    nice: int = field(default=0, metadata=RESTART_WHEN_SET)
    log_max_bytes: int = 10_000_000
    log_backups: int = 3
    own_port: t.Optional[int] = field(default=None, metadata=NO_RESTART)
    fallback_ports: t.Tuple[int, ...] = field(default=(), metadata=NO_RESTART)
    auto_fallback: bool = field(default=True, metadata=NO_RESTART)
    group: str = ""
    instance: int = 0
    requires_files: t.Tuple[str, ...] = field(default=(), metadata=NO_RESTART)
    requires_env: t.Tuple[str, ...] = field(default=(), metadata=NO_RESTART)
    update: str = field(default=TOGETHER, metadata=NO_RESTART)
    reload: t.Optional[Reload] = field(default=None, metadata=NO_RESTART)
    port_name: str = field(default="", metadata=RESTART_WHEN_SET)
    more_ports: t.Mapping[str, int] = field(default_factory=dict, metadata=RESTART_WHEN_SET)
    more_health: t.Tuple[Health, ...] = field(default=(), metadata=NO_RESTART)
    udp_ports: t.Mapping[str, int] = field(default_factory=dict, metadata=RESTART_WHEN_SET)
    socket: str = field(default="", metadata=RESTART_WHEN_SET)
    every: float = field(default=0.0, metadata=NO_RESTART)
    cron: str = field(default="", metadata=NO_RESTART)
    timeout: float = field(default=3600.0, metadata=NO_RESTART)
    hosts: t.Tuple[str, ...] = field(default=(), metadata=NO_RESTART)
    singleton: bool = field(default=False, metadata=NO_RESTART)
    once: str = field(default="", metadata=NO_RESTART)
    reversible: bool = field(default=False, metadata=NO_RESTART)

    @property
    def is_one_way(self) -> bool:
        """Whether nothing goes back by itself to what ran before it."""
        return bool(self.once) and not self.reversible

    @property
    def all_health(self) -> t.Tuple[Health, ...]:
        """All its health checks."""
        return () if self.health is None else (self.health, *self.more_health)

    @property
    def asked_when_started(self) -> t.Dict[str, Health]:
        """The health checks that prove that it is ready, by their names."""
        return {check.name: check for check in self.all_health if check.proves != ALIVE}

    @property
    def shows_ready(self) -> bool:
        """Whether it is ready only when something answers: on its port or its socket, or a health check."""
        return bool(self.all_ports or self.socket or self.asked_when_started)

    @property
    def all_ports(self) -> t.Dict[str, int]:
        """All its ports by their names, each of UDP as a `UdpPort`; the only one of a service may have no name."""
        first = {} if self.port is None else {self.port_name: self.port}
        return {**first, **self.other_ports}

    @property
    def other_ports(self) -> t.Dict[str, int]:
        """Its ports besides ``port``, by their names."""
        return {**self.more_ports, **{name: UdpPort(port) for name, port in self.udp_ports.items()}}


def service_from(data: t.Mapping[str, t.Any]) -> Service:
    """Return the service that is ``data`` in what :meth:`Stack.to_dict` returns; errors as :meth:`Stack.from_dict`."""
    service: Service = _maker(Service)(data)
    return service


@dataclass(frozen=True, eq=False, repr=False)
class PortRules(Record):
    """Which ports services may have, and which are never flushed.

    Attributes:
        low: first port of the range.
        high: last port of the range.
        also: ports outside of the range that services may have, too.
        avoid: ports that no service may have; macOS holds some of the default ones.
        protect: ports of the host itself.
    """

    low: int = 8000
    high: int = 8100
    also: t.Tuple[int, ...] = ()
    avoid: t.Tuple[int, ...] = (5000, 7000, 9000, 10000)
    protect: t.Tuple[int, ...] = (22,)


@dataclass(frozen=True, eq=False, repr=False)
class Paths(Record):
    """The directories of a stack, absolute."""

    etc: str
    run: str
    state: str
    logs: str

    @classmethod
    def of(cls, root: str) -> Paths:
        """Return the directories of a manifest that names none: those below ``root``."""
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


@dataclass(frozen=True, eq=False, repr=False)
class DatabaseCheck(Record):
    """A database whose answer is part of the verdict.

    Attributes:
        kind: ``sqlite``, ``postgresql`` or ``redis``.
        path: for sqlite: the file, absolute.
        service: the service whose environment has the URL; empty for sqlite, and for a Redis without a password.
        variable: the variable that has the URL.
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
    timeout: float = 5.0

    @property
    def subject(self) -> str:
        """Its name in a verdict, which no service can have; empty for the stack's own SQLite file."""
        if self.kind == "sqlite":
            return ""
        return f"{self.kind} of {self.service}" if self.service else f"{self.kind} on port {self.port}"


@dataclass(frozen=True, eq=False, repr=False)
class Checks(Record):
    """What the verdict looks at beside the services: databases, and regular expressions that no log line may match."""

    databases: t.Tuple[DatabaseCheck, ...] = ()
    log_critical: t.Tuple[str, ...] = CRITICAL


@dataclass(frozen=True, eq=False, repr=False)
class RestartBudget(Record):
    """How many automatic restarts there may be within some seconds."""

    restarts: int = 5
    within: float = 3600.0


@dataclass(frozen=True, eq=False, repr=False)
class Stack(Record):
    """The services that one supervisord runs on one host.

    Attributes:
        root: the directory of everything that Rollcall installs for it, absolute.
        user: who runs the services; None: the user who runs the engine.
        deprecated: services that are never started, with the ports that they had.
        release: the id of the application's release that the services run, below ``root/releases``; None: no release.
        written: by service the values that name ports, with ``{port:NAME}`` in them, and below an empty name the
            databases; None where no service can have another port, or an earlier version has written the manifest.
        timers: what runs on a schedule. It is none of ``services``: supervisord does not run it.
        watch: how it is watched, where a watcher runs.
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
    written: t.Optional[t.Mapping[str, t.Mapping[str, t.Any]]] = None
    timers: t.Tuple[Service, ...] = ()
    watch: Watch = AS_EVER

    def service(self, name: str) -> Service:
        """Return the service called ``name``; KeyError when there is none."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)

    @property
    def entries(self) -> t.Dict[str, Service]:
        """Its services and its timers, by their names."""
        return {one.name: one for one in (*self.services, *self.timers)}

    @property
    def ports_by_address(self) -> t.Dict[str, int]:
        """The first port of each service by the service's name, and all that have names as ``web.metrics``."""
        found: t.Dict[str, int] = {}
        for service in self.services:
            if service.port is not None:
                found[service.name] = service.port
            found.update(
                {address_of(service.name, name): int(port) for name, port in service.all_ports.items() if name}
            )
        return found

    def to_dict(self) -> t.Dict[str, t.Any]:
        """Return the stack as plain JSON data, the way :meth:`from_dict` reads it. No secret value is in it."""
        data: t.Dict[str, t.Any] = json.loads(json.dumps(self, default=vars))
        return data

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Stack:
        """Return the stack that :meth:`to_dict` made ``data`` of.

        Raises:
            KeyError, TypeError, ValueError: ``data`` is something else, or of another version of Rollcall.
        """
        checks = data["checks"]
        if "databases" not in checks:
            # An earlier version had one database, an SQLite file, or none.
            one = checks["database"]
            checks = {"databases": [one] if one else [], "log_critical": checks["log_critical"]}
        stack: Stack = _maker(t.cast(t.Any, cls))({**data, "checks": checks})
        return stack


# The PATH of supervisord, and so of every service that does not set its own.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The variables that every service has: those of supervisord (supervisord_environment), and its labels
# (label_variables).
GIVEN_TO_ALL = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "PYTHONUTF8", "PYTHONUNBUFFERED"),
        *("ROLLCALL_STACK", "ROLLCALL_ROOT", "ROLLCALL_SERVICE", "ROLLCALL_REVISION"),
    )
)


def port_variable(service: str, port: str = "") -> str:
    """Return the variable that carries a service's port: ``PORT_MAIN_APP`` for main_app.

    Args:
        service: its name.
        port: the name of one of several: ``PORT_MAIN_APP_METRICS`` for metrics.
    """
    return "PORT_" + re.sub(r"[^A-Z0-9]", "_", (f"{service}_{port}" if port else service).upper())


def port_variables(service: str, ports: t.Mapping[str, int]) -> t.Dict[str, int]:
    """Return the ports of a service by the variables that carry them.

    Args:
        service: its name.
        ports: by their names, the first one first, as in `Service.all_ports`.
    """
    first = {port_variable(service): port for port in list(ports.values())[:1] if not isinstance(port, UdpPort)}
    return {**first, **{port_variable(service, name): int(port) for name, port in ports.items() if name}}


def address_of(service: str, port: str) -> str:
    """Return by what texts, commands and the registry name a port: ``main_app.metrics``."""
    return f"{service}.{port}" if port else service
