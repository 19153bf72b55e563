# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Directories that all releases of a stack have in common."""

from __future__ import annotations

import os
import shutil
import tempfile
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.removing import remove
from ..host.accounts import Account, acting_as
from . import store


def share(root: str, who: Account, tree: str, name: str) -> bool:
    """Link a directory that all releases share into a release; return whether content in the release was left out.

    What the first release that has a directory of that name brings is its initial content.
    """
    shared = os.path.join(root, "shared", name)
    brought = os.path.join(tree, name)
    with acting_as(who):
        brings = os.path.isdir(brought) and not os.path.islink(brought)
        if os.path.lexists(brought) and not brings:
            raise RollcallError(
                f"The release has {name}, which is not a directory, and is to have the shared directory there.",
                kind="wrong_use",
                remedies=[cures.then(f"take '{name}' out of `shared`, or out of the release with `exclude`")],
            )
    fresh = not os.path.isdir(shared)
    if fresh:
        _make_shared(root, who, name, brought if brings else None)
    with acting_as(who):
        if brings:
            remove(brought)
        os.makedirs(os.path.dirname(brought), exist_ok=True)
        os.symlink(shared, brought)
    return brings and not fresh


def _make_shared(root: str, who: Account, name: str, content: t.Optional[str]) -> None:
    """Make a shared directory with its content, whole or not at all."""
    top = os.path.join(root, "shared")
    above = top
    store.ensure_own_directory(top)
    for part in os.path.dirname(name).split("/"):
        if part:
            above = os.path.join(above, part)
            store.ensure_own_directory(above)
    fresh = tempfile.mkdtemp(prefix=store.MAKING, dir=top)
    try:
        os.chown(fresh, who.uid, who.gid)
        with acting_as(who):
            if content is not None:
                shutil.copytree(content, fresh, symlinks=True, dirs_exist_ok=True)
            os.chmod(fresh, 0o750)
        os.rename(fresh, os.path.join(top, name))
    except BaseException:
        remove(fresh)
        raise
