# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The registry: the port of every service of a stack, in a file that anybody on the host may read.

It is a file of each generation, and ``ROOT/ports.json`` is a symbolic link to that of the current one. The rename that
switches the generation switches the registry too, so the two agree wherever a run is cut off.
roles/bootstrap/files/rollcall_ports.py reads it; docs/how-to/ports.md is for those who use it.
"""

from __future__ import annotations

import json
import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.files import read_text
from ..manifest.model import HTTP, HTTPS, Health, Paths, Service, Stack
from ..manifest.release_paths import current_release, release_link

# The first key of the file; a reader refuses a format that it does not know.
FORMAT = 1
NAME = "ports.json"


def path(root: str) -> str:
    """Return the path at which the registry of the stack at ``root`` is read."""
    return os.path.join(root, NAME)


def target(paths: Paths) -> str:
    """Return what the symbolic link at that path leads to."""
    return os.path.join(os.path.basename(paths.etc), NAME)


def text(stack: Stack) -> str:
    """Return the registry of a stack on this host.

    The host has the name that the kernel knows: for its full name a name server may have to answer.
    """
    data = {
        "rollcall": FORMAT,
        "stack": stack.name,
        "host": os.uname().nodename,
        "services": {service.name: _entry(service) for service in stack.services},
    }
    return json.dumps(data, indent=2) + "\n"


def _entry(service: Service) -> t.Dict[str, t.Any]:
    """Return the entry of a service; one without a port has an entry too, which tells it from an unknown service."""
    checks = service.all_health
    hosts = [check.host for check in checks if check.port == service.port]
    address = None if service.port is None else hosts[0] if hosts else "127.0.0.1"
    urls = [_url(check) for check in checks if check.kind in (HTTP, HTTPS)]
    entry = {"port": service.port, "address": address, "health": urls[0] if urls else None}
    # An entry without names is as it has always been, so that an upgrade changes no registry.
    ports = {name: int(port) for name, port in service.all_ports.items()}
    several = {**entry, "ports": ports} if service.port_name or service.udp_ports else entry
    return {**several, "udp": list(service.udp_ports)} if service.udp_ports else several


def _url(health: Health) -> str:
    host = f"[{health.host}]" if ":" in health.host else health.host
    return f"{health.kind}://{host}:{health.port}{health.path}"


def is_current(stack: Stack) -> bool:
    """Return whether the installed registry is that of ``stack``; false when it is missing or broken."""
    try:
        return read_text(path(stack.root)) == text(stack)
    except (OSError, ValueError):
        return False


def leads_to_release(stack: Stack) -> bool:
    """Return whether the link to the current release is as Rollcall makes it."""
    return _is_link_to(current_release(stack.root), release_link(stack.paths))


def check_place(stack: Stack) -> None:
    """Check that the links to registry and release may be made.

    Raises:
        RollcallError: ``refused``: something else is there, such as a file of the application.
    """
    _check_link(path(stack.root), target(stack.paths))
    if stack.release is not None:
        _check_link(current_release(stack.root), release_link(stack.paths))


def _is_link_to(place: str, target: str) -> bool:
    return os.path.islink(place) and os.readlink(place) == target


def _check_link(place: str, says: str) -> None:
    if not os.path.lexists(place) or _is_link_to(place, says):
        return
    raise RollcallError(
        f"{place} is not the symbolic link that Rollcall keeps there, so it is left alone. Nothing was changed.",
        kind="refused",
        evidence={"path": place},
        remedies=[cures.move_away(place), cures.AGAIN],
    )
