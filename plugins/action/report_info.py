# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine import ROOT, EngineAction
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.said import told

if t.TYPE_CHECKING:
    from ansible_collections.rollcall.supervisor.plugins.module_utils.base.page_documents import HostTold

Result = t.Dict[str, t.Any]


class ActionModule(EngineAction):
    """Ask a host what it tells of itself for the page."""

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> Result:
        """Return what it tells; a host that is not reached is an answer as well, and so is one without an engine."""
        result: Result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec=ROOT)
        result.update(changed=False, ok=True, reached=True, why="", by=self._reader()["by"])
        try:
            answer = self.ask(arguments["root"], "page", {})
        except AnsibleConnectionFailure as exc:
            return {**result, "reached": False, "why": told(str(exc))}
        host: HostTold = answer["host"] if "host" in answer else _without_report(answer)
        return {**result, "host": host}


def _without_report(answer: Result) -> HostTold:
    """Return what is told of a host on which nothing has answered, or an engine of another version."""
    error = answer["error"]
    version = str(error["evidence"].get("installed") or "")
    return {
        "at": time.time(),
        "report": None,
        "error": error,
        "runs": [],
        "rollout": None,
        "watch": None,
        "release": "",
        "engine": version,
    }
