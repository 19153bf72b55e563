# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Why nothing answered, and what others said, in words that are safe to show."""

from __future__ import annotations

import typing as t

from ..base.clock import Deadline
from ..base.text import one_line
from ..base.wire import Line


def failure(exc: t.Union[OSError, UnicodeError], host: str, line: t.Optional[Line], deadline: Deadline) -> str:
    """Return in words why a host gave no answer.

    Args:
        exc: what connecting to it, or the line to it, raised.
        host: the host.
        line: to it; None while it was not connected.
        deadline: of the question.
    """
    if isinstance(exc, UnicodeError):
        return f"{host!r} is no host name"
    if isinstance(exc, TimeoutError):
        return _overdue(line, deadline)
    if isinstance(exc, ConnectionRefusedError):
        return "connection refused"
    if isinstance(exc, (ConnectionResetError, BrokenPipeError)):
        return "connection reset"
    return f"{exc.strerror or exc}"


def _overdue(line: t.Optional[Line], deadline: Deadline) -> str:
    if line is None:
        return f"no connection within {deadline.seconds:g} s"
    if not line.received:
        return f"no answer within {deadline.seconds:g} s"
    return f"an unfinished answer of {line.received} bytes after {deadline.seconds:g} s"


def quoted(text: t.Union[str, bytes]) -> str:
    """Return at most 80 characters of foreign text in double quotes, on one line."""
    return f'"{one_line(text, 80)}"'
