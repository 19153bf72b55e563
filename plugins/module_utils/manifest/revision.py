# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The revision of a service: a digest of everything that makes its process what it is."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ..base.digest import hex_of
from .model import Limits, Service, Stack, Start, Stop, address_of
from .release_paths import current_release

# Fields that the manifest calls otherwise.
_KEYS: t.Mapping[str, str] = {
    "log_max_bytes": "log.max_bytes",
    "log_backups": "log.backups",
    "group": "instances",
    "instance": "instances",
    "port_name": "ports",
    "more_ports": "ports",
    "udp_ports": "ports",
}
# What a revision has of the service itself, and of the ports of others.
_OWN, _PORTS = "service", "ports"
# A service and its parts as they are where nothing is written.
_NOTHING_SET: t.Mapping[type, t.Any] = {Service: Service("", (), ""), Limits: Limits(), Start: Start(), Stop: Stop()}
# When a field is part of the revision: always, never, or when it is set.
_COUNTS: t.Mapping[type, t.Mapping[str, str]] = {
    cls: {each.name: each.metadata.get("revision", "always") for each in dataclasses.fields(cls)}
    for cls in _NOTHING_SET
}


def revision(stack: Stack, service: Service) -> str:
    """Return 12 hex digits over everything that a service's process is made of. When they change, it is restarted."""
    # Only the values: the names here are for `changed_keys`.
    data = json.dumps(list(_made_of(stack, service).values()), sort_keys=True, default=vars)
    return hex_of(data.encode("utf-8"), 12)


def _made_of(stack: Stack, service: Service) -> t.Dict[str, t.Any]:
    """Return what a service's process is made of, in the order in which its revision has it."""
    made: t.Dict[str, t.Any] = {"name": stack.name, "user": stack.user, "root": stack.root, "paths": stack.paths}
    made[_OWN] = _counted(service)
    # Its environment has the ports of the services that it depends on.
    ports: t.Dict[str, int] = {}
    for name in service.depends_on:
        needed = stack.service(name)
        if needed.port is not None:
            ports[name] = needed.port
        ports.update({address_of(name, called): port for called, port in needed.all_ports.items() if called})
    made[_PORTS] = ports
    if stack.release is not None and runs_release(stack, service):
        made["release"] = stack.release
    return made


_SECRETS = "secrets"
_A_SECRET = f"{_SECRETS}."


def changed_keys(old: Stack, new: Stack, name: str) -> t.List[str]:
    """Return by what the revisions of a service differ, as the manifest calls it; no value is told.

    The digests of a service's secrets are made of all of them together (`secret_values.Digests`). So which of several
    has changed is not known, and they are ``secrets``; where some came or went, these are named alone.

    Args:
        old: a manifest that has the service.
        new: another one that has it.
        name: of the service.
    """
    before, now = (_by_key(_made_of(stack, stack.service(name))) for stack in (old, new))
    changed = [key for key in dict.fromkeys((*now, *before)) if before.get(key) != now.get(key)]
    kept = [key for key in changed if key.startswith(_A_SECRET) and key in before and key in now]
    if kept == [key for key in changed if key.startswith(_A_SECRET)]:
        several = kept if len(kept) > 1 else []
        return list(dict.fromkeys(_SECRETS if key in several else key for key in changed))
    return [key for key in changed if key not in kept]


def _by_key(made: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return the same by key of the manifest; each variable is a key of its own."""
    found: t.Dict[str, t.Any] = {}
    for name, value in made[_OWN].items():
        if isinstance(value, t.Mapping):
            found.update((f"{_KEYS.get(name, name)}.{part}", inner) for part, inner in value.items())
        else:
            found[_KEYS.get(name, name)] = value
    found.update((f"port of {name}", port) for name, port in made[_PORTS].items())
    return {**found, **{key: value for key, value in made.items() if key not in (_OWN, _PORTS)}}


def revisions(stack: Stack) -> t.Dict[str, str]:
    """Return the revision of each service."""
    return {service.name: revision(stack, service) for service in stack.services}


def _counted(record: t.Any) -> t.Dict[str, t.Any]:
    """Return the fields of a service, or of a part of it, that are in its revision."""
    cls = record.__class__
    unset = vars(_NOTHING_SET[cls])
    return {
        name: _counted(value) if value.__class__ in _NOTHING_SET else value
        for name, value in vars(record).items()
        if _COUNTS[cls][name] == "always" or (_COUNTS[cls][name] == "when_set" and value != unset[name])
    }


def runs_release(stack: Stack, service: Service) -> bool:
    """Return whether a service runs from the application's release, so that another release is another revision."""
    current = current_release(stack.root)
    return any(current in text for text in (service.directory, *service.command, *service.env.values()))
