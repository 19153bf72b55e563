# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The files that ``[include]`` of a config names, for its import: whoever wrote the config has chosen them."""

from __future__ import annotations

import glob
import itertools
import os
import typing as t

from ..base.clock import Deadline
from ..base.errors import RollcallError
from ..base.opening import Judge, NotPlain, open_followed
from ..base.text import one_line
from ..host.apart import TooLong, apart
from ..importing.supervisord_conf import Unread
from ..manifest import corrections
from ..manifest.file import SIZE_LIMIT

# Files of all patterns together, and seconds for all of them. A host's own config includes some dozens.
MOST_FILES = 200
SECONDS = 10.0
# Characters of a pattern: Python takes quadratic time for one, and no path is longer (limits.h, PATH_MAX).
_LONGEST = 4096


class IncludedFiles:
    """Reads them within one limit of files, of characters and of time.

    Args:
        here: the directory of the config, at which a relative pattern begins.
        judge: whether a file is for whoever wrote the config: root is not led by others to what they may not read.
        root: the directory that is ``/`` of the host that the config comes from; None: this host's.

    Attributes:
        here: the directory of the config as that host has it, if it is below the root.
    """

    def __init__(self, here: str, judge: t.Optional[Judge], root: t.Optional[str] = None) -> None:
        self._root = os.path.abspath(root).rstrip("/") if root else ""
        self._inside = here == self._root or here.startswith(f"{self._root}/")
        self.here = here[len(self._root) :] or "/" if self._inside else here
        self._judge = judge
        self._files = MOST_FILES
        self._characters = SIZE_LIMIT
        self._deadline = Deadline(SECONDS)

    def read(self, pattern: str) -> t.List[t.Tuple[str, t.Union[str, Unread]]]:
        """Return path and text of each file that a pattern finds, in order, or why it is not read.

        Raises:
            RollcallError: ``wrong_use``: these are too many or too much, take too long, or one cannot be read.
        """
        if len(pattern) > _LONGEST or "\0" in pattern:
            return []
        shown = f"[include] names {one_line(pattern)}"
        try:
            # In a child: neither a search through all of a file system nor a file that hangs can be broken off.
            found = apart(lambda: self._found(self._on_this_host(pattern)), self._deadline.remaining())
        except TooLong:
            raise _refused(f"{shown}, and to read what it finds takes more than {SECONDS:g} s") from None
        self._files -= len(found)
        self._characters -= sum(len(text) for _path, text, _why in found)
        if self._files < 0:
            raise _refused(f"{shown}, and with it more than {MOST_FILES} files")
        if self._characters < 0:
            raise _refused(f"{shown}, and with it more than {SIZE_LIMIT // 1024} KiB")
        return [(self._on_that_host(path), Unread(why) if why else text) for path, text, why in found]

    def _on_this_host(self, pattern: str) -> str:
        """Return where a pattern of the config is searched for: below the root, unless it begins beside the config."""
        path = os.path.join(self.here, pattern)
        outside = not self._inside and (path == self.here or path.startswith(f"{self.here}/"))
        return path if outside else f"{glob.escape(self._root)}{path}"

    def _on_that_host(self, path: str) -> str:
        return path[len(self._root) :] if self._root and path.startswith(f"{self._root}/") else path

    def _found(self, pattern: str) -> t.List[t.Tuple[str, str, str]]:
        paths = list(itertools.islice(glob.iglob(pattern), self._files + 1))
        # Directories are left out, as supervisor does it; a pipe it would wait for.
        found: t.List[t.Tuple[str, str, str]] = []
        left = self._characters + 1
        for path in sorted(paths):
            if not os.path.isdir(path):
                text, why = self._text(path, left)
                left -= len(text)
                found.append((path, text, why))
        return found

    def _text(self, path: str, most: int) -> t.Tuple[str, str]:
        try:
            return text_of(path, most, self._judge)[0], ""
        except NotPlain as exc:
            return "", exc.words
        except (OSError, ValueError) as exc:
            raise RollcallError(f"{path} cannot be read: {exc}.", kind="wrong_use") from exc


def text_of(path: str, most: int, judge: t.Optional[Judge] = None) -> t.Tuple[str, os.stat_result]:
    """Return up to ``most`` characters of a file that is named by whoever calls, and what the kernel says of it.

    Raises:
        NotPlain: it is no regular file, or not for the judge.
        OSError: it cannot be opened.
        ValueError: it is not in UTF-8.
    """
    with os.fdopen(open_followed(path, judge), encoding="utf-8") as stream:
        return stream.read(most), os.fstat(stream.fileno())


def _refused(what: str) -> RollcallError:
    return RollcallError(f"{what}. Nothing was imported.", kind="wrong_use", remedies=[corrections.SMALLER])
