# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What a host has said, in few words."""

from __future__ import annotations

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import one_line

MOST_SAID = 300


def told(text: str) -> str:
    """Return what a host has said, as one line."""
    return one_line(text, MOST_SAID)
