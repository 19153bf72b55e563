# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A normalised manifest with other ports: what names a port follows it. Pure."""

from __future__ import annotations

import typing as t

from .model import Stack
from .references import with_ports


def moved(stack: Stack, ports: t.Mapping[str, int]) -> Stack:
    """Return a stack whose services have these ports.

    Args:
        stack: the manifest; its ``written`` are not None.
        ports: by service; one that is not in it keeps its port.
    """
    known = {service.name: ports.get(service.name, service.port) for service in stack.services}
    data, written = stack.to_dict(), stack.written or {}
    for service in (*data["services"], *data["timers"]):
        before, now = service["port"], known.get(service["name"])
        service["port"] = now
        for key, value in with_ports(written.get(service["name"], {}), known).items():
            if key == "health":
                service[key].update(value)
            elif key == "more_health":
                for check, named in zip(service[key], value):
                    check.update(named)
            else:
                service[key] = value
        for check in (service["health"], *service["more_health"]):
            if check is not None and check["port"] == before:
                check["port"] = now
    for database, named in zip(data["checks"]["databases"], written.get("", {}).get("databases", ())):
        database.update(with_ports(named, known))
    return Stack.from_dict(data)
