# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The services of a manifest as they were read, each with the defaults and its instances."""

from __future__ import annotations

import os
import typing as t

from ..base.port_numbers import UdpPort
from . import corrections
from .document import WRONG
from .host_limits import HostLimits
from .keys import SERVICE
from .model import HEALTH_KINDS, PortRules
from .places import Place
from .problems import Problems, value_of
from .references import Instance, References
from .secret_values import variables_of

# Where every user may make files.
PUBLIC_DIRECTORIES = ("/tmp", "/var/tmp", "/dev/shm", "/private/tmp")
# Mappings of which a service and the defaults may each have some keys.
_KEY_BY_KEY = tuple(name for name, key in SERVICE.items() if key.type.keys)


def _combine(defaults: t.Mapping[str, t.Any], own: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return a service's own keys merged over the defaults; those in ``_KEY_BY_KEY`` are merged key by key."""
    merged = {**defaults, **own}
    for key in _KEY_BY_KEY:
        lower, upper = defaults.get(key), own.get(key)
        # A health check that says how to ask replaces the default one.
        if isinstance(lower, dict) and isinstance(upper, dict) and not set(HEALTH_KINDS) & set(upper):
            merged[key] = {**lower, **upper}
    merged["env"], merged["secrets"] = variables_of(defaults, own)
    ports = own.get("ports")
    if ports is not None:
        # The first of several is the port of all that knows but one.
        merged["port"] = next(iter(_divided(ports)[0].values()), None) if isinstance(ports, dict) else WRONG
    return merged


def _divided(ports: t.Mapping[str, t.Any]) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, int]]:
    """Return ports by name as those of TCP and those of UDP."""
    of_udp: t.Dict[str, int] = {name: port for name, port in ports.items() if isinstance(port, UdpPort)}
    return {name: port for name, port in ports.items() if name not in of_udp}, of_udp


def _filled(text: str, values: t.Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def inside(path: str, directory: str) -> bool:
    """Return whether a path is a directory, or below it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


class Written:
    """A stack as it was read.

    Args:
        problems: takes the problems that are found.
        fields: what was read, key by key.
        host: what the hosts are taken to be.
        assigned: the port that a service, or an instance of one, has got on its host, by its name.

    Attributes:
        root: the directory of the stack; None when it is missing or wrong.
        defaults: the keys of ``defaults``.
        own: the keys that each service has itself.
        merged: the keys of each service, the defaults included.
        rules: which ports services may have.
        instances: each service as it will run: by itself, or as its instances.
        references: puts the ports of these into texts.
        deprecated: the ports of services that are never started.
    """

    def __init__(
        self, problems: Problems, fields: t.Dict[str, t.Any], host: HostLimits, assigned: t.Mapping[str, int]
    ) -> None:
        self.problems = problems
        self.fields = fields
        self.host = host
        self._assigned = assigned
        self.root: t.Optional[str] = value_of(fields, "root")
        self.defaults: t.Dict[str, t.Any] = value_of(fields, "defaults", {})
        read = value_of(fields, "services", {})
        self.own: t.Dict[str, t.Dict[str, t.Any]] = {name: own for name, own in read.items() if isinstance(own, dict)}
        self.merged = {name: _combine(self.defaults, own) for name, own in self.own.items()}
        self.rules = self._port_rules()
        self.instances = {name: self._instances_of(name) for name in self.own}
        self.references = References(problems, self.merged, self.instances)
        self.deprecated: t.Dict[str, t.Any] = value_of(fields, "deprecated", {})
        self._files: t.Dict[Place, t.Tuple[str, ...]] = {}

    def _instances_of(self, name: str) -> t.List[Instance]:
        merged = self.merged[name]
        first, fallbacks = value_of(merged, "port"), value_of(merged, "fallback_ports", ())
        ports, udp = _divided(value_of(merged, "ports", {}))
        first_name = next(iter(ports), "")
        more = {key: port for key, port in ports.items() if key != first_name and port is not WRONG}
        count = value_of(merged, "instances")
        if count is None:
            at = self._assigned.get(name, first)
            return [Instance(name, 0, first, fallbacks, at, first_name, more, udp, self._socket(merged, 0))]
        found = []
        for number in range(1, count + 1):
            own = None if first is None else first + number - 1
            called = f"{name}-{number}"
            others = tuple(port + number - 1 for port in fallbacks)
            beside = {key: port + number - 1 for key, port in more.items()}
            at = self._assigned.get(called, own)
            of_udp = {key: UdpPort(port + number - 1) for key, port in udp.items()}
            socket = self._socket(merged, number)
            found.append(Instance(called, number, own, others, at, first_name, beside, of_udp, socket))
        return found

    def _socket(self, merged: t.Mapping[str, t.Any], number: int) -> str:
        """Return the path of the socket of a service, or of an instance by its number; empty where it has none."""
        path: str = value_of(merged, "socket", "")
        if not path:
            return ""
        path = path.replace("{instance}", str(number)) if number else path
        return "/" + os.path.normpath(os.path.join(self.root or "/", path)).lstrip("/")

    def place(self, name: str, *keys: str) -> Place:
        """Return the place of a value of a service: in its own entry, else in the defaults."""
        for fields, place in ((self.own[name], ("services", name)), (self.defaults, ("defaults",))):
            found: t.Any = fields
            for key in keys:
                found = found.get(key, None) if isinstance(found, dict) else None
            if found is not None:
                return (*place, *keys)
        return ("services", name)

    @staticmethod
    def port_place(name: str, port: str) -> Place:
        """Return the place of a port of a service, by its name; empty for the one that has none."""
        return ("services", name, "ports", port) if port else ("services", name, "port")

    def resolve(self, place: Place, path: str, base: str) -> str:
        """Return ``path`` as an absolute one. A relative path is wrong when it leaves both its base and the root."""
        whole = os.path.normpath(os.path.join(base, path))
        if not os.path.isabs(path) and not inside(whole, base) and not inside(whole, self.root or base):
            self.problems.error(place, f"leads out of {base}", corrections.ABSOLUTE_IF_MEANT)
        return f"/{whole.lstrip('/')}"

    def directory(self, name: str, instance: t.Optional[Instance] = None) -> str:
        """Return the directory of a service, absolute; of the first of its instances when none is given."""
        place, directory = self.place(name, "directory"), value_of(self.merged[name], "directory", "")
        directory = self.references.filled(place, directory, instance or self.instances[name][0])
        return self.resolve(place, directory, self.root or "/")

    def command(
        self,
        place: Place,
        command: t.Sequence[str],
        name: str,
        instance: Instance,
        filled_in: t.Mapping[str, str],
    ) -> t.Tuple[str, ...]:
        """Return a command with ``{port}`` and ``{instance}`` filled in, and its program absolute if it is a path.

        Args:
            place: of the command.
            command: as it was read.
            name: of the service whose command it is.
            instance: the service as it will run.
            filled_in: other texts that stand for something.
        """
        values = {**({"{instance}": str(instance.number)} if instance.number else {}), **filled_in}
        found = [
            _filled(self.references.filled((*place, index), text, instance), values)
            for index, text in enumerate(command)
        ]
        if found and "/" in found[0]:
            # supervisord looks for the program before it goes to the directory.
            found[0] = self.resolve((*place, 0), found[0], self.directory(name, instance))
        return tuple(found)

    def needs(self, name: str) -> t.Dict[str, t.Any]:
        """Return the services that a service depends on, each with its level; None where the manifest says none."""
        needs: t.Dict[str, t.Any] = value_of(self.own[name], "depends_on", {})
        return needs

    def _port_rules(self) -> PortRules:
        ports, usual = value_of(self.fields, "ports", {}), PortRules()
        low, high = value_of(ports, "range", (usual.low, usual.high))
        # Port 22 stays protected, whatever else is: Ansible and people come in by it.
        protect = tuple(dict.fromkeys((*usual.protect, *value_of(ports, "protect", ()))))
        return PortRules(low, high, value_of(ports, "also", ()), value_of(ports, "avoid", usual.avoid), protect)

    def required_files(self, name: str, instance: t.Optional[Instance] = None) -> t.Tuple[str, ...]:
        """Return the files that a service, or one of its instances, requires, as absolute paths."""
        paths = value_of(self.merged[name], "requires_files", ())
        return self._paths(self.place(name, "requires_files"), paths, name, instance)

    def reload(self, name: str, instance: Instance) -> t.Optional[t.Dict[str, t.Any]]:
        """Return how a service reloads, its command and files with absolute paths; None when it does not."""
        reload = value_of(self.merged[name], "reload")
        if reload is None:
            return None
        place = self.place(name, "reload")
        files = self._paths((*place, "files"), value_of(reload, "files", ()), name, instance)
        command = self.command((*place, "command"), value_of(reload, "command", ()), name, instance, {})
        known = {key: value for key, value in reload.items() if value is not WRONG}
        return {**known, "command": command, "files": files}

    def _paths(
        self, place: Place, paths: t.Sequence[str], name: str, instance: t.Optional[Instance]
    ) -> t.Tuple[str, ...]:
        if any("{port" in path for path in paths):
            own = instance or self.instances[name][0]
            named = [self.references.filled((*place, index), path, own) for index, path in enumerate(paths)]
            return tuple(self.resolve((*place, index), path, self.root or "/") for index, path in enumerate(named))
        # Thousands of services may share the list in the defaults.
        if place not in self._files:
            base = self.root or "/"
            self._files[place] = tuple(self.resolve((*place, index), path, base) for index, path in enumerate(paths))
        return self._files[place]
