# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.modules.engine import ARGUMENT_SPEC
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine_files import engine_files, pack


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """Send the engine of this collection to the host, and have the module install what differs."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the module's result."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        if arguments["archive"] is not None:
            result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
            return result
        theirs = self._make_tmp_path()
        try:
            path = self._connection._shell.join_path(theirs, "engine.zip")
            with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP) as ours:
                packed = os.path.join(ours, "engine.zip")
                pack(packed, engine_files())
                self._transfer_file(packed, path)
            self._fixup_perms2((theirs, path), execute=False)
            result.update(self._execute_module(module_args={**arguments, "archive": path}, task_vars=task_vars))
        finally:
            self._remove_tmp_path(theirs, force=True)
        return result
