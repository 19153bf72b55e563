# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Text for people: counts, times and tables, and the words of others made safe to print."""

from __future__ import annotations

import time
import typing as t

# Characters of the words of others, such as a path, that are shown where they must be whole to be of use.
LONGEST = 1000

# Results of a run that are called otherwise for people.
_RESULTS = {"ok": "OK", "held": "HELD", "not_ready": "NOT READY", "degraded": "FAILED", "wrong_use": "REFUSED"}


def printable(text: t.Any) -> str:
    """Return text that cannot move the cursor: logs, command lines and configs are written by others."""
    return inert(str(text).replace("\t", "    "))


def inert(text: str) -> str:
    """Return text that no terminal obeys and that reads as it is written; line ends and tabs stay.

    What cannot be printed is escaped: control characters, and marks that change the direction of writing.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char in "\n\t" or char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text.replace("\r\n", "\n")
    )


def has_control(text: str) -> bool:
    """Return whether a text has control characters, line ends among them: no name and no path of a stack has any."""
    # Hardly any text has something that cannot be printed, and that is told faster.
    return not text.isprintable() and any(char < " " or "\x7f" <= char < "\xa0" for char in text)


def count(number: int, word: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 process``, ``2 processes``; without ``plural`` the noun gets an s."""
    return f"{number} {word if number == 1 else plural or word + 's'}"


def span(seconds: float) -> str:
    """Return seconds as people say them: ``90 s``, ``10 min``, ``1 h 30 min``, ``7 d``."""
    whole = round(seconds)
    if whole < 120:
        return f"{seconds:g} s"
    parts = ((whole // 86_400, "d"), (whole // 3_600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"))
    return " ".join(f"{number} {unit}" for number, unit in [part for part in parts if part[0]][:2])


def readable_time(seconds: float) -> str:
    """Return seconds since the epoch as a local date and time."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (ValueError, OverflowError, OSError):
        # A year that no calendar has, as others may have written it.
        return "at no time that there is"


def run_result(result: str, step: t.Optional[str] = None) -> str:
    """Return how a run ended, for people: its result, or the step that it is at or was cut off at."""
    if step is not None:
        return f"{result} at step '{step}'"
    return _RESULTS.get(result) or result.upper().replace("_", " ")


def table(rows: t.Sequence[t.Sequence[str]]) -> str:
    """Return rows of cells, the headings first, as lines whose columns stand below each other; a row is one line."""
    cells = [[one_line(cell, LONGEST) for cell in row] for row in rows]
    widths = [max(len(row[number]) for row in cells) for number in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells)


def one_line(text: t.Union[str, bytes], most: int = 160) -> str:
    """Return the words of others on one line of at most ``most`` characters; a longer one ends in an ellipsis.

    White space becomes single blanks, and what cannot be printed U+FFFD; bytes are read as UTF-8.
    """
    whole = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    line = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(whole[: most * 4].split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def gist(text: str) -> t.List[str]:
    """Return the first and the last line of a text that are not blank: what it is about, and what it ends in."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [lines[0], lines[-1]] if len(lines) > 1 else lines


def last_lines(text: str, most: int) -> t.List[str]:
    """Return the last ``most`` lines of a text that are not blank, without white space at their ends."""
    return [line.rstrip() for line in text.splitlines() if line.strip()][-most:]
