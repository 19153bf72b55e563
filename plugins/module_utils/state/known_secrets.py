# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The secrets that a stack has been given: all that stands in the private files of the generations that are kept."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ..base.files import json_object
from ..base.opening import OpenDirectory
from .generations import generations_directory

# Bytes of one private file: some variables of 128 KiB each.
MOST = 8 << 20


def known_secrets(root: str) -> t.List[str]:
    """Return the values of all private files of the stack at ``root``, as far as this user may read them."""
    found: t.Dict[str, None] = {}
    directory = generations_directory(root)
    for generation in _names(directory):
        with contextlib.suppress(OSError), OpenDirectory(os.path.join(directory, generation, "env")) as place:
            for name in place.names():
                with contextlib.suppress(OSError, UnicodeDecodeError):
                    found.update(dict.fromkeys(map(str, json_object(place.read(name, MOST).decode("utf-8")).values())))
    return list(found)


def _names(directory: str) -> t.List[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
