# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import discovery


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Make one table of where the services of all hosts are."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the table, for people and as data."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        given = {"type": "dict", "default": {}}
        options = {"answers": {"type": "dict", "required": True}, "addresses": given, "own_addresses": given}
        _validated, arguments = self.validate_argument_spec(argument_spec=options)
        own, reached = arguments["own_addresses"], arguments["addresses"]
        hosts = {
            str(host): discovery.discovered(
                answer, str(own.get(host) or reached.get(host) or host), str(own.get(host) or "")
            )
            for host, answer in arguments["answers"].items()
        }
        unknown = {host: one["why"] for host, one in hosts.items() if one["endpoints"] is None}
        result.update(changed=False, hosts=hosts, unknown=unknown, text=discovery.discovery_text(hosts))
        return {**result, "cure": cures.KEEP_OR_DROP if unknown else ""}
