# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Text for people: counts, times and tables, and the words of others made safe to print."""

from __future__ import annotations

import time
import typing as t


def printable(text: t.Any) -> str:
    """Return text that cannot move the cursor: logs, command lines and configs are written by others."""
    kept = str(text).replace("\t", "    ").replace("\r\n", "\n")
    return "".join(
        char if char == "\n" or char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in kept
    )


def count(number: int, word: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 process``, ``2 processes``; without ``plural`` the noun gets an s."""
    return f"{number} {word if number == 1 else plural or word + 's'}"


def readable_time(seconds: float) -> str:
    """Return seconds since the epoch as a local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def table(rows: t.Sequence[t.Sequence[str]]) -> str:
    """Return rows of cells, the headings first, as lines whose columns stand below each other."""
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def one_line(text: str, most: int = 160) -> str:
    """Return text for a sentence: on one line, and cut with an ellipsis after ``most`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}…"
