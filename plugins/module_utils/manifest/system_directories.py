# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""The directories of the system and of its users, which no stack can have: not as its root, nor for a path of it.

This is the only list of them. By their names it is used here, on the controller; by what they are on a host, with links
and mounts, in host/system_directories.py.
"""

from __future__ import annotations

import os
import typing as t

# Only the directory itself: a stack may have one of its own in it (hier(7), file-hierarchy(7)).
ALONE = frozenset(
    (
        *(
            "/",
            "/dev/shm",
            "/home",
            "/media",
            "/mnt",
            "/opt",
            "/root",
            "/run",
            "/run/lock",
            "/run/user",
            "/srv",
            "/tmp",
        ),
        *("/usr/local", "/var", "/var/cache", "/var/lib", "/var/lock", "/var/log", "/var/opt", "/var/run", "/var/tmp"),
        *("/Applications", "/Library", "/Users", "/Volumes", "/private", "/private/tmp", "/private/var"),
    )
)
# The directory with all that is in it, as far as no directory of ALONE is between.
WHOLE = frozenset(
    (
        *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys", "/usr"),
        *(f"/usr/local/{name}" for name in ("bin", "etc", "games", "include", "lib", "man", "sbin", "share", "src")),
        *("/run/credentials", "/run/dbus", "/run/log", "/run/mount", "/run/sudo", "/run/systemd", "/run/udev"),
        *(
            f"/var/lib/{name}"
            for name in ("apt", "dbus", "dpkg", "pam", "private", "rollcall", "rpm", "sudo", "systemd")
        ),
        *("/var/backups", "/var/db", "/var/log/audit", "/var/log/journal", "/var/mail", "/var/spool"),
        *("/System", "/Library/LaunchAgents", "/Library/LaunchDaemons", "/private/etc"),
    )
)
# Where each entry is the home of somebody, or is one user's own.
_OF_USERS = ("/home", "/run/user", "/Users")
# In a home: what lets others in, or is executed when its user comes.
_IN_HOMES = frozenset((".ssh", ".gnupg", ".pki", ".config/autostart", ".config/systemd", "Library/LaunchAgents"))
_ALONE_IN_HOMES = frozenset((".cache", ".config", ".local", ".local/bin", ".local/share", ".local/state", "Library"))


class Known(t.NamedTuple):
    """What a directory of the list is.

    Attributes:
        whole: whether all that is in it is refused as well.
        of_user: whether it is a user's, and not the system's.
    """

    whole: bool
    of_user: bool = False

    @property
    def words(self) -> str:
        """Whose it is, for people."""
        return "which is a user's own" if self.of_user else "which belongs to the system"


def known_directory(path: str, homes: t.Container[str] = ()) -> t.Optional[Known]:
    """Return what a directory is, by its normalised absolute name; None when it is none of the list.

    Args:
        path: of the directory.
        homes: more homes than those below ``/home`` and the like.
    """
    if path in WHOLE:
        return Known(True)
    above, name = os.path.split(path)
    if path in homes or above in _OF_USERS or path == "/root":
        return Known(False, of_user=True)
    if path in ALONE:
        return Known(False)
    for _unused in range(2):
        if above in homes or above == "/root" or os.path.dirname(above) in _OF_USERS:
            known = name in _IN_HOMES or name in _ALONE_IN_HOMES
            return Known(name in _IN_HOMES, of_user=True) if known else None
        above, name = os.path.dirname(above), os.path.join(os.path.basename(above), name)
    return None


def upwards(path: str) -> t.Iterator[str]:
    """Yield a normalised absolute path and all that are above it."""
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path:
            return
        path = above


def why_not(path: str, homes: t.Container[str] = ()) -> str:
    """Return why no stack can have a directory, by its name; empty when nothing speaks against it.

    Args:
        path: absolute.
        homes: as `known_directory`.
    """
    path = normal(path)
    for place in upwards(path):
        known = known_directory(place, homes)
        if known is not None:
            # The first that is known decides: below /dev nothing is a stack's, but below /dev/shm it may be.
            said = place == path or known.whole
            return "" if not said else f"is {path}, {known.words}" if place == path else f"is in {place}, {known.words}"
    return ""


def normal(path: str) -> str:
    """Return an absolute path without ``.``, ``..`` and doubled slashes; POSIX keeps two of these at the beginning."""
    return os.path.normpath(f"/{path.lstrip('/')}")
