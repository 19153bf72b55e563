# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No stack gets a directory of the system or of a user, and no problem is found in one of its own."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.check import check_manifest
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.system_directories import why_not

REFUSED = (
    *("/", "//", "/etc", "/etc/", "/etc/cron.d", "/etc/systemd/system", "/usr", "/usr/bin", "/usr/lib/systemd", "/bin"),
    *(
        "/sbin",
        "/lib",
        "/lib64/x",
        "/boot",
        "/boot/efi",
        "/proc",
        "/proc/1/root",
        "/proc/1/root/opt/x",
        "/proc/self/cwd",
    ),
    *("/sys/fs/cgroup/x", "/dev", "/dev/x", "/dev/shm", "/run", "/run/systemd/system", "/var", "/var/log", "/var/lib"),
    *("/var/lib/rollcall", "/var/lib/rollcall/stacks", "/var/lib/dpkg/info", "/var/spool/cron/crontabs", "/var/run"),
    *("/root", "/root/.ssh", "/root/.ssh/x", "/root/.config/systemd/user", "/home", "/home/ada", "/home/ada/.ssh"),
    *("/home/ada/.config", "/home/ada/.gnupg/x", "/tmp", "/var/tmp", "/opt", "/srv", "/usr/local", "/usr/local/bin"),
    *("/usr/local/sbin/x", "/opt/../etc/x", "/opt/x/../../root", "/run/user/1000", "/Users/ada/.ssh", "/mnt", "/media"),
)
FINE = (
    *("/opt/x", "/srv/x", "/mnt/x", "/data", "/data/etc", "/var/lib/x", "/var/log/x", "/run/x", "/tmp/x", "/dev/shm/x"),
    *(
        "/home/ada/x",
        "/home/ada/.local/share/x",
        "/home/ada/x/.ssh",
        "/root/x",
        "/usr/local/x",
        "/var/www/x",
        "/etcetera",
    ),
    *("/Users/ada/x", "/private/tmp/x", "/run/user/1000/x", "/opt/home/ada", "/run/lock/x"),
)


@pytest.mark.parametrize("path", REFUSED)
@pytest.mark.parametrize("key", ["root", "logs", "run"])
def test_what_is_the_systems_or_a_users_is_refused(key: str, path: str) -> None:
    assert problems(key, path) == [f"stack.{key}" if key == "root" else f"stack.paths.{key}"]


@pytest.mark.parametrize("path", FINE)
def test_what_can_be_a_stacks_is_fine(path: str) -> None:
    assert why_not(path) == ""
    assert problems("root", path) == []


def test_a_home_that_is_elsewhere_is_refused_with_what_lets_others_in() -> None:
    homes = frozenset({"/var/www"})

    assert [bool(why_not(f"/var/www{path}", homes)) for path in ("", "/.ssh", "/site")] == [True, True, False]


def problems(key: str, path: str) -> t.List[str]:
    """Return the places at which a manifest with a path has an error."""
    stack = {"name": "x", "root": "/opt/x", "services": {"web": {"command": ["/x"]}}}
    stack.update({"root": path} if key == "root" else {"paths": {key: path}})
    checked = check_manifest({"stack": stack})
    return sorted({problem.place for problem in checked.problems if problem.severity == "error"})
