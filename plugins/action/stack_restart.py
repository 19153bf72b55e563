# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.module_utils.run.modes import AUTO, BY_NAME
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine import ROOT, RUN, SERVICES, EngineAction


class ActionModule(EngineAction):
    """Ask for one run over a stack."""

    OPTIONS: t.ClassVar[t.Mapping[str, t.Any]] = {
        **ROOT,
        **RUN,
        **SERVICES,
        "dependents": {"type": "bool", "default": True},
        "mode": {
            "type": "str",
            "choices": list(BY_NAME),
            "default": AUTO.name,
        },
        "manifest": {"type": "dict"},
        "config": {"type": "str"},
        "secrets": {"type": "dict", "default": {}, "no_log": True},
        "generation": {"type": "str", "default": ""},
        "delivered": {"type": "list", "elements": "str", "default": []},
    }

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the engine's answer."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec=self.OPTIONS, required_together=[("manifest", "config")]
        )
        result.update(self.run_asked(arguments.pop("root"), arguments, fail=arguments.pop("fail")))
        return result
