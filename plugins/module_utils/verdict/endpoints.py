# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The ports of a stack for whoever wants to find its services: where each is, how it is asked, and how it is. Pure.

The registry (state/registry.py) has the ports for those on the host. This has what others need beside them.
"""

from __future__ import annotations

import typing as t

from ..base.port_numbers import UdpPort
from ..manifest.model import Health, Service, Stack

if t.TYPE_CHECKING:
    from ..base.documents import ServiceRow
    from ..base.rollout_documents import AskedHow, EndpointData


def endpoints(stack: Stack, rows: t.Sequence[ServiceRow]) -> t.List[EndpointData]:
    """Return every port of every service of a stack.

    Args:
        stack: the manifest that is installed.
        rows: its services, as a look has just seen them.
    """
    seen = {row["name"]: row for row in rows}
    return [
        _endpoint(stack, service, name, port, seen[service.name])
        for service in stack.services
        if service.name in seen
        for name, port in service.all_ports.items()
    ]


def _endpoint(stack: Stack, service: Service, name: str, port: int, row: ServiceRow) -> EndpointData:
    checks = _checks_of(service, name, port)
    hosts = [check.host for check in checks if check.port == port and not check.socket]
    return {
        "stack": stack.name,
        "service": service.name,
        "group": service.group,
        "instance": service.instance,
        "port_name": name,
        "port": int(port),
        "protocol": "udp" if isinstance(port, UdpPort) else "tcp",
        "address": hosts[0] if hosts else "127.0.0.1",
        "health": row["health"],
        "stopped": row["stopped"] is not None,
        "checks": [_asked(check) for check in checks],
    }


def _checks_of(service: Service, name: str, port: int) -> t.List[Health]:
    """Return the health checks that ask a port; those that ask none of the service's ports are its first one's."""
    own = {int(each) for each in service.all_ports.values() if not isinstance(each, UdpPort)}
    first = next(iter(service.all_ports)) == name
    if isinstance(port, UdpPort):
        return [check for check in service.all_health if first and check.port not in own]
    return [check for check in service.all_health if check.port == port or (first and check.port not in own)]


def _asked(check: Health) -> AskedHow:
    return {
        "name": check.name or check.kind,
        "kind": t.cast("t.Any", check.kind),
        "host": check.host,
        "port": check.port,
        "socket": check.socket,
        "path": check.path,
        "method": check.method,
        "headers": dict(check.headers),
        "status": check.status,
        "timeout": check.timeout,
        "verify": check.verify,
        "server_name": check.server_name,
        "compares": bool(check.body or check.json or check.expect or check.send),
        "own_authorities": bool(check.ca),
    }
