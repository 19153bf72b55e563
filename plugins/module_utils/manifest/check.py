# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The check that turns what somebody wrote into a manifest.

:func:`check` finds every problem at once, each with its place and its cure, and returns a `Stack` when none is an
error: every default filled in, every path absolute, secrets replaced by digests. The reference for users is
docs/reference/manifest.md.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import itertools
import json
import math
import os
import re
import typing as t
from collections.abc import Mapping

from ..base.errors import Problem
from .legacy import Document, Monitor, Place, Source, kind_of
from .model import (
    GIVEN_TO_ALL,
    Checks,
    DatabaseCheck,
    Health,
    Paths,
    PortRules,
    RestartBudget,
    Service,
    Stack,
    Start,
    Stop,
)
from .values import OF_HTTP, OF_TCP, SERVICE, STACK, WRONG, Report, fields_of


@dataclasses.dataclass(frozen=True)
class Result:
    """What a check came to: the stack, None when a problem is an error, and all problems."""

    stack: t.Optional[Stack]
    problems: t.List[Problem]


# --- the check ---------------------------------------------------------------------------------------------------

# The Fetch standard's bad ports (https://fetch.spec.whatwg.org/#port-blocking) that need no root: a browser refuses
# http and https there, whoever listens.
REFUSED_BY_BROWSERS = frozenset(
    [1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080]
)
# What Linux gives to clients unless net.ipv4.ip_local_port_range says otherwise, ip-sysctl.
EPHEMERAL = (32768, 60999)
# Below it only root may bind, unless net.ipv4.ip_unprivileged_port_start says otherwise.
UNPRIVILEGED_FROM = 1024
# Bytes of the socket's path: sun_path has 108 on Linux, 104 on macOS, and supervisord adds a dot and its pid at first.
SOCKET_LIMIT_LINUX = 99
SOCKET_LIMIT_MACOS = 95

_DIGEST_ROUNDS = 20_000
# Each set of secrets takes some 8 ms to digest.
_MOST_SETS_OF_SECRETS = 100
_MOST_CYCLES = 10
_PUBLIC_DIRECTORIES = ("/tmp", "/var/tmp", "/dev/shm", "/private/tmp")


class _Host(t.NamedTuple):
    """What a check supposes of the hosts."""

    as_root: t.Optional[bool]
    ephemeral: t.Tuple[int, int]
    unprivileged_from: int
    socket_limit: int


def check(
    data: t.Any,
    *,
    overlay: t.Any = None,
    lines: t.Optional[t.Mapping[Place, int]] = None,
    as_root: t.Optional[bool] = None,
    ephemeral: t.Tuple[int, int] = EPHEMERAL,
    unprivileged_from: int = UNPRIVILEGED_FROM,
    socket_limit: int = SOCKET_LIMIT_LINUX,
    assigned: t.Optional[t.Mapping[str, int]] = None,
    release: t.Optional[str] = None,
) -> Result:
    """Find all problems of a manifest, and normalise it when none is an error.

    Args:
        data: a mapping with ``stack``, the content of one, or a document of the older shape (``core_services`` ...),
            with our own keys beside the older ones or without.
        overlay: another one, laid over it key by key.
        lines: line numbers of ``data`` by place, when it was read from a file.
        as_root: whether services run as root; None: they do when the stack's user is root.
        ephemeral: first and last port that the host's kernel gives to clients.
        unprivileged_from: first port that anyone may bind.
        socket_limit: most bytes of the socket's path.
        assigned: the port that a service, or an instance of one, has got on its host, by its name.
        release: the id of the application's release that is on the host for it.
    """
    document = Document(STACK, SERVICE)
    document.add(data, from_file=lines is not None)
    if overlay is not None:
        document.add(overlay, from_file=False)
    report = Report(document, lines or {})
    if not document.raw and report.failed:
        return Result(None, report.problems)
    fields = fields_of("a stack", STACK)(report, (), document.raw)
    host = _Host(as_root, ephemeral, unprivileged_from, socket_limit)
    checker = _Checker(report, fields, host, assigned or {})
    checker.check()
    checker.check_monitors(document.monitors)
    made = None if report.failed else dataclasses.replace(checker.stack(), release=release)
    return Result(made, report.problems)


def secrets(data: t.Any, overlay: t.Any = None) -> t.Dict[str, t.Dict[str, str]]:
    """Return the values of the secrets, by service and variable: what the stack has only digests of.

    Args:
        data: the manifest as :func:`check` takes it; what is wrong with it is for that to say.
        overlay: what is laid over it.
    """
    document = Document(STACK, SERVICE)
    document.add(data, from_file=False)
    if overlay is not None:
        document.add(overlay, from_file=False)
    report = Report(document, {})

    def read(entry: t.Any) -> t.Dict[str, t.Any]:
        own = entry if isinstance(entry, Mapping) else {}
        tables = {"env": SERVICE["env"], "secrets": SERVICE["secrets"]}
        return {key: reader(report, (), own[key]) for key, reader in tables.items() if key in own}

    defaults = read(document.raw.get("defaults"))
    services = document.raw.get("services")
    found = {}
    for name, entry in services.items() if isinstance(services, Mapping) else ():
        values = _variables(defaults, read(entry))[1]
        known = {variable: value for variable, value in values.items() if value is not WRONG}
        if known:
            found[str(name)] = known
    return found


def _get(fields: t.Any, key: str, default: t.Any = None) -> t.Any:
    """Return what was read for a key; the default when it is absent or wrong."""
    value = fields.get(key, default) if isinstance(fields, dict) else default
    return default if value is WRONG else value


def _variables(
    defaults: t.Mapping[str, t.Any], own: t.Mapping[str, t.Any]
) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any]]:
    """Return environment and secrets of a service: its own variable, of either sort, hides the default one."""
    own_env, own_secrets = _get(own, "env", {}), _get(own, "secrets", {})
    env = {name: value for name, value in _get(defaults, "env", {}).items() if name not in own_secrets}
    hidden = {name: value for name, value in _get(defaults, "secrets", {}).items() if name not in own_env}
    return {**env, **own_env}, {**hidden, **own_secrets}


def _combine(defaults: t.Mapping[str, t.Any], own: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return the defaults with a service's own fields over them; stop, start and log key by key."""
    merged = {**defaults, **own}
    for key in ("stop", "start", "log", "health"):
        lower, upper = defaults.get(key), own.get(key)
        # A health check of its own replaces the default one, unless it only changes some of it.
        if isinstance(lower, dict) and isinstance(upper, dict) and not {"http", "tcp"} & set(upper):
            merged[key] = {**lower, **upper}
    merged["env"], merged["secrets"] = _variables(defaults, own)
    return merged


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _filled(text: str, known: t.Mapping[str, str]) -> str:
    for placeholder, value in known.items():
        text = text.replace(placeholder, value)
    return text


def _port_variable(name: str) -> str:
    return "PORT_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def _cycles(graph: t.Mapping[str, t.Iterable[str]]) -> t.Iterator[t.List[str]]:
    """Find circles in a graph, each as the way along it, its first name once more at the end."""
    done: t.Set[str] = set()
    for first in graph:
        if first in done:
            continue
        # The way from `first` to where we are, each with the neighbours not yet tried.
        way = {first: iter(graph[first])}
        while way:
            name = list(way)[-1]
            step = next(way[name], None)
            if step is None:
                del way[name]
                done.add(name)
            elif step in way:
                names = list(way)
                yield [*names[names.index(step) :], step]
            elif step in graph and step not in done:
                way[step] = iter(graph[step])


class _Instance(t.NamedTuple):
    """One service as it will run: the manifest's own, or one of its instances, which are numbered from 1."""

    name: str
    number: int
    own_port: t.Optional[int]
    fallback_ports: t.Tuple[int, ...]
    port: t.Optional[int]


class _Checker:
    """Checks what no value shows by itself, and makes the stack.

    Args:
        report: takes the problems.
        fields: what was read of the stack.
        host: what is supposed of the hosts.
        assigned: ports by service.
    """

    def __init__(self, report: Report, fields: t.Dict[str, t.Any], host: _Host, assigned: t.Mapping[str, int]) -> None:
        self._report = report
        self._fields = fields
        self._host = host
        self._assigned = assigned
        self._root: t.Optional[str] = _get(fields, "root")
        self._defaults: t.Dict[str, t.Any] = _get(fields, "defaults", {})
        read = _get(fields, "services", {})
        self._own: t.Dict[str, t.Dict[str, t.Any]] = {name: own for name, own in read.items() if isinstance(own, dict)}
        self._merged = {name: _combine(self._defaults, own) for name, own in self._own.items()}
        self._rules = self._port_rules()
        self._instances = {name: self._instances_of(name) for name in self._own}
        self._files: t.Dict[Place, t.Tuple[str, ...]] = {}

    def _instances_of(self, name: str) -> t.List[_Instance]:
        merged = self._merged[name]
        first, fallbacks = _get(merged, "port"), _get(merged, "fallback_ports", ())
        count = _get(merged, "instances")
        if count is None:
            return [_Instance(name, 0, first, fallbacks, self._assigned.get(name, first))]
        found = []
        for number in range(1, count + 1):
            own = None if first is None else first + number - 1
            called = f"{name}-{number}"
            others = tuple(port + number - 1 for port in fallbacks)
            found.append(_Instance(called, number, own, others, self._assigned.get(called, own)))
        return found

    # --- the stack ---

    def check(self) -> None:
        """Find all problems that lie between values."""
        self._required()
        self._paths()
        self._databases()
        self._port_lists()
        self._names()
        self._commands()
        for name in self._own:
            self._service(name)
        self._shared_ports()
        self._dependencies()
        self._requirements()
        self._deprecated()
        self._count_secrets()

    def _required(self) -> None:
        error = self._report.error
        if "name" not in self._fields:
            error(("name",), "is missing", "give the stack a name, such as trading")
        if "root" not in self._fields:
            error(("root",), "is missing", "give the stack a directory of its own, such as /opt/trading")
        if "services" not in self._fields or self._fields["services"] == {}:
            error(("services",), "there are no services", "give it at least one: name: {command: [...]}")

    def _paths(self) -> t.Optional[Paths]:
        """Return the directories of the stack; None while the root is not known."""
        if self._root is None:
            return None
        given = _get(self._fields, "paths", {})
        found = dataclasses.asdict(Paths.of(self._root))
        for key in given:
            path = self._resolve(("paths", key), _get(given, key, key), self._root)
            if any(_inside(path, public) for public in _PUBLIC_DIRECTORIES) and not _inside(path, self._root):
                self._report.error(
                    ("paths", key), "lies where every user may write", "choose a directory of the stack's own"
                )
            taken = [*(other for name, other in found.items() if name != key), self._root]
            taken += [os.path.join(self._root, name) for name in ("bin", "engine", "generations")]
            if path in taken:
                self._report.error(("paths", key), "is a directory that Rollcall has another use for", "choose another")
            found[key] = path
        paths = Paths(**found)
        length = len(os.fsencode(paths.socket))
        if length > self._host.socket_limit:
            self._report.error(
                ("paths", "run") if "run" in given else ("root",),
                f"makes the path of supervisord's socket {length} bytes long, and {self._host.socket_limit} work",
                "choose a shorter root, or set paths.run to a shorter directory of the stack's own",
            )
        return paths

    def _resolve(self, place: Place, path: str, base: str) -> str:
        """Return ``path`` as an absolute one; a relative one may not leave both its base and the root."""
        whole = os.path.normpath(os.path.join(base, path))
        if not os.path.isabs(path) and not _inside(whole, base) and not _inside(whole, self._root or base):
            self._report.error(place, f"leads out of {base}", "write it as an absolute path if that is meant")
        return f"/{whole.lstrip('/')}"

    def _databases(self) -> t.Tuple[DatabaseCheck, ...]:
        given = _get(_get(self._fields, "checks", {}), "database")
        if given is None:
            return ()
        place: Place = ("checks", "database")
        if not given:
            self._report.error(place, "names no database", "write it as {sqlite: path of its file}")
        found = []
        path = _get(given, "sqlite")
        if path is not None and self._root is not None:
            found.append(DatabaseCheck("sqlite", self._resolve((*place, "sqlite"), path, self._root)))
        for kind, variable in (("postgresql", "DATABASE_URL"), ("redis", "REDIS_URL")):
            fields = _get(given, kind)
            if fields is not None:
                found.append(self._server((*place, kind), kind, fields, variable))
        return tuple(found)

    def _server(self, place: Place, kind: str, fields: t.Mapping[str, t.Any], variable: str) -> DatabaseCheck:
        """Check a database that is asked over a connection, and return its check."""
        given = set(fields)
        fields = {key: value for key, value in fields.items() if value is not WRONG}
        if kind == "redis" and "service" not in given and "port" in given:
            if "variable" in given:
                self._report.error(
                    (*place, "variable"), "is a variable of no service", "name the service, or remove it"
                )
            return DatabaseCheck(kind, **{"host": Health.host, **fields})
        service, variable = fields.get("service"), fields.get("variable", variable)
        if "service" not in given:
            by_port = ", or its port" if kind == "redis" else ""
            cure = f"name the service whose variable {variable} has its URL{by_port}"
            self._report.error(place, "names no service", cure)
        elif given & {"port", "host"}:
            self._report.error(place, "names a service, and a host or port as well", "remove one of them")
        elif service is not None:
            self._has_variable(place, service, variable)
        query = {"query": "SELECT 1"} if kind == "postgresql" else {}
        return DatabaseCheck(kind, **{**query, **fields, "variable": variable})

    def _has_variable(self, place: Place, service: str, variable: str) -> None:
        """See that a service has a variable: one that it requires may be empty, and hold it."""
        merged = self._merged.get(service)
        if merged is None:
            similar = self._report.similar(service, self._own)
            self._report.error(
                (*place, "service"),
                f"is not a service of this stack{similar}",
                "name the service that uses the database",
            )
        elif variable not in (*merged["env"], *merged["secrets"], *_get(merged, "requires_env", ())):
            self._report.error(
                place,
                f"{service} is not given the variable {variable}",
                "give it one in its env or its secrets, or name another variable",
            )

    def _port_rules(self) -> PortRules:
        ports, usual = _get(self._fields, "ports", {}), PortRules()
        low, high = _get(ports, "range", (usual.low, usual.high))
        # The port by which Ansible and people come in stays protected whatever else is.
        protect = tuple(dict.fromkeys((*usual.protect, *_get(ports, "protect", ()))))
        return PortRules(low, high, _get(ports, "also", ()), _get(ports, "avoid", usual.avoid), protect)

    def _port_lists(self) -> None:
        for port in self._rules.also:
            if port in self._rules.avoid or port in self._rules.protect:
                which = "protect" if port in self._rules.protect else "avoid"
                self._report.error(
                    ("ports", "also"), f"port {port} is on the list {which}, too", f"take it off also or off {which}"
                )

    # --- names ---

    def _names(self) -> None:
        taken: t.Dict[str, str] = {}
        error = self._report.error
        for name, instances in self._instances.items():
            place: Place = ("services", name)
            for instance in instances:
                if len(instance.name) > 63:
                    error(place, f"the name of its instance {instance.name} is too long", "shorten the name")
                if instance.number and instance.name in self._own:
                    error(place, f"its instance {instance.name} has the name of a service", "rename one of the two")
                    continue
                variable = _port_variable(instance.name)
                other = taken.setdefault(variable, instance.name)
                if other != instance.name:
                    error(place, f"shares the variable {variable} with {other}", "rename one of the two")

    # --- one service ---

    def _place(self, name: str, *keys: str) -> Place:
        """Return where a value of a service was written: in its own entry, else in the defaults."""
        for fields, place in ((self._own[name], ("services", name)), (self._defaults, ("defaults",))):
            found: t.Any = fields
            for key in keys:
                found = found.get(key, None) if isinstance(found, dict) else None
            if found is not None:
                return (*place, *keys)
        return ("services", name)

    def _commands(self) -> None:
        without = [name for name, merged in self._merged.items() if "command" not in merged]
        cure = "give defaults a command with {name} in it, or each service its own"
        if without and len(without) == len(self._own):
            self._report.error(("defaults", "command"), f"no service has a command: {', '.join(without[:20])}", cure)
        else:
            for name in without:
                self._report.error(("services", name), "has no command", cure)

    def _service(self, name: str) -> None:
        merged, own = self._merged[name], self._own[name]
        for instance in self._instances[name]:
            self._argv(name, instance)
        self._ports(name)
        self._health(name)
        self._times(name)
        for variable in sorted(set(_get(own, "env", {})) & set(_get(own, "secrets", {}))):
            self._report.error(("services", name, "secrets", variable), "is in env, too", "keep it in one of the two")
        if _get(merged, "kind") == "oneshot" and _get(own, "restart", "never") != "never":
            self._report.error(
                ("services", name, "restart"), "a oneshot runs once", "remove it, or make it a service: kind: service"
            )

    def _directory(self, name: str) -> str:
        directory = _get(self._merged[name], "directory", "")
        return self._resolve(self._place(name, "directory"), directory, self._root or "/")

    def _argv(self, name: str, instance: _Instance) -> t.Tuple[str, ...]:
        """Return a service's command: ``{port}`` and ``{instance}`` filled in, in a default one ``{name}``, too."""
        command: t.Tuple[str, ...] = _get(self._merged[name], "command", ())
        place = self._place(name, "command")
        known = {} if instance.port is None else {"{port}": str(instance.port)}
        if instance.number:
            known["{instance}"] = str(instance.number)
        if "command" not in self._own[name]:
            if instance.port is None and any("{port}" in argument for argument in command):
                if self._merged[name].get("port") is None:
                    self._report.error(
                        ("services", name),
                        "has no port, and defaults.command has {port}",
                        "give it a port or a command",
                    )
                return ()
            known["{name}"] = name
        command = tuple(_filled(text, known) for text in command)
        if command and "/" in command[0]:
            # supervisord looks for the program before it goes to the directory.
            program = self._resolve((*place, 0), command[0], self._directory(name))
            command = (program, *command[1:])
        return command

    def _ports(self, name: str) -> None:
        """Check the ports that a service may have, those of each instance included."""
        merged, instances = self._merged[name], self._instances[name]
        place: Place = ("services", name, "port")
        fallbacks = _get(merged, "fallback_ports", ())
        if merged.get("port") is None and fallbacks:
            self._report.error(
                ("services", name, "fallback_ports"), "the service has no port of its own", "give it a port, first"
            )
        if len(instances) > 1 and _get(merged, "kind") == "oneshot":
            self._report.error(("services", name, "instances"), "a oneshot runs once", "remove it")
        for instance in instances:
            if instance.own_port is not None:
                self._port(name, place, instance.own_port)
            for index, port in enumerate(instance.fallback_ports):
                self._port(name, ("services", name, "fallback_ports", index), port)
            if instance.port is not None and instance.port not in (instance.own_port, *instance.fallback_ports):
                self._report.error(
                    place,
                    f"the host has leased port {instance.port} to {instance.name}, which is none of its ports",
                    "run the same command again",
                )

    def _port(self, name: str, place: Place, port: int) -> None:
        rules, error = self._rules, self._report.error
        if port > 65535:
            error(place, f"its last instance would get port {port}", "choose a lower one, or fewer instances")
            return
        if port in rules.protect:
            error(place, f"port {port} is protected: the host itself needs it", "choose another port")
            return
        if port in rules.avoid:
            error(place, f"port {port} is to be avoided", "choose another port, or take it off ports.avoid")
        elif port not in rules.also:
            self._unlisted_port(place, port)
        as_root = self._host.as_root
        if port < self._host.unprivileged_from and not (
            as_root or (as_root is None and _get(self._fields, "user") == "root")
        ):
            error(place, f"port {port} can be bound by root only", f"choose {self._host.unprivileged_from} or above")
        if port in REFUSED_BY_BROWSERS:
            self._browser_port(name, place, port)

    def _unlisted_port(self, place: Place, port: int) -> None:
        rules, (first, last) = self._rules, self._host.ephemeral
        reasons = []
        if not rules.low <= port <= rules.high:
            reasons.append(f"is outside the range {rules.low}-{rules.high}")
        if first <= port <= last:
            reasons.append(f"is one of those that the kernel gives to clients ({first}-{last})")
        if reasons:
            self._report.error(
                place,
                f"port {port} {' and '.join(reasons)}",
                f"choose another port, or add {port} to stack.ports.also if it is meant",
            )

    def _browser_port(self, name: str, place: Place, port: int) -> None:
        """Every browser refuses it: an error where a browser is likely and nobody has said that the port is meant."""
        health = _get(self._merged[name], "health")
        web = isinstance(health, dict) and "http" in health
        message = f"port {port} is refused by every browser"
        if web and port not in self._rules.also:
            self._report.error(place, message, "choose another port")
        else:
            self._report.warning(place, message, "choose another port if people are to see it")

    def _health(self, name: str, instance: t.Optional[_Instance] = None) -> t.Optional[Health]:
        """Return the health check of a service; a default one is for services that keep running and have a port."""
        merged = self._merged[name]
        health = _get(merged, "health")
        if health is None:
            return None
        port, own = (instance or self._instances[name][0]).port, "health" in self._own[name]
        place = self._place(name, "health")
        if not own and "port" in health:
            self._report.error((*place, "port"), "is not a default: every service has its own port", "remove it")
        if not own and (merged.get("port") is None or _get(merged, "kind") == "oneshot"):
            return None
        if _get(merged, "kind") == "oneshot":
            self._report.error(place, "a oneshot ends, so nothing is left to ask", "remove it; its exit code is asked")
        elif merged.get("port") is None and "port" not in health:
            self._report.error(place, "the service has no port to ask", "give the service a port, or remove the check")
        elif "port" in health and "instances" in merged:
            self._report.error((*place, "port"), "every instance has its own port", "remove it")
        kinds = [kind for kind in ("http", "tcp") if kind in health]
        if len(kinds) != 1:
            word = "both http and tcp" if kinds else "neither http nor tcp"
            self._report.error(place, f"says {word}", "say http: /path, or tcp: true")
            return None
        for key in OF_TCP if kinds[0] == "http" else OF_HTTP:
            if key in health:
                self._report.error((*place, key), f"is not a key of a check by {kinds[0]}", "remove it")
        fields = {key: value for key, value in health.items() if key not in ("http", "tcp")}
        if kinds[0] == "http":
            fields["path"] = health["http"]
        return Health(**{"kind": kinds[0], "port": port, **fields})

    def _times(self, name: str) -> None:
        """A crash loop must never pass, and what cannot be ready in time is said before it is tried."""
        merged = self._merged[name]
        if _get(merged, "kind") == "oneshot":
            return
        seconds = _get(_get(merged, "start", {}), "seconds", Start().seconds)
        stable = _get(merged, "stable_for", Service.stable_for)
        if seconds + stable < 1:
            keys = ("stable_for",) if self._place(name, "stable_for")[-1] == "stable_for" else ("start", "seconds")
            self._report.error(
                self._place(name, *keys),
                f"start.seconds ({seconds:g}) and stable_for ({stable:g}) come to less than 1 second, and a service "
                "that ends and is started over and over would look well in between",
                "make them 1 second together, at least",
            )
        ready = _get(merged, "ready_timeout", Service.ready_timeout)
        if ready <= math.ceil(seconds):
            self._report.error(
                self._place(name, "ready_timeout"),
                f"the service has {ready:g} seconds to be ready, and counts as started after {math.ceil(seconds)}",
                "make ready_timeout longer than start.seconds",
            )

    # --- between services ---

    def _shared_ports(self) -> None:
        """No port is two services' own, and none falls back to another's own; two may well share a fallback port."""
        holders: t.Dict[int, str] = {}
        clashes: t.List[t.Tuple[Place, int, str]] = []
        for name, instances in self._instances.items():
            for instance in instances:
                port = instance.own_port
                other = instance.name if port is None else holders.setdefault(port, instance.name)
                if port is not None and other != instance.name:
                    clashes.append((("services", name, "port"), port, other))
        for name, instances in self._instances.items():
            for instance in instances:
                for index, port in enumerate(instance.fallback_ports):
                    if port in holders:
                        clashes.append((("services", name, "fallback_ports", index), port, holders[port]))
        for place, port, other in clashes:
            self._report.error(place, f"port {port} is the port of {other}, too", "give one of them another")

    def _dependencies(self) -> None:
        graph = {name: [other for other in self._needs(name) if other in self._own] for name in self._own}
        for name in self._own:
            for other, level in self._needs(name).items():
                self._dependency(("services", name, "depends_on", other), other, level)
        for cycle in itertools.islice(_cycles(graph), _MOST_CYCLES):
            self._report.error(
                ("services", cycle[0], "depends_on"),
                f"these services depend on each other in a circle: {' -> '.join(cycle)}",
                "remove one of these dependencies",
            )

    def _needs(self, name: str) -> t.Dict[str, t.Any]:
        needs: t.Dict[str, t.Any] = _get(self._own[name], "depends_on", {})
        return needs

    def _dependency(self, place: Place, other: str, level: t.Any) -> None:
        error = self._report.error
        read = _get(self._fields, "services", {})
        if level is WRONG:
            return
        if other not in read:
            known = "is deprecated, so it is never started" if other in self._old_ports() else "is not a service"
            error(place, f"{known}{self._report.similar(other, read)}", "name a service of this stack, or remove it")
            return
        merged = self._merged.get(other)
        if merged is None or merged.get("kind") is WRONG:
            return
        oneshot = _get(merged, "kind") == "oneshot"
        if oneshot and level in ("running", "healthy"):
            error(place, f"{other} is a oneshot, which runs to its end", "wait for its end: completed")
        elif level == "completed" and not oneshot:
            error(place, f"{other} keeps running, so it never completes", "write healthy, or make it kind: oneshot")
        elif level == "healthy" and merged.get("port") is None and _get(self._own[other], "health") is None:
            error(place, f"{other} has neither a health check nor a port", "write running, or give it one of them")

    def _level(self, other: str, level: t.Optional[str]) -> str:
        """Return the level of a dependency; one that was left open is the highest that the other service can show."""
        if level is not None:
            return level
        if _get(self._merged[other], "kind") == "oneshot":
            return "completed"
        return "running" if self._health(other) is None else "healthy"

    def _requirements(self) -> None:
        """Name what is required twice, and variables that nothing can give as things are."""
        lists: t.Dict[Place, t.Tuple[str, ...]] = {}
        held: t.Dict[t.Tuple[Place, str], t.List[str]] = {}
        for name in self._own:
            place, variables = self._place(name, "requires_env"), _get(self._merged[name], "requires_env", ())
            lists[self._place(name, "requires_files")] = self._required_files(name)
            lists[place] = variables
            for instance in self._instances[name] if variables else ():
                given = self._given(name, instance)
                for index, variable in enumerate(variables):
                    if variable not in given:
                        held.setdefault(((*place, index), variable), []).append(instance.name)
        for place, items in lists.items():
            seen: t.Set[str] = set()
            for index, item in enumerate(items):
                if item in seen:
                    self._report.error((*place, index), "is in the list twice", "remove it")
                seen.add(item)
        for (place, variable), names in held.items():
            who = ", ".join(names[:20]) + (" and others" if len(names) > 20 else "")
            self._report.warning(
                place, f"nothing gives {variable} a value: {who} will be held", "give it one in env or in secrets"
            )

    def _required_files(self, name: str) -> t.Tuple[str, ...]:
        place = self._place(name, "requires_files")
        # Thousands of services may share the list in the defaults.
        if place not in self._files:
            paths, base = _get(self._merged[name], "requires_files", ()), self._root or "/"
            self._files[place] = tuple(self._resolve((*place, index), path, base) for index, path in enumerate(paths))
        return self._files[place]

    def _given(self, name: str, instance: _Instance) -> t.Set[str]:
        """Return the variables that a service's process will have, and that are not empty."""
        told = [each for other in self._needs(name) for each in self._instances.get(other, ())]
        given = {_port_variable(each.name) for each in (*told, instance) if each.port is not None}
        given |= GIVEN_TO_ALL
        if instance.port is not None:
            given.add("PORT")
        if instance.number:
            given.add("INSTANCE")
        own = {**self._merged[name]["env"], **self._merged[name]["secrets"]}
        empty = {variable for variable, value in own.items() if value == ""}
        return (given | set(own)) - empty

    def _old_ports(self) -> t.Dict[str, t.Any]:
        ports: t.Dict[str, t.Any] = _get(self._fields, "deprecated", {})
        return ports

    def _own_ports(self) -> t.Dict[t.Optional[int], str]:
        return {instance.own_port: name for name, instances in self._instances.items() for instance in instances}

    def _deprecated(self) -> None:
        holders = self._own_ports()
        for name, port in self._old_ports().items():
            if name in self._own:
                self._report.error(
                    ("deprecated", name), "is a service of this stack, too", "remove it here, or from the services"
                )
            elif port in holders and port is not None:
                self._report.warning(
                    ("deprecated", name),
                    f"port {port} is now the port of {holders[port]}: where {name} still runs, it is in the way",
                    f"see that {name} is gone, then remove this entry",
                )

    def check_monitors(self, monitors: t.Sequence[t.Tuple[Source, Monitor]]) -> None:
        """Check ``monitor_instances`` of an older document: nothing is started for them, but nothing may clash."""
        holders = self._own_ports()
        taken: t.Dict[int, str] = {}
        for source, monitor in monitors:
            port = monitor.port
            if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
                self._report.monitor(
                    source, f"is {kind_of(port)}, not a port number", "write a whole number from 1 to 65535", "error"
                )
                continue
            other = taken.setdefault(port, f"{monitor.instance}.{monitor.service}")
            if other != f"{monitor.instance}.{monitor.service}":
                self._report.monitor(
                    source, f"port {port} is the port of {other}, too", "give one of them another", "error"
                )
            if holders.get(port, monitor.service) != monitor.service:
                self._report.monitor(
                    source, f"port {port} is the port of service {holders[port]}", "give one of them another", "error"
                )
        if monitors:
            self._report.monitor(
                monitors[0][0],
                "monitor_instances are checked for clashes, and not started",
                "make each that is to run a service with a command",
                "warning",
            )

    # --- the result ---

    def _count_secrets(self) -> None:
        sets = {json.dumps(merged["secrets"], default=str, sort_keys=True) for merged in self._merged.values()}
        if len(sets) > _MOST_SETS_OF_SECRETS:
            self._report.error(
                ("services",),
                f"more than {_MOST_SETS_OF_SECRETS} services have secrets of their own",
                "share them by defaults.secrets, or let services read them from files",
            )

    def stack(self) -> Stack:
        """Return the stack. Only to be called when no problem is an error."""
        paths = self._paths()
        if self._root is None or paths is None:
            raise ValueError("a manifest without a root has passed the check")
        name = self._fields["name"]
        logs = _get(_get(self._fields, "checks", {}), "logs", {})
        digests = _Digests(name)
        return Stack(
            name=name,
            root=self._root,
            paths=paths,
            services=tuple(
                self._build(service, instance, digests)
                for service, instances in self._instances.items()
                for instance in instances
            ),
            user=_get(self._fields, "user"),
            ports=self._rules,
            deprecated={old: port for old, port in self._old_ports().items() if port is not None},
            checks=Checks(self._databases(), _get(logs, "critical", Checks().log_critical)),
            restart_budget=RestartBudget(**_get(self._fields, "restart_budget", {})),
        )

    def _build(self, name: str, instance: _Instance, digests: _Digests) -> Service:
        merged = self._merged[name]
        log = merged.get("log", {})
        kind = merged.get("kind", Service.kind)
        return Service(
            name=instance.name,
            command=self._argv(name, instance),
            directory=self._directory(name),
            description=merged.get("description", ""),
            kind=kind,
            env=merged["env"],
            secrets=digests.of(merged["secrets"]),
            port=instance.port,
            health=self._health(name, instance),
            depends_on={
                each.name: self._level(other, level)
                for other, level in self._needs(name).items()
                for each in self._instances[other]
            },
            stop=Stop(**merged.get("stop", {})),
            start=Start(**merged.get("start", {})),
            stable_for=merged.get("stable_for", Service.stable_for),
            ready_timeout=merged.get("ready_timeout", Service.ready_timeout),
            restart="never" if kind == "oneshot" else merged.get("restart", Service.restart),
            log_max_bytes=log.get("max_bytes", Service.log_max_bytes),
            log_backups=log.get("backups", Service.log_backups),
            own_port=instance.own_port,
            fallback_ports=instance.fallback_ports,
            auto_fallback=merged.get("auto_fallback", Service.auto_fallback),
            group=name if instance.number else "",
            instance=instance.number,
            requires_files=self._required_files(name),
            requires_env=_get(merged, "requires_env", ()),
        )


class _Digests:
    """Digests of secrets: they tell that one changed, and are too costly to guess a value by.

    A service's secrets are stretched together, once, and each digest is made of the result and its variable's name.
    """

    def __init__(self, stack: str) -> None:
        self._salt = f"rollcall/{stack}".encode()
        self._keys: t.Dict[str, bytes] = {}

    def of(self, values: t.Mapping[str, str]) -> t.Dict[str, str]:
        """Return 16 hex digits for each variable."""
        if not values:
            return {}
        text = json.dumps(values, sort_keys=True)
        if text not in self._keys:
            self._keys[text] = hashlib.pbkdf2_hmac("sha256", text.encode("utf-8"), self._salt, _DIGEST_ROUNDS)
        key = self._keys[text]
        return {name: hmac.new(key, name.encode("utf-8"), "sha256").hexdigest()[:16] for name in values}
