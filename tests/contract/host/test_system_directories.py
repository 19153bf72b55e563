# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory of the system is known on the host by whatever name: links, mounts, another process's root."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host.mounts import Mount, mounts, other_names
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.system_directories import (
    homes_of_others,
    why_not_on_host,
)


def why_not_here(path: str, user: t.Optional[str] = None) -> str:
    return why_not_on_host(path, frozenset(homes_of_others(user)), mounts())


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.mark.parametrize(
    "target", ["/etc", "/etc/cron.d/x", "/usr/bin", "/root/.ssh", "/proc/1/root/etc/x", "/var/log"]
)
def test_a_link_to_a_directory_of_the_system_is_that(tmp_path: Path, target: str) -> None:
    (tmp_path / "link").symlink_to(target)

    assert why_not_here(str(tmp_path / "link")) != ""


@pytest.mark.parametrize(
    "target", ["/proc/self/cwd", "/proc/self/root/srv/x", "/proc/1/root/srv/x", "/dev/fd/{fd}/x", "/dev/fd/{fd}"]
)
@pytest.mark.parametrize("way", ["itself", "link", "links", "below"])
def test_what_each_process_sees_otherwise_is_the_systems_wherever_it_leads(
    tmp_path: Path, target: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "place").mkdir()
    monkeypatch.chdir(tmp_path / "place")
    descriptor = os.open(tmp_path / "place", os.O_RDONLY)
    named = target.format(fd=descriptor)
    (tmp_path / "link").symlink_to(named)
    (tmp_path / "links").symlink_to("./link")
    path = {"itself": named, "below": f"{tmp_path}/links/new"}.get(way, f"{tmp_path}/{way}")
    try:
        assert "which belongs to the system" in why_not_here(path)
    finally:
        os.close(descriptor)


def test_dots_behind_a_link_lead_where_the_kernel_goes(tmp_path: Path) -> None:
    (tmp_path / "deep").symlink_to("/etc/cron.d")

    assert "/etc" in why_not_here(f"{tmp_path}/deep/../new")


def test_what_is_not_there_yet_is_judged_by_what_is_above_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")

    assert why_not_here(str(tmp_path / "link" / "not" / "there")) != ""
    assert why_not_here(str(tmp_path / "not" / "there")) == ""


def test_the_home_of_an_account_is_its_own_wherever_it_is() -> None:
    someone = next(one for one in pwd.getpwall() if one.pw_dir.count("/") > 2 and one.pw_uid != 0)

    assert why_not_here(someone.pw_dir) != ""
    assert why_not_here(someone.pw_dir, "nobody") != ""


MOUNTED = """
import os, subprocess, sys
source, place, asked = sys.argv[1:]
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
subprocess.run(["mount", "--bind", source, place], check=True)
sys.path[:0] = sys.path_hooks and os.environ["PLACES"].split(":")
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.mounts import mounts
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.system_directories import (
    homes_of_others,
    why_not_on_host,
)
print(why_not_on_host(asked, frozenset(homes_of_others(None)), mounts()))
"""


@ROOT_ONLY
@pytest.mark.parametrize(
    ("source", "below"),
    [("/etc", ""), ("/etc/cron.d", ""), ("/etc", "/cron.d/x"), ("/usr/lib", "/x"), ("/var", "/log")],
)
def test_a_directory_of_the_system_that_is_mounted_elsewhere_is_that(tmp_path: Path, source: str, below: str) -> None:
    said = mounted(source, tmp_path, f"{tmp_path}{below}")

    assert said != ""


@ROOT_ONLY
def test_a_directory_that_is_mounted_elsewhere_and_nobodys_is_fine(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "place").mkdir()

    assert mounted(str(tmp_path / "data"), tmp_path / "place", f"{tmp_path}/place/x") == ""


def mounted(source: str, place: Path, asked: str) -> str:
    """Return what is said of a path in a mount namespace in which a directory is mounted at a second place."""
    command = ["unshare", "-m", sys.executable, "-c", MOUNTED, source, str(place), asked]
    environment = {**os.environ, "PLACES": ":".join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode and "mount" in done.stderr:
        pytest.skip("nothing can be mounted here")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


NAMES: t.Sequence[t.Tuple[str, t.List[str]]] = (
    ("/srv/x/system", ["/etc/systemd/system"]),
    ("/opt/y", []),
    ("/data/z", ["/var/lib/z"]),
)


@pytest.mark.parametrize(("path", "names"), NAMES)
def test_the_table_of_mounts_tells_the_other_names(path: str, names: t.List[str]) -> None:
    table = [
        Mount("/", "ext4", "8:1", "/"),
        Mount("/srv/x", "ext4", "8:1", "/etc/systemd"),
        Mount("/data", "ext4", "8:2", "/lib"),
        Mount("/var", "ext4", "8:2", "/"),
    ]

    assert other_names(path, table) == names
