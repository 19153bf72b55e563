# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""SHA-256, as short texts by which two contents are told apart.

``hashlib`` loads OpenSSL, and that takes longer than all digests of a run together: Python has its own besides.
"""

from __future__ import annotations

import functools
import typing as t
from importlib import import_module


def sha256() -> t.Any:
    """Return a new digest, of nothing yet, as ``hashlib.sha256`` does."""
    return _maker()()


def hex_of(data: bytes, digits: int) -> str:
    """Return the first hex digits of the digest of some bytes."""
    return str(_maker()(data).hexdigest()[:digits])


@functools.cache
def _maker() -> t.Callable[..., t.Any]:
    # As hashlib itself falls back to: since Python 3.12, and before. An interpreter may be built without either.
    for name in ("_sha2", "_sha256", "hashlib"):
        try:
            maker: t.Callable[..., t.Any] = import_module(name).sha256
        except (ImportError, AttributeError):
            continue
        return maker
    raise ImportError("this Python has no SHA-256")
