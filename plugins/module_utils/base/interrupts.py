# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What Ctrl-C does to the command: it ends it at once, with one line.

Python raises an exception wherever it is at that moment, also while it imports or within what swallows exceptions.
Every writer here replaces files as a whole, and the kernel gives locks back, so the process can end anywhere.
"""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

# What a shell has as the exit code of a command that SIGINT has ended: 128 and its number.
INTERRUPTED = 128 + signal.SIGINT
_SAID = b"rollcall: interrupted\n"


def end_when_interrupted() -> None:
    """Have SIGINT end this process from now on, unless whoever started it has it ignored.

    The command of the shell has it ignored as well while Python starts. Who does that on purpose, as a shell for what
    runs in the background, does it for SIGQUIT too (POSIX, Shell Command Language, 2.11).
    """
    heeded = signal.getsignal(signal.SIGINT)
    if heeded is signal.SIG_IGN and signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        return
    if heeded not in (signal.SIG_IGN, signal.default_int_handler):
        return
    own = os.getpid()

    def end(_number: int, _frame: t.Any) -> None:
        # A child has its parent's terminal, and so is interrupted as well.
        if os.getpid() == own:
            with contextlib.suppress(OSError):
                os.write(2, _SAID)
        os._exit(INTERRUPTED)

    end.ends = True  # type: ignore[attr-defined]
    signal.signal(signal.SIGINT, end)


@contextlib.contextmanager
def interrupts_raised() -> t.Iterator[None]:
    """Have SIGINT raise KeyboardInterrupt within, for who has more to say."""
    before = signal.getsignal(signal.SIGINT)
    if not getattr(before, "ends", False):
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
