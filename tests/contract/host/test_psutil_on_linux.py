# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other systems get, on this one: psutil in place of /proc and netlink, kill in place of pidfd, real processes."""

from __future__ import annotations

import os
import socket
import typing as t
from pathlib import Path

import psutil
import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import (
    bind,
    by_psutil,
    ending,
    listeners,
    proc,
    processes,
    socket_owners,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.labels import label_of
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Label
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.ours import find
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush, survey
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.running import supervisords_over
from tests.support import supervisords
from tests.support.configs import a_label, a_stack
from tests.support.namespaces import as_nobody
from tests.support.processes import eventually, free_port
from tests.support.victims import victim

pytestmark = pytest.mark.usefixtures("bystander")

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user")

sandbox = supervisords.sandbox


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture(autouse=True)
def psutil_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LINUX", False)
    monkeypatch.setattr(processes, "reader", by_psutil)
    monkeypatch.delattr(os, "pidfd_open", raising=False)


T = t.TypeVar("T")


def both_ways(look: t.Callable[[], T]) -> t.Tuple[T, T]:
    """Return what psutil shows, and what /proc does."""
    seen = look()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "LINUX", True)
        patch.setattr(processes, "reader", proc)
        return seen, look()


def test_a_process_is_described_as_by_proc() -> None:
    with victim("shared") as held:
        seen, expected = both_ways(lambda: processes.describe(held.pid))
        assert seen is not None
        assert expected is not None
        again = processes.describe(held.pid)
        assert again is not None
        # Each way counts the start from its own boot time; within one way it is always the same. It may run or sleep at
        # the moment of each look.
        assert abs(seen.started_at - expected.started_at) < 2
        assert {seen.state, expected.state, again.state} <= {"R", "S"}
        assert again._replace(state="S") == seen._replace(state="S")
        both = [one._replace(start=0, started_at=0.0, state="S") for one in (seen, expected)]
        assert both[0] == both[1]
        assert 0 <= processes.age(seen.start) < 600


def test_families_are_seen_as_by_proc() -> None:
    with victim("shared") as held:
        for look in (
            lambda: processes.ancestors(held.pids[0]),
            lambda: sorted(processes.children(held.pid)),
            lambda: sorted(processes.descendants([held.pid])),
        ):
            seen, expected = both_ways(look)
            assert seen == expected
            assert seen


def test_labels_are_read_as_by_proc(root: str) -> None:
    with victim("bystander", label=a_label(root)) as held:
        seen, expected = both_ways(lambda: label_of(held.pid))
        assert seen == expected == Label("test", root, "victim", "0123456789ab")
        assert [one.pid for one in find(root)] == [held.pid]


def test_a_zombie_is_dead_and_a_stopped_process_is_not() -> None:
    with victim("zombie") as parent, victim("stopped") as stopped:
        dead = processes.describe(parent.pids[0])
        assert dead is not None
        assert (dead.state, processes.alive(dead.identity)) == ("Z", False)
        assert eventually(lambda: (processes.describe(stopped.pid) or pytest.fail("gone")).state == "T")


@pytest.mark.parametrize(
    "options",
    [
        ["--address", "127.0.0.1"],
        ["--address", "0.0.0.0"],
        ["--address", "::1"],
        ["--address", "::"],
        ["--address", "::ffff:127.0.0.1"],
    ],
)
def test_a_listener_is_shown_as_by_netlink(options: t.List[str]) -> None:
    with victim("listen", 0, *options) as held:

        def look() -> t.List[t.Tuple[str, str, int, t.List[int]]]:
            found = listeners.find_listeners([held.port])
            owners = socket_owners.find_owners([one.inode for one in found], sharing=socket_owners.EVERY)
            return [(one.family, one.address, one.port, list(owners.pids[one.inode])) for one in found]

        seen, expected = both_ways(look)
        assert seen == expected
        assert [pids for *_unused, pids in seen] == [[held.pid]]


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_the_addresses_that_servers_are_given_are_tried_one_by_one(address: str) -> None:
    port = free_port()
    assert bind.bindable(port) is None
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as held:
        held.bind((address, port))
        held.listen()
        assert "in use" in (bind.bindable(port) or "")


def test_each_address_alone_is_enough_to_find_a_port_held(monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a BSD, where listening on a wildcard does not collide with listening on an address.
    tried: t.List[str] = []

    def collides(_family: int, address: str, _port: int, *, both: bool = False) -> t.Optional[str]:
        tried.append(address)
        assert not both
        return "in use" if address == "127.0.0.1" else None

    monkeypatch.setattr(bind, "_try_bind", collides)
    assert bind.bindable(8001) == "in use"
    assert tried == ["0.0.0.0", "::", "127.0.0.1"]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have psutil refuse to list all connections, as on macOS without root."""

    def denied(**_how: t.Any) -> t.Any:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", denied)


@pytest.mark.usefixtures("refused")
def test_every_process_that_shares_a_listener_is_found_process_by_process() -> None:
    with victim("shared") as held:
        found = listeners.find_listeners([held.port])
        assert sorted(-one.inode for one in found) == sorted([held.pid, *held.pids])
        assert {(one.family, one.address, one.port) for one in found} == {("ipv4", "127.0.0.1", held.port)}


def test_who_has_shared_a_listener_and_is_found_late_is_not_said_to_have_come_back(root: str) -> None:
    # On Linux psutil names one process for each socket: the other one shows up when that has ended.
    with victim("handed", label=a_label(root)) as held:
        assert len(listeners.find_listeners([held.port])) == 1
        done = flush.flush(a_stack(root, held.port))
        assert {entry.pid for entry in done.ended} == {held.pid, *held.pids}
        assert done.freed == (held.port,)


@pytest.mark.usefixtures("refused")
def test_what_is_ours_is_ended_and_the_port_proved_free(root: str) -> None:
    with victim("deaf", label=a_label(root)) as deaf, victim("shared", label=a_label(root)) as shared:
        stack = a_stack(root, deaf.port, shared.port)
        done = flush.flush(stack, grace=0.3)
        assert {entry.pid for entry in done.ended} >= {deaf.pid, shared.pid, *shared.pids}
        assert {entry.result for entry in done.ended} == {"ended"}
        assert next(entry for entry in done.ended if entry.pid == deaf.pid).signals == ("TERM", "KILL")
        assert set(done.freed) == {deaf.port, shared.port}
        assert flush.flush(stack) == flush.Flushed(False)


def test_what_is_stopped_is_continued_so_that_it_can_end_by_itself(root: str) -> None:
    with victim("stopped", label=a_label(root)) as held:
        assert eventually(lambda: (processes.describe(held.pid) or pytest.fail("gone")).state == "T")
        (entry,) = flush.flush(a_stack(root, held.port)).ended
        assert (entry.signals, entry.result) == (("TERM", "CONT"), "ended")


def test_a_foreign_process_is_refused_and_ended_when_that_is_asked_for(root: str) -> None:
    with victim("listen") as held:
        stack = a_stack(root, held.port)
        with pytest.raises(RollcallError, match=rf"pid {held.pid} .*not ours"):
            flush.flush(stack)
        assert held.alive
        assert [entry.pid for entry in flush.flush(stack, overrides={held.port: "any"}).ended] == [held.pid]


def test_our_own_ancestors_are_never_signalled() -> None:
    parent = processes.describe(os.getppid())
    assert parent is not None
    (ended,) = ending.end([parent.identity])
    assert (ended.result, ended.signals) == ("survived", ())


@ROOT_ONLY
def test_a_listener_that_another_user_sees_without_its_process_is_not_called_free(root: str) -> None:
    with victim("listen", label=a_label(root)) as held:

        def attempt() -> t.Any:
            (port,) = survey.inspect(None, [held.port])
            try:
                flush.flush(a_stack(root, held.port), policy="any")
            except RollcallError as exc:
                return [port, exc.as_dict()]
            return None

        port, error = as_nobody(attempt)
        assert error["kind"] == "refused"
        assert "taken, owner unknown: no process that holds it can be seen: it may be one of the " in error["message"]
        assert (port["free"], port["complete"], port["unreadable"] > 0) == (False, False, True)
        assert held.alive


def test_a_supervisord_and_what_it_runs_are_known(root: str, sandbox: supervisords.Sandbox) -> None:
    daemon = sandbox.start()
    seen, expected = both_ways(lambda: [one.pid for one in supervisords_over(sandbox.config)])
    assert seen == expected == [daemon]
    assert supervisords_over(f"{root}/other.conf") == []
