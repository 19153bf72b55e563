# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.rollcall.supervisor.plugins.plugin_utils.engine import QuestionAction


class ActionModule(QuestionAction):
    """Say that what was wrong with a stack until now is known."""

    VERB = "acknowledge"
