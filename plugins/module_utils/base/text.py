# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Text for people: the words of others made safe to print."""

from __future__ import annotations

import typing as t


def printable(text: t.Any) -> str:
    """Return text that cannot move the cursor: logs, command lines and configs are written by others."""
    kept = str(text).replace("\t", "    ").replace("\r\n", "\n")
    return "".join(
        char if char == "\n" or char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in kept
    )
