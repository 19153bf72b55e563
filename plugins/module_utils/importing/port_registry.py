# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Registries of ports: files that say which name has which port, and nothing else. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

# Where registries have their assignments, and the ports that nobody may have.
_ASSIGNMENTS = ("assignments", "allocations", "allocated", "assigned", "registry", "ports", "services")
_RESERVED = ("reserved_ports", "reserved", "avoid_ports", "blocked_ports")
_RANGES = (("range_start", "range_end"), ("start_port", "end_port"), ("min_port", "max_port"))


def as_older_shape(data: t.Any) -> t.Optional[t.Dict[str, t.Any]]:
    """Return a registry of ports in the older shape of a port manifest; None when it is no registry.

    An assignment is ``name: port``, ``name: {port: ...}`` or ``"port": name``.
    """
    if not isinstance(data, Mapping) or "stack" in data:
        return None
    key = next((key for key in _ASSIGNMENTS if isinstance(data.get(key), Mapping)), None)
    entries = data[key] if key is not None else data
    services: t.Dict[str, t.Any] = {}
    for name, value in entries.items():
        found = _assignment(name, value)
        if found is None:
            return None
        services[found[0]] = {"port": found[1]}
    if not services:
        return None
    older: t.Dict[str, t.Any] = {"core_services": services}
    if key is None:
        return older
    reserved = next((data[each] for each in _RESERVED if isinstance(data.get(each), list)), None)
    if reserved is not None:
        older["notes"] = {"avoid_ports": reserved}
    for low, high in _RANGES:
        if _is_port(data.get(low)) and _is_port(data.get(high)):
            older["port_ranges"] = {"safe_range_start": data[low], "safe_range_end": data[high]}
            break
    return older


def unread(data: t.Mapping[t.Any, t.Any]) -> t.List[str]:
    """Return the keys of a registry that are not carried over."""
    read = {*_ASSIGNMENTS, *_RESERVED, *(key for pair in _RANGES for key in pair)}
    flat = not any(isinstance(data.get(key), Mapping) for key in _ASSIGNMENTS)
    return [] if flat else [str(key) for key in data if key not in read]


def _assignment(name: t.Any, value: t.Any) -> t.Optional[t.Tuple[str, int]]:
    if isinstance(value, Mapping):
        value = value.get("port")
    if isinstance(name, str) and name.isdigit() and isinstance(value, str):
        name, value = value, int(name) if len(name) <= 5 else 0
    return (name, value) if isinstance(name, str) and _is_port(value) else None


def _is_port(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535
