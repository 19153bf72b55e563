# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A start on the host alone: a service whose port somebody else has gets a fallback port, as with a new manifest."""

from __future__ import annotations

import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..manifest.model import Stack
from ..state.generations import Generation, applied_by, load_current
from .modes import RERUN, ROLLBACK
from .request import Request


def relocated(request: Request, *, dry_run: bool) -> Request:
    """Return a request for the installed stack with the ports that its services can have on this host now.

    Args:
        request: of somebody on the host.
        dry_run: look and decide the same way, and remember nothing.

    Raises:
        RollcallError: the installed generation, or a lease, cannot be read.
        OSError: a lease could not be written.
    """
    if request.wanted is not None or not request.mode.starts or request.mode in (ROLLBACK, RERUN):
        return request
    installed = load_current(request.paths)
    if installed is None or installed.stack.written is None:
        return request
    stack, ports, reasons = installed.stack, _given(installed.stack, dry_run), {}
    if ports is None:
        return request
    gets, why = ports
    for service in stack.services:
        if service.port is not None and gets.get(service.name, service.port) != service.port:
            reasons[service.name] = (service.port, why.get(service.name, "it can be had again"))
    if not reasons:
        return request._replace(home=cures.HOME)
    # Late imports, as the one below: mostly no service can have another port, and none has to move.
    from ..manifest.moving import moved
    from ..supervisord.environment import private_files
    from ..supervisord.render import render

    other = moved(stack, gets)
    wanted = Generation(other, render(other), private_files(other, _secrets(installed)))
    return request._replace(wanted=wanted, moved=reasons, by=applied_by(request.root), home=cures.HOME)


def _given(stack: Stack, dry_run: bool) -> t.Optional[t.Tuple[t.Dict[str, int], t.Dict[str, str]]]:
    """Return the port of each service and why some have another one; None when one gets none, which the run refuses."""
    from ..ports import tool

    try:
        given = tool.give(stack, dry_run=dry_run)
    except RollcallError as exc:
        if exc.kind != "refused":
            raise
        return None
    return given["ports"], {entry["service"]: entry["reason"] for entry in given["moved"]}


def _secrets(installed: Generation) -> t.Dict[str, t.Dict[str, str]]:
    """Return the secrets of a generation by service, as its private files have them."""
    return {
        service.group or service.name: {name: installed.environment[service.name][name] for name in service.secrets}
        for service in installed.stack.services
        if service.secrets
    }
