# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""What the first process of a container has to do: it reaps all that has no parent any more, and passes signals on.

The kernel gives it every orphan (wait(2)), and ignores each signal for which it has no handler (pid_namespaces(7)). A
process that also does other work would take the exit codes of its own children from itself, so a child does that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

_PASSED = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH),
)


def as_first_process(work: t.Callable[[], int]) -> int:
    """Do work in a child while this process does what the first one of a container has to; return the exit code.

    Args:
        work: returns the exit code; it has no handlers of signals yet.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED)
    pid = os.fork()
    if pid == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED)
        code = 1
        try:
            code = work()
        finally:
            os._exit(code)

    def pass_on(number: int, _frame: t.Any) -> None:
        # Nobody but this process reaps it, so its pid cannot be another's.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    for number in _PASSED:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED)
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
