# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The file of a page: it is read, and replaced as a whole. What somebody else has written stays."""

from __future__ import annotations

import os
import stat

from ..base import cures
from ..base.errors import RollcallError
from ..base.files import need_directory, read_text_record, replace_file
from ..base.opening import open_followed
from .memory import is_ours

# Of a new file. Log lines are in it, and those are not for everybody: a file that is there keeps its own mode.
MODE = 0o640


def old_page(path: str) -> str:
    """Return the page that is in a file; empty where there is none.

    Raises:
        RollcallError: ``wrong_use``: its directory is not there.
        RollcallError: ``refused``: something else is in the file.
        RollcallError: it cannot be read.
    """
    need_directory(path)
    text = read_text_record(path, str, "", "What is", opened=open_followed)
    if text and not is_ours(text):
        raise RollcallError(
            f"{path} is no page of Rollcall, so it is left alone.",
            kind="refused",
            evidence={"path": path},
            remedies=[cures.move_away(path), cures.AGAIN],
        )
    return text


def write_page(path: str, text: str) -> None:
    """Replace the page in a file; whoever reads it has all of the old or all of the new one.

    Raises:
        RollcallError: it cannot be written.
    """
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        mode = MODE
    replace_file(path, text, mode, cures.AGAIN)
