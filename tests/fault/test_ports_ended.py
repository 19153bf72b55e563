# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults 7 and 10 to 13: pids that are used again, what does not want to end, what comes back, and zombies."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import bind, ending, listeners, processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.ending import Ended
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Process
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush
from tests.support import supervisords
from tests.support.configs import a_label, a_stack
from tests.support.namespaces import cgroup, in_a_fresh_namespace, join
from tests.support.processes import eventually, free_port, is_alive
from tests.support.victims import start, victim

pytestmark = pytest.mark.usefixtures("bystander")

NAMESPACES = pytest.mark.skipif(os.geteuid() != 0, reason="makes a pid namespace of its own")
CGROUPS = pytest.mark.skipif(os.geteuid() != 0, reason="makes a cgroup")
# The freezer of cgroup v1 stops a process in state D, where not even KILL reaches it; that of v2 lets KILL through.
FREEZER = pytest.mark.skipif(
    not os.access("/sys/fs/cgroup/freezer/cgroup.procs", os.W_OK), reason="takes the freezer of cgroup v1, and root"
)

sandbox = supervisords.sandbox


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path)


# --- 7: pids that are used again --------------------------------------------------------------------------------------

REUSE = """
import contextlib, json, os, socket, sys, time
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import bind, ending, processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush
from tests.support.configs import a_stack
from tests.support.processes import free_port

root, case = sys.argv[1:]

def next_pid_is(pid):
    with open("/proc/sys/kernel/ns_last_pid", "w") as stream:
        stream.write(str(pid - 1))

def fork(listener=None):
    pid = os.fork()
    if pid == 0:
        if listener is None:
            # What inherits nothing holds nothing.
            os.closerange(3, 256)
        time.sleep(600)
        os._exit(0)
    if listener is not None:
        listener.close()
    return pid

def reuse(pid):
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    next_pid_is(pid)
    assert fork() == pid

# A run that is pid 1 itself could not be told from what is never signalled.
if os.getpid() == 1 and os.fork():
    os.wait()
    os._exit(0)
os.environ["ROLLCALL_STACK"], os.environ["ROLLCALL_ROOT"] = "test", root
port = free_port()
listener = socket.create_server(("127.0.0.1", port))
victim = fork(listener)
found = processes.describe(victim)
if case == "other start":
    # A tick is a hundredth of a second: the newcomer gets another start time for certain.
    time.sleep(0.03)
    reuse(victim)
    ended = [entry.as_dict() for entry in ending.end([found.identity])]
else:
    # Even with the same start time (the identity is made to agree) the newcomer does not hold the socket.
    stack = a_stack(root, port)
    original = ending.end
    def end(identities, **how):
        reuse(victim)
        newcomer = processes.describe(victim)
        return original([newcomer.identity], **{**how, "check": lambda process: how["check"](
            process._replace(start=found.start))})
    ending.end = end
    done = flush.flush(stack, policy="any")
    ended = [entry.as_dict() for entry in done.ended]
print(json.dumps({"alive": processes.alive(processes.describe(victim).identity), "ended": ended,
                  "free": bind.bindable(port)}), flush=True)
os.kill(victim, 9)
"""


@pytest.mark.fault(7)
@NAMESPACES
def test_a_pid_that_is_used_again_after_the_look_up_is_not_signalled(root: str) -> None:
    done = in_a_fresh_namespace(REUSE, root, "other start")
    assert done["alive"]
    (ended,) = done["ended"]
    assert (ended["result"], ended["signals"]) == ("changed", [])
    assert "is another process now" in ended["reason"]


@NAMESPACES
def test_a_pid_that_is_used_again_within_one_tick_is_not_signalled_for_it_holds_no_socket(root: str) -> None:
    assert in_a_fresh_namespace(REUSE, root, "same start") == {"alive": True, "ended": [], "free": None}


def test_a_process_that_has_become_another_users_is_not_signalled(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What was looked at and what is about to be signalled have the same pid and start: only the user is another.
    with victim("listen", label=a_label(root)) as held:
        look = processes.look_again

        def of_another(process: Process) -> t.Optional[Process]:
            now = look(process)
            return now and now._replace(uid=now.uid + 1)

        monkeypatch.setattr(processes, "look_again", of_another)
        with pytest.raises(RollcallError, match="share the sockets"):
            flush.flush(a_stack(root, held.port))
        assert held.alive


# --- 10: TERM ignored, stopped ----------------------------------------------------------------------------------------


@pytest.mark.fault(10)
def test_what_ignores_term_is_killed_and_the_escalation_is_reported(root: str) -> None:
    with victim("deaf", label=a_label(root)) as held:
        done = flush.flush(a_stack(root, held.port), grace=0.3)
        (entry,) = done.ended
        assert (entry.pid, entry.signals, entry.result) == (held.pid, ("TERM", "KILL"), "ended")
        assert entry.seconds >= 0.3
        assert bind.bindable(held.port) is None


@pytest.mark.fault(10)
def test_what_is_stopped_is_continued_so_that_it_can_end_by_itself(root: str) -> None:
    with victim("stopped", label=a_label(root)) as held:
        assert eventually(lambda: (processes.describe(held.pid) or pytest.fail("gone")).state == "T")
        (entry,) = flush.flush(a_stack(root, held.port), grace=100.0).ended
        assert (entry.signals, entry.result) == (("TERM", "CONT"), "ended")
        assert entry.seconds < 100


def test_one_that_ignores_term_does_not_hold_up_the_others(root: str) -> None:
    pool = ThreadPoolExecutor(1)
    with pool, victim("deaf", label=a_label(root)) as deaf, victim("listen", label=a_label(root)) as other:
        flushing = pool.submit(flush.flush, a_stack(root, deaf.port, other.port), grace=600.0)
        try:
            assert eventually(lambda: not other.alive)
            assert deaf.alive
            assert not flushing.done()
        finally:
            os.kill(deaf.pid, signal.SIGKILL)
        assert set(flushing.result().freed) == {deaf.port, other.port}


# --- 11: sleep in the kernel ------------------------------------------------------------------------------------------


@pytest.mark.fault(11)
@FREEZER
def test_a_process_in_state_d_is_a_bounded_and_reported_failure(root: str) -> None:
    with cgroup(f"rollcall-test-{os.getpid()}", "freezer") as (place,), victim("listen", label=a_label(root)) as held:
        join([place], held.pid)
        try:
            (place / "freezer.state").write_text("FROZEN", encoding="ascii")
            assert eventually(lambda: (processes.describe(held.pid) or pytest.fail("gone")).state == "D")
            began = time.monotonic()
            with pytest.raises(RollcallError, match=rf"pid {held.pid} of user .* did not end \(TERM, KILL") as caught:
                flush.flush(a_stack(root, held.port), grace=0.1, kill_grace=0.1)
            assert time.monotonic() - began < 60
            assert caught.value.kind == "failed"
            (entry,) = caught.value.evidence["ended"]
            assert (entry["result"], entry["signals"]) == ("stuck", ["TERM", "KILL"])
            assert "state D" in caught.value.message
            assert held.alive
        finally:
            (place / "freezer.state").write_text("THAWED", encoding="ascii")
        # The kernel has kept the KILL for when it may be taken.
        assert eventually(lambda: not held.alive)
        assert flush.flush(a_stack(root, held.port)) == flush.Flushed(False)


def test_what_outlives_even_kill_is_a_reported_failure(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # As a process in state D does, on a machine that has no way to make one.
    send = ending._Target.send

    def swallow(target: t.Any, name: str) -> None:
        target.sent.append(name)

    with victim("deaf", label=a_label(root)) as held:
        monkeypatch.setattr(ending._Target, "send", swallow)
        began = time.monotonic()
        with pytest.raises(RollcallError, match=rf"pid {held.pid} of user .* did not end \(TERM, KILL in") as caught:
            flush.flush(a_stack(root, held.port), grace=0.1, kill_grace=0.1)
        assert time.monotonic() - began < 60
        assert caught.value.kind == "failed"
        assert caught.value.evidence["ended"][0]["result"] == "survived"
        monkeypatch.setattr(ending._Target, "send", send)


def test_a_process_in_uninterruptible_sleep_is_called_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    with victim("listen") as held:
        process = processes.describe(held.pid)
        assert process is not None
        asleep = process._replace(state="D")
        monkeypatch.setattr(processes, "describe", lambda _pid: asleep)
        result, reason = ending._outlived_kill(process.identity)
        assert result == "stuck"
        assert "state D" in reason


# --- 12: what comes back ----------------------------------------------------------------------------------------------


@pytest.mark.fault(12)
def test_what_brings_the_holder_back_is_named_after_one_cycle(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with victim("respawner", label=a_label(root)) as held:
        returned: t.List[int] = []
        end = ending.end

        def end_and_wait_for_the_next(*args: t.Any, **how: t.Any) -> t.List[Ended]:
            ended = end(*args, **how)
            assert eventually(lambda: bool(listeners.find_listeners([held.port])))
            returned.append(1)
            return ended

        monkeypatch.setattr(ending, "end", end_and_wait_for_the_next)
        with pytest.raises(RollcallError, match="was freed and taken again by pid") as caught:
            flush.flush(a_stack(root, held.port))
        assert returned == [1]
        assert f"pid {held.said['parent']} " in caught.value.message
        assert caught.value.remedies == (f"kill {held.said['parent']}",)
        assert caught.value.kind == "failed"
        assert [entry["pid"] for entry in caught.value.evidence["ended"]] == [held.pid]
        assert is_alive(held.said["parent"])


def test_a_respawner_is_noticed_although_it_takes_its_time(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "RETURN", 60.0)
    with victim("respawner", 0, "--pause", "0.5") as held:
        began = time.monotonic()
        with pytest.raises(RollcallError, match="was freed and taken again by pid") as caught:
            flush.flush(a_stack(root, held.port), policy="any")
        assert 0.5 <= time.monotonic() - began < flush.RETURN
        assert f"pid {held.said['parent']} " in caught.value.message
        assert [entry["pid"] for entry in caught.value.evidence["ended"]] == [held.pid]
        assert is_alive(held.said["parent"])


def test_what_the_shell_that_runs_us_has_started_is_not_waited_for(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "RETURN", 60.0)
    with victim("listen") as held:
        began = time.monotonic()
        assert flush.flush(a_stack(root, held.port), policy="any").freed == (held.port,)
        assert time.monotonic() - began < flush.RETURN


@pytest.mark.fault(12)
@CGROUPS
def test_a_unit_that_brings_the_holder_back_is_named(root: str) -> None:
    unit = f"rollcall-test-{os.getpid()}.service"
    with cgroup(unit) as places, victim("respawner", 0, "--pause", "0.3") as held:
        if not places:
            pytest.skip("no hierarchy of cgroups by which systemd knows its units")
        join(places, held.said["parent"])
        join(places, held.pid)
        with pytest.raises(RollcallError) as refused:
            flush.flush(a_stack(root, held.port))
        assert f"not ours (it is not of this stack, in {unit}). End it with: systemctl stop {unit}." in str(
            refused.value
        )
        with pytest.raises(RollcallError, match="was freed and taken again by pid") as caught:
            flush.flush(a_stack(root, held.port), policy="any")
        assert f": {unit}, pid {held.said['parent']} " in caught.value.message
        assert caught.value.remedies == (f"systemctl stop {unit}",)


@pytest.mark.fault(12)
def test_a_second_supervisord_that_brings_the_holder_back_is_named(
    root: str, sandbox: supervisords.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flush, "RETURN", 60.0)
    port = free_port()
    listener = Path(__file__).parent.parent / "support" / "port_holders.py"
    sandbox.configure(web=f"{sys.executable} {listener} listen {port}\nautorestart=true\nstartsecs=0")
    daemon = sandbox.start()
    sandbox.client().start(["web"])
    assert eventually(lambda: bool(listeners.find_listeners([port])))
    first = sandbox.client().programs()["web"].pid
    stop = f"supervisorctl -s unix://{sandbox.socket} stop web:web"
    with pytest.raises(RollcallError) as refused:
        flush.flush(a_stack(root, port))
    assert refused.value.kind == "refused"
    assert refused.value.remedies[0] == stop

    with pytest.raises(RollcallError, match="was freed and taken again by pid") as caught:
        flush.flush(a_stack(root, port), policy="any")
    assert caught.value.kind == "failed"
    assert f"program web:web of supervisord pid {daemon}, pid {daemon} " in caught.value.message
    assert caught.value.remedies == (stop,)
    # One cycle: the first was ended, and the second is left alone.
    assert [entry["pid"] for entry in caught.value.evidence["ended"]] == [first]
    second = sandbox.client().programs()["web"].pid
    assert second not in (0, first)
    assert is_alive(second)

    # The remedy is one that can be copied.
    subprocess.run([sys.executable, "-m", "supervisor.supervisorctl", *shlex.split(stop)[1:]], check=True, timeout=60)
    assert flush.flush(a_stack(root, port)) == flush.Flushed(False)
    assert is_alive(daemon)


# --- 13: zombies ------------------------------------------------------------------------------------------------------


@pytest.mark.fault(13)
def test_a_zombie_is_not_signalled_and_its_parent_is_named() -> None:
    with victim("zombie") as parent:
        (pid,) = parent.pids
        process = processes.describe(pid)
        assert process is not None
        (ended,) = ending.end([process.identity])
        assert (ended.result, ended.signals) == ("zombie", ())
        assert f"its parent is pid {parent.pid} " in ended.reason
        assert parent.alive


def test_a_holder_that_becomes_a_zombie_before_it_is_signalled_is_not(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = start("listen", label=a_label(root))
    results: t.List[Ended] = []
    end = ending.end

    def after_its_own_end(*args: t.Any, **how: t.Any) -> t.List[Ended]:
        os.kill(held.pid, 9)
        assert eventually(lambda: not held.alive)
        results.extend(end(*args, **how))
        return results

    monkeypatch.setattr(ending, "end", after_its_own_end)
    try:
        done = flush.flush(a_stack(root, held.port))
        assert (done.changed, done.ended, done.freed) == (False, (), (held.port,))
        (entry,) = results
        assert (entry.result, entry.signals) == ("zombie", ())
        assert f"its parent is pid {os.getpid()} " in entry.reason
    finally:
        held.end()


def test_a_holder_that_has_become_a_zombie_no_longer_holds_its_port(root: str) -> None:
    held = start("listen", label=a_label(root))
    try:
        os.kill(held.pid, 9)
        assert eventually(lambda: not held.alive)
        # Our own child, and not reaped: it is a zombie all through this flush.
        assert flush.flush(a_stack(root, held.port)) == flush.Flushed(False)
    finally:
        held.end()
