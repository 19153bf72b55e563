# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Registries of ports: files that say which name has which port, and nothing else. Pure."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from ..base.port_numbers import is_port

# Where registries have their assignments, and the ports that nobody may have.
_ASSIGNMENTS = re.compile(
    r"(\w+_)?(assignments?|allocations?|allocated|assigned|registry|ports?|services)(_\w+)?\Z", re.I
)
_LONGEST_KEY = 64
_NAMES = ("name", "service", "app")
_RESERVED = ("reserved_ports", "reserved", "avoid_ports", "blocked_ports")
_RANGES = (("range_start", "range_end"), ("start_port", "end_port"), ("min_port", "max_port"))


def as_older_shape(data: t.Any) -> t.Optional[t.Dict[str, t.Any]]:
    """Return a registry of ports in the older shape of a port manifest; None when it is no registry.

    An assignment is ``name: port``, ``name: {port: ...}``, ``"port": name`` or, in a list, ``{name: ..., port: ...}``.
    """
    key = _key(data)
    services = _services(data if key is None else data[key])
    if not services or (isinstance(data, Mapping) and "stack" in data):
        return None
    older: t.Dict[str, t.Any] = {"core_services": services}
    if key is None:
        return older
    reserved = next((data[each] for each in _RESERVED if isinstance(data.get(each), list)), None)
    if reserved is not None:
        older["notes"] = {"avoid_ports": reserved}
    for low, high in _RANGES:
        if is_port(data.get(low)) and is_port(data.get(high)):
            older["port_ranges"] = {"safe_range_start": data[low], "safe_range_end": data[high]}
            break
    return older


def unread(data: t.Any) -> t.List[str]:
    """Return the keys of a registry that are not carried over."""
    own = _key(data)
    read = {own, *_RESERVED, *(key for pair in _RANGES for key in pair)}
    return [] if own is None else [str(key) for key in data if key not in read]


def _key(data: t.Any) -> t.Optional[str]:
    """Return the key below which a registry has its assignments; None when it has them at its top."""
    if not isinstance(data, Mapping):
        return None
    keys = (key for key in data if isinstance(key, str) and len(key) <= _LONGEST_KEY and _ASSIGNMENTS.match(key))
    return next((key for key in keys if _services(data[key])), None)


def _services(entries: t.Any) -> t.Dict[str, t.Any]:
    """Return the assignments of a mapping or a list as services; none when one of them is something else."""
    pairs: t.List[t.Tuple[t.Any, t.Any]] = []
    if isinstance(entries, Mapping):
        pairs = list(entries.items())
    elif isinstance(entries, (list, tuple)) and all(isinstance(entry, Mapping) for entry in entries):
        pairs = [(next((entry[key] for key in _NAMES if key in entry), None), entry) for entry in entries]
    found = [_assignment(name, value) for name, value in pairs]
    return {one[0]: {"port": one[1]} for one in found if one is not None} if None not in found else {}


def _assignment(name: t.Any, value: t.Any) -> t.Optional[t.Tuple[str, int]]:
    if isinstance(value, Mapping):
        value = value.get("port")
    if isinstance(name, str) and name.isdigit() and isinstance(value, str):
        name, value = value, int(name) if len(name) <= 5 else 0
    return (name, value) if isinstance(name, str) and is_port(value) else None
