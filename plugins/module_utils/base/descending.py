# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Goes down to a path directory by directory, so that nobody can lead root elsewhere by a link.

A link is followed where nobody else can have put it. Any other user than root has no rights to lose, and just opens.
"""

from __future__ import annotations

import errno
import os
import stat
import typing as t

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# The kernel gives up on a path that leads through more links (path_resolution(7)).
MOST_LINKS = 40


def open_directory(path: str) -> int:
    """Return a descriptor of a directory.

    Raises:
        OSError: as the kernel says it; ``ELOOP`` when a link that others can turn is on the way.
    """
    if os.geteuid() != 0:
        return os.open(path, DIRECTORY)
    return _down(os.path.abspath(path).split("/"))


def open_parent(path: str) -> t.Tuple[int, str]:
    """Return a descriptor of the directory that a path is in, and the path's last part; errors as `open_directory`."""
    above, name = os.path.split(os.path.abspath(path))
    return open_directory(above), name


def _down(parts: t.Sequence[str]) -> int:
    waiting, links = list(reversed(parts)), 0
    here = os.open("/", DIRECTORY)
    try:
        while waiting:
            part = waiting.pop()
            if part in ("", "."):
                continue
            target = _link_in(here, part)
            if not target:
                below = os.open(part, DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            else:
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), part)
                waiting += reversed(target.split("/"))
                below = os.open("/" if target.startswith("/") else ".", DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here


def _link_in(directory: int, name: str) -> str:
    """Return where a link leads that is in an open directory; '' when it is none.

    Raises:
        OSError: ``ELOOP``: others can have put it there.
    """
    seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISLNK(seen.st_mode):
        return ""
    above = os.fstat(directory)
    closed = not above.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or above.st_mode & stat.S_ISVTX
    if not (above.st_uid == 0 and seen.st_uid == 0 and closed):
        raise OSError(errno.ELOOP, "a link that others can turn is in the way", name)
    return os.readlink(name, dir_fd=directory)
