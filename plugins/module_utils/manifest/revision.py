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
from .model import Service, Stack, current_release

# When a field of a service is part of its revision: always, never, or when it is set.
_COUNTS: t.Mapping[str, str] = {
    each.name: each.metadata.get("revision", "always") for each in dataclasses.fields(Service)
}
_NOTHING_SET = Service("", (), "")


def revision(stack: Stack, service: Service) -> str:
    """Return 12 hex digits over everything that a service's process is made of. When they change, it is restarted."""
    own = {name: value for name, value in vars(service).items() if _counts(name, value)}
    # Its environment has the ports of the services that it depends on.
    ports = {name: stack.service(name).port for name in service.depends_on}
    told = {name: port for name, port in ports.items() if port is not None}
    inputs = [stack.name, stack.user, stack.root, stack.paths, own, told]
    if stack.release is not None and runs_release(stack, service):
        inputs.append(stack.release)
    data = json.dumps(inputs, sort_keys=True, default=vars)
    return hex_of(data.encode("utf-8"), 12)


def revisions(stack: Stack) -> t.Dict[str, str]:
    """Return the revision of each service."""
    return {service.name: revision(stack, service) for service in stack.services}


def _counts(name: str, value: t.Any) -> bool:
    when = _COUNTS[name]
    return when == "always" or (when == "when_set" and value != getattr(_NOTHING_SET, name))


def runs_release(stack: Stack, service: Service) -> bool:
    """Return whether a service runs from the application's release, so that another release is another revision."""
    current = current_release(stack.root)
    return any(current in text for text in (service.directory, *service.command, *service.env.values()))
