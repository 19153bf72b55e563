# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The secrets that a stack has been given, which are told to nobody.

They stand in the private files of the generations that are kept, in the files that were delivered to it, and in what is
kept of such files for the way back.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ..base.clock import SYSTEM, Clock
from ..base.files import json_object
from ..base.masking import masked, secrets_in
from ..base.opening import Judge, OpenDirectory
from ..host.accounts import readable_by
from ..host.answering import silent_mount
from ..manifest.model import Paths
from .generations import generations_directory, in_place, load_whereabouts

# Bytes of one private file: some variables of 128 KiB each.
MOST = 8 << 20
# Bytes of a delivered file: of a larger one, nobody would find a line in a log.
MOST_DELIVERED = 64 << 10

# Seconds after which secrets are read anew that come without a generation.
FRESH = 2.0

_T = t.TypeVar("_T")


def known_secrets(root: str) -> t.List[str]:
    """Return all secrets of the stack at ``root``, as far as this user may read them."""
    files: t.Set[bytes] = set()
    directory = generations_directory(root)
    for generation in _names(directory):
        files.update(_contents(os.path.join(directory, generation, "env"), MOST))
    # Most of them are the same in all generations.
    values = {str(value) for text in files for value in json_object(text.decode("utf-8", "replace")).values()}
    return [*values, *_delivered(root)]


def _delivered(root: str) -> t.Set[str]:
    """Return what is secret in the files that were delivered, and in those that were there before."""
    state, user = load_whereabouts(root)
    contents = set(_contents(os.path.join(state, "undo", "files"), MOST_DELIVERED))
    # The state is root's, or of whoever runs Rollcall: what is listed there is a path below the root.
    listed = {os.fsdecode(path) for path in _contents(os.path.join(state, "delivered"), MOST_DELIVERED)}
    for directory in sorted({os.path.join(root, os.path.dirname(path)) for path in listed}):
        names = {os.path.basename(path) for path in listed if os.path.dirname(os.path.join(root, path)) == directory}
        if silent_mount(directory) is None:
            contents.update(_contents(directory, MOST_DELIVERED, names - {""}, readable_by(user)))
    # One that is not text is nothing that stands in a log.
    texts = (content.decode("utf-8", "replace") for content in contents)
    return {secret for text in texts if "\0" not in text for secret in secrets_in(text)}


def _contents(
    directory: str, most: int, names: t.Optional[t.Collection[str]] = None, judge: t.Optional[Judge] = None
) -> t.Iterator[bytes]:
    """Yield what the files of a directory hold, those that can be read.

    Args:
        directory: its path.
        most: bytes of a file that is read.
        names: which files; None for all.
        judge: as for `OpenDirectory`.
    """
    with contextlib.suppress(OSError), OpenDirectory(directory, judge) as place:
        for name in place.names() if names is None else sorted(names):
            with contextlib.suppress(OSError):
                yield place.read(name, most)


class FreshSecrets:
    """The secrets of a stack, for whoever tells of it for a long time: services may get others meanwhile.

    Args:
        paths: of the stack.
        root: of it.
        clock: where the time comes from.
    """

    def __init__(self, paths: Paths, root: str, *, clock: Clock = SYSTEM) -> None:
        self._paths = paths
        self._root = root
        self._clock = clock
        self._read(in_place(paths))

    def _read(self, generation: str) -> None:
        self._at, self._generation = self._clock.monotonic(), generation
        self._known = known_secrets(self._root)

    def now(self) -> t.List[str]:
        """Return all secrets of the stack, read anew where another generation is in place, and every few seconds."""
        # It is in place before a service is started with what it has.
        generation = in_place(self._paths)
        if generation != self._generation or self._clock.monotonic() - self._at > FRESH:
            self._read(generation)
        return self._known


def without_secrets(data: _T, root: t.Optional[str], *given: t.Any) -> _T:
    """Return what is to be told of the stack at ``root`` without its secrets, and without others that are given."""
    return masked(data, [*given, known_secrets(root) if root is not None else ()])


def _names(directory: str) -> t.List[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
