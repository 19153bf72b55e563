# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Files: written so that no reader ever sees half of one, small JSON records, and the last lines of a log."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import typing as t

from . import cures
from .errors import RollcallError
from .opening import open_directory, open_own, read_all
from .text import last_lines

_T = t.TypeVar("_T")
Opener = t.Callable[[str], int]

# Bytes that a file of ours has at the most. What is larger is none.
MOST_BYTES = 16 * 1024 * 1024
# What parsing JSON and converting what was in it raises, when somebody has written something else. An infinite number
# is no whole one, and a text may be nested deeper than Python can follow.
NOT_AS_EXPECTED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


def write_atomically(path: str, text: str, mode: int, owner: t.Optional[t.Tuple[int, int]] = None) -> None:
    """Replace the file ``path`` so that a reader sees all of the old or all of the new text, even after a crash.

    Args:
        path: the file; a temporary file is made beside it.
        text: the new content, written as UTF-8.
        mode: permission bits; they hold before the first byte is written.
        owner: uid and gid to give the file to; None leaves the writer's own.

    Raises:
        NotPlain: a link of others leads to its directory.
        OSError: as the kernel says it; the old file is untouched then.
    """
    above, name = os.path.split(os.path.abspath(path))
    place = open_directory(above)
    try:
        _replace_at(place, name, text.encode("utf-8"), mode, owner)
    except OSError as exc:
        # The kernel was given the last part of it.
        exc.filename = path
        raise
    finally:
        os.close(place)


def need_directory(path: str) -> None:
    """Refuse a file whose directory is not there: it may be a mistake, and nobody has asked for a directory.

    Raises:
        RollcallError: ``wrong_use``: it is not there.
    """
    if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        raise RollcallError(
            f"{path} cannot be written: its directory is not there.",
            kind="wrong_use",
            evidence={"path": path},
            remedies=[cures.then("make it", cures.AGAIN)],
        )


def replace_file(path: str, text: str, mode: int, remedy: str) -> None:
    """Write a file as `write_atomically` does.

    Args:
        path: the file.
        text: what it is to have.
        mode: its mode.
        remedy: what to do when it cannot be written.

    Raises:
        RollcallError: it cannot be written; its evidence has the path and the cause.
    """
    try:
        write_atomically(path, text, mode)
    except OSError as exc:
        raise RollcallError(
            f"{path} cannot be written: {exc.strerror or exc}.",
            evidence={"path": path, "cause": str(exc)},
            remedies=[remedy],
        ) from exc


def write_at(directory: int, name: str, content: bytes, mode: int, owner: t.Optional[t.Tuple[int, int]] = None) -> None:
    """Replace the file ``name`` of an open directory as `write_atomically` does; a link in its place is replaced.

    Others may be able to write to that directory: what is opened, is made the owner's and has the mode is a new file
    that has no other name, and no link is followed.

    Args:
        directory: its descriptor.
        name: of the file, without a slash.
        content: the new content.
        mode: permission bits; they hold before the first byte is written.
        owner: uid and gid to give the file to; None leaves the writer's own.

    Raises:
        OSError: as the kernel says it; the old file is untouched then.
    """
    _replace_at(directory, name, content, mode, owner)
    os.fsync(directory)


def _replace_at(directory: int, name: str, content: bytes, mode: int, owner: t.Optional[t.Tuple[int, int]]) -> None:
    temporary = f"{name[:200]}.{int.from_bytes(os.urandom(6), 'big')}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            if owner is not None:
                os.fchown(stream.fileno(), *owner)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)
        raise


def is_temporary(name: str) -> bool:
    """Return whether a file is one of those that `write_atomically` makes, or has left behind when it was killed."""
    parts = name.rsplit(".", 2)
    return len(parts) == 3 and parts[1].isdigit() and parts[2] == "new"


def sync_directory(path: str) -> None:
    """Make a rename in ``path`` durable (fsync(2): a file's own fsync does not cover its directory entry)."""
    descriptor = open_directory(path)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_last_lines(descriptor: int, most: int, *, start: int = 0, limit: int = 16_384) -> t.List[str]:
    """Return the last lines of a file that are not blank, read as UTF-8.

    Args:
        descriptor: of the file, open for reading.
        most: how many lines.
        start: the byte from which on lines count.
        limit: how many bytes are read at the most.
    """
    begin = max(start, os.fstat(descriptor).st_size - limit)
    return last_lines(os.pread(descriptor, limit, begin).decode("utf-8", "replace"), most)


def try_lock(descriptor: int) -> bool:
    """Lock an open file or directory, unless another process has locked it (flock(2)); return whether it is locked now.

    The kernel unlocks it when the descriptor is closed, however its holder ends.

    Raises:
        OSError: it cannot be locked at all, as on some network file systems.
    """
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        # NFS says EACCES for what is locked elsewhere.
        if exc.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def write_record(path: str, data: t.Any) -> None:
    """Keep data as JSON in a file for its owner alone, for `read_record`.

    Raises:
        OSError: as the kernel says it; what was there before is untouched then.
    """
    write_atomically(path, json.dumps(data, sort_keys=True) + "\n", 0o600)


def read_text(path: str, *, most: int = MOST_BYTES, errors: str = "strict", opened: Opener = open_own) -> str:
    """Return the text of a file, which is UTF-8.

    Args:
        path: of it.
        most: bytes that it may have.
        errors: how bytes that are none of UTF-8 are decoded.
        opened: opens it. The usual one is for a directory that others may not write to.

    Raises:
        NotPlain: it is no regular file, or has more bytes.
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    descriptor = opened(path)
    try:
        return read_all(descriptor, most, path).decode("utf-8", errors)
    finally:
        os.close(descriptor)


def read_record(
    path: str,
    parse: t.Callable[[t.Any], _T],
    missing: _T,
    subject: str,
    remedies: t.Sequence[str] = (),
    opened: Opener = open_own,
) -> _T:
    """Return what ``parse`` makes of the JSON in a file; ``missing`` when there is no such file.

    Args:
        path: of the file.
        parse: may raise what indexing and converting raise when the data is not as it should be.
        missing: what no file means.
        subject: what the record is, to begin the error's sentence with.
        remedies: of the error; where whoever asks may not read the file, it names root instead.
        opened: opens it, as for `read_text`.

    Raises:
        RollcallError: the file is there and cannot be read, or holds something else. That never counts as missing.
    """
    return read_text_record(path, lambda text: parse(json.loads(text)), missing, subject, remedies, opened)


def read_text_record(
    path: str,
    parse: t.Callable[[str], _T],
    missing: _T,
    subject: str,
    remedies: t.Sequence[str] = (),
    opened: Opener = open_own,
) -> _T:
    """Return what ``parse`` makes of the text in a file, as `read_record` does of its JSON."""
    try:
        return parse(read_text(path, opened=opened))
    except FileNotFoundError:
        return missing
    except (OSError, *NOT_AS_EXPECTED) as exc:
        why = "may not be read" if isinstance(exc, PermissionError) else f"cannot be read: {exc}"
        raise RollcallError(
            f"{subject} in {path} {why}.",
            evidence={"path": path, "cause": str(exc)},
            remedies=cures_of(exc, remedies),
        ) from exc


def cures_of(exc: Exception, remedies: t.Sequence[str]) -> t.Sequence[str]:
    """Return what to do about a file that cannot be read; nothing is wrong with one that only root may read."""
    return [cures.AS_ROOT] if isinstance(exc, PermissionError) and os.geteuid() != 0 else remedies


def json_object(text: str) -> t.Dict[str, t.Any]:
    """Return the JSON object in ``text``; an empty one when its writer has not finished it, or it is something else."""
    try:
        data = json.loads(text)
    except NOT_AS_EXPECTED:
        return {}
    return data if isinstance(data, dict) else {}
