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

from .critical import CRITICAL

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


class _Record:
    """A data class that is compared, hashed and shown by its fields.

    ``dataclass`` would generate these methods for each class at every start, which takes longer than all the rest here.
    """

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


# How health is asked: over HTTP, HTTP in TLS, TCP, TLS, or by a program whose exit code 0 is well.
HTTP, HTTPS, TCP, TLS, EXEC = HEALTH_KINDS = ("http", "https", "tcp", "tls", "exec")
# What stands for a secret in a header; its group is the secret's name.
SECRET = r"\{secret:([A-Za-z_][A-Za-z0-9_]*)\}"
# How instances are restarted: all at once, or one after the other.
TOGETHER, ROLLING = "together", "rolling"

# What stands in a health check whose answer may come from a process that is not the stack's.
ANYONE = "anyone"


@dataclass(frozen=True, eq=False, repr=False)
class Health(_Record):
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


# Seconds: a week, for a worker that drains what it has.
LONGEST_STOP = 604_800


@dataclass(frozen=True, eq=False, repr=False)
class StopStep(_Record):
    """One of several signals that end a service, and the seconds that it has until the next one, or SIGKILL."""

    signal: str
    wait: float


@dataclass(frozen=True, eq=False, repr=False)
class Stop(_Record):
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
class Start(_Record):
    """When a started process counts as up: the seconds it must live, and how often its start is tried again."""

    seconds: float = 1.0
    retries: int = 3


# A limit that is none.
UNLIMITED = -1


@dataclass(frozen=True, eq=False, repr=False)
class Limits(_Record):
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


# What `Service.ends` says of a service that ends by design.
EXPECTED = "expected"


@dataclass(frozen=True, eq=False, repr=False)
class Reload(_Record):
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
class Service(_Record):
    """One service; it becomes one program of supervisord.

    Attributes:
        command: the program and its arguments; the program is absolute, or a name that is looked up on PATH.
        directory: where it runs, absolute.
        kind: ``service`` keeps running, ``oneshot`` runs to its end.
        secrets: the digest of each secret by its variable; no Stack has the values.
        depends_on: how far each other service must be: ``started``, ``running``, ``healthy`` or ``completed``.
        stable_for: seconds that its process must stay the same before the verdict calls it up.
        ready_timeout: seconds from its start until it must be ready.
        restart: ``always``, ``unexpected`` (exit code other than 0) or ``never``, when it ends by itself.
        ends: ``EXPECTED`` where it is well also when it has ended by itself with exit code 0; else ``unexpected``.
        port: the port that it has on its host; the first one of several.
        own_port: the port that the manifest says; ``port`` is the same unless the host gave it another one.
        fallback_ports: the ports that it may have instead, in this order.
        auto_fallback: whether a run may take one of those by itself.
        port_name: what that port is called; empty for a service whose only port has no name.
        more_ports: its other ports by their names. They are as the manifest says on every host.
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

    @property
    def all_ports(self) -> t.Dict[str, int]:
        """All its ports by their names; the only one of a service may have no name."""
        return {} if self.port is None else {self.port_name: self.port, **self.more_ports}


@dataclass(frozen=True, eq=False, repr=False)
class PortRules(_Record):
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
class Paths(_Record):
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
class DatabaseCheck(_Record):
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
    timeout: float = 2.0

    @property
    def subject(self) -> str:
        """Its name in a verdict, which no service can have; empty for the stack's own SQLite file."""
        if self.kind == "sqlite":
            return ""
        return f"{self.kind} of {self.service}" if self.service else f"{self.kind} on port {self.port}"


@dataclass(frozen=True, eq=False, repr=False)
class Checks(_Record):
    """What the verdict looks at beside the services: databases, and regular expressions that no log line may match."""

    databases: t.Tuple[DatabaseCheck, ...] = ()
    log_critical: t.Tuple[str, ...] = CRITICAL


@dataclass(frozen=True, eq=False, repr=False)
class RestartBudget(_Record):
    """How many automatic restarts there may be within some seconds."""

    restarts: int = 5
    within: float = 3600.0


@dataclass(frozen=True, eq=False, repr=False)
class Stack(_Record):
    """The services that one supervisord runs on one host.

    Attributes:
        root: the directory of everything that Rollcall installs for it, absolute.
        user: who runs the services; None: the user who runs the engine.
        deprecated: services that are never started, with the ports that they had.
        release: the id of the application's release that the services run, below ``root/releases``; None: no release.
        written: by service the values that name ports, with ``{port:NAME}`` in them, and below an empty name the
            databases; None where no service can have another port, or an earlier version has written the manifest.
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

    def service(self, name: str) -> Service:
        """Return the service called ``name``; KeyError when there is none."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)

    @property
    def ports_by_address(self) -> t.Dict[str, int]:
        """The first port of each service by the service's name, and all that have names as ``web.metrics``."""
        found: t.Dict[str, int] = {}
        for service in self.services:
            if service.port is not None:
                found[service.name] = service.port
            found.update({address_of(service.name, name): port for name, port in service.all_ports.items() if name})
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
    first = {port_variable(service): port for port in list(ports.values())[:1]}
    return {**first, **{port_variable(service, name): port for name, port in ports.items() if name}}


def address_of(service: str, port: str) -> str:
    """Return by what texts, commands and the registry name a port: ``main_app.metrics``."""
    return f"{service}.{port}" if port else service


# The name of the symbolic link in a generation that points to its release.
RELEASE = "release"


def current_release(root: str) -> str:
    """Return the path by which services name the current release; it stays the same from release to release."""
    return os.path.join(root, "current")


def release_link(paths: Paths) -> str:
    """Return the target of the symbolic link :func:`current_release`: a link in the current generation."""
    return os.path.join(os.path.basename(paths.etc), RELEASE)


def release_directory(root: str, release: str) -> str:
    """Return the directory of one release."""
    return os.path.join(root, "releases", release)
