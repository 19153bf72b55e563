# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A terminal's second screen, on which something is shown in place; the first comes back however this ends.

The sequences are those of xterm, which all terminals in use know (ctlseqs, DEC private modes 7, 25 and 1049).
"""

from __future__ import annotations

import os
import select
import signal
import termios
import types
import typing as t

# The second screen, no cursor, and lines that are too long end at the edge.
_ENTER = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_LEAVE = b"\x1b[?7h\x1b[?25h\x1b[?1049l"
# What tells a terminal to show all that follows at once, where it knows that; the place of the first line.
_BEGIN, _HOME = b"\x1b[?2026h", b"\x1b[H"
_END = b"\x1b[J\x1b[?2026l"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_SMALLEST = (20, 5)


class Screen:
    """A terminal, as long as something is shown on its second screen.

    Args:
        output: the descriptor of the terminal.
        ends: called for each signal that ends this, with its number, after the first screen is back.
        redraws: called when the terminal has another size, and after this was suspended.
    """

    def __init__(self, output: int, ends: t.Callable[[int], t.NoReturn], redraws: t.Callable[[], None]) -> None:
        self._output = output
        self._ends = ends
        self._redraws = redraws
        self._before: t.Optional[t.List[t.Any]] = None
        self._handlers: t.Dict[int, t.Any] = {}
        self._shown = False
        self._drawing = False
        self._late = False
        self._own = os.getpid()
        self._woken, self._waking = os.pipe()

    def __enter__(self) -> Screen:
        for end in (self._woken, self._waking):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._waking, warn_on_full_buffer=False)
        for number in (*_ENDING, signal.SIGTSTP, signal.SIGWINCH):
            # Who has a signal ignored, as nohup does, means it.
            if signal.getsignal(number) is not signal.SIG_IGN or number == signal.SIGWINCH:
                self._handlers[number] = signal.signal(number, self._heed)
        self._show()
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        self._hide()
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for end in (self._woken, self._waking):
            os.close(end)

    def size(self) -> t.Tuple[int, int]:
        """Return the columns and lines of the terminal."""
        try:
            columns, lines = os.get_terminal_size(self._output)
        except OSError:
            columns, lines = 0, 0
        # Some tell nothing.
        return max(columns or 80, _SMALLEST[0]), max(lines or 24, _SMALLEST[1])

    def draw(self, lines: t.Sequence[str]) -> None:
        """Show lines from the top, in place of what was there: each is written over the one before it."""
        self._drawing = True
        text = "\x1b[K\r\n".join(lines).encode("utf-8", "replace") + b"\x1b[K"
        _write(self._output, _BEGIN + _HOME + text + _END)
        self._drawing = False
        if self._late:
            self._late = False
            self._redraws()

    def wait(self, seconds: float, *others: int) -> t.Tuple[t.List[int], str]:
        """Wait for a signal, for something that is typed, or for one of some descriptors.

        Args:
            seconds: for how long at most.
            others: the descriptors.

        Returns:
            Those of them that can be read, and what was typed.
        """
        # Who was moved to the background may not read (tcsetpgrp(3)): it would be stopped.
        typed = [0] if os.isatty(0) and _is_in_front() else []
        ready = select.select([self._woken, *others, *typed], [], [], seconds)[0]
        if self._woken in ready:
            os.read(self._woken, 64)
        words = os.read(0, 64).decode("utf-8", "replace") if 0 in ready and typed else ""
        return [one for one in ready if one in others], words

    def _show(self) -> None:
        if os.isatty(0) and _is_in_front():
            self._before = termios.tcgetattr(0)
            quiet = termios.tcgetattr(0)
            # What is typed is not shown, and not kept back until the end of a line.
            quiet[3] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(0, termios.TCSADRAIN, quiet)
        self._shown = True
        _write(self._output, _ENTER)

    def _hide(self) -> None:
        if not self._shown:
            return
        self._shown = False
        _write(self._output, _LEAVE)
        if self._before is not None and _is_in_front():
            termios.tcsetattr(0, termios.TCSANOW, self._before)

    def _heed(self, number: int, _frame: t.Optional[types.FrameType]) -> None:
        if os.getpid() != self._own:
            # A child that was forked a moment ago.
            os._exit(128 + number)
        if number == signal.SIGWINCH:
            self._redraw()
        elif number == signal.SIGTSTP:
            self._hide()
            os.kill(self._own, signal.SIGSTOP)
            self._show()
            self._redraw()
        else:
            self._hide()
            self._ends(number)

    def _redraw(self) -> None:
        # A signal comes anywhere, also within a drawing.
        if self._drawing:
            self._late = True
        else:
            self._redraws()


def _is_in_front() -> bool:
    """Return whether this process is in the foreground of its terminal."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _write(output: int, text: bytes) -> None:
    while text:
        try:
            text = text[os.write(output, text) :]
        except OSError:
            # The terminal has gone, and the signal that says so is on its way.
            return
