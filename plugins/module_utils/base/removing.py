# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Removes files and directories. The only place that does: tests/repo/test_removing.py finds every other one.

Three things never happen here. Nothing is removed across a mount, a bind mount of the same file system included: what
is in it is somebody else's. No link is followed: the link goes, and what it leads to stays. And nobody can lead it
elsewhere meanwhile: each directory is kept open, and what is in it is removed by its descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t

from . import cures
from .descending import open_parent
from .errors import RollcallError
from .opening import NotPlain

# So many directories within each other are kept open. What is deeper is moved up first, into the uppermost of them: a
# process may open few files, and no path of more than 4096 bytes.
DEEPEST = 100

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(path: str, *, missing_ok: bool = False) -> None:
    """Remove a file, a link, or a directory with all that is in it.

    Args:
        path: of it; it itself is not followed. Nor is, for root, a link above it that others can turn.
        missing_ok: whether it may be gone already.

    Raises:
        RollcallError: ``refused``: something is mounted in it. Nothing was removed, where that could be seen before.
        OSError: something in it cannot be removed; what was removed before stays so.
    """
    if os.path.isdir(path):
        require_unmounted(path)
    try:
        parent, name = open_parent(path)
    except FileNotFoundError:
        if missing_ok:
            return
        raise
    try:
        _remove_at(parent, name, path)
    except FileNotFoundError:
        if not missing_ok or _exists_at(parent, name):
            raise
    finally:
        os.close(parent)


def unlink_at(directory: int, name: str) -> None:
    """Remove an entry of an open directory, which is no directory itself; a link goes, and what it leads to stays.

    Raises:
        OSError: there is none, or it may not be removed.
    """
    os.unlink(name, dir_fd=directory)


def remove_empty(path: str) -> bool:
    """Remove a directory when nothing is in it; return whether it was removed.

    Raises:
        OSError: it is none, or may not be removed.
    """
    try:
        parent, name = open_parent(path)
    except (FileNotFoundError, NotPlain):
        # Of what is behind a link of others nothing was made here.
        return False
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as exc:
        # A mount point is busy.
        if exc.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOENT):
            return False
        raise
    finally:
        os.close(parent)
    return True


def require_unmounted(path: str) -> None:
    """Check that nothing is mounted at a path or below it.

    Raises:
        RollcallError: ``refused``: something is.
    """
    mounted = mounts_in(path)
    if mounted:
        raise _refusal(path, mounted)


def mounts_in(path: str) -> t.List[str]:
    """Return what is mounted at a path or below it, as this mount namespace shows it (proc(5), mountinfo)."""
    if os.path.islink(path):
        return []
    real = os.path.realpath(path)
    below = f"{real.rstrip('/')}/"
    return sorted({place for place in mount_points() if place == real or place.startswith(below)})


def mount_points() -> t.List[str]:
    """Return every mount point that can be seen; none where the system does not tell."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
            # White space and backslashes are written in octal.
            places = [line.split()[4] for line in stream]
    except FileNotFoundError:
        return []
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        places = [place.replace(code, character) for place in places]
    return places


class _Top:
    """The uppermost directory that is removed.

    Attributes:
        handle: its descriptor.
        moved: how many directories were moved up into it since it was listed.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.moved = 0


def _remove_at(parent: int, name: str, path: str, top: t.Optional[_Top] = None, depth: int = 0) -> None:
    """Remove one entry of an open directory.

    Args:
        parent: the open directory.
        name: of the entry.
        path: of the entry, for people.
        top: the uppermost directory; None when this is it.
        depth: how many directories above it are kept open.
    """
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        with _named(path):
            os.unlink(name, dir_fd=parent)
        return
    if top is not None and depth >= DEEPEST:
        with _named(path):
            os.rename(name, f".{os.urandom(8).hex()}", src_dir_fd=parent, dst_dir_fd=top.handle)
        top.moved += 1
        return
    handle = _open(parent, name)
    try:
        if _mount(handle) != _mount(parent):
            raise _refusal(path, [path])
        _empty(handle, path, top or _Top(handle), depth)
    finally:
        os.close(handle)
    with _named(path):
        os.rmdir(name, dir_fd=parent)


def _empty(handle: int, path: str, top: _Top, depth: int) -> None:
    """Remove what is in an open directory; in the uppermost one also what was moved up into it meanwhile."""
    while True:
        top.moved = 0 if depth == 0 else top.moved
        for inner in os.listdir(handle):
            _remove_at(handle, inner, os.path.join(path, inner), top, depth + 1)
        if depth or not top.moved:
            return


@contextlib.contextmanager
def _named(path: str) -> t.Iterator[None]:
    """Have an error name the whole path: the kernel was given the last part of it."""
    try:
        yield
    except OSError as exc:
        exc.filename = path
        raise


def _open(parent: int, name: str) -> int:
    """Open a directory to remove what is in it; its owner may have taken its own rights away, as some caches do."""
    try:
        handle = os.open(name, _DIRECTORY, dir_fd=parent)
    except PermissionError:
        handle = -1
    if os.geteuid() == 0 and handle >= 0:
        return handle
    if handle < 0 or os.fstat(handle).st_mode & 0o700 != 0o700:
        if handle >= 0:
            os.close(handle)
        held = os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", 0), dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{held}", 0o700)
        finally:
            os.close(held)
        handle = os.open(name, _DIRECTORY, dir_fd=parent)
    return handle


def _mount(handle: int) -> t.Tuple[int, bytes]:
    """Return what tells the mount of an open directory from every other: a bind mount may be of the same device."""
    device = os.fstat(handle).st_dev
    try:
        with open(f"/proc/self/fdinfo/{handle}", "rb") as stream:
            return device, next((line for line in stream if line.startswith(b"mnt_id:")), b"")
    except (FileNotFoundError, PermissionError):
        # Not Linux; or root acts as a user, who may not look into root's own process.
        return device, b""


def _exists_at(parent: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _refusal(path: str, mounted: t.Sequence[str]) -> RollcallError:
    return RollcallError(
        f"{path} is not removed: something is mounted in it: {', '.join(mounted)}.",
        kind="refused",
        evidence={"path": path, "mounts": list(mounted)},
        remedies=[cures.unmount(place) for place in mounted],
    )
