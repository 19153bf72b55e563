# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The older JSON shape of a port manifest, converted to today's. It has ports, but no commands and no root.

``core_services`` and ``watchdog_services`` become ``services``, ``deprecated_services`` becomes ``deprecated``,
``port_ranges`` and ``notes.avoid_ports`` become ``ports``. Nothing is guessed: the check names what is missing.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from . import corrections
from .places import Place, kind_of

SERVICES = ("core_services", "watchdog_services")
KEYS = (*SERVICES, "deprecated_services", "monitor_instances", "port_ranges", "notes")

# What old manifests say of a service that is meant to run.
_MEANT_TO_RUN = ("", "active", "running", "enabled", "ok", "production", "up", "started", "healthy", "online")


class PlacedProblem(t.NamedTuple):
    """A problem of the older shape itself, at a place of the document that was given."""

    place: Place
    message: str
    cure: str
    severity: str


class Monitor(t.NamedTuple):
    """One port of ``monitor_instances``: the instance that uses it, and the service that it is for."""

    place: Place
    instance: str
    service: str
    port: t.Any


class Converted(t.NamedTuple):
    """A document of the older shape in today's shape.

    Attributes:
        raw: the content of ``stack``. A value of the wrong type is passed on as it is.
        origins: pairs of a place in ``raw`` and the place that it was taken from.
    """

    raw: t.Dict[str, t.Any]
    origins: t.List[t.Tuple[Place, Place]]
    problems: t.List[PlacedProblem]
    monitors: t.List[Monitor]


def recognise(data: t.Mapping[t.Any, t.Any]) -> bool:
    """Return whether ``data`` has keys of the older shape. ``notes`` alone does not count: it may be anybody's."""
    return any(key in data for key in KEYS if key != "notes")


def convert(data: t.Mapping[t.Any, t.Any], service_keys: t.Container[str]) -> Converted:
    """Return ``data`` in today's shape.

    Args:
        data: a document of the older shape; only the keys in :data:`KEYS` are read.
        service_keys: today's keys of a service, which an entry of the older shape may have, too.
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
        self.result.problems.append(PlacedProblem(place, message, cure, "error"))

    def _warning(self, place: Place, message: str, cure: str) -> None:
        self.result.problems.append(PlacedProblem(place, message, cure, "warning"))

    def _entries(self, group: str) -> t.Iterable[t.Tuple[t.Any, t.Any]]:
        """Return the entries of a mapping that may be absent; an error when it is something else."""
        entries = self._data.get(group, {})
        if isinstance(entries, Mapping):
            return list(entries.items())
        self._error((group,), "is not a mapping", corrections.write_as("name: {...}"))
        return []

    def _put(self, place: t.Tuple[str, ...], value: t.Any, origin: Place) -> None:
        """Put a value into today's shape and remember where it was taken from."""
        target = self.result.raw
        for key in place[:-1]:
            target = target.setdefault(key, {})
        target[place[-1]] = value
        self.result.origins.append((place, origin))

    def _service(self, group: str, name: t.Any, entry: t.Any) -> None:
        if name in self.result.raw.get("services", {}):
            self._error((group, name), f"there is a service of this name in {SERVICES[0]}, too", corrections.REMOVE_ONE)
            return
        if not isinstance(entry, Mapping):
            self._error((group, name), "is not a mapping", corrections.write_as("{port: ..., description: ...}"))
            return
        own = {}
        for key, value in entry.items():
            if key == "status":
                self._status((group, name, key), value)
            elif key in self._service_keys and not (key == "ports" and "port" in entry):
                # What an entry of old has as ports beside its port were never ports by name.
                own[key] = value
            elif "port" not in entry and isinstance(key, str) and sorted(key) == sorted("port"):
                self._error((group, name, key), "is not read (did you mean port?)", corrections.write_as("port"))
            else:
                self._warning((group, name, key), "is not read", corrections.REMOVE_UNREAD)
        if own.get("description", "") is None:
            del own["description"]
        self._put(("services", name), own, (group, name))

    def _status(self, place: Place, value: t.Any) -> None:
        """Warn of a status that may say that the service is not meant to run. No status is believed."""
        if not isinstance(value, str) or value.strip().lower() not in _MEANT_TO_RUN:
            self._warning(
                place,
                "the status of an entry is not read, and this one may say that the service is not meant to run",
                corrections.DEPRECATE,
            )

    def _deprecated(self, name: t.Any, entry: t.Any) -> None:
        port = entry.get("port") if isinstance(entry, Mapping) else entry
        self._put(("deprecated", name), port, ("deprecated_services", name))
        if isinstance(entry, Mapping):
            self.result.origins[-1] = (("deprecated", name), ("deprecated_services", name, "port"))

    def _monitor(self, instance: t.Any, ports: t.Any) -> None:
        if not isinstance(ports, Mapping):
            self._error(("monitor_instances", instance), "is not a mapping", corrections.write_as("service: port"))
            return
        for service, port in ports.items():
            place = ("monitor_instances", instance, service)
            self.result.monitors.append(Monitor(place, _name(instance), _name(service), port))

    def _range(self) -> None:
        ranges = self._data.get("port_ranges", {})
        names = ("safe_range_start", "safe_range_end")
        if not isinstance(ranges, Mapping):
            self._error(
                ("port_ranges",), "is not a mapping", corrections.write_as(f"{{{names[0]}: 8000, {names[1]}: 8100}}")
            )
            return
        given = [name for name in names if name in ranges]
        if len(given) == 1:
            missing = names[1 - names.index(given[0])]
            self._error(("port_ranges",), f"has {given[0]}, but no {missing}", corrections.add(missing))
        elif given:
            self._put(("ports", "range"), [ranges[name] for name in names], ("port_ranges",))
            self.result.origins.extend(
                (("ports", "range", index), ("port_ranges", name)) for index, name in enumerate(names)
            )
        for name in ranges:
            if name not in names:
                self._warning(("port_ranges", name), "is not read", corrections.REMOVE_UNREAD)

    def _avoided(self) -> None:
        notes = self._data.get("notes", {})
        # All other notes are for people.
        if isinstance(notes, Mapping) and "avoid_ports" in notes:
            self._put(("ports", "avoid"), notes["avoid_ports"], ("notes", "avoid_ports"))
