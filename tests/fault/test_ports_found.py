# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults 1 to 5: who counts as a holder of a port, in every way a port can be held. A bystander always survives."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Clock
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import bind, listeners, socket_owners
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush, survey
from tests.support.configs import a_label, a_stack
from tests.support.namespaces import as_nobody, in_a_fresh_namespace
from tests.support.processes import eventually, free_port, is_alive
from tests.support.victims import Victim, start, victim

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user, or namespaces of its own")


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture(autouse=True)
def bystander(root: str) -> t.Iterator[Victim]:
    """A process that nothing here has any business with, labelled or not; it must be alive afterwards."""
    held = start("listen", label=a_label(f"{root}/elsewhere"))
    try:
        yield held
        assert held.alive, "a bystander was ended"
    finally:
        held.end()


def seen(root: str, port: int) -> t.Set[t.Tuple[str, str, t.Optional[int], str]]:
    """Return family, address, pid and provenance of each holder."""
    holders = survey.survey(a_stack(root, port), [port], sharing=socket_owners.EVERY)[port]
    return {
        (one.listener.family, one.listener.address, one.process.pid if one.process else None, one.provenance)
        for one in holders
    }


# --- 1: a client ----------------------------------------------------------------------------------------------------


@pytest.mark.fault(1)
def test_a_client_of_the_port_is_neither_seen_nor_touched(root: str) -> None:
    with victim("listen", label=a_label(root)) as server, victim("client", server.port) as client:
        assert seen(root, server.port) == {("ipv4", "127.0.0.1", server.pid, "orphan")}
        done = flush.flush(a_stack(root, server.port))
        assert [entry.pid for entry in done.ended] == [server.pid]
        assert done.freed == (server.port,)
        assert client.alive


@pytest.mark.fault(1)
def test_a_client_whose_own_end_has_the_port_is_named_and_never_ended(root: str) -> None:
    with victim("listen") as server, victim("client", server.port) as client:
        local = client.said["local"]
        assert seen(root, local) == set()
        with pytest.raises(RollcallError, match="taken, owner unknown") as caught:
            flush.flush(a_stack(root, local, also=(local,)), policy="any", kill_grace=0.1)
        assert f"pid {client.pid} " in caught.value.message
        assert client.alive
        assert server.alive


# --- 2: several listeners, shared listeners, daemons ----------------------------------------------------------------


@pytest.mark.fault(2)
@pytest.mark.parametrize("kind", ["listen", "pair", "group", "shared", "daemon", "leaderless", "handed"])
def test_every_process_that_holds_the_port_is_found_and_ended(root: str, kind: str) -> None:
    with victim(kind, label=a_label(root)) as held:
        pids = {held.pid, *held.pids}
        assert {pid for _unused, _unused, pid, _unused in seen(root, held.port)} == pids
        done = flush.flush(a_stack(root, held.port))
        assert {entry.pid for entry in done.ended} >= pids
        assert not any(is_alive(pid) for pid in pids)
        assert done.freed == (held.port,)
        assert bind.bindable(held.port) is None


@pytest.mark.fault(2)
def test_a_master_is_ended_before_the_workers_it_would_replace(root: str) -> None:
    with victim("shared", 0, "--workers", "8", label=a_label(root)) as held:
        done = flush.flush(a_stack(root, held.port))
        assert done.ended[0].pid == held.pid
        assert {entry.result for entry in done.ended} == {"ended"}


def test_a_listener_whose_first_holder_was_found_alone_is_ended_to_the_last(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = socket_owners.find_owners
    looks: t.List[str] = []

    def blind_at_first(inodes: t.Iterable[int], hints: t.Iterable[int] = (), sharing: str = socket_owners.ONE) -> t.Any:
        # What a fork in the middle of the first look leads to: only one of those who share the socket is found.
        looks.append(sharing)
        return full(inodes, hints, sharing if len(looks) > 1 else socket_owners.ONE)

    monkeypatch.setattr(socket_owners, "find_owners", blind_at_first)
    with victim("shared", label=a_label(root)) as held:
        done = flush.flush(a_stack(root, held.port))
        assert {entry.pid for entry in done.ended} >= {held.pid, *held.pids}
        assert done.freed == (held.port,)


def test_each_of_several_listeners_of_one_process_is_a_holder(root: str) -> None:
    with victim("group", label=a_label(root)) as held:
        holders = survey.survey(a_stack(root, held.port), [held.port])[held.port]
        assert sorted(one.listener.inode for one in holders) == sorted(held.said["inodes"])
        assert {(one.listener.family, one.pids) for one in holders} == {("ipv4", (held.pid,)), ("ipv6", (held.pid,))}


def test_a_foreign_listener_beside_ours_on_the_same_address_keeps_both_alive(root: str) -> None:
    # Only processes of one user can share a port by SO_REUSEPORT, and they need not be of one stack.
    with victim("listen", 0, "--reuseport", label=a_label(root)) as ours:
        with victim("listen", ours.port, "--reuseport") as foreign:
            stack = a_stack(root, ours.port)
            with pytest.raises(RollcallError) as caught:
                flush.flush(stack)
            assert caught.value.kind == "refused"
            assert f"pid {foreign.pid} " in caught.value.message
            assert ours.alive
            assert foreign.alive
            assert {entry.pid for entry in flush.flush(stack, policy="any").ended} == {ours.pid, foreign.pid}
        assert bind.bindable(ours.port) is None


@pytest.mark.fault(2)
def test_a_port_is_not_called_free_while_a_copy_of_the_listener_is_on_its_way(root: str) -> None:
    with victim("posted", label=a_label(root)) as held:
        with pytest.raises(RollcallError, match="is taken, owner unknown: no process that holds it") as caught:
            flush.flush(a_stack(root, held.port))
        assert caught.value.kind == "failed"
        assert [entry["pid"] for entry in caught.value.evidence["ended"]] == [held.pid]
        assert [listener.port for listener in listeners.find_listeners([held.port])] == [held.port]
        # It has the message, and could take the listener out of it; it does not hold it.
        assert is_alive(held.pids[0])


# --- 3: families and addresses --------------------------------------------------------------------------------------


@pytest.mark.fault(3)
@pytest.mark.parametrize(
    ("options", "family", "address"),
    [
        (["--address", "127.0.0.1"], "ipv4", "127.0.0.1"),
        (["--address", "0.0.0.0"], "ipv4", "0.0.0.0"),
        (["--address", "::1"], "ipv6", "::1"),
        (["--address", "::", "--v6only"], "ipv6", "::"),
        (["--address", "::"], "ipv6", "::"),
        (["--address", "::ffff:127.0.0.1"], "ipv4", "127.0.0.1"),
    ],
)
def test_a_holder_is_found_on_every_family_and_address(
    root: str, options: t.List[str], family: str, address: str
) -> None:
    with victim("listen", 0, *options, label=a_label(root)) as held:
        assert seen(root, held.port) == {(family, address, held.pid, "orphan")}
        assert flush.flush(a_stack(root, held.port)).freed == (held.port,)
        assert not held.alive


def test_two_holders_of_one_port_on_different_addresses_are_judged_each_for_itself(root: str) -> None:
    with victim("listen", label=a_label(root)) as ours, victim("listen", ours.port, "--address", "::1") as foreign:
        assert seen(root, ours.port) == {
            ("ipv4", "127.0.0.1", ours.pid, "orphan"),
            ("ipv6", "::1", foreign.pid, "foreign"),
        }
        with pytest.raises(RollcallError) as caught:
            flush.flush(a_stack(root, ours.port))
        assert f"pid {foreign.pid} " in caught.value.message
        assert f"pid {ours.pid} " not in caught.value.message
        assert ours.alive
        assert foreign.alive


# --- 4: taken, owner unknown ----------------------------------------------------------------------------------------


@pytest.mark.fault(4)
@pytest.mark.parametrize("policy", ["owned", "any"])
def test_a_port_that_is_bound_and_not_listened_on_is_not_called_free(root: str, policy: str) -> None:
    with victim("bound", label=a_label(root)) as held, victim("bound", label=a_label(root)) as other:
        assert seen(root, held.port) == set()
        with pytest.raises(RollcallError, match="is taken, owner unknown: cannot listen on") as caught:
            flush.flush(a_stack(root, held.port), policy=policy, kill_grace=0.1)
        assert caught.value.kind == "refused"
        (objection,) = caught.value.evidence["objections"]
        assert (objection["port"], objection["provenance"]) == (held.port, "unknown")
        # Linux 6.8 and later tell whose such a socket is; before, nobody is accused.
        assert {process["pid"] for process in objection["used_by"]} <= {held.pid}
        # What is bound to another port is not.
        assert f"pid {other.pid} " not in caught.value.message
        assert held.alive


@pytest.mark.fault(4)
def test_a_listener_that_no_process_holds_is_not_called_free(root: str) -> None:
    with victim("in_flight", label=a_label(root)) as held:
        assert seen(root, held.port) == {("ipv4", "127.0.0.1", None, "unknown")}
        with pytest.raises(
            RollcallError, match="is taken, owner unknown: no process that holds it can be seen"
        ) as caught:
            flush.flush(a_stack(root, held.port), policy="any")
        assert caught.value.kind == "refused"
        assert caught.value.evidence["holders"][0]["provenance"] == "unknown"
        assert held.alive


@pytest.mark.fault(4)
@ROOT_ONLY
def test_the_listener_of_another_user_is_not_called_free_without_root(root: str) -> None:
    with victim("listen", label=a_label(root)) as held:
        stack = a_stack(root, held.port)

        def attempt() -> t.Any:
            try:
                flush.flush(stack, policy="any")
            except RollcallError as exc:
                return exc.as_dict()
            return None

        error = as_nobody(attempt)
        assert error["kind"] == "refused"
        assert "is taken, owner unknown" in error["message"]
        assert "its user is root" in error["message"]
        assert "run the same command with sudo" in error["remedies"]
        assert held.alive


HIDDEN = """
import json, subprocess, sys
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush, survey
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from tests.support.configs import a_stack
from tests.support.namespaces import as_nobody
from tests.support.configs import a_label
from tests.support.victims import victim

root, how = sys.argv[1:]
subprocess.run(["mount", "-o", "remount,hidepid=" + how, "/proc"], check=True)
with victim("listen", label=a_label(root)) as held:
    def attempt():
        (port,) = survey.inspect(None, [held.port])
        try:
            flush.flush(a_stack(root, held.port), policy="any")
        except RollcallError as exc:
            return {"port": port, "error": exc.as_dict()}

    said = as_nobody(attempt)
    print(json.dumps({**said, "alive": held.alive}))
"""


@ROOT_ONLY
@pytest.mark.parametrize(
    ("hidepid", "words"),
    [
        ("1", r"it may be one of the \d+ that may not be looked into"),
        ("2", r"/proc hides the processes of other users \(hidepid\)"),
    ],
)
def test_a_listener_is_not_called_free_where_proc_hides_the_processes_of_others(
    root: str, hidepid: str, words: str
) -> None:
    said = in_a_fresh_namespace(HIDDEN, root, hidepid)
    assert said["alive"]
    assert said["error"]["kind"] == "refused"
    unknown = "is taken, owner unknown: no process that holds it can be seen"
    assert re.search(f"{unknown}: {words}; its user is root", said["error"]["message"])
    assert (said["port"]["free"], said["port"]["complete"]) == (False, False)
    assert (said["port"]["unreadable"] > 0) == (hidepid == "1")
    (holder,) = said["port"]["holders"]
    assert (holder["provenance"], holder["pid"], holder["pids"]) == ("unknown", None, [])


OUTSIDE = """
import json, sys
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush, survey
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from tests.support.configs import a_stack

root, port = sys.argv[1], int(sys.argv[2])
try:
    flush.flush(a_stack(root, port), policy="any")
except RollcallError as exc:
    print(json.dumps({"error": exc.as_dict(), "port": survey.inspect(None, [port])[0]}))
"""


@ROOT_ONLY
def test_a_listener_outside_of_our_pid_namespace_is_not_called_free(root: str) -> None:
    with victim("listen", label=a_label(root)) as held:
        said = in_a_fresh_namespace(OUTSIDE, root, str(held.port))
        assert said["error"]["kind"] == "refused"
        assert "it may run outside of the container, or pid namespace, that this runs in" in said["error"]["message"]
        assert (said["port"]["free"], said["port"]["complete"]) == (False, False)
        assert held.alive


@ROOT_ONLY
def test_a_listener_in_another_network_is_none_of_ours(root: str) -> None:
    with victim("listen", label=a_label(root)) as ours:
        other = ("unshare", "--net")
        with victim("listen", ours.port, "--address", "0.0.0.0", label=a_label(root), prefix=other) as elsewhere:
            assert seen(root, ours.port) == {("ipv4", "127.0.0.1", ours.pid, "orphan")}
            assert flush.flush(a_stack(root, ours.port)).freed == (ours.port,)
            assert elsewhere.alive


def test_a_free_port_among_held_ones_stays_free_and_is_not_reported(root: str) -> None:
    port = free_port()
    with victim("listen", label=a_label(root)) as held:
        done = flush.flush(a_stack(root, port, held.port))
        assert done.freed == (held.port,)
        assert flush.flush(a_stack(root, port, held.port)) == flush.Flushed(False)


def test_a_service_listening_below_a_reported_pid_is_supervised_and_left_alone(root: str) -> None:
    with victim("shared", label=a_label(root)) as held:
        stack = a_stack(root, held.port)
        holders = survey.survey(stack, [held.port], {held.pid: "service0"}, sharing=socket_owners.EVERY)[held.port]
        assert {(one.provenance, one.service) for one in holders} == {("supervised", "service0")}
        assert len(holders) == 1 + len(held.pids)


def test_a_closing_listener_is_looked_at_again_rather_than_called_unknown(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = listeners.find_listeners
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        (before,) = listed([port])
    answers = [[before]]
    monkeypatch.setattr(listeners, "find_listeners", lambda ports: answers.pop() if answers else listed(ports))
    assert survey.survey(a_stack(root, port), [port]) == {port: []}


def test_ports_are_looked_at_by_the_system_python_without_any_package(root: str) -> None:
    """On Linux neither psutil nor anything else beyond the standard library is imported."""
    code = (
        "import sys\n"
        "from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import survey\n"
        "survey.inspect(None, [8001])\n"
        "print(sorted({'psutil', 'yaml', 'ansible'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]", root


# --- 5: TIME_WAIT -----------------------------------------------------------------------------------------------------


class Remembered(t.NamedTuple):
    """A connection that the kernel still remembers at the server's port, where no process is any more."""

    port: int
    client: int

    def forget(self) -> None:
        """Have the kernel forget it: it answers a client that knocks again from the same port, and is told off."""
        if Path("/proc/sys/net/ipv4/tcp_rfc1337").read_text(encoding="ascii").strip() != "0":
            pytest.skip("this kernel does not let a reset end TIME_WAIT (net.ipv4.tcp_rfc1337)")
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", self.client))
            again.setblocking(False)
            again.connect_ex(("127.0.0.1", self.port))
            assert eventually(lambda: not listeners.count_closed(self.port))


@pytest.fixture
def remembered() -> Remembered:
    """A server that does without SO_REUSEADDR closes its connection first, and then itself."""
    port = free_port()
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        with socket.create_connection(("127.0.0.1", port)) as client:
            made = Remembered(port, client.getsockname()[1])
            server.accept()[0].close()
            assert client.recv(1) == b""
    assert eventually(lambda: listeners.count_closed(port) == 1)
    assert "in use" in (bind.bindable(port) or "")
    return made


class Fast(Clock):
    """A clock on which waiting takes no time, and at some moment of which something happens."""

    def __init__(self, at: float, happens: t.Callable[[], None]) -> None:
        self.now = 0.0
        self._at, self._happens = at, happens

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        before, self.now = self.now, self.now + max(seconds, 0.001)
        if before < self._at <= self.now:
            self._happens()


@pytest.mark.fault(5)
def test_connections_that_are_only_remembered_are_waited_out(root: str, remembered: Remembered) -> None:
    clock = Fast(50, remembered.forget)
    assert flush.flush(a_stack(root, remembered.port), policy="any", clock=clock) == flush.Flushed(False)
    assert 50 <= clock.now < 51
    assert bind.bindable(remembered.port) is None


@pytest.mark.fault(5)
def test_what_is_remembered_for_longer_than_the_deadline_is_a_failure_that_names_it_and_nobody(
    root: str, remembered: Remembered
) -> None:
    began = time.monotonic()
    with pytest.raises(RollcallError, match=r"is not free after 0\.3 s: .* 1 of them in TIME_WAIT") as caught:
        flush.flush(a_stack(root, remembered.port), policy="any", kill_grace=0.1, time_wait=0.3)
    assert 0.3 <= time.monotonic() - began < 50, "the kernel itself forgets it after 60 seconds"
    assert "There is nobody to end" in caught.value.message
    assert (caught.value.kind, caught.value.evidence["ended"]) == ("failed", [])
    assert not any("kill" in remedy for remedy in caught.value.remedies)


def test_a_look_does_not_wait_for_what_is_remembered_and_blames_nobody(root: str, remembered: Remembered) -> None:
    began = time.monotonic()
    assert flush.flush(a_stack(root, remembered.port), dry_run=True, kill_grace=0.1) == flush.Flushed(False)
    (port,) = survey.inspect(None, [remembered.port])
    assert time.monotonic() - began < 50
    assert (port["free"], port["holders"], port["complete"], port["unreadable"]) == (False, [], True, 0)
    assert "the kernel still remembers 1 closed connections (TIME_WAIT)" in port["reason"]


def test_what_a_victim_leaves_in_time_wait_is_waited_out_after_its_end(root: str) -> None:
    with victim("leaves", label=a_label(root)) as held:
        with socket.create_connection(("127.0.0.1", held.port)) as client:
            connection = Remembered(held.port, client.getsockname()[1])
            assert client.recv(1) == b""
        assert eventually(lambda: listeners.count_closed(held.port) == 1)
        clock = Fast(30, connection.forget)
        began = time.monotonic()
        done = flush.flush(a_stack(root, held.port), clock=clock)
        assert ([entry.pid for entry in done.ended], done.freed) == ([held.pid], (held.port,))
        assert time.monotonic() - began < 50
        assert clock.now >= 30
        assert bind.bindable(held.port) is None
