# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Asks a host what starts a stack after a boot, and compares it with what is to."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.rollcall.supervisor.plugins.plugin_utils import boot, boot_timers
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.templates import template

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

TEMPLATES = {boot.SYSTEMD: "unit.service.j2", boot.USER: "unit.service.j2", boot.LAUNCHD: "launchd.plist.j2"}


class Wanted(t.NamedTuple):
    """What is to start a stack.

    Attributes:
        kind: systemd, user, launchd, none or auto.
        after: units of the system that it is to wait for.
        templates: directory of the templates, on the controller.
    """

    kind: str
    after: t.Sequence[str]
    templates: str


def look(action: ActionBase, stack: t.Mapping[str, t.Any], wanted: Wanted, where: str) -> t.Dict[str, t.Any]:
    """Return what is there and what is wanted, as the module ``boot_info`` does.

    Args:
        action: whose host is asked.
        stack: the normalised manifest.
        wanted: what is to start it.
        where: the host's name in the inventory.

    Raises:
        AnsibleConnectionFailure: the host is not reached.
        RollcallError: what is wanted cannot be, or the host has said nothing that is understood.
    """
    host = boot.parse(action._low_level_execute_command(boot.question(stack["name"]))["stdout"])
    kind = boot.kind_of(host, wanted.kind)
    boot.check(host, kind, stack, wanted.after, where)
    text = ""
    if kind != boot.NONE:
        text = template(os.path.join(wanted.templates, TEMPLATES[kind])).render(
            stack=stack,
            kind=kind,
            unit=boot.unit(stack["name"]),
            label=boot.label(stack["name"]),
            after=wanted.after,
        )
    jobs = boot_timers.texts(stack, wanted.templates) if kind in (boot.SYSTEMD, boot.USER) else {}
    silent = boot.why_nothing_starts(host, wanted.kind, stack["name"], where)
    install = kind != boot.NONE and not boot.is_settled(host, kind, text)
    remove = boot.superfluous(host, kind, stack["root"])
    timers_install = [one._asdict() for one in boot_timers.to_install(host, kind, jobs)]
    timers_remove = [one._asdict() for one in boot_timers.to_remove(host, kind, jobs, stack["root"])]
    return {
        "kind": kind,
        "install": install,
        "present": kind in host.present,
        "remove": remove,
        "settled": not (install or remove or timers_install or timers_remove),
        "places": {known: host.place(known, stack["name"]) for known in TEMPLATES},
        "text": text,
        "timers_install": timers_install,
        "timers_remove": timers_remove,
        "user": host.user,
        "environment": {"XDG_RUNTIME_DIR": f"/run/user/{host.uid}"},
        "unit": boot.unit(stack["name"]),
        "service": f"{'system' if host.uid == '0' else f'gui/{host.uid}'}/{boot.label(stack['name'])}",
        "warnings": [silent] if silent else [],
    }
