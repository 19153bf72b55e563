# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import boot
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.templates import template

TEMPLATES = {boot.SYSTEMD: "unit.service.j2", boot.USER: "unit.service.j2", boot.LAUNCHD: "launchd.plist.j2"}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """See what starts a stack after a boot, and what is to be put there or taken away."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return what is there and what is wanted, or fail because it cannot be."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "manifest": {"type": "dict", "required": True},
                "wanted": {"type": "str", "choices": ["auto", "systemd", "user", "launchd", "none"], "default": "auto"},
                "after": {"type": "list", "elements": "str", "default": []},
                "templates": {"type": "path", "required": True},
            }
        )
        stack = arguments["manifest"]
        done = self._low_level_execute_command(boot.question(stack["name"]))
        where = (task_vars or {}).get("inventory_hostname", "this host")
        try:
            host = boot.parse(done["stdout"])
            kind = boot.kind_of(host, arguments["wanted"])
            boot.check(host, kind, stack, arguments["after"], where)
        except RollcallError as exc:
            raise AnsibleActionFail(exc.text()) from exc
        text = ""
        if kind != boot.NONE:
            path = os.path.join(arguments["templates"], TEMPLATES[kind])
            text = template(path).render(
                stack=stack,
                kind=kind,
                unit=boot.unit(stack["name"]),
                label=boot.label(stack["name"]),
                after=arguments["after"],
            )
        silent = boot.why_nothing_starts(host, arguments["wanted"], stack["name"], where)
        if silent:
            result["warnings"] = [*result.get("warnings", ()), silent]
        result.update(
            changed=False,
            kind=kind,
            install=kind != boot.NONE and not boot.is_settled(host, kind, text),
            present=kind in host.present,
            remove=boot.superfluous(host, kind, stack["root"]),
            places={known: host.place(known, stack["name"]) for known in TEMPLATES},
            text=text,
            user=host.user,
            environment={"XDG_RUNTIME_DIR": f"/run/user/{host.uid}"},
            unit=boot.unit(stack["name"]),
            service=f"{'system' if host.uid == '0' else f'gui/{host.uid}'}/{boot.label(stack['name'])}",
        )
        return result
