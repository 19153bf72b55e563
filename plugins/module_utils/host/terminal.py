# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Give a program of another user a terminal of its own, and pass on what is typed and shown.

Who has a terminal as its controlling one can put words into its input (ioctl_tty(2), TIOCSTI). So a program of another
user must not have root's: root's shell would read and run them afterwards.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import termios
import tty
import typing as t

_READ = 65_536
_STANDARD = (0, 1, 2)
# What is typed for these signals, when they come to this process instead of from the keyboard.
_TYPED = {signal.SIGINT: b"\x03", signal.SIGQUIT: b"\x1c"}
_PASSED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def on_own_terminal(become: t.Callable[[], t.NoReturn], uid: int) -> int:
    """Have a child become a program on a terminal of its own, and return its exit code: 128 + N for signal N.

    Of its input, output and error output only those that are a terminal are replaced.

    Args:
        become: executes the program; what it raises is raised in the child.
        uid: whose the terminal is to be.
    """
    master, slave = os.openpty()
    os.fchown(slave, uid, -1)
    shown = next((number for number in (1, 2, 0) if os.isatty(number)), None)
    if shown is not None:
        _copy_size(shown, slave)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for number in _STANDARD:
            if os.isatty(number):
                os.dup2(slave, number)
        become()
    # The other end stays open here: so nothing is read from it that looks like its end while the child lives.
    return _Relay(pid, master, shown).run()


class _Relay:
    """What passes on between the terminal of this process and that of a child.

    Args:
        pid: of the child, which leads a session.
        master: the other end of its terminal.
        shown: where its output goes; None for nowhere.
    """

    def __init__(self, pid: int, master: int, shown: t.Optional[int]) -> None:
        self._pid = pid
        self._master = master
        self._shown = shown
        # Who is in the background may neither read from its terminal nor change it.
        self._typed = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
        self._pending = b""
        self._closed = False
        self._code: t.Optional[int] = None
        self._woken, self._waking = os.pipe()

    def run(self) -> int:
        """Pass on until the child has ended, and return its exit code."""
        before = termios.tcgetattr(0) if self._typed else None
        for end in (self._woken, self._waking, self._master):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._waking, warn_on_full_buffer=False)
        for number in (*_TYPED, *_PASSED, signal.SIGWINCH, signal.SIGCHLD):
            if number == signal.SIGCHLD or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda _number, _frame: None)
        try:
            if self._typed:
                tty.setraw(0, termios.TCSADRAIN)
            # It may have ended before its end was listened for.
            self._heed(signal.SIGCHLD)
            while self._code is None:
                self._pass_on()
            while not self._closed and select.select([self._master], [], [], 0)[0]:
                self._show()
        finally:
            if before is not None:
                termios.tcsetattr(0, termios.TCSADRAIN, before)
        return self._code if self._code >= 0 else 128 - self._code

    def _pass_on(self) -> None:
        reads = [self._woken, *([] if self._closed else [self._master])]
        if self._typed and not self._pending:
            reads.append(0)
        ready, writable, _unused = select.select(reads, [self._master] if self._pending else [], [])
        if self._woken in ready:
            for number in os.read(self._woken, _READ):
                self._heed(number)
        if self._master in ready:
            self._show()
        if 0 in ready:
            self._pending = _read(0)
            # Without a word: the terminal has gone.
            self._typed = bool(self._pending)
        if writable:
            self._pending = self._pending[os.write(self._master, self._pending) :]

    def _heed(self, number: int) -> None:
        """Do what a signal that has come to this process asks for."""
        if number == signal.SIGCHLD:
            ended, status = os.waitpid(self._pid, os.WNOHANG)
            if ended:
                self._code = os.waitstatus_to_exitcode(status)
        elif number == signal.SIGWINCH and self._shown is not None:
            _copy_size(self._shown, self._master)
        elif number in _TYPED:
            self._pending += _TYPED[signal.Signals(number)]
        elif number in _PASSED and self._code is None:
            # Not waited for yet, so its group cannot be another's.
            os.killpg(self._pid, number)

    def _show(self) -> None:
        """Show what the child has written."""
        said = _read(self._master)
        self._closed = not said
        while said and self._shown is not None:
            try:
                said = said[os.write(self._shown, said) :]
            except OSError:
                # The terminal has gone; the child is told so by a signal.
                self._shown = None


def _read(descriptor: int) -> bytes:
    """Return what there is to read from a terminal; nothing when the other end has gone (EIO)."""
    try:
        return os.read(descriptor, _READ)
    except OSError:
        return b""


def _copy_size(source: int, target: int) -> None:
    """Give a terminal the size of another one (ioctl_tty(2), TIOCGWINSZ)."""
    size = fcntl.ioctl(source, termios.TIOCGWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    fcntl.ioctl(target, termios.TIOCSWINSZ, size)
