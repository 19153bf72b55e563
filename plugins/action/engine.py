# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.modules.engine import ARGUMENT_SPEC
from ansible_collections.rollcall.supervisor.plugins.plugin_utils import engine_files
from ansible_collections.rollcall.supervisor.plugins.plugin_utils.sending import SendingAction


class ActionModule(SendingAction):
    """Send the engine of this collection to the host, and have the module install what differs."""

    SPEC = ARGUMENT_SPEC

    def pack(self, arguments: t.Mapping[str, t.Any], path: str) -> bool:  # noqa: ARG002  the engine has no options
        """Pack the engine."""
        engine_files.pack(path, engine_files.engine_files())
        return True
