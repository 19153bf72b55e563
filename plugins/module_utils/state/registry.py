# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The registry: the port of every service of a stack, in a file that anybody on the host may read.

It is a file of the generation, and ``ROOT/ports.json`` is a symbolic link to the current generation's. The one rename
that switches the generation switches the registry too, so wherever a run is cut off, the two agree.
roles/bootstrap/files/rollcall_ports.py reads it, and docs/how-to/ports.md is for those who ask.
"""

from __future__ import annotations

import json
import os
import typing as t

from ..base.errors import RollcallError
from ..manifest.model import Health, Paths, Service, Stack, current_release, release_link

# The first key of the file: a reader refuses what it was not made for.
FORMAT = 1
NAME = "ports.json"


def path(root: str) -> str:
    """Return where the registry of the stack at ``root`` is read."""
    return os.path.join(root, NAME)


def target(paths: Paths) -> str:
    """Return what the symbolic link there says."""
    return os.path.join(os.path.basename(paths.etc), NAME)


def text(stack: Stack) -> str:
    """Return the registry of a stack on this host.

    The host is named as the kernel does: its full name can be a question to a name server, which may not answer.
    """
    data = {
        "rollcall": FORMAT,
        "stack": stack.name,
        "host": os.uname().nodename,
        "services": {service.name: _entry(service) for service in stack.services},
    }
    return json.dumps(data, indent=2) + "\n"


def _entry(service: Service) -> t.Dict[str, t.Any]:
    """A service without a port is in the registry as well: that is not the same as an unknown one."""
    health = service.health
    if service.port is None:
        address = None
    elif health is None or health.port != service.port:
        address = "127.0.0.1"
    else:
        address = health.host
    return {"port": service.port, "address": address, "health": None if health is None else _url(health)}


def _url(health: Health) -> t.Optional[str]:
    if health.kind != "http":
        return None
    host = f"[{health.host}]" if ":" in health.host else health.host
    return f"http://{host}:{health.port}{health.path}"


def is_current(stack: Stack) -> bool:
    """Return whether the registry in place is that of ``stack``; one that is not there or is broken is not."""
    try:
        with open(path(stack.root), encoding="utf-8") as stream:
            return stream.read() == text(stack)
    except (OSError, ValueError):
        return False


def leads_to_release(stack: Stack) -> bool:
    """Return whether the link to the release in place is there, as Rollcall makes it."""
    return _says(current_release(stack.root), release_link(stack.paths))


def check_place(stack: Stack) -> None:
    """Check that the links of registry and release may be made: an application may have had such files of its own.

    Raises:
        RollcallError: ``refused``: something else is there.
    """
    _check_link(path(stack.root), target(stack.paths))
    if stack.release is not None:
        _check_link(current_release(stack.root), release_link(stack.paths))


def _says(place: str, target: str) -> bool:
    return os.path.islink(place) and os.readlink(place) == target


def _check_link(place: str, says: str) -> None:
    if not os.path.lexists(place) or _says(place, says):
        return
    raise RollcallError(
        f"{place} is not the symbolic link that Rollcall keeps there, so it is left alone. Nothing was changed.",
        kind="refused",
        evidence={"path": place},
        remedies=[f"look at it and move it away: mv {place} {place}.saved"],
    )
