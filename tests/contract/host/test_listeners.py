# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners and other users of a port, as the kernel shows them."""

from __future__ import annotations

import os
import socket
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import bind, listeners, netlink
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Listener
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.netlink import NetlinkRefused
from tests.support.namespaces import NOBODY
from tests.support.processes import free_port, listening_socket
from tests.support.victims import victim

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user")


@pytest.fixture(params=["netlink", "proc"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the sockets listed by netlink, and by /proc/net/tcp as where netlink is refused."""
    if request.param == "proc":

        def refused(*_args: t.Any) -> t.List[Listener]:
            raise NetlinkRefused("not here")

        monkeypatch.setattr(netlink, "dump", refused)
    return str(request.param)


@pytest.mark.parametrize(
    ("address", "v6only", "family", "shown", "families"),
    [
        ("0.0.0.0", False, "ipv4", "0.0.0.0", {"ipv4"}),
        ("127.0.0.1", False, "ipv4", "127.0.0.1", {"ipv4"}),
        ("::1", False, "ipv6", "::1", {"ipv6"}),
        ("::", False, "ipv6", "::", {"ipv4", "ipv6"}),
        ("::", True, "ipv6", "::", {"ipv6"}),
        ("::ffff:127.0.0.1", False, "ipv4", "127.0.0.1", {"ipv4"}),
    ],
)
def test_a_listener_is_shown_with_family_and_address(
    source: str, address: str, v6only: bool, family: str, shown: str, families: t.Set[str]
) -> None:
    with listening_socket(address, v6only=v6only) as held:
        port = held.getsockname()[1]
        (found,) = listeners.find_listeners([port])
        assert (found.family, found.address, found.port) == (family, shown, port)
        assert found.inode == os.fstat(held.fileno()).st_ino
        assert found.uid == os.getuid()
        # /proc/net/tcp6 does not tell v6only, and the careful answer is that both families are held.
        assert set(found.families) == (families if source == "netlink" else families | set(found.families))


@pytest.mark.usefixtures("source")
def test_only_listeners_on_the_ports_asked_for_are_shown() -> None:
    with (
        listening_socket("127.0.0.1") as one,
        listening_socket("127.0.0.1") as other,
        socket.create_connection(one.getsockname()) as c,
    ):
        port = one.getsockname()[1]
        assert [found.port for found in listeners.find_listeners([port])] == [port]
        assert listeners.find_listeners([c.getsockname()[1]]) == []
        assert {port, other.getsockname()[1]} <= {found.port for found in listeners.find_listeners()}


def test_what_the_fallback_lists_is_what_netlink_lists() -> None:
    with (
        listening_socket("0.0.0.0"),
        listening_socket("::1"),
        listening_socket("::", v6only=True),
        listening_socket("::ffff:127.0.0.1"),
    ):
        by_netlink = {(one.family, one.address, one.port, one.inode, one.uid) for one in listeners.find_listeners()}
        by_proc = {(one.family, one.address, one.port, one.inode, one.uid) for one in listeners._read_proc_net()}
        assert by_netlink == by_proc


@ROOT_ONLY
def test_the_user_of_a_listener_is_known_without_its_process() -> None:
    with victim("listen", 0, "--uid", str(NOBODY)) as held:
        (found,) = listeners.find_listeners([held.port])
        assert found.uid == NOBODY


def test_a_socket_that_is_bound_to_another_port_does_not_use_this_one() -> None:
    with victim("bound") as one, victim("bound") as other, listening_socket("127.0.0.1") as held:
        inodes = [{user.inode for user in listeners.users(held_by.port)} for held_by in (one, other)]
        assert inodes[0].isdisjoint(inodes[1])
        assert listeners.users(held.getsockname()[1]) == []
        assert listeners.users(free_port()) == []


def test_closed_connections_that_the_kernel_remembers_are_counted_and_do_not_stop_a_server() -> None:
    with listening_socket("127.0.0.1") as held:
        port = held.getsockname()[1]
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _unused = held.accept()
        accepted.close()
        client.close()
    assert listeners.count_closed(port) == 1
    assert bind.bindable(port) is None


def test_connections_through_a_port_are_its_users() -> None:
    with listening_socket("127.0.0.1") as held, socket.create_connection(held.getsockname()) as client:
        accepted, _unused = held.accept()
        with accepted:
            assert [one.inode for one in listeners.users(held.getsockname()[1])] == [os.fstat(accepted.fileno()).st_ino]
            assert [one.inode for one in listeners.users(client.getsockname()[1])] == [os.fstat(client.fileno()).st_ino]
