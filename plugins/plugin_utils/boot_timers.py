# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The units of systemd that run the jobs of a stack's timers: which there are to be, and what a host has of them.

One template runs every job, and each timer has a unit of its own. Decided here, without side effects.
"""

from __future__ import annotations

import hashlib
import os
import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.host.units import job_unit, timer_name
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import service_from
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.schedule import schedule_of, timer_lines

from . import boot
from .templates import template

# Seconds that whoever runs a job has beyond the job's own time to end, and then records it.
MARGIN = 15


class Step(t.NamedTuple):
    """What is to be done with one unit.

    Attributes:
        name: of the unit.
        kind: ``systemd`` or ``user``.
        path: of its file.
        timer: whether it is a timer, which is enabled and started.
        text: of its file; empty for one that is removed.
    """

    name: str
    kind: str
    path: str
    timer: bool
    text: str = ""


def texts(stack: t.Mapping[str, t.Any], templates: str) -> t.Dict[str, str]:
    """Return the texts of the units that run a stack's jobs, by their names; none without a timer.

    Args:
        stack: the normalised manifest.
        templates: directory of the templates.
    """
    timers = [service_from(data) for data in stack.get("timers", ())]
    if not timers:
        return {}
    job = template(os.path.join(templates, "job.service.j2"))
    one = template(os.path.join(templates, "job.timer.j2"))
    files = max((each.limits.nofile or 0 for each in timers), default=0)
    stop = max(each.stop.timeout for each in timers) + MARGIN
    unit = boot.unit(stack["name"])
    found = {job_unit(stack["name"]): job.render(stack=stack, unit=unit, stop=int(stop), files=files)}
    for each in timers:
        name = timer_name(stack["name"], each.name)
        lines = timer_lines(each)
        found[name] = one.render(stack=stack, timer=each, unit=name, lines=lines, schedule=schedule_of(each))
    return found


def to_install(host: boot.Host, kind: str, wanted: t.Mapping[str, str]) -> t.List[Step]:
    """Return the units that are not there as they are wanted, the template first.

    Args:
        host: what the host has said.
        kind: what is to start the stack.
        wanted: texts by name.
    """
    present = host.jobs.get(kind, boot.Jobs())
    return [
        Step(name, kind, host.file(kind, name), name.endswith(".timer"), text)
        for name, text in wanted.items()
        if present.units.get(name) != boot.Present(_digest(text), "", _settled(name))
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _settled(name: str) -> str:
    """Return systemd's words for a unit that needs nothing; a template is not asked for."""
    return "enabled active" if name.endswith(".timer") else ""


def to_remove(host: boot.Host, kind: str, wanted: t.Container[str], root: str) -> t.List[Step]:
    """Return the units that run jobs of the stack at ``root`` and are not to, the template last."""
    return [
        Step(name, other, host.file(other, name), name.endswith(".timer"))
        for other, found in host.jobs.items()
        if found.root == root
        for name in sorted(found.units, key=lambda each: not each.endswith(".timer"))
        if other != kind or name not in wanted
    ]
