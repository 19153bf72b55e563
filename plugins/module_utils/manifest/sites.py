# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where a manifest file has a place of the manifest: a file may have variables around it, or the older shape."""

from __future__ import annotations

import typing as t

from ..base.errors import RollcallError
from . import corrections
from .layout import Keys
from .legacy import KEYS as OLDER_KEYS
from .legacy import SERVICES as OLDER_SERVICES
from .legacy import recognise
from .places import kind_of, name_place, similar
from .plain_data import value_at
from .reading import VARIABLE


class Site(t.NamedTuple):
    """A place of the file where a place of the manifest may stand.

    Attributes:
        base: the keys that lead to the mapping with the manifest's keys.
        keys: the keys that lead from there to the place.
        shown: its name in problems of the check.
    """

    base: Keys
    keys: Keys
    shown: str

    @property
    def place(self) -> Keys:
        """The keys that lead to it from the beginning of the file."""
        return self.base + self.keys

    def missing(self, data: t.Any) -> int:
        """Return how many of its last keys the data does not have."""
        for number, key in enumerate(self.place):
            if not isinstance(data, dict) or key not in data:
                return len(self.place) - number
            data = data[key]
        return 0


def _sites(data: t.Dict[t.Any, t.Any], keys: Keys, present: bool) -> t.List[Site]:
    """Return where a place of the manifest may stand in the file; the one whose value counts comes first."""
    outer: Keys = (VARIABLE,) if VARIABLE in data else ()
    around = data[VARIABLE] if outer else data
    inner: Keys = (*outer, "stack") if isinstance(around, dict) and "stack" in around else outer
    found = []
    for base, part in {inner: around["stack"] if inner != outer else around, outer: around}.items():
        if isinstance(part, dict) and recognise(part):
            shown = base[len(outer) :]
            found += [Site(base, older, name_place(shown + older)) for older in _older(part, keys, present)]
    if keys[0] in OLDER_KEYS and found:
        return found
    return [Site(inner, keys, name_place(("stack", *keys))), *found]


def _older(part: t.Dict[t.Any, t.Any], keys: Keys, present: bool) -> t.List[Keys]:
    """Return where the older shape has what today's shape has at ``keys``."""
    if keys[0] in OLDER_KEYS:
        return [keys]
    if keys[0] == "services" and len(keys) > 1:
        return [(group, *keys[1:]) for group in OLDER_SERVICES]
    if keys[0] == "deprecated" and len(keys) == 2:
        entries = part.get("deprecated_services")
        entry = entries.get(keys[1]) if isinstance(entries, dict) else None
        below = ("port",) if present and isinstance(entry, dict) else ()
        return [("deprecated_services", keys[1], *below)]
    if keys == ("ports", "avoid"):
        return [("notes", "avoid_ports")]
    return [("port_ranges",)] if keys == ("ports", "range") else []


def sites_to_change(path: str, data: t.Dict[t.Any, t.Any], keys: Keys, present: bool) -> t.List[Site]:
    """Return the places of the file that must be changed to change a place of the manifest.

    A value is written where one stands already, else where the most of the keys to it are there. It is removed from
    every place where it stands, because one that is left would count.
    """
    sites = _sites(data, keys, present)
    if not present:
        return [site for site in sites if site.missing(data) == 0]
    if keys[0] == "services" and len(keys) > 2:
        _refuse_unknown_service(path, data, keys[1])
    site = min(sites, key=lambda site: site.missing(data))
    if site.keys == ("port_ranges",) and keys != site.keys:
        raise RollcallError(
            f"{path} has the range of ports as port_ranges.safe_range_start and port_ranges.safe_range_end.",
            kind="wrong_use",
            remedies=[corrections.RANGE_PLACES],
        )
    _refuse_no_mapping(path, data, site.place)
    return [site]


def _refuse_unknown_service(path: str, data: t.Dict[t.Any, t.Any], name: str) -> None:
    if any(site.missing(data) == 0 for site in _sites(data, ("services", name), True)):
        return
    groups = [value_at(data, site.place[:-1]) for site in _sites(data, ("services", name), True)]
    known = [str(key) for group in groups if isinstance(group, dict) for key in group]
    raise RollcallError(
        f"'{name}' is not a service of {path}{similar(name, known)}.",
        kind="wrong_use",
        evidence={"path": path, "service": name, "services": known},
        remedies=[corrections.name_one(known) if known else corrections.SERVICE_FIRST],
    )


def _refuse_no_mapping(path: str, data: t.Any, place: Keys) -> None:
    for number, key in enumerate(place):
        if data is None:
            return
        if not isinstance(data, dict):
            raise RollcallError(
                f"{name_place(place[:number])} in {path} is {kind_of(data)}, not a mapping, so it has no {key}.",
                kind="wrong_use",
                evidence={"path": path, "place": list(place)},
                remedies=[corrections.whole_value(name_place(place[:number]))],
            )
        data = data.get(key)
