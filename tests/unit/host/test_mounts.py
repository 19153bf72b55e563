# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which mount a path is, by its name, and whether somebody must serve that."""

from __future__ import annotations

import os

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import answering, mounts
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.mounts import Mount

MOUNTED = [
    Mount("/", "ext4"),
    Mount("/srv", "nfs4"),
    Mount("/srv/local", "xfs"),
    Mount("/srv/local", "fuse.sshfs"),
    Mount("/data", "9p"),
    Mount("/over", "nfs"),
    Mount("/over", "tmpfs"),
]


@pytest.mark.parametrize(
    ("path", "point", "hangs"),
    [
        ("/opt/app", "/", False),
        ("/srv", "/srv", True),
        ("/srv/x/../y", "/srv", True),
        ("/srvx", "/", False),
        ("/data/deep/down", "/data", True),
    ],
)
def test_the_mount_of_a_path_is_the_deepest_above_it(path: str, point: str, hangs: bool) -> None:
    assert mounts.mount_of(path, MOUNTED).point == point
    assert mounts.may_hang(path, MOUNTED) is hangs


def test_of_several_at_one_place_the_last_is_seen() -> None:
    assert mounts.mount_of("/srv/local/x", MOUNTED).kind == "fuse.sshfs"
    assert not mounts.may_hang("/over/x", MOUNTED)


def test_this_host_has_a_root_and_proc() -> None:
    points = {mount.point: mount.kind for mount in mounts.mounts()}
    assert points["/proc"] == "proc"
    assert "/" in points
    assert mounts.mounts(2**22 + 1) == []


def test_no_link_is_followed_where_nothing_must_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    def readlink(path: str) -> str:
        raise AssertionError(f"{path} was asked for")

    monkeypatch.setattr(os, "readlink", readlink)
    assert answering.served_mount("/srv/app", [Mount("/", "ext4"), Mount("/srv", "xfs")]) is None
    with pytest.raises(AssertionError):
        answering.served_mount("/opt/app", MOUNTED)
