# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""An action that sends its module one archive: a file of its own for each of a hundred would take seconds."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.facts import refuse_ours


class SendingAction(ActionBase):  # type: ignore[misc]  # ansible-core comes without types
    """An action whose module finds the archive by its option ``archive``.

    Attributes:
        SPEC: the module's argument spec.
    """

    SPEC: t.ClassVar[t.Mapping[str, t.Any]] = {}

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def pack(self, arguments: t.Mapping[str, t.Any], path: str) -> bool:
        """Write the archive to ``path`` on the controller; return whether there is anything to send.

        Raises:
            AnsibleActionFail: what is to be sent cannot be read.
        """
        raise NotImplementedError

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Dict[str, t.Any]:
        """Return the module's result."""
        result: t.Dict[str, t.Any] = super().run(tmp, task_vars)
        refuse_ours(task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec=self.SPEC)
        theirs = None
        try:
            with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP) as ours:
                packed = os.path.join(ours, "archive")
                if arguments["archive"] is None and self.pack(arguments, packed):
                    theirs = self._make_tmp_path()
                    arguments["archive"] = self._connection._shell.join_path(theirs, "archive")
                    self._transfer_file(packed, arguments["archive"])
                    self._fixup_perms2((theirs, arguments["archive"]), execute=False)
            result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        finally:
            if theirs is not None:
                self._remove_tmp_path(theirs, force=True)
        return result
