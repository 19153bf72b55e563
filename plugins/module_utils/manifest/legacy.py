# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The shapes that a manifest is written in, put together as the content of ``stack``.

The older JSON shape of a port manifest is taken as it is; it knows ports, but no commands and no root.
``core_services`` and ``watchdog_services`` become services, ``deprecated_services`` our ``deprecated``,
``port_ranges`` and ``notes.avoid_ports`` our ``ports``. Nothing is guessed: the check finds
missing what it lacks.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

Place = t.Tuple[t.Union[str, int], ...]

SERVICES = ("core_services", "watchdog_services")
KEYS = (*SERVICES, "deprecated_services", "monitor_instances", "port_ranges", "notes")


def kind_of(value: t.Any) -> str:
    """Return what a value is, in words."""
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "a mapping"
    if value is None:
        return "empty"
    return "a list" if is_list(value) else f"a value of type {type(value).__name__}"


def is_list(value: t.Any) -> bool:
    """Return whether a value is a list, which text is not."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))


# --- the older shape ---------------------------------------------------------------------------------------------

# Words that old manifests have for a service that is meant to run.
_MEANT_TO_RUN = ("", "active", "running", "enabled", "ok", "production", "up", "started", "healthy", "online")


class Finding(t.NamedTuple):
    """A problem of the older shape itself, at a place of the document that was given."""

    place: Place
    message: str
    cure: str
    severity: str


class Monitor(t.NamedTuple):
    """One port of ``monitor_instances``: which instance uses it, and for what service."""

    place: Place
    instance: str
    service: str
    port: t.Any


class Converted(t.NamedTuple):
    """An older document in our shape.

    Attributes:
        raw: content of ``stack``; what was of the wrong type still is.
        origins: pairs of a place in ``raw`` and the one it was taken from.
    """

    raw: t.Dict[str, t.Any]
    origins: t.List[t.Tuple[Place, Place]]
    findings: t.List[Finding]
    monitors: t.List[Monitor]


def recognise(data: t.Mapping[t.Any, t.Any]) -> bool:
    """Return whether ``data`` is of the older shape, at least in part. ``notes`` alone may be anybody's."""
    return any(key in data for key in KEYS if key != "notes")


def convert(data: t.Mapping[t.Any, t.Any], service_keys: t.Container[str]) -> Converted:
    """Return ``data`` in our shape.

    Args:
        data: the older document; keys that are not :data:`KEYS` are not looked at.
        service_keys: our own keys of a service, which an old entry may have, too.
    """
    return _Conversion(data, service_keys).result


def _name(key: t.Any) -> str:
    return key if isinstance(key, str) else kind_of(key)


class _Conversion:
    def __init__(self, data: t.Mapping[t.Any, t.Any], service_keys: t.Container[str]) -> None:
        self._data = data
        self._service_keys = service_keys
        self.result = Converted({}, [], [], [])
        for group in SERVICES:
            for name, entry in self._entries(group):
                self._service(group, name, entry)
        for name, entry in self._entries("deprecated_services"):
            self._deprecated(name, entry)
        for instance, ports in self._entries("monitor_instances"):
            self._monitor(instance, ports)
        self._range()
        self._avoided()

    def _error(self, place: Place, message: str, cure: str) -> None:
        self.result.findings.append(Finding(place, message, cure, "error"))

    def _warning(self, place: Place, message: str, cure: str) -> None:
        self.result.findings.append(Finding(place, message, cure, "warning"))

    def _entries(self, group: str) -> t.Iterable[t.Tuple[t.Any, t.Any]]:
        """Return the entries of a mapping that may be absent; an error when it is something else."""
        entries = self._data.get(group, {})
        if isinstance(entries, Mapping):
            return list(entries.items())
        self._error((group,), "is not a mapping", "write it as name: {...}, or remove it")
        return []

    def _put(self, place: t.Tuple[str, ...], value: t.Any, origin: Place) -> None:
        """Put a value into our shape and remember where it was taken from."""
        target = self.result.raw
        for key in place[:-1]:
            target = target.setdefault(key, {})
        target[place[-1]] = value
        self.result.origins.append((place, origin))

    def _service(self, group: str, name: t.Any, entry: t.Any) -> None:
        if name in self.result.raw.get("services", {}):
            self._error(
                (group, name), f"there is a service of this name in {SERVICES[0]}, too", "remove one of the two entries"
            )
            return
        if not isinstance(entry, Mapping):
            self._error((group, name), "is not a mapping", "write it as {port: ..., description: ...}")
            return
        own = {}
        for key, value in entry.items():
            if key == "status":
                self._status((group, name, key), value)
            elif key in self._service_keys:
                own[key] = value
            else:
                self._warning((group, name, key), "is not read", "remove it when nothing else reads it")
        if own.get("description", "") is None:
            del own["description"]
        self._put(("services", name), own, (group, name))

    def _status(self, place: Place, value: t.Any) -> None:
        """What an old manifest says of a state is not believed; where it says "do not run", that is pointed out."""
        if not isinstance(value, str) or value.strip().lower() not in _MEANT_TO_RUN:
            self._warning(
                place,
                "the status of an entry is not read, and this one may say that the service is not meant to run",
                "move the entry to deprecated_services when it is not to be started",
            )

    def _deprecated(self, name: t.Any, entry: t.Any) -> None:
        port = entry.get("port") if isinstance(entry, Mapping) else entry
        self._put(("deprecated", name), port, ("deprecated_services", name))
        if isinstance(entry, Mapping):
            self.result.origins[-1] = (("deprecated", name), ("deprecated_services", name, "port"))

    def _monitor(self, instance: t.Any, ports: t.Any) -> None:
        if not isinstance(ports, Mapping):
            self._error(("monitor_instances", instance), "is not a mapping", "write it as service: port")
            return
        for service, port in ports.items():
            place = ("monitor_instances", instance, service)
            self.result.monitors.append(Monitor(place, _name(instance), _name(service), port))

    def _range(self) -> None:
        ranges = self._data.get("port_ranges", {})
        names = ("safe_range_start", "safe_range_end")
        if not isinstance(ranges, Mapping):
            self._error(("port_ranges",), "is not a mapping", f"write it as {{{names[0]}: 8000, {names[1]}: 8100}}")
            return
        given = [name for name in names if name in ranges]
        if len(given) == 1:
            missing = names[1 - names.index(given[0])]
            self._error(("port_ranges",), f"has {given[0]}, but no {missing}", f"add {missing}")
        elif given:
            self._put(("ports", "range"), [ranges[name] for name in names], ("port_ranges",))
            self.result.origins.extend(
                (("ports", "range", index), ("port_ranges", name)) for index, name in enumerate(names)
            )
        for name in ranges:
            if name not in names:
                self._warning(("port_ranges", name), "is not read", "remove it when nothing else reads it")

    def _avoided(self) -> None:
        notes = self._data.get("notes", {})
        # Any other note is for people.
        if isinstance(notes, Mapping) and "avoid_ports" in notes:
            self._put(("ports", "avoid"), notes["avoid_ports"], ("notes", "avoid_ports"))


# --- where a document comes from ---------------------------------------------------------------------------------

# Documents are laid over each other key by key down to the variables of stack.services.NAME.env.
_DEEPEST = 3


class Source(t.NamedTuple):
    """Where a part was written: the way to it as people are told it, and the way to it in the file, if it is in one."""

    shown: Place
    in_file: t.Optional[Place]

    def below(self, place: Place) -> Source:
        """Return where a part of this part was written."""
        return Source(self.shown + place, None if self.in_file is None else self.in_file + place)


class _Origins:
    """The sources of a document's parts, as a tree of which only the branches exist that differ from their parent."""

    def __init__(self, source: t.Optional[Source] = None) -> None:
        self.source = source
        self.below: t.Dict[t.Any, _Origins] = {}

    def put(self, place: Place, source: Source) -> None:
        """Set the source of a part; what was known of its own parts is forgotten."""
        node = self
        for key in place[:-1]:
            node = node.below.setdefault(key, _Origins())
        node.below[place[-1]] = _Origins(source)

    def find(self, place: Place) -> Source:
        """Return the source of a part, by way of the nearest part around it that has one."""
        node: t.Optional[_Origins] = self
        found = Source((), None)
        for depth in range(len(place) + 1):
            if node is None:
                break
            if node.source is not None:
                found = node.source.below(place[depth:])
            node = node.below.get(place[depth]) if depth < len(place) else None
        return found


class Document:
    """The content of ``stack`` in our own shape, put together from all that was given.

    Attributes:
        raw: the content; its upper mappings are our own copies.
        findings: what was wrong with the parts already, and where each part was.
        monitors: ports that an older document gives to monitors, and where.
        lenient: an older document may hold keys that others read, so unknown ones are only warned about.

    Args:
        stack_keys: our own keys of a stack.
        service_keys: our own keys of a service.
    """

    def __init__(self, stack_keys: t.Iterable[str], service_keys: t.Container[str]) -> None:
        self._stack_keys = tuple(stack_keys)
        self._service_keys = service_keys
        self.raw: t.Dict[t.Any, t.Any] = {}
        self.findings: t.List[t.Tuple[Source, Finding]] = []
        self.monitors: t.List[t.Tuple[Source, Monitor]] = []
        self.lenient = False
        self._origins = _Origins(Source(("stack",), None))

    def source(self, place: Place) -> Source:
        """Return where a part was written."""
        return self._origins.find(place)

    def add(self, data: t.Any, *, from_file: bool) -> None:
        """Lay another document, of any shape we take, over what is here."""
        whole = Source((), () if from_file else None)
        if not isinstance(data, Mapping):
            self._refuse(
                Source(("stack",), whole.in_file), f"is {kind_of(data)}, not a mapping", "begin it with stack:"
            )
            return
        if data and not any(key in data for key in ("stack", *self._stack_keys, *KEYS)):
            # What it is instead is nobody's business: the keys of a file that was named by mistake are not repeated.
            keys = ", ".join(("stack", *self._stack_keys))
            self._refuse(Source(("stack",), None), "has no key of a manifest", f"give it some of: {keys}")
            return
        nested = whole.below(("stack",))
        content = nested if "stack" in data else Source(("stack",), whole.in_file)
        if not self.raw:
            self._origins.source = content
        if "stack" not in data:
            self._add_part(data, whole, content)
            return
        beside = {key: value for key, value in data.items() if key != "stack"}
        if recognise(beside):
            beside = self._add_older(beside, whole)
        for key in beside:
            self._refuse(whole.below((key,)), "is not a key beside stack", "move it below stack, or remove it")
        if isinstance(data["stack"], Mapping):
            self._add_part(data["stack"], nested, nested)
        else:
            self._refuse(nested, f"is {kind_of(data['stack'])}, not a mapping", "give it name, root and services")

    def _refuse(self, source: Source, message: str, cure: str) -> None:
        self.findings.append((source, Finding((), message, cure, "error")))

    def _add_part(self, part: t.Mapping[t.Any, t.Any], older: Source, own: Source) -> None:
        """Lay over what is of the older shape first, and then what is of ours."""
        if recognise(part):
            part = self._add_older(part, older)
        self._lay_over(self.raw, part, (), own)

    def _add_older(self, part: t.Mapping[t.Any, t.Any], source: Source) -> t.Dict[t.Any, t.Any]:
        """Lay what is of the older shape over what is here, and return the rest."""
        converted = convert(part, self._service_keys)
        self.lenient = True
        self.findings += [(source, finding) for finding in converted.findings]
        self.monitors += [(source.below(monitor.place), monitor) for monitor in converted.monitors]
        self._lay_over(self.raw, converted.raw, (), source)
        for place, origin in converted.origins:
            self._origins.put(place, source.below(origin))
        return {key: value for key, value in part.items() if key not in KEYS}

    def _lay_over(
        self, lower: t.Dict[t.Any, t.Any], upper: t.Mapping[t.Any, t.Any], place: Place, source: Source
    ) -> None:
        for key, value in upper.items():
            here = (*place, key)
            mapping = isinstance(value, Mapping) and len(here) <= _DEEPEST
            if not mapping or not isinstance(lower.get(key), dict):
                self._origins.put(here, source.below((key,)))
                lower[key] = {} if mapping else value
            if mapping:
                self._lay_over(lower[key], value, here, source.below((key,)))
