# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where the releases of a stack are, and the links by which services name the current one."""

from __future__ import annotations

import os

from .model import Paths

# The name of the symbolic link in a generation that points to its release.
RELEASE = "release"


def current_release(root: str) -> str:
    """Return the path by which services name the current release; it stays the same from release to release."""
    return os.path.join(root, "current")


def release_link(paths: Paths) -> str:
    """Return the target of the symbolic link :func:`current_release`: a link in the current generation."""
    return os.path.join(os.path.basename(paths.etc), RELEASE)


def release_directory(root: str, release: str) -> str:
    """Return the directory of one release."""
    return os.path.join(root, "releases", release)
