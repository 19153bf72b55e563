# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""``{port}`` and ``{socket}`` in the texts of a manifest: the port that a service has on its host, and its socket.

``{port}`` is the port of the service whose text it is, ``{port:NAME}`` that of any service or instance of the stack;
``{socket}`` and ``{socket:NAME}`` are the paths of their sockets. Of several ports, ``{port.metrics}`` and
``{port:NAME.metrics}`` are others than the first. When the host gives a service another port, every text that names it
so has the new one. ``\\{port}`` and ``\\{socket}`` stand for the text itself.
"""

from __future__ import annotations

import re
import typing as t

from . import corrections
from .document import WRONG
from .places import Place
from .problems import Problems

_REFERENCE = re.compile(r"(\\?)\{port(?::([^{}]*)|\.([A-Za-z][A-Za-z0-9_]*))?\}")
_SOCKET = re.compile(r"(\\?)\{socket(?::([^{}]*))?\}")
# Also right behind an option of one letter, and at the end of a sentence.
_NUMBER = re.compile(r"(?:(?<![\w.])|(?<=\s-[A-Za-z])|(?<=^-[A-Za-z]))[1-9][0-9]{0,4}(?!\w|\.\w)")


def escaped(text: str) -> str:
    """Return a text written so that it stands for itself."""
    for pattern in (_REFERENCE, _SOCKET):
        text = pattern.sub(lambda found: f"\\{found.group()}", text)
    return text


class Instance(t.NamedTuple):
    """One service as it will run: a service of the manifest, or one of its instances.

    Attributes:
        number: of an instance, from 1; 0 for a service without instances.
        own_port: the port that the manifest says.
        port: the port that it has on its host; the first one of several.
        port_name: what that one is called; empty where it has no name.
        more_ports: the others by their names.
        udp_ports: those of UDP by their names.
        socket: the absolute path of its unix socket; empty where it has none.
    """

    name: str
    number: int
    own_port: t.Optional[int]
    fallback_ports: t.Tuple[int, ...]
    port: t.Optional[int]
    port_name: str = ""
    more_ports: t.Mapping[str, int] = {}
    udp_ports: t.Mapping[str, int] = {}
    socket: str = ""

    @property
    def tcp_ports(self) -> t.Dict[str, int]:
        """All ports of TCP that are known, by their names; the first one first."""
        first = {} if self.port is None else {self.port_name: self.port}
        return {**first, **self.more_ports}

    @property
    def all_ports(self) -> t.Dict[str, int]:
        """All ports that are known, by their names; those of UDP last."""
        return {**self.tcp_ports, **self.udp_ports}


class References:
    """The services of a stack, and the texts that name their ports.

    Args:
        problems: takes what names no port.
        merged: the keys of each service, the defaults included.
        instances: each service as it will run.

    Attributes:
        keep: whether texts keep what they name, in full: for a host that may give a service another port later.
    """

    def __init__(
        self,
        problems: Problems,
        merged: t.Mapping[str, t.Mapping[str, t.Any]],
        instances: t.Mapping[str, t.Sequence[Instance]],
    ) -> None:
        self._problems = problems
        self._merged = merged
        self.keep = False
        self._instances = instances
        self._known = {each.name: each for group in instances.values() for each in group}
        # A port that is there and wrong is a problem of its own.
        self._without = {
            each.name for name, group in instances.items() for each in group if merged[name].get("port") is None
        }
        self._wrong = {
            each.name
            for name, group in instances.items()
            for each in group
            if WRONG in (merged[name].get("port"), merged[name].get("ports"))
            or WRONG in (merged[name].get("ports") or {}).values()
        }

    @property
    def _wrong_sockets(self) -> t.Set[str]:
        """The services whose socket is there and wrong, which is a problem of its own."""
        groups = self._instances.items()
        return {each.name for name, group in groups for each in group if self._merged[name].get("socket") is WRONG}

    def filled(self, place: Place, text: str, instance: t.Optional[Instance]) -> str:
        """Return a text with the ports and sockets that it names; what names none is a problem of the manifest.

        Args:
            place: of the text.
            text: of the manifest.
            instance: the service whose text it is; None for a text of the stack's own.
        """
        if "{socket" in text:
            text = self._with_sockets(place, text, instance)
        if "{port" not in text:
            return text

        def port(found: t.Match[str]) -> str:
            name, own_port = found.group(2), found.group(3) or ""
            if found.group(1):
                return found.group() if self.keep else found.group()[1:]
            number = self._own(place, instance, own_port) if name is None else self._of(place, name)
            if self.keep:
                own = "" if instance is None else instance.name
                service, _dot, other = (own, "", own_port) if name is None else name.partition(".")
                # A host may give a service another first port; its others are what they are.
                is_first = not other or self._known[service].port_name == other
                if is_first:
                    return f"{{port:{service}}}"
            # Of UDP, too, a text has the number alone.
            return found.group() if number is None else str(int(number))

        return _REFERENCE.sub(port, text)

    def _with_sockets(self, place: Place, text: str, instance: t.Optional[Instance]) -> str:
        """Return a text with the paths of the sockets that it names: on every host they are the same."""

        def path(found: t.Match[str]) -> str:
            name = found.group(2)
            if found.group(1):
                return found.group()[1:]
            if name is None and instance is None:
                self._problems.error(place, "{socket} is of no service here", corrections.NAMED_SOCKET)
                return found.group()
            known = instance if name is None else self._known.get(name)
            if known is not None and (known.socket or name in self._wrong_sockets or known.name in self._wrong_sockets):
                return known.socket or found.group()
            if name is None and instance is not None:
                message = f"{{socket}} stands for the socket of {instance.name}, which has none"
                self._problems.error(place, message, corrections.OWN_SOCKET)
                return found.group()
            have = [each.name for each in self._known.values() if each.socket]
            reason = f"{name} has no socket" if known is not None else f"'{name}' is not a service of this stack"
            several = [each.name for each in self._instances.get(name or "", ())]
            if known is None and several:
                reason = f"{name} runs as {several[0]} to {several[-1]}"
            cure = corrections.service_with_socket(have[:20])
            self._problems.error(place, f"{{socket:{name}}}: {reason}", cure)
            return found.group()

        return _SOCKET.sub(path, text)

    def filled_in(
        self, place: Place, fields: t.Mapping[str, t.Any], instance: t.Optional[Instance]
    ) -> t.Dict[str, t.Any]:
        """Return the keys of a mapping with every text filled, also those in mappings of it; a port that was a text is
        a number then.
        """
        found = {key: self._filled_value((*place, key), value, instance) for key, value in fields.items()}
        port = found.get("port")
        return {**found, "port": int(port)} if isinstance(port, str) and port.isdecimal() else found

    def _filled_value(self, place: Place, value: t.Any, instance: t.Optional[Instance]) -> t.Any:
        if isinstance(value, str):
            return self.filled(place, value, instance)
        if isinstance(value, dict):
            return {key: self._filled_value((*place, key), inner, instance) for key, inner in value.items()}
        return value

    def _own(self, place: Place, instance: t.Optional[Instance], port: str) -> t.Optional[int]:
        if instance is None:
            self._problems.error(place, "{port} is of no service here", corrections.NAMED_PORT)
            return None
        if instance.name in self._without and not (port and instance.udp_ports):
            message = f"{{port}} stands for the port of {instance.name}, which has none"
            cure = corrections.OWN_PORT
            self._problems.error(place, message, cure)
            return None
        return self._called(place, instance, port, instance.all_ports) if port else instance.port

    def port_called(self, place: Place, instance: Instance, port: str) -> t.Optional[int]:
        """Return the port of TCP that has a name; None, and a problem at the place, where the service has none."""
        return self._called(place, instance, port, instance.tcp_ports)

    def _called(self, place: Place, instance: Instance, port: str, among: t.Mapping[str, int]) -> t.Optional[int]:
        found = among.get(port)
        if found is None and instance.name not in self._wrong:
            message = f"{instance.name} has no port called {port}"
            if port in instance.udp_ports:
                message = f"{port} is a port of UDP, and only TCP is asked"
            self._problems.error(place, message, corrections.port_called(name for name in among if name))
        return found

    def _of(self, place: Place, whole: str) -> t.Optional[int]:
        name, dot, port = whole.partition(".")
        if name in self._known:
            if name in self._without and not (dot and self._known[name].udp_ports):
                cure = corrections.port_of(name)
                self._problems.error(place, f"{{port:{name}}}: {name} has no port", cure)
                return None
            known = self._known[name]
            return self._called(place, known, port, known.all_ports) if dot else known.port
        several = [each.name for each in self._instances.get(name, ())]
        if several:
            cure = corrections.instance(several[0])
            message = f"{{port:{name}}}: {name} runs as {several[0]} to {several[-1]}"
            self._problems.error(place, message, cure)
            return None
        with_port = [each.name for each in self._known.values() if each.port is not None]
        similar = self._problems.similar(name, with_port)
        message = f"'{name}' is not a service of this stack{similar}"
        self._problems.error(place, message, corrections.service_with_port(with_port[:20]))
        return None


def with_ports(value: t.Any, ports: t.Mapping[str, t.Optional[int]]) -> t.Any:
    """Return a value with the ports in every text of it, that was kept with what it names.

    Args:
        value: text, or lists and mappings of it.
        ports: by service.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: found.group()[1:] if found.group(1) else str(ports[found.group(2)]), value)
    if isinstance(value, (list, tuple)):
        return [with_ports(each, ports) for each in value]
    if isinstance(value, dict):
        return {key: with_ports(each, ports) for key, each in value.items()}
    return value


def check_literal_ports(
    problems: Problems,
    defaults: t.Mapping[str, t.Any],
    services: t.Mapping[str, t.Mapping[str, t.Any]],
    instances: t.Mapping[str, t.Sequence[Instance]],
    databases: t.Mapping[str, t.Any],
) -> None:
    """Warn of a port that a host may give up for another one, and that a text has as a number."""
    movable = {
        each.own_port: each.name
        for group in instances.values()
        for each in group
        if each.own_port is not None and each.fallback_ports
    }
    if not movable:
        return
    written: t.List[t.Tuple[Place, str, str]] = []
    for name, own in [*services.items(), ("", defaults)]:
        base: Place = ("services", name) if name else ("defaults",)
        written += [((*base, *keys), name, text) for keys, text in _texts(own)]
    for kind, fields in databases.items():
        port = fields.get("port") if isinstance(fields, dict) else None
        written += [(("checks", "database", kind, "port"), "", str(port))] if isinstance(port, int) else []
    for place, name, text in written:
        for number in dict.fromkeys(map(int, _NUMBER.findall(text))):
            owner = movable.get(number)
            if owner is not None:
                way = "{port}" if owner == name else f"{{port:{owner}}}"
                message = f"{number} is the port of {owner}, and a host may give that another one"
                cure = corrections.in_env(way) if "secrets" in place else corrections.follows(way)
                problems.warning(place, message, cure)


def check_secrets(problems: Problems, services: t.Mapping[str, t.Mapping[str, t.Any]]) -> None:
    """Warn of a secret that looks as if it named a port or a socket: it reaches the service as it is."""
    for name, own in services.items():
        secrets = own.get("secrets")
        for variable, value in secrets.items() if isinstance(secrets, dict) else ():
            texts = [value] if isinstance(value, str) else []
            searched = (pattern.search(text) for text in texts for pattern in (_REFERENCE, _SOCKET))
            found = next((one for one in searched if one is not None and not one.group(1)), None)
            if found is not None:
                message = f"{found.group()} stays as it is in a secret"
                problems.warning(("services", name, "secrets", variable), message, corrections.IN_ENV)


def _texts(fields: t.Mapping[str, t.Any]) -> t.Iterator[t.Tuple[Place, str]]:
    """Yield each text of a service in which a port may stand, with its place there."""
    command = fields.get("command")
    for index, argument in enumerate(command if isinstance(command, tuple) else ()):
        yield ("command", index), argument
    inner: t.List[t.Tuple[Place, t.Any]] = [((key,), fields.get(key)) for key in ("env", "secrets", "health")]
    checks = fields.get("health")
    inner += [(("health", index), check) for index, check in enumerate(checks if isinstance(checks, list) else ())]
    for place, mapping in inner:
        for name, value in mapping.items() if isinstance(mapping, dict) else ():
            if isinstance(value, str) or name == "port":
                yield (*place, name), str(value)
            for index, argument in enumerate(value if isinstance(value, tuple) else ()):
                yield (*place, name, index), argument
