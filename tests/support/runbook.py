# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows a page as an operator does: runs its commands, compares their output, fills in what was printed before."""

from __future__ import annotations

import os
import re
import subprocess
import typing as t
from pathlib import Path

# Seconds that the commands of one block may take.
BOUND = 400.0
SKIP = "..."
_BLOCK = re.compile(r"^```shell\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"<([^<>]+)>")


class Block(t.NamedTuple):
    """Commands, and the lines that they print: whole lines, in this order, with others between them."""

    commands: str
    shown: t.Tuple[str, ...]


def entries(page: str) -> t.Dict[str, t.List[Block]]:
    """Return the blocks of every entry by its heading."""
    found: t.Dict[str, t.List[Block]] = {}
    for part in page.split("\n## ")[1:]:
        heading, _newline, body = part.partition("\n")
        found[heading] = [Block(*_block(commands, shown)) for commands, shown in _BLOCK.findall(body)]
    return found


def _block(commands: str, shown: str) -> t.Tuple[str, t.Tuple[str, ...]]:
    return commands, tuple(line for line in shown.splitlines() if line.strip() not in ("", SKIP))


def anchor(heading: str) -> str:
    """Return how a link names a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


class Operator:
    """An operator who follows the page.

    Args:
        stands_for: what the page writes, and what that is here: the stack's root, its ports.
        commands: a directory that comes first on the PATH.
        directory: where the commands are run; None is where the tests are.
    """

    def __init__(
        self, stands_for: t.Mapping[str, str], commands: t.Union[str, Path], directory: t.Optional[Path] = None
    ) -> None:
        self._stands_for = stands_for
        self._commands = commands
        self._directory = directory
        # What a word in <> stood for when it was last printed.
        self._known: t.Dict[str, str] = {}

    def follow(self, block: Block) -> None:
        """Run the commands of a block and compare what they print with what it shows."""
        output = self.run(_WORD.sub(lambda word: self._known[word[1]], block.commands))
        lines = [_even(line) for line in output.splitlines()]
        at = 0
        for wanted in block.shown:
            pattern, words = _pattern(wanted)
            match = None
            while match is None:
                assert at < len(lines), f"the page shows\n  {wanted}\nand there was\n{output}"
                match = re.fullmatch(pattern, lines[at])
                at += 1
            self._known.update(zip(words, match.groups()))

    def run(self, commands: str) -> str:
        """Return what commands of the page print, in the page's words."""
        done = subprocess.run(
            ["/bin/sh", "-c", self._real(commands)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=BOUND,
            cwd=self._directory,
            env={**os.environ, "PATH": f"{self._commands}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"},
        )
        return self._told(done.stdout)

    def _real(self, text: str) -> str:
        for shown, real in self._stands_for.items():
            text = _replaced(text, shown, real)
        return text

    def _told(self, text: str) -> str:
        for shown, real in self._stands_for.items():
            text = _replaced(text, real, shown)
        return text


def _replaced(text: str, old: str, new: str) -> str:
    """Replace a port only where it is the whole number, and a path wherever it begins."""
    return re.sub(rf"(?<!\w){re.escape(old)}\b", lambda _found: new, text)


def _pattern(line: str) -> t.Tuple[str, t.List[str]]:
    """Return the pattern of a line, and what the words in it are called: pids are numbers, others anything."""
    pieces = _WORD.split(_even(line))
    pattern = ""
    for number, piece in enumerate(pieces):
        if number % 2:
            pattern += r"(\d+)" if piece.split()[0] == "pid" else r"(.+?)"
        else:
            pattern += ".*".join(re.escape(text) for text in piece.split(SKIP))
    return pattern, pieces[1::2]


def _even(line: str) -> str:
    """Return a line with its columns one space apart: how wide they are depends on what is in them."""
    return " ".join(line.split())
