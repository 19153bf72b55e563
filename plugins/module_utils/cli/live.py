# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""``rollcall status --watch``: looks again and again, and shows it in place, for a person at a terminal.

A child makes each look. So the terminal answers at once while a look waits for something that hangs.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import typing as t

from ..base import cures
from ..base.clock import SYSTEM
from ..base.errors import EXIT_OK, RollcallError
from ..host.apart import Begun, TooLong
from ..host.screen import Screen
from ..show.live import Seen, live_lines
from ..show.words import terminal

if t.TYPE_CHECKING:
    import argparse

    from ..base.documents import ErrorData, Report

EVERY = 2.0
# Seconds after which a look that is under way is shown anew: it says for how long.
TICK = 1.0
# Seconds after which a look is ended that hangs; each of its waits has a deadline of its own.
LONGEST = 3600.0


class Answer(t.TypedDict, total=False):
    """What a look has found: a report, or an error."""

    report: Report
    error: ErrorData


class _ChildsLook:
    """A look that a child makes."""

    def __init__(self, make: t.Callable[[], Answer]) -> None:
        self.began = SYSTEM.monotonic()
        self.child = Begun(lambda: _in_child(make), LONGEST)

    def answer(self) -> Answer:
        """Return what it has found, once it has ended, and forget it."""
        try:
            return t.cast("Answer", self.child.answer())
        except (OSError, RuntimeError, TooLong):
            return {"error": RollcallError("The look broke down before it had anything to tell.").as_dict()}


def _in_child(make: t.Callable[[], Answer]) -> Answer:
    """Make a look in a child, which does nothing of what the terminal's process does about signals."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    return make()


class Live:
    """Looks again and again, and what is shown of that.

    Args:
        make: makes one look, in a child.
        root: of the stack.
        every: seconds from the end of a look to the next one; the pause is never shorter than the look was.
    """

    def __init__(self, make: t.Callable[[], Answer], root: str, every: float) -> None:
        self._make = make
        self._root = root
        self._every = every
        self._look: t.Optional[_ChildsLook] = None
        self._seen = Seen("", every, None, None, None)
        self._colour = bool(terminal(sys.stdout)["colour"])
        self._screen = Screen(sys.stdout.fileno(), self._end, self._draw)

    def run(self, first: Answer) -> int:
        """Show a first answer and those after it until somebody ends it; return the exit code."""
        took = SYSTEM.monotonic()
        with self._screen:
            self._take(first, 0.0)
            due = took
            while True:
                self._draw()
                if self._look is None and SYSTEM.monotonic() >= due:
                    self._look = _ChildsLook(self._make)
                if self._look is None:
                    _none, typed = self._screen.wait(min(TICK, max(0.0, due - SYSTEM.monotonic())))
                else:
                    ready, typed = self._screen.wait(TICK, self._look.child.reader)
                    if ready and self._look.child.read():
                        seconds = SYSTEM.monotonic() - self._look.began
                        look, self._look = self._look, None
                        self._take(look.answer(), seconds)
                        due = SYSTEM.monotonic() + max(self._every, seconds)
                if "q" in typed.lower():
                    break
        if self._look is not None:
            self._look.child.end()
        return EXIT_OK

    def _take(self, answer: Answer, seconds: float) -> None:
        self._seen = Seen(
            time.strftime("%H:%M:%S"), self._every, seconds or None, None, answer.get("report"), answer.get("error")
        )

    def _draw(self) -> None:
        looking = None if self._look is None else SYSTEM.monotonic() - self._look.began
        width, height = self._screen.size()
        seen = self._seen._replace(looking=looking)
        self._screen.draw(live_lines(seen, self._root, width, height, colour=self._colour))

    def _end(self, number: int) -> t.NoReturn:
        if self._look is not None:
            self._look.child.end()
        os._exit(EXIT_OK if number == signal.SIGINT else 128 + number)


def watch(options: argparse.Namespace, look: t.Callable[[], Report]) -> int:
    """Show a look again and again until Ctrl-C or q, and return the exit code, 0.

    Args:
        options: ``root``, ``json``, and ``watch``, seconds from the end of a look to the next.
        look: makes one.

    Raises:
        RollcallError: ``wrong_use``: there is no terminal, or it is too often; or as the first look raises it.
    """
    from ..state.known_secrets import without_secrets

    if options.json or not sys.stdout.isatty():
        raise RollcallError(
            "--watch shows the stack in place on a terminal, and "
            + ("--json is for a program." if options.json else "standard output is none here.")
            + " A program takes status --json, or watch --json; over SSH, ssh -t gives you a terminal.",
            kind="wrong_use",
            remedies=[cures.STATUS],
        )
    if not 0.1 <= options.watch <= 3600:
        raise RollcallError("--watch takes seconds, from 0.1 to 3600.", kind="wrong_use")

    def answer() -> Answer:
        try:
            return {"report": without_secrets(look(), options.root)}
        except RollcallError as exc:
            return {"error": without_secrets(exc.as_dict(), options.root)}

    # What is wrong with the question is told as it always is.
    return Live(answer, options.root, options.watch).run({"report": without_secrets(look(), options.root)})
