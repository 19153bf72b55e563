# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.module_utils.balancer.edge_data import data_of
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import problems_text
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.facts import refuse_ours
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.publishing import publication

OPTIONS: t.Mapping[str, t.Any] = {
    "services": {"type": "dict", "required": True},
    "answers": {"type": "dict", "required": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Decide which servers a balancer has, and how it asks whether they are well."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the services as data, or every problem at once."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        refuse_ours(task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec=OPTIONS)
        made = publication(arguments["services"], arguments["answers"])
        problems = [problem.as_dict() for problem in made.problems]
        result.update(changed=False, problems=problems, notes=list(made.notes), warnings=list(made.notes), services=[])
        if problems:
            result.update(failed=True, msg=problems_text(problems))
        else:
            result["services"] = [data_of(service) for service in made.services]
        return result
