# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Which files of the release in place have changed since its generation was verified: a release is not to be edited.

Known by the time of the last change of each file (st_ctime of stat(2)), which nobody can set. What is written into a
release by the application itself is told, too: such files belong into a shared directory.
"""

from __future__ import annotations

import os
import typing as t

from ..manifest.model import Stack
from ..manifest.release_paths import release_directory
from ..state.generations import read_meta

# Files and directories that are looked at, at the most.
MOST = 20_000
# What Python writes beside a program when it runs.
_BYTE_CODE = "__pycache__"


def edited_files(stack: Stack) -> t.List[str]:
    """Return the files of the release, below it, that have changed since then; nothing without a verified release."""
    verified = read_meta(stack.paths, stack.root).get("verified_at")
    if stack.release is None or verified is None:
        return []
    top = release_directory(stack.root, stack.release)
    found, left = [], MOST
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name != _BYTE_CODE]
        for name in files:
            path = os.path.join(folder, name)
            if left > 0 and _changed_at(path) > verified:
                found.append(os.path.relpath(path, top))
            left -= 1
    return sorted(found)


def _changed_at(path: str) -> float:
    try:
        return os.lstat(path).st_ctime
    except OSError:
        # It has gone since it was listed.
        return 0.0
