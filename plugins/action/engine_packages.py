# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.releases import archives
from ansible_collections.rollcall.supervisor.plugins.modules.engine_packages import ARGUMENT_SPEC
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.sending import SendingAction


class ActionModule(SendingAction):
    """Send wheels of the controller to the host, and have the module install what is missing."""

    SPEC = ARGUMENT_SPEC

    def pack(self, arguments: t.Mapping[str, t.Any], path: str) -> bool:
        """Pack the wheels, if the host is to have them from here."""
        wheels = arguments["wheels"]
        if not wheels:
            return False
        try:
            if not os.listdir(wheels):
                raise AnsibleActionFail(f"There are no wheels in {wheels} on the controller.")
            archives.pack(wheels, archives.scan(wheels), path)
        except (OSError, RollcallError) as exc:
            raise AnsibleActionFail(f"The wheels in {wheels} cannot be sent to the host: {exc}") from exc
        return True
