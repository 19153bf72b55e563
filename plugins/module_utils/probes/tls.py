# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""TLS of a probe: how it is spoken, and in words why it is not."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ..base.opening import Judge, open_followed
from ..base.text import one_line
from ..base.wire import Line
from .answers import NoAnswer

if t.TYPE_CHECKING:
    import ssl


def context(
    verify: bool = True,
    names: bool = True,
    root: str = "",
    certificate: str = "",
    key: str = "",
    *,
    judge: t.Optional[Judge] = None,
) -> ssl.SSLContext:
    """Return how TLS is spoken.

    Args:
        verify: whether the server's certificate must be good.
        names: whether it must have the host's name.
        root: file of the authorities it is checked by; empty for the host's.
        certificate: file of our own certificate; empty for none.
        key: file of its key; empty when it is in the same file.
        judge: whether a file is for the application.

    Raises:
        NoAnswer: one of the files cannot be read.
    """
    import ssl

    try:
        with contextlib.ExitStack() as opened:
            cafile = _opened(root, judge, opened) if verify and root else None
            made = ssl.create_default_context(cafile=cafile)
            made.check_hostname = verify and names
            made.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
            if certificate:
                own = _opened(key, judge, opened) if key else None
                made.load_cert_chain(_opened(certificate, judge, opened), own, password="")
    except (OSError, ValueError) as exc:
        raise NoAnswer(f"the files for TLS cannot be read: {exc}") from exc
    return made


def _opened(path: str, judge: t.Optional[Judge], opened: contextlib.ExitStack) -> str:
    """Return a path of a file that is open, so that what is read is what was judged."""
    descriptor = open_followed(path, judge)
    opened.callback(os.close, descriptor)
    # proc(5); also on macOS, where it has no /proc.
    return f"/dev/fd/{descriptor}"


def secure(line: Line, made: ssl.SSLContext, host: str) -> None:
    """Go on in TLS with ``host``.

    Raises:
        NoAnswer: the host does not speak it, or its certificate is not trusted.
        TimeoutError: at the line's deadline.
        OSError: the connection failed.
    """
    import ssl

    try:
        line.secure(made, host)
    except ssl.SSLCertVerificationError as exc:
        raise NoAnswer(f"its certificate is not trusted: {one_line(exc.verify_message, 200)}") from exc
    except ssl.SSLError as exc:
        raise NoAnswer(f"TLS came to nothing: {one_line(exc.reason or str(exc), 200)}") from exc
