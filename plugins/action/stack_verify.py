# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine import SERVICES, QuestionAction


class ActionModule(QuestionAction):
    """Ask for the verdict over a stack."""

    VERB = "verify"
    OPTIONS: t.ClassVar[t.Mapping[str, t.Any]] = {
        **SERVICES,
        "fail": {"type": "bool", "default": True},
        "soak": {"type": "float", "default": 0},
    }
