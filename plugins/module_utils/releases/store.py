# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where releases, their environments and shared directories are kept on a host, and what of it counts.

These directories are root's where root installs, and all that is within a release or a virtual environment is the
stack's user's: nothing in there is written, executed or followed with root's rights.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import typing as t

from ..base import cures
from ..base.clock import Clock
from ..base.errors import RollcallError
from ..base.files import NOT_AS_EXPECTED, read_text
from ..base.opening import NotPlain, open_plain
from ..base.removing import remove, require_unmounted
from ..host.accounts import Account, acting_as, user_name
from ..host.other_hands import untrusted
from ..manifest.model import Paths
from ..manifest.release_paths import RELEASE, current_release, release_directory
from ..state import lock
from ..state.generations import generations_directory

RECORD_FILE = ".rollcall-release.json"
# Names that no release, environment or shared directory has: what is being made, and what is on its way out.
MAKING = ".making-"
GOING = ".going-"
# When a run was killed, its lock lasts for the moment that its keeper needs to end the command it ran.
LOCK_PATIENCE = 3.0
RECORD_BYTES = 65_536


def releases_directory(root: str) -> str:
    """Return the directory of all releases."""
    return os.path.dirname(release_directory(root, "any"))


def venvs_directory(root: str) -> str:
    """Return the directory of all virtual environments."""
    return os.path.join(root, "venvs")


def visible_names(directory: str) -> t.List[str]:
    """Return what is in a directory of ours, in order; nothing when it does not exist."""
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except FileNotFoundError:
        return []


def ensure_own_directory(path: str) -> None:
    """Have a directory that everyone may read, and nobody but us may write.

    Raises:
        RollcallError: it is another user's, or others can change it or what is above it, and so lead root astray.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        # Not when it is made: the umask of a careful root would close it.
        os.chmod(path, 0o755)
    owner = os.stat(path).st_uid
    if owner not in (0, os.geteuid()):
        raise RollcallError(
            f"{path} belongs to {user_name(owner)}, and must be of the user who runs this, {user_name(os.geteuid())}.",
            kind="refused",
            remedies=[cures.give(user_name(os.geteuid()), path), cures.AGAIN],
        )
    found = untrusted([path])
    if found:
        # Whoever can write there, or above, can put a link in the way of what is renamed into it or given away in it.
        raise RollcallError(
            f"{found[0].path} {found[0].reason}, and a release is made below it.",
            kind="refused",
            remedies=[cures.trust(user_name(os.geteuid()), found[0].path), cures.AGAIN],
        )


@contextlib.contextmanager
def workshop(root: str, who: Account) -> t.Iterator[str]:
    """Yield a directory in which a release is built, with ``tree``, ``wheels``, ``home`` and ``tmp`` of the user's."""
    ensure_own_directory(releases_directory(root))
    place = tempfile.mkdtemp(prefix=MAKING, dir=releases_directory(root))
    try:
        os.chmod(place, 0o711)
        for name in ("tree", "wheels", "home", "tmp"):
            os.mkdir(os.path.join(place, name), 0o700)
            os.chown(os.path.join(place, name), who.uid, who.gid)
        yield place
    finally:
        remove(place)


def remove_unfinished(root: str) -> t.List[str]:
    """Remove what an earlier run was making or removing when it was killed, and return what cannot be, and why.

    It counts for nothing, so that no run has to end for it.
    """
    left = []
    for directory in (releases_directory(root), venvs_directory(root), os.path.join(root, "shared")):
        if os.path.isdir(directory):
            for name in os.listdir(directory):
                if name.startswith((MAKING, GOING)):
                    try:
                        remove(os.path.join(directory, name))
                    except (OSError, RollcallError) as exc:
                        left.append(f"{os.path.join(directory, name)} counts for nothing and stays: {exc}")
    return left


def discard(path: str) -> None:
    """Remove a directory of ours: first its name, so that it never counts when it is half gone.

    Raises:
        RollcallError: ``refused``: something is mounted in it; then it keeps its name.
        OSError: something in it cannot be removed; `remove_unfinished` tries again.
    """
    require_unmounted(path)
    going = os.path.join(os.path.dirname(path), f"{GOING}{os.path.basename(path)}")
    os.rename(path, going)
    _remove_renamed(going)


def _remove_renamed(path: str) -> None:
    remove(path)


def release_record(root: str, name: str, who: Account) -> t.Optional[t.Dict[str, t.Any]]:
    """Return what the record of a release says; None when there is none of ours."""
    record = read_user_record(os.path.join(release_directory(root, name), RECORD_FILE), who)
    if record is None or not {"id", "code", "recipe"} <= set(record):
        return None
    return record if isinstance(record.get("made"), (int, float)) and isinstance(record.get("venv"), str) else None


def read_user_record(path: str, who: Account) -> t.Optional[t.Dict[str, t.Any]]:
    """Return what a record says; None where there is none. It is in a directory of the user's."""
    try:
        with acting_as(who):
            text = read_text(path, most=RECORD_BYTES, opened=open_plain)
        record = json.loads(text)
    except (FileNotFoundError, NotADirectoryError, NotPlain, *NOT_AS_EXPECTED):
        return None
    return record if isinstance(record, dict) else None


def current_release_id(root: str) -> t.Optional[str]:
    """Return the id of the release that is current; None when none is."""
    directory, name = os.path.split(os.path.realpath(current_release(root)))
    return name if directory == os.path.realpath(releases_directory(root)) else None


def releases_of_generations(root: str) -> t.Set[str]:
    """Return the releases that any generation on the host belongs to, unfinished ones included."""
    found = set()
    for name in visible_names(generations_directory(root)):
        with contextlib.suppress(FileNotFoundError):  # a generation without a release
            found.add(os.path.basename(os.readlink(os.path.join(generations_directory(root), name, RELEASE))))
    return found


# --- the lock ------------------------------------------------------------------------------------------------------


def _memory(root: str) -> str:
    return os.path.join(Paths.of(root).state, "release")


@contextlib.contextmanager
def locked_releases(root: str, clock: Clock) -> t.Iterator[None]:
    """Hold the lock of this stack's releases; it is not the one of its runs, which do not wait for a build."""
    os.makedirs(_memory(root), mode=0o700, exist_ok=True)
    who = user_name(os.geteuid())
    with lock.locked(_memory(root), who, "release", patience=LOCK_PATIENCE, clock=clock):
        yield
