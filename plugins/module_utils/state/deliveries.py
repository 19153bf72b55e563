# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Files with the credentials of an application, delivered into directories that the stack's user may change meanwhile.

From the root on, each directory is opened in the one before it, and no link is followed. In a directory that only root
can change, root acts; in any other one the stack's user does, so that whatever that user puts in the way, nothing is
reached that the user could not reach. What exists is given to nobody, except a directory that was made here.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import typing as t

from ..base import cures
from ..base.errors import RollcallError
from ..base.files import write_at, write_record
from ..base.removing import unlink_at
from ..host.accounts import Account, acting_as, find_account, user_name
from ..host.other_hands import untrusted

# Directories of the root in which Rollcall's own files are: what is delivered there would be somebody else's to change.
OWN = frozenset(("bin", "current", "engine", "etc", "generations", "lib", "releases", "run", "state", "venvs"))
# Bytes of a file that is kept for the way back. Credentials are smaller.
MOST = 16 * 1024 * 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Files = t.Mapping[str, t.Optional[str]]


class Before(t.NamedTuple):
    """What was in the place of a file.

    Attributes:
        kind: ``file``, ``link``, ``none``, ``directory``, or ``other``.
        content: of a file; the target of a link.
        mode: of a file.
        uid: its owner.
        gid: its group.
    """

    kind: str
    content: bytes = b""
    mode: int = 0
    uid: int = -1
    gid: int = -1


class Deliveries:
    """The files that are delivered to one stack.

    Args:
        root: of the stack.
        state: its state directory.
        user: who runs the stack; None for whoever this is.

    Raises:
        RollcallError: ``wrong_use``: nothing is installed there, or there is no such user; ``refused``: others can
            change the root.
    """

    def __init__(self, root: str, state: str, user: t.Optional[str]) -> None:
        self._root = os.path.normpath(root)
        self._state = state
        self._who = find_account(user if os.geteuid() == 0 else None)
        if not os.path.isdir(self._root):
            raise RollcallError(
                f"{root} does not exist: Rollcall is not installed there.",
                kind="wrong_use",
                evidence={"path": root},
                remedies=[cures.INSTALL],
            )
        others = untrusted([self._root, state])
        if others:
            why = f"{others[0].path} {others[0].reason}"
            raise RollcallError(
                f"Nothing is delivered to {root}, and its services are as they were: {why}.",
                kind="refused",
                evidence={"path": others[0].path},
                remedies=[cures.trust(user_name(os.geteuid()), others[0].path)],
            )

    def deliver(self, files: Files, *, dry_run: bool = False) -> t.List[str]:
        """Bring files to what they are to be; return the paths of those that were not.

        Args:
            files: by path below the root the content, None for a file that is to be gone.
            dry_run: to change nothing.

        Raises:
            RollcallError: ``refused``: a link, a file or somebody else's directory is in the way.
            OSError: as the kernel says it.
        """
        seen = {path: self._look(path) for path in files}
        changed = [path for path, content in files.items() if not self._is(seen[path], content)]
        if dry_run:
            return changed
        for path in changed:
            self._keep(path, seen[path])
        for path, content in files.items():
            if content is not None and not os.path.lexists(self._listed(path)):
                self._list(path)
            if path in changed:
                self._put(path, content)
        return changed

    def put_back(self, record: t.Mapping[str, t.Any]) -> None:
        """Bring one file back to what it was, as its record says.

        Raises:
            RollcallError, OSError, KeyError, ValueError: as `deliver`, or the record is of no use.
        """
        path, kind = str(record["path"]), record["kind"]
        with self._opened(path, make=kind != "none") as (place, actor, name):
            if place < 0:
                return
            if kind == "file":
                with open(self._saved(path), "rb") as stream:
                    content = stream.read(MOST)
                owner = None if actor.other else (int(record["uid"]), int(record["gid"]))
                with acting_as(actor):
                    write_at(place, name, content, int(record["mode"]), owner)
                return
            with acting_as(actor):
                self._unlink(place, name)
                if kind == "link":
                    os.symlink(str(record["target"]), name, dir_fd=place)

    def _look(self, path: str) -> Before:
        with self._opened(path, make=False) as (place, actor, name):
            if place < 0:
                return Before("none")
            with acting_as(actor):
                found = _look_at(place, name)
        if found.kind == "directory":
            raise _refused(self._path(path), "is a directory, and no credential: it is left alone")
        return found

    def _is(self, before: Before, content: t.Optional[str]) -> bool:
        if content is None:
            return before.kind == "none"
        wanted = Before("file", content.encode("utf-8"), 0o600, self._who.uid, before.gid)
        return before == wanted

    def _put(self, path: str, content: t.Optional[str]) -> None:
        with self._opened(path, make=content is not None) as (place, actor, name):
            if place < 0:
                return
            owner = (self._who.uid, self._who.gid) if self._who.other and not actor.other else None
            with acting_as(actor):
                if content is None:
                    self._unlink(place, name)
                else:
                    write_at(place, name, content.encode("utf-8"), 0o600, owner)

    @staticmethod
    def _unlink(place: int, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            unlink_at(place, name)

    def _keep(self, path: str, before: Before) -> None:
        """Keep what a run that goes back puts back. The first that is kept counts: with it the stack ran well."""
        place = os.path.join(self._state, "undo")
        record = os.path.join(place, f"{_name(path)}.json")
        if os.path.lexists(record) or before.kind == "other":
            return
        for directory in (place, os.path.join(place, "files")):
            os.makedirs(directory, mode=0o700, exist_ok=True)
        known: t.Dict[str, t.Any] = {"path": path, "kind": before.kind, "root": self._root, "user": self._who.name}
        if before.kind == "link":
            known["target"] = os.fsdecode(before.content)
        if before.kind == "file":
            known.update(mode=before.mode, uid=before.uid, gid=before.gid)
            saved = os.open(os.path.dirname(self._saved(path)), _DIRECTORY)
            try:
                write_at(saved, os.path.basename(self._saved(path)), before.content, 0o600)
            finally:
                os.close(saved)
        write_record(record, {"what": f"the file {path}", "argv": [], "stdin": "", "file": known})

    def _list(self, path: str) -> None:
        """List a file among those that were delivered, or a directory that was made for them, with a slash at its end.

        A removal takes the files, and leaves what Rollcall has not made.
        """
        place, name = os.path.split(self._listed(path))
        os.makedirs(place, mode=0o700, exist_ok=True)
        listed = os.open(place, _DIRECTORY)
        try:
            write_at(listed, name, path.encode("utf-8"), 0o600)
        finally:
            os.close(listed)

    def _listed(self, path: str) -> str:
        return os.path.join(self._state, "delivered", hashlib.sha1(path.encode("utf-8")).hexdigest())

    def _saved(self, path: str) -> str:
        return os.path.join(self._state, "undo", "files", _name(path))

    def _path(self, path: str) -> str:
        return os.path.join(self._root, path)

    @contextlib.contextmanager
    def _opened(self, path: str, *, make: bool) -> t.Iterator[t.Tuple[int, Account, str]]:
        """Open the directory of a file; yield its descriptor, -1 when it is missing, who acts in it, and the name.

        Args:
            path: of the file, below the root.
            make: whether to make directories that are missing.
        """
        *above, name = parts_of(path)
        with contextlib.ExitStack() as stack:
            here, actor = os.open(self._root, _DIRECTORY), find_account(None)
            stack.callback(os.close, here)
            for number, part in enumerate(above):
                below = self._step(here, actor, part, "/".join(above[: number + 1]), make=make)
                if below < 0:
                    yield -1, actor, name
                    return
                stack.callback(os.close, below)
                here, actor = below, self._actor(below, "/".join(above[: number + 1]))
            yield here, actor, name

    def _step(self, here: int, actor: Account, part: str, path: str, *, make: bool) -> int:
        """Open a directory in another one, and make it where it is missing; return -1 when it is not to be made."""
        made = False
        with acting_as(actor):
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=here)
                    made = True
            try:
                below = os.open(part, _DIRECTORY, dir_fd=here)
            except FileNotFoundError:
                return -1
            except OSError as exc:
                if exc.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise _refused(self._path(path), "is a link or no directory: it is left alone") from exc
                raise
        try:
            # Only root can put anything in its place meanwhile, so it is what was made here, now or before.
            if make and self._who.other and not actor.other and (made or self._was_made(path)):
                if made:
                    self._list(f"{path}/")
                if os.fstat(below).st_uid != self._who.uid:
                    os.fchown(below, self._who.uid, self._who.gid)
                    os.fchmod(below, 0o700)
        except BaseException:
            os.close(below)
            raise
        return below

    def _was_made(self, path: str) -> bool:
        """Return whether a directory was made here for what was delivered before."""
        return os.path.lexists(self._listed(f"{path}/"))

    def _actor(self, directory: int, path: str) -> Account:
        """Return who acts in a directory: whoever this is, where nobody else can change it, else the stack's user."""
        seen, own = os.fstat(directory), find_account(None)
        if seen.st_uid == own.uid and not seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return own
        if seen.st_uid in (0, own.uid, self._who.uid):
            return self._who
        if self._was_made(path):
            # By an earlier install, for the user of that time: as that user it is looked into until it is given.
            with contextlib.suppress(RollcallError):
                return find_account(user_name(seen.st_uid))
        raise RollcallError(
            f"{self._path(path)} belongs to user {user_name(seen.st_uid)}: nothing is delivered into it.",
            kind="refused",
            evidence={"path": self._path(path)},
            remedies=[cures.give(self._who.name, self._path(path)), cures.AGAIN],
        )


def deliver(root: str, state: str, user: t.Optional[str], files: Files, *, dry_run: bool = False) -> t.List[str]:
    """Bring files to what they are to be; arguments, return value and errors as `Deliveries` and its ``deliver``."""
    for path in files:
        parts_of(path)
    if not files:
        return []
    try:
        deliveries = Deliveries(root, state, user)
    except RollcallError as exc:
        if not dry_run or exc.kind != "wrong_use":
            raise
        # An install would make the account and the root first.
        return [path for path, content in files.items() if content is not None]
    return deliveries.deliver(files, dry_run=dry_run)


def put_back(state: str, record: t.Mapping[str, t.Any]) -> None:
    """Bring a file that was delivered back to what it was; errors as `Deliveries`."""
    user = str(record["user"])
    Deliveries(str(record["root"]), state, user).put_back(record)


def parts_of(path: str) -> t.List[str]:
    """Return the parts of a path below the root.

    Raises:
        RollcallError: ``wrong_use``: it is no path of a file in a directory that may have one.
    """
    parts = path.split("/")
    if len(parts) < 2 or {"", ".", ".."}.intersection(parts) or parts[0] in OWN or "\0" in path:
        raise RollcallError(
            f"'{path}' is no path of a file in a directory below the stack's root, such as credentials/feed.pem.",
            kind="wrong_use",
            evidence={"path": path},
            remedies=[cures.then("give the file another path: credentials_files")],
        )
    return parts


def _look_at(place: int, name: str) -> Before:
    try:
        seen = os.stat(name, dir_fd=place, follow_symlinks=False)
        if stat.S_ISLNK(seen.st_mode):
            return Before("link", os.fsencode(os.readlink(name, dir_fd=place)))
        if stat.S_ISDIR(seen.st_mode):
            return Before("directory")
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    except FileNotFoundError:
        return Before("none")
    except OSError:
        # Not for the stack's user to read, or a socket; or a link that has come meanwhile.
        return Before("other")
    with open(handle, "rb") as stream:
        seen = os.fstat(handle)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size > MOST:
            return Before("other")
        return Before("file", stream.read(MOST), stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid)


def _name(path: str) -> str:
    return f"file-{hashlib.sha1(path.encode('utf-8')).hexdigest()[:12]}"


def _refused(path: str, why: str) -> RollcallError:
    return RollcallError(
        f"{path} {why}.", kind="refused", evidence={"path": path}, remedies=[cures.rights(path), cures.AGAIN]
    )


def dumped(value: t.Any) -> str:
    """Return the content of a file that is given as data: text as it is, lists and mappings as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
