# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine import EngineAction


class ActionModule(EngineAction):
    """Ask for a stack to be brought to what its manifest says."""

    VERB = "restart"
    OPTIONS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "mode": {
            "type": "str",
            "choices": ["auto", "full", "quick", "emergency", "flush", "stop", "rollback", "master", "force"],
            "default": "auto",
        },
        "manifest": {"type": "dict"},
        "config": {"type": "str"},
        "secrets": {"type": "dict", "default": {}, "no_log": True},
        "policy": {"type": "str", "choices": ["owned", "refuse", "any"], "default": "owned"},
        "grace": {"type": "float", "default": 5},
        "kill_grace": {"type": "float", "default": 2},
        "automatic": {"type": "bool", "default": False},
        "on_failure": {"type": "str", "choices": ["leave", "rollback"], "default": "leave"},
        "generation": {"type": "str", "default": ""},
    }
    TOGETHER: t.ClassVar[t.Sequence[t.Sequence[str]]] = (("manifest", "config"),)
