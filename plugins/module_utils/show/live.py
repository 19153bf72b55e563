# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What ``rollcall status --watch`` shows: a look as lines that fit a terminal, trouble first. Pure."""

from __future__ import annotations

import textwrap
import typing as t
import unicodedata

from ..base.text import count, one_line, printable
from .errors import error_text
from .failures import failing_by_subject, stories, verdict_word
from .roll_call import verdict_line
from .service_table import service_table
from .words import Reader, painter, runnable

if t.TYPE_CHECKING:
    from ..base.documents import ErrorData, Report, RunAtWork

# What of the table gives way where a terminal is narrow.
_NARROW = ("pid", "port", "health")
# The share of the screen that the table gets at the least, where there is much evidence.
_SHARE = 0.6
# In which order services stand, by the word for their verdict.
_ORDER = {"FAILED": 0, "HELD": 1, "NOT READY": 2, "-": 3, "ok": 4}


class Seen(t.NamedTuple):
    """What is known just now.

    Attributes:
        time: of the day of the last look that has ended, in words; empty before the first.
        every: seconds from the end of a look to the next.
        took: seconds of the last look; None before the first.
        looking: seconds for which the present look is under way; None between two.
        report: what the last look found; None where it found an error.
        error: why it found nothing; None where it did.
    """

    time: str
    every: float
    took: t.Optional[float]
    looking: t.Optional[float]
    report: t.Optional[Report]
    error: t.Optional[ErrorData] = None


def live_lines(seen: Seen, root: str, width: int, height: int, *, colour: bool = False) -> t.List[str]:
    """Return the lines of a screen.

    Args:
        seen: what is known just now.
        root: of the stack, whose commands are told.
        width: columns of the terminal; no line has more.
        height: its lines; there are no more.
        colour: whether to use ANSI colours; each stands beside a word that says the same.
    """
    paint = painter(colour)
    head = [paint(_head(seen, width), "quiet")]
    if seen.error is not None:
        rest = [paint(line, "bad") for line in _wrapped(error_text(seen.error, reader=Reader(root)), width)]
    elif seen.report is not None:
        rest = _report_lines(seen.report, width, height - len(head), colour)
    else:
        rest = ["The first look is under way."]
    lines = [*head, *rest]
    if len(lines) > height:
        more = f"... {count(len(lines) - height + 1, 'more line')}: {runnable('rollcall status', Reader(root))}"
        lines = [*lines[: height - 1], paint(fitted(more, width), "quiet")]
    return lines


def _head(seen: Seen, width: int) -> str:
    """Return when was looked, how this ends, and how often, as far as there is room."""
    slow = seen.looking is not None and seen.looking >= 2
    now = f"looking for {seen.looking:.0f} s" if slow else "looking" if not seen.time else f"as of {seen.time}"
    parts = [
        now,
        "q ends",
        f"every {seen.every:g} s",
        *([] if seen.took is None else [f"a look takes {seen.took:.1f} s"]),
    ]
    while len("; ".join(parts)) > width and len(parts) > 1:
        parts.pop()
    return fitted("; ".join(parts), width)


def _report_lines(report: Report, width: int, height: int, colour: bool) -> t.List[str]:
    paint = painter(colour)
    failing = failing_by_subject(report)
    # Wrapped before it is coloured: escape codes have a length and no width.
    said = _wrapped(verdict_line(report), width)
    lines = [paint(line, "good" if report["ok"] else "bad") for line in said]
    at_work = report["run_at_work"]
    if at_work:
        lines += [paint(line, "warn") for line in _wrapped(run_words(at_work), width)]
    elif report["unfinished_run"]:
        cut_off = report["unfinished_run"]
        words = f"An earlier run, {cut_off['run']}, was cut off at its step '{cut_off['step']}'."
        lines += [paint(line, "bad") for line in _wrapped(words, width)]
    words_of = {
        row["name"]: "-" if row["stopped"] else verdict_word(failing.get(row["name"])) for row in report["services"]
    }
    rows = sorted(report["services"], key=lambda row: _ORDER.get(words_of[row["name"]], 0))
    evidence: t.List[str] = []
    for story in stories({} if report["result"] == "stopped" else failing, Reader(report["root"]), painter(False)):
        evidence += ["", *_wrapped(story, width)]
    room = max(3, height - len(lines) - 1 - len(evidence), int((height - len(lines)) * _SHARE))
    table = service_table(rows, words_of, width, paint, narrow=_NARROW).split("\n") if rows else []
    if len(table) > room:
        hidden = [words_of[row["name"]] for row in rows[room - 2 :]]
        bad = sum(word not in ("ok", "-") for word in hidden)
        rest = f"... {len(hidden)} more" + (f", {bad} of them not ok" if bad else ", all of them ok or stopped")
        table = [*table[: room - 1], paint(rest, "bad" if bad else "quiet")]
    notes = [line for note in report["notes"] for line in _wrapped(f"note: {printable(note)}", width)]
    return [*lines, "", *(fitted(line, width, painted=colour) for line in table), *evidence, *notes]


def run_words(at_work: RunAtWork) -> str:
    """Return which run is at work, at which step it is, what it waits for, and for how long."""
    from ..state.lock import waits_words

    step = f" is at '{one_line(at_work['step'])}'" if at_work.get("step") else " is at work"
    waits = at_work.get("waits") or []
    why = next((one["said"] for one in waits if one["said"]), "")
    waited = f", waits for {waits_words(waits)}" + (f": {why}" if why else "") if waits else ""
    return printable(f"{one_line(str(at_work['verb']))} of {one_line(str(at_work['who']))}{step}{waited}")


def _wrapped(text: str, width: int) -> t.List[str]:
    """Return a text in lines that fit: between words, or between letters where some of these take two columns."""
    lines: t.List[str] = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        if any(map(_is_wide, line)):
            lines += _chunks(line, width)
            continue
        later = indent if len(indent) < width // 2 else ""
        lines += textwrap.wrap(line, width, subsequent_indent=later, break_on_hyphens=False) or [""]
    return lines


def _chunks(line: str, width: int) -> t.Iterator[str]:
    while line:
        # A letter of two columns is not left out where there is only one.
        part = fitted(line, width) or line[0]
        yield part
        line = line[len(part) :]


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in ("W", "F")


def fitted(line: str, width: int, *, painted: bool = False) -> str:
    """Return as much of a line as fits into so many columns of a terminal.

    Args:
        line: the line; some letters take two columns.
        width: the columns.
        painted: whether it may have escape codes, which take none.
    """
    if not painted and line.isascii():
        return line[:width]
    shown, columns, escape = [], 0, False
    for char in line:
        if painted and (escape or char == "\x1b"):
            escape = char != "m"
            shown.append(char)
            continue
        columns += 2 if _is_wide(char) else 1
        if columns <= width:
            shown.append(char)
    return "".join(shown)
