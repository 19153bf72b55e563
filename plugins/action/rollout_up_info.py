# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rollcall.supervisor.plugins.plugin_utils import patience
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine import ROOT, EngineAction
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.rollouts import failing
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.said import told


class ActionModule(EngineAction):
    """See whether a host is up and has its users."""

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return whether it is, and why it is not; one that is not reached is an answer as well."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec={**ROOT, **patience.OPTIONS})
        try:
            with patience.within(arguments["patience"], self._connection):
                looked = self.ask(arguments["root"], "rollout_look", {})
        except (AnsibleConnectionFailure, patience.NoAnswer) as exc:
            looked = {"msg": told(str(exc))}
        result.update(changed=False, up=False)
        record = looked.get("rollout") or {}
        if "report" not in looked:
            why = told(str(looked.get("msg", "nothing is installed")))
        elif not looked["report"]["ok"]:
            why = f"is not healthy: {failing(looked)}"
        elif record.get("drained"):
            why = f"is drained by {told(record['drained'])}"
        else:
            why = ""
            result.update(up=True)
        result.update(why=why)
        return result
