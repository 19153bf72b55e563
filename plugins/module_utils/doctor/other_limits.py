# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Running processes whose limits are not those of the manifest.

A program may raise its soft limits by itself, up to the hard ones; so only these are compared.
"""

from __future__ import annotations

import typing as t

from ..host import rlimits
from ..manifest.model import Service, Stack
from ..verdict.observation import Observation
from .facts import OtherLimit


def other_limits(stack: Stack, seen: Observation) -> t.List[OtherLimit]:
    """Return what the supervisord that answers, and the running services, have otherwise than they should."""
    found: t.List[OtherLimit] = []
    if seen.supervisord is not None:
        pid = seen.supervisord.pid
        # What it has, every service inherits.
        found += _niceness("", pid, 0)
    for service in stack.services:
        program = seen.programs.get(service.name)
        if program is not None and program.pid:
            found += _of_service(service, program.pid)
    return found


def _of_service(service: Service, pid: int) -> t.Iterator[OtherLimit]:
    wanted = {name: value for name, value in vars(service.limits).items() if value is not None}
    has = (rlimits.hard_limits_of(pid) or {}) if wanted else {}
    for name, value in wanted.items():
        if has.get(name, value) != value:
            yield OtherLimit(service.name, pid, f"limits.{name}", has[name], value)
    if service.nice:
        yield from _niceness(service.name, pid, service.nice)


def _niceness(service: str, pid: int, wanted: int) -> t.Iterator[OtherLimit]:
    has = rlimits.niceness_of(pid)
    if has is not None and has != wanted:
        yield OtherLimit(service, pid, "nice", has, wanted)
