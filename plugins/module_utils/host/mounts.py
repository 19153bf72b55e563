# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where file systems are mounted, without asking any of them."""

from __future__ import annotations

import os
import re


def mount_point(path: str) -> str:
    """Return where the file system is mounted on which an absolute path is, by its name alone (proc(5), mountinfo).

    Links are not followed: that would ask the file system. It is ``/`` where there is no such list.
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
            rows = [line.split(" ") for line in stream]
    except FileNotFoundError:
        return "/"
    wanted = os.path.normpath(path)
    points = [re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), row[4]) for row in rows if len(row) > 4]
    return max((point for point in points if _is_below(wanted, point)), key=len, default="/")


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")
