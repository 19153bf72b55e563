# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""An error of the engine, or the problems of a manifest, as text. Pure."""

from __future__ import annotations

import typing as t

from ..base.text import LONGEST, count, one_line, printable
from .standing import standing_text
from .words import Reader, continued, indented, painter, runnable

if t.TYPE_CHECKING:
    from ..base.documents import ErrorData, ProblemData

_KINDS = {"refused": "REFUSED", "unreachable": "UNREACHABLE"}
# Keys of an error's evidence with what another program said; the others are facts for machines.
_WORDS = ("output", "refusal", "stderr", "log")


def error_text(data: ErrorData, *, subject: str = "", reader: t.Optional[Reader] = None, colour: bool = False) -> str:
    """Return an error as text: what failed, what other programs said to it, and what to run next.

    Args:
        data: the error as data: ``message``, ``kind``, ``evidence``, ``remedies``.
        subject: where it happened, such as a host.
        reader: who reads it.
        colour: whether to use ANSI colours.
    """
    paint = painter(colour)
    word = paint(_KINDS.get(data["kind"], "FAILED"), "bad")
    message = continued(printable(data["message"]))
    lines = [f"{printable(subject)}: {word}, {message}" if subject else f"{word}: {message}"]
    lines += _said_by_others(data["evidence"], printable(data["message"]))
    standing = data.get("standing")
    if standing is not None:
        lines.append(f"  {standing_text(standing, reader or Reader(), paint)}")
    lines += [f"  next: {runnable(remedy, reader or Reader())}" for remedy in data["remedies"]]
    return "\n".join(lines)


def problems_text(found: t.Sequence[ProblemData], *, subject: str = "manifest", colour: bool = False) -> str:
    """Return the problems of a manifest, errors first, each with its place and cure, and how many there are.

    Args:
        found: problems as data: ``place``, ``message``, ``cure``, ``severity`` (error or warning).
        subject: what was checked, such as a file name.
        colour: whether to use ANSI colours.
    """
    paint = painter(colour)
    ordered = sorted(found, key=lambda problem: problem["severity"] != "error")
    lines = []
    for problem in ordered:
        word = paint(f"{problem['severity']:8}", "bad" if problem["severity"] == "error" else "warn")
        lines.append(f"{word} {continued(printable(problem['place'] + ': ' + problem['message']))}")
        if problem["cure"]:
            lines.append(f"         cure: {continued(printable(problem['cure']))}")
    errors = sum(problem["severity"] == "error" for problem in ordered)
    warnings = len(ordered) - errors
    counts = [count(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    verdict = paint("FAILED", "bad") if errors else paint("OK", "good")
    # The name of a file may have a line end, which would be a verdict of another.
    lines.append(f"{one_line(subject, LONGEST)}: {verdict}, {' and '.join(counts) or 'no problems'}")
    return "\n".join(lines)


def _said_by_others(evidence: t.Mapping[str, t.Any], message: str) -> t.List[str]:
    """Return what the programs behind an error said, unless its message says so already."""
    lines: t.List[str] = []
    for key in _WORDS:
        value = evidence.get(key) or ""
        text = printable(value if isinstance(value, str) else "\n".join(map(str, value))).strip()
        if text and text not in message:
            lines += [f"  {key}:", *indented(text, 4)]
    return lines
