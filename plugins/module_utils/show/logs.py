# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Logs as text. Pure."""

from __future__ import annotations

import typing as t

from .words import Reader, runnable

if t.TYPE_CHECKING:
    from ..base.documents import LogData


def logs_text(logs: t.Mapping[str, LogData], root: str = "") -> str:
    """Return the lines of the logs; of several each line begins with its service, and each log with its path.

    Args:
        logs: what was read, by service.
        root: of the stack, whose command is told.
    """
    several = len(logs) > 1
    blocks = []
    for name, log in logs.items():
        head = [f"{log['path']}:"] if several or log["problem"] or log["notes"] else []
        head += [f"({note})" for note in log["notes"]]
        said = [f"is not shown: {runnable(log['problem'], Reader(root))}"] if log["problem"] else []
        blocks.append("\n".join([*head, *said, *(prefixed(name, line, several=several) for line in log["lines"])]))
    return "\n\n".join(block for block in blocks if block)


def prefixed(name: str, line: str, *, several: bool) -> str:
    """Return a line of a log; where several logs are shown, with the name of its service."""
    return f"{name} | {line}" if several else line
