# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets as the kernel shows them: real listeners, their owners, and the bind that judges."""

from __future__ import annotations

import os
import socket
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import bind, listeners, netlink, socket_owners
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Listener
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.netlink import NetlinkRefused
from tests.support.namespaces import NOBODY, as_nobody
from tests.support.processes import free_port
from tests.support.victims import victim

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user")


def listener(address: str, *, v6only: bool = False, port: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    if made.family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
    made.bind((address, port or free_port()))
    made.listen()
    return made


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
    with listener(address, v6only=v6only) as held:
        port = held.getsockname()[1]
        (found,) = listeners.find_listeners([port])
        assert (found.family, found.address, found.port) == (family, shown, port)
        assert found.inode == os.fstat(held.fileno()).st_ino
        assert found.uid == os.getuid()
        # /proc/net/tcp6 does not tell v6only, and the careful answer is that both families are held.
        assert set(found.families) == (families if source == "netlink" else families | set(found.families))


@pytest.mark.usefixtures("source")
def test_only_listeners_on_the_ports_asked_for_are_shown() -> None:
    with listener("127.0.0.1") as one, listener("127.0.0.1") as other, socket.create_connection(one.getsockname()) as c:
        port = one.getsockname()[1]
        assert [found.port for found in listeners.find_listeners([port])] == [port]
        assert listeners.find_listeners([c.getsockname()[1]]) == []
        assert {port, other.getsockname()[1]} <= {found.port for found in listeners.find_listeners()}


def test_what_the_fallback_lists_is_what_netlink_lists() -> None:
    with listener("0.0.0.0"), listener("::1"), listener("::", v6only=True), listener("::ffff:127.0.0.1"):
        by_netlink = {(one.family, one.address, one.port, one.inode, one.uid) for one in listeners.find_listeners()}
        by_proc = {(one.family, one.address, one.port, one.inode, one.uid) for one in listeners._read_proc_net()}
        assert by_netlink == by_proc


def test_owners_are_found_with_and_without_a_hint() -> None:
    with listener("127.0.0.1") as held:
        inode = os.fstat(held.fileno()).st_ino
        for hints in ([os.getpid()], [], [1, 2]):
            found = socket_owners.find_owners([inode], hints)
            assert (found.pids, found.complete) == ({inode: [os.getpid()]}, True)


@pytest.mark.parametrize("sharing", [socket_owners.RELATIVES, socket_owners.EVERY])
def test_all_who_share_a_listener_are_found_when_they_are_asked_for(sharing: str) -> None:
    with victim("shared") as master:
        (found,) = listeners.find_listeners([master.port])
        assert len(socket_owners.find_owners([found.inode]).pids[found.inode]) == 1
        for hints in ([], [master.pid], [master.pids[0]]):
            seen = socket_owners.find_owners([found.inode], hints, sharing)
            assert sorted(seen.pids[found.inode]) == sorted([master.pid, *master.pids])
        assert socket_owners.holds(master.pid, found.inode)
        assert not socket_owners.holds(os.getpid(), found.inode)


def test_a_stranger_who_was_handed_the_listener_is_found_when_every_process_is_looked_at() -> None:
    with victim("handed") as held:
        (found,) = listeners.find_listeners([held.port])
        seen = socket_owners.find_owners([found.inode], sharing=socket_owners.EVERY)
        assert sorted(seen.pids[found.inode]) == sorted([held.pid, *held.pids])


def test_the_owner_is_found_after_its_first_thread_has_ended() -> None:
    with victim("leaderless") as held:
        (found,) = listeners.find_listeners([held.port])
        assert socket_owners.find_owners([found.inode]).pids == {found.inode: [held.pid]}


@ROOT_ONLY
def test_an_owner_that_may_not_be_looked_into_makes_the_answer_incomplete() -> None:
    with victim("listen") as held:
        (found,) = listeners.find_listeners([held.port])

        def look() -> t.Any:
            seen = socket_owners.find_owners([found.inode])
            return [dict(seen.pids), seen.complete, seen.unreadable > 0]

        assert as_nobody(look) == [{}, False, True]


@ROOT_ONLY
def test_the_user_of_a_listener_is_known_without_its_process() -> None:
    with victim("listen", 0, "--uid", str(NOBODY)) as held:
        (found,) = listeners.find_listeners([held.port])
        assert found.uid == NOBODY


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::", "::1"])
def test_a_port_that_is_held_on_any_address_is_not_bindable(address: str) -> None:
    with listener(address) as held:
        assert bind.bindable(held.getsockname()[1]) is not None


def test_a_free_port_is_bindable_again_and_again() -> None:
    port = free_port()
    assert [bind.bindable(port) for _unused in range(3)] == [None] * 3


def test_a_single_address_is_judged_for_itself() -> None:
    with listener("127.0.0.1") as held:
        port = held.getsockname()[1]
        assert "127.0.0.1" in (bind.bindable(port, "127.0.0.1") or "")
        assert bind.bindable(port, "127.0.0.2") is None
        assert bind.bindable(port, "::1") is None


def test_a_socket_that_is_bound_and_does_not_listen_is_found_by_the_bind_alone() -> None:
    with victim("bound") as held:
        assert listeners.find_listeners([held.port]) == []
        assert "in use" in (bind.bindable(held.port) or "")


def test_a_socket_that_is_bound_to_another_port_does_not_use_this_one() -> None:
    with victim("bound") as one, victim("bound") as other, listener("127.0.0.1") as held:
        inodes = [{user.inode for user in listeners.users(held_by.port)} for held_by in (one, other)]
        assert inodes[0].isdisjoint(inodes[1])
        assert listeners.users(held.getsockname()[1]) == []
        assert listeners.users(free_port()) == []


def test_closed_connections_that_the_kernel_remembers_are_counted_and_do_not_stop_a_server() -> None:
    with listener("127.0.0.1") as held:
        port = held.getsockname()[1]
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _unused = held.accept()
        accepted.close()
        client.close()
    assert listeners.count_closed(port) == 1
    assert bind.bindable(port) is None


def test_connections_through_a_port_are_its_users() -> None:
    with listener("127.0.0.1") as held, socket.create_connection(held.getsockname()) as client:
        accepted, _unused = held.accept()
        with accepted:
            assert [one.inode for one in listeners.users(held.getsockname()[1])] == [os.fstat(accepted.fileno()).st_ino]
            assert [one.inode for one in listeners.users(client.getsockname()[1])] == [os.fstat(client.fileno()).st_ino]
