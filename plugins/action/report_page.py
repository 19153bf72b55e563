# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.page import memory
from ansible_collections.rollcall.supervisor.plugins.module_utils.page.document import headline, is_well, page
from ansible_collections.rollcall.supervisor.plugins.module_utils.page.file import old_page, write_page
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.errors import error_text
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.invocation import playbook_command
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.pages import asked, kept

Result = t.Dict[str, t.Any]


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Write the page of all hosts, on the controller."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> Result:
        """Return where the page is, and in a few words what it says."""
        result: Result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "path": {"type": "path", "required": True},
                "answers": {"type": "dict", "required": True},
                "inventory": {"type": "list", "elements": "str", "default": []},
            }
        )
        path = os.path.abspath(arguments["path"])
        try:
            return {**result, **_written(path, arguments, write=not self._task.check_mode)}
        except RollcallError as exc:
            error = exc.as_dict()
            return {**result, "changed": False, "failed": True, "msg": error_text(error), "error": error}


def _written(path: str, arguments: t.Mapping[str, t.Any], *, write: bool) -> Result:
    """Write the page, and return the result.

    Raises:
        RollcallError: it cannot be written, or something else is in its place.
    """
    now = time.time()
    before = memory.remembered(old_page(path))
    commands = {
        host: (playbook_command("status", limit=host), playbook_command("rollout")) for host in arguments["answers"]
    }
    data = asked(arguments["answers"], before, commands, arguments["inventory"], now)
    text = page(data, kept(before, arguments["inventory"]))
    if write:
        write_page(path, text)
    size = len(text.encode("utf-8"))
    return {
        "changed": True,
        "path": path,
        "well": is_well(data),
        "bytes": size,
        "text": f"{headline(data)}: {path}",
    }
