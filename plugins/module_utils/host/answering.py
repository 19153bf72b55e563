# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Whether the file systems of a stack's own paths answer: one whose server has gone keeps whoever asks it for ever."""

from __future__ import annotations

import errno
import os
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from .apart import ANSWER, answers_in_time
from .mounts import Mount, may_hang, mount_of, mounts, served
from .roots import MOST_LINKS


def served_mount(path: str, mounted: t.Optional[t.Sequence[Mount]] = None) -> t.Optional[str]:
    """Return where the first file system is mounted, on the way to an absolute path, that somebody must serve.

    Links are followed, and none of these file systems is asked. None when there is none on the way.
    """
    known = mounts() if mounted is None else mounted
    if not served(known):
        # Wherever the links lead, it is to none.
        return None
    here, ahead, links = "/", _parts(path), 0
    while ahead:
        name = ahead.pop(0)
        step = os.path.normpath(os.path.join(here, name))
        if may_hang(step, known):
            return mount_of(step, known).point
        try:
            leads = os.readlink(step)
        except OSError as exc:
            if exc.errno not in (errno.EINVAL, errno.ENOENT):
                return None
            here = step
            continue
        links += 1
        if links > MOST_LINKS:
            return None
        ahead[:0] = _parts(leads)
        here = "/" if os.path.isabs(leads) else here
    return None


def silent_mount(path: str, seconds: float = ANSWER, mounted: t.Optional[t.Sequence[Mount]] = None) -> t.Optional[str]:
    """Return where the file system is mounted that does not answer when a path is looked at; None when all do.

    Args:
        path: absolute.
        seconds: in which it must answer.
        mounted: from `mounts`, for somebody who asks for many paths; None has it read.
    """
    place = served_mount(path, mounted)
    return None if place is None or answers_in_time(path, place, seconds) else place


def require(paths: t.Iterable[str], mounted: t.Optional[t.Sequence[Mount]] = None) -> None:
    """Check that paths of the stack can be looked at.

    Args:
        paths: absolute.
        mounted: from `mounts`, for somebody who asks for many stacks; None has it read.

    Raises:
        RollcallError: ``refused``: one is on a file system that does not answer. Nothing was touched.
    """
    known = mounts() if mounted is None else mounted
    for path in paths:
        place = silent_mount(path, mounted=known)
        if place is not None:
            raise RollcallError(
                f"{path} does not answer within {ANSWER:g} s: it is on the file system at {place}, whose server does "
                "not answer. Nothing was stopped or changed.",
                kind="refused",
                evidence={"path": path, "mount": place},
                remedies=[cures.unmount_hung(place), cures.AGAIN],
            )


def _parts(path: str) -> t.List[str]:
    return [part for part in path.split("/") if part]
