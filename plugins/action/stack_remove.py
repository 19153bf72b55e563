# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.modules.stack_remove import ARGUMENT_SPEC
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import answers


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Have a host remove a stack; playbooks fail with what it has said, so that is data before it is a result."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the module's result, as far as it is known."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        said = json.dumps(self._execute_module(module_args=arguments, task_vars=task_vars), default=str)
        try:
            known, _dropped = answers.admitted(answers.parsed(said), answers.Removed)
        except answers.Malformed as exc:
            raise AnsibleActionFail(f"What the host has said to the removal is no answer: {exc}") from exc
        result.update(known)
        return result
