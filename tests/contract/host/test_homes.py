# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Homes: the unit or the container of a process, by its cgroup."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import homes, proc
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.homes import Home

ID = "ab12" * 16


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/nginx.service\n", "nginx.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n", "web.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
        ("0::/system.slice/ssh.service\n", None),
        ("0::/system.slice/sshd@3-10.0.0.1:22.service\n", None),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", None),
        (f"0::/system.slice/docker-{'ab12' * 16}.scope\n", "container ab12ab12ab12"),
        (f"0::/machine.slice/libpod-{'cd34' * 16}.scope/container\n", "container cd34cd34cd34"),
        ("0::/\n", None),
        # A unit within a container is none of this machine.
        (f"0::/machine.slice/libpod-{'cd34' * 16}.scope/system.slice/nginx.service\n", "container cd34cd34cd34"),
        (f"0::/docker-{'not an id' * 7}.scope/nginx.service\n", "nginx.service"),
    ],
)
def test_the_unit_or_container_is_read_from_the_cgroup(
    monkeypatch: pytest.MonkeyPatch, cgroup: str, unit: t.Optional[str]
) -> None:
    monkeypatch.setattr(proc, "read", lambda _path: cgroup.encode())
    assert homes.home_name(1234) == unit


@pytest.mark.parametrize(
    ("path", "name", "stop"),
    [
        ("system.slice/nginx.service", "nginx.service", "systemctl stop nginx.service"),
        ("user.slice/user@1000.service/app.slice/web.service", "web.service", "systemctl --user stop web.service"),
        ("system.slice/a b;c.service", "a b;c.service", "systemctl stop 'a b;c.service'"),
        (f"system.slice/docker-{ID}.scope", "container ab12ab12ab12", "docker stop ab12ab12ab12"),
        (f"docker/{ID}", "container ab12ab12ab12", "docker stop ab12ab12ab12"),
        (f"machine.slice/libpod-{ID}.scope/container", "container ab12ab12ab12", "podman stop ab12ab12ab12"),
        (f"machine.slice/libpod-conmon-{ID}.scope", "container ab12ab12ab12", "podman stop ab12ab12ab12"),
        (f"libpod_parent/libpod-{ID}", "container ab12ab12ab12", "podman stop ab12ab12ab12"),
        (f"kubepods.slice/pod1.slice/cri-containerd-{ID}.scope", "container ab12ab12ab12", "crictl stop ab12ab12ab12"),
        (f"kubepods/burstable/pod1/{ID}", "container ab12ab12ab12", "crictl stop ab12ab12ab12"),
        (f"kubepods.slice/crio-{ID}.scope", "container ab12ab12ab12", "crictl stop ab12ab12ab12"),
        (f"default/nerdctl-{ID}", "container ab12ab12ab12", ""),
        ("lxc.payload.web/system.slice/nginx.service", "container web", "lxc-stop -n web"),
        (
            "machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service",
            "container web",
            "systemctl stop systemd-nspawn@web.service",
        ),
    ],
)
def test_a_home_has_the_command_that_stops_it(monkeypatch: pytest.MonkeyPatch, path: str, name: str, stop: str) -> None:
    monkeypatch.setattr(proc, "read", lambda _path: f"4:memory:/\n0::/{path}\n".encode())
    assert homes.home_of(1234) == Home(name, stop, is_container=name.startswith("container "))
