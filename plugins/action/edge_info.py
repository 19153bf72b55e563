# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import shlex
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.port_numbers import is_port
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import printable
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import registry
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import manifests
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.facts import refuse_ours
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.placement import placed
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.publishing import published_by
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.said import told

Result = t.Dict[str, t.Any]

OPTIONS: t.Mapping[str, t.Any] = {
    **manifests.OPTIONS,
    "address": {"type": "str", "required": True},
    "weight": {"type": "int", "default": 100},
}
# Bytes of a registry: a service has some 200.
_MOST_BYTES = 1_000_000
_LOOK = "test -e {path} || exit 0; head -c {most} {path}"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Ask a host which of the manifest's services it runs, and on which ports."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> Result:
        """Return what a balancer has to know of the host; one that is not reached is an answer as well."""
        variables: t.Dict[str, t.Any] = task_vars or {}
        result: Result = super().run(tmp, task_vars)
        refuse_ours(variables)
        _validated, arguments = self.validate_argument_spec(argument_spec=OPTIONS)
        whole = manifests.check_into(result, arguments)
        if whole is None:
            return result
        answer: Result = {"address": arguments["address"], "weight": arguments["weight"], "services": {}}
        try:
            ports = self._ports(whole.root)
        except AnsibleConnectionFailure as exc:
            return {**result, **answer, "reached": False, "why": told(str(exc))}
        whole = manifests.check_into(result, arguments, ports=ports)
        if whole is not None:
            host = str(variables.get("inventory_hostname", ""))
            answer["services"] = published_by(placed(whole, host, variables.get("groups") or {}).stack)
        return {**result, **answer, "reached": True, "why": ""}

    def _ports(self, root: str) -> t.Dict[str, int]:
        """Return the port that each service has got on the host, by its registry; none where nothing is installed."""
        path = registry.path(root)
        done = self._low_level_execute_command(_LOOK.format(path=shlex.quote(path), most=_MOST_BYTES))
        if done["rc"] != 0:
            raise AnsibleActionFail(f"{path} cannot be read: {printable(done['stderr'][-300:].strip())}")
        text = done["stdout"]
        if not text.strip():
            return {}
        try:
            # A login shell may have said something of its own before it.
            services = json.loads(text[text.index("{") :])["services"]
            return {str(name): one["port"] for name, one in services.items() if is_port(one["port"])}
        except (ValueError, LookupError, TypeError, AttributeError) as exc:
            raise AnsibleActionFail(f"{path} is no registry of ports: {printable(str(exc)[:200])}") from exc
