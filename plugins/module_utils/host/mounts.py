# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change in any release.
"""Where file systems are mounted and of what kind they are, without asking any of them."""

from __future__ import annotations

import os
import re
import typing as t

# Kinds that the kernel serves from memory or a disk. Of any other a server or a program must answer, and may not.
_LOCAL = frozenset(
    (
        "bpf",
        "btrfs",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "fusectl",
        "hugetlbfs",
        "mqueue",
        "nsfs",
        "overlay",
        "proc",
        "pstore",
        "ramfs",
        "rootfs",
        "securityfs",
        "squashfs",
        "sysfs",
        "tmpfs",
        "tracefs",
        "vfat",
        "xfs",
        "zfs",
    )
)


class Mount(t.NamedTuple):
    """A mounted file system, or a directory of one.

    Attributes:
        point: where it is mounted.
        kind: of the file system.
        device: its number, as the kernel writes it; empty when that is not known.
        root: which of its directories is mounted there.
    """

    point: str
    kind: str
    device: str = ""
    root: str = "/"


def mounts(pid: t.Union[int, str] = "self") -> t.List[Mount]:
    """Return what is mounted for a process (proc(5), mountinfo); nothing where that cannot be read."""
    try:
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
            rows = [line.partition(" - ") for line in stream]
    except OSError:
        return []
    return [_mount(first.split(" "), last.split(" ")) for first, _dash, last in rows if last]


def _mount(first: t.Sequence[str], last: t.Sequence[str]) -> Mount:
    """Return the mount of a line of proc(5), mountinfo: its fields before the dash and behind it."""
    return Mount(_plain(first[4]), last[0], first[2], _plain(first[3]))


def mount_of(path: str, mounted: t.Sequence[Mount]) -> Mount:
    """Return the mount that an absolute path is on, by its name alone: to follow links would ask the file system."""
    wanted = os.path.normpath(path)
    # The last one of those at the same place is the one that is seen.
    above = [one for one in (Mount("/", "rootfs"), *mounted) if is_within(wanted, one.point)]
    return max(reversed(above), key=_depth)


def other_names(path: str, mounted: t.Sequence[Mount]) -> t.List[str]:
    """Return the other names that an absolute path without links has, because a directory is mounted twice.

    Each is one by the table of mounts alone: something may be mounted over it.
    """
    mount = mount_of(path, mounted)
    within = os.path.normpath(os.path.join(mount.root, os.path.relpath(path, mount.point)))
    twins = [one for one in mounted if one.device == mount.device and mount.device and is_within(within, one.root)]
    names = [os.path.normpath(os.path.join(one.point, os.path.relpath(within, one.root))) for one in twins]
    return [name for name in names if name != path]


def served(mounted: t.Sequence[Mount]) -> t.List[Mount]:
    """Return those mounts that somebody must serve; on most hosts there are few or none."""
    return [one for one in mounted if one.kind not in _LOCAL]


def may_hang(path: str, mounted: t.Sequence[Mount]) -> bool:
    """Return whether a path is, by its name, on a file system that somebody must serve."""
    wanted = os.path.normpath(path)
    # Few are served, and mostly none of these is above the path: that is told without comparing all of them.
    if not any(is_within(wanted, one.point) for one in served(mounted)):
        return False
    return mount_of(path, mounted).kind not in _LOCAL


def _depth(mount: Mount) -> int:
    return len(mount.point)


def is_within(path: str, directory: str) -> bool:
    """Return whether a path is a directory or below it, by their names."""
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


def _plain(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text) if "\\" in text else text
