# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Goes down to a path directory by directory, so that nobody can lead root elsewhere by a link.

A link is followed where nobody else can have put it. Any other user than root has no rights to lose, and just opens.
"""

from __future__ import annotations

import os
import typing as t

from .opening import open_directory

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def open_parent(path: str) -> t.Tuple[int, str]:
    """Return a descriptor of the directory that a path is in, and the path's last part; errors as `open_directory`."""
    above, name = os.path.split(os.path.abspath(path))
    return open_directory(above), name
