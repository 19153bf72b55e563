# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What all texts share: colours, short lists of names, seconds, and commands that can be copied. Pure."""

from __future__ import annotations

import re
import shlex
import typing as t

from ..base.cures import INSTALL, is_of_no_place
from ..base.text import printable

WIDTH = 100
# How many names a sentence bears before it says how many more.
NAMES = 4
# A line of a log is shown up to here: one line of minified JSON must not push the verdict off the screen.
LINE = 400

_COLOURS = {"good": "32", "bad": "31;1", "warn": "33", "quiet": "2"}
_COMMAND = re.compile(
    r"(?<![\w/.-])rollcall"
    r"(?= (?:status|verify|start|stop|restart|reload|flush|ports?|manifest|doctor|history|rollback|acknowledge|undo"
    r"|logs|exec|rerun|run|watch|report)\b)"
)

Data = t.Mapping[str, t.Any]
# Takes a text and what it is: good, bad, warn or quiet.
Painter = t.Callable[[str, str], str]


def terminal(stream: t.TextIO) -> t.Dict[str, t.Any]:
    """Return the keyword arguments ``width`` and ``colour`` that fit where ``stream`` goes.

    Colour only on a terminal, and not with NO_COLOR set (https://no-color.org) or TERM=dumb.
    """
    if not stream.isatty():
        return {"width": WIDTH, "colour": False}
    import os
    import shutil

    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return {"width": shutil.get_terminal_size((WIDTH, 24)).columns, "colour": not plain}


def painter(colour: bool) -> Painter:
    """Return what paints a text in ANSI colours, or leaves it as it is."""

    def paint(text: str, kind: str) -> str:
        return f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m" if colour and kind and text.strip() else text

    return paint


class Reader(t.NamedTuple):
    """Who reads a cure, and so how its command has to be written.

    Attributes:
        root: of the stack, whose own ``rollcall`` may not be on the PATH; empty when it is not known.
        by: the command with which this reader applies a manifest; empty for a reader on the host.
        host: where all other commands are to be run; empty when that is where the reader is.
    """

    root: str = ""
    by: str = ""
    host: str = ""


def runnable(command: str, reader: Reader) -> str:
    """Return a cure in the words of who reads it: its command works when it is copied."""
    text = " ".join(command.split("\n"))
    if INSTALL in text:
        by = reader.by or _applied_by(reader.root)
        # A comment to the shell, so that the line can be copied as a whole.
        return printable(text.replace(INSTALL, by or INSTALL) + ("" if reader.by else "  # on the controller"))
    if reader.root:
        text = _COMMAND.sub(lambda _: f"{shlex.quote(reader.root)}/bin/rollcall", text)
    elsewhere = reader.host and not is_of_no_place(command)
    return printable(f"{text}  # on {reader.host}" if elsewhere else text)


def _applied_by(root: str) -> str:
    # Late: few texts have it.
    from ..state.generations import applied_by

    return applied_by(root) if root else ""


def names_of(names: t.Sequence[str]) -> str:
    """Return names in one line; of many the first, and how many more there are."""
    if len(names) <= NAMES + 1:
        return ", ".join(names)
    return f"{', '.join(names[:NAMES])} and {len(names) - NAMES} more"


def indented(text: str, spaces: int) -> t.List[str]:
    """Return the lines of a text, each indented, and cut where it is far too long."""
    return [" " * spaces + cut(line) for line in text.splitlines()]


def continued(text: str) -> str:
    """Return a text whose lines after the first are indented: none reads as the beginning of something else."""
    first, *rest = text.split("\n")
    return "\n".join([first, *(line if not line or line.startswith(" ") else f"  {line}" for line in rest)])


def cut(line: str) -> str:
    """Return a line as it is, or its beginning and how much more there is."""
    return line if len(line) <= LINE else f"{line[:LINE]}… ({len(line) - LINE} more characters)"


def duration(seconds: float) -> str:
    """Return seconds as people read them: ``1.2 ms`` or ``3.4 s``."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
