# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""A deadline for the answer of a host.

A task with Ansible's own ``timeout`` fails, whatever ``failed_when`` says, and takes the host out of the play. Where no
answer is an answer as well, the action has to end its waiting by itself.
"""

from __future__ import annotations

import contextlib
import signal
import typing as t

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase

# What an action that waits so has in its argument spec.
OPTIONS: t.Mapping[str, t.Any] = {"patience": {"type": "float", "default": 0}}


# When the time is over, what is under way is ended once more each so many seconds, until it has ended: what cleans up
# after it may ask the same silent host, and what is raised in a destructor Python only prints.
AGAIN = 1.0


class NoAnswer(BaseException):
    """A host has not answered in time. Connection plugins try again after any `Exception`; this is none."""


@contextlib.contextmanager
def within(seconds: float, connection: t.Optional[ConnectionBase] = None) -> t.Iterator[None]:
    """Give what is done inside so many seconds; 0 for any time. In the main thread of a worker only (signal(7)).

    Args:
        seconds: it.
        connection: to the host that is asked.

    Raises:
        NoAnswer: the time is over.
    """
    is_waiting = True

    def end(_number: int, _frame: t.Any) -> None:
        if is_waiting:
            raise NoAnswer(f"it has not answered within {seconds:g} seconds")

    if not seconds:
        yield
        return
    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    except NoAnswer:
        if connection is not None:
            # Ansible has each host remove its files when the action has ended, and would wait for this one for ever.
            connection._shell.tmpdir = None
        raise
    finally:
        is_waiting = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
