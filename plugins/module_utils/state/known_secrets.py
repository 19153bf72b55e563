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
from ..base.masking import masked
from ..base.opening import OpenDirectory
from .generations import generations_directory

# Bytes of one private file: some variables of 128 KiB each.
MOST = 8 << 20

_T = t.TypeVar("_T")


def known_secrets(root: str) -> t.List[str]:
    """Return the values of all private files of the stack at ``root``, as far as this user may read them."""
    files: t.Set[bytes] = set()
    directory = generations_directory(root)
    for generation in _names(directory):
        with contextlib.suppress(OSError), OpenDirectory(os.path.join(directory, generation, "env")) as place:
            for name in place.names():
                with contextlib.suppress(OSError):
                    files.add(place.read(name, MOST))
    # Most of them are the same in all generations.
    return list({str(value) for text in files for value in json_object(text.decode("utf-8", "replace")).values()})


def without_secrets(data: _T, root: t.Optional[str], *given: t.Any) -> _T:
    """Return what is to be told of the stack at ``root`` without its secrets, and without others that are given."""
    return masked(data, [*given, known_secrets(root) if root is not None else ()])


def _names(directory: str) -> t.List[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
