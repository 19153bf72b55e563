# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where the services of a fleet are: what each host has answered, and one table of every port.

Pure: it is made of what the hosts have answered.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import count, table
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.fleet import ANOTHER, NOT_REACHED, release_of
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import seen_of

if t.TYPE_CHECKING:
    from ansible_collections.rollcall.supervisor.plugins.module_utils.base.rollout_documents import (
        DiscoveredHost,
        EndpointData,
    )

Data = t.Mapping[str, t.Any]

HEADINGS = ("host", "stack", "service", "port", "number", "address", "health", "release")
STOPPED = "stopped"


def discovered(answer: Data, address: str, own_address: str) -> DiscoveredHost:
    """Return what is known of a host for those who want to find its services.

    Args:
        answer: what the task that asked it has registered.
        address: under which others reach it.
        own_address: the same where the inventory says it, else empty.
    """
    seen = seen_of(answer)
    why = ""
    if not seen.reached:
        why = seen.why or NOT_REACHED
    elif "endpoints" not in answer and seen.version:
        # A host on which nothing is installed has no port, and that is known.
        why = seen.refused or ANOTHER
    return {
        "address": address,
        "own_address": own_address,
        "release": release_of(seen),
        "why": why,
        "endpoints": None if why else list(answer.get("endpoints", ())),
    }


def discovery_text(hosts: t.Mapping[str, DiscoveredHost]) -> str:
    """Return the table of every port of a fleet for people, what is not known, and a line that sums it up."""
    rows = [_row(host, one, endpoint) for host, one in hosts.items() for endpoint in one["endpoints"] or ()]
    unknown = [f"not known: {host}: {one['why']}" for host, one in hosts.items() if one["endpoints"] is None]
    summary = f"{count(len(rows), 'port')} on {count(len(hosts) - len(unknown), 'host')}"
    lines = [table([HEADINGS, *rows]), ""] if rows else []
    return "\n".join([*lines, *unknown, f"{summary}, {len(unknown)} not known" if unknown else summary])


def _row(host: str, known: DiscoveredHost, endpoint: EndpointData) -> t.Tuple[str, ...]:
    number = f"{endpoint['port']}/udp" if endpoint["protocol"] == "udp" else str(endpoint["port"])
    return (
        host,
        endpoint["stack"],
        endpoint["service"],
        endpoint["port_name"] or "-",
        number,
        known["address"],
        STOPPED if endpoint["stopped"] else endpoint["health"],
        known["release"] or "-",
    )
