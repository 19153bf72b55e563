# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults 6, 8, 9, 14 and 15: what is never ended, what takes an explicit word, and a look that touches nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import listeners, processes, socket_owners
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.accounts import user_name
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Process
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush, judge, survey
from ansible_collections.rollcall.supervisor.plugins.modules import port_flush, port_info
from tests.support import returns
from tests.support.configs import a_label, a_stack
from tests.support.namespaces import NOBODY, PID_NAMESPACE, as_nobody, cgroup, in_a_fresh_namespace, join
from tests.support.processes import eventually, free_port, is_alive
from tests.support.victims import Victim, victim

pytestmark = pytest.mark.usefixtures("bystander")

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user, namespaces or cgroups of its own")
SYSTEMD = next(filter(os.path.exists, ("/lib/systemd/systemd", "/usr/lib/systemd/systemd")), None)

# What a run below the holder of the port does: flush it, and say how it was refused.
FLUSH_BELOW = """
import json, sys
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from tests.support.configs import a_stack
try:
    flush.flush(a_stack(sys.argv[1], int(sys.argv[2])), policy="any")
except RollcallError as exc:
    print(json.dumps(exc.as_dict()))
"""


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path)


def refusal(stack: t.Any, **how: t.Any) -> RollcallError:
    """Return the error a flush is refused with."""
    with pytest.raises(RollcallError) as caught:
        flush.flush(stack, **how)
    assert caught.value.kind == "refused"
    return caught.value


# --- 6: containers, other pid namespaces, socket activation -----------------------------------------------------------


def seen_from_here(inside: Victim) -> int:
    """Return our pid of a victim that is the first process of its own pid namespace."""
    (pid,) = processes.children(inside.process.pid)
    return pid


@pytest.mark.fault(6)
@ROOT_ONLY
def test_a_holder_in_another_pid_namespace_is_refused_and_the_namespace_named(root: str) -> None:
    # Our own label in there proves nothing: the environment of a container is not ours to trust.
    with victim("listen", label=a_label(root), prefix=PID_NAMESPACE) as held:
        pid = seen_from_here(held)
        error = refusal(a_stack(root, held.port))
        namespace = f"the pid namespace below pid {held.process.pid} 'unshare "
        assert f"pid {pid} " in error.message
        assert f"not ours (it runs in a container, in {namespace}" in error.message
        (evidence,) = error.evidence["objections"]
        assert evidence["unit"].startswith(namespace)
        (port,) = survey.inspect(None, [held.port])
        assert [(one["pid"], one["unit"]) for one in port["holders"]] == [(pid, evidence["unit"])]
        assert is_alive(pid)


@ROOT_ONLY
def test_a_holder_in_another_pid_namespace_is_ended_when_that_is_asked_for(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `unshare` is there for a moment longer than what it runs, as the engine of a container is that may run it again.
    monkeypatch.setattr(flush, "RETURN", 0.2)
    with victim("listen", prefix=PID_NAMESPACE) as held:
        pid = seen_from_here(held)
        done = flush.flush(a_stack(root, held.port), overrides={held.port: "any"}, grace=0.2)
        # The first process of a namespace does not even get a TERM that it does not handle.
        assert [(entry.pid, entry.signals) for entry in done.ended] == [(pid, ("TERM", "KILL"))]
        assert done.freed == (held.port,)


@ROOT_ONLY
@pytest.mark.parametrize(
    ("prefix", "command"), [("libpod", "podman stop"), ("docker", "docker stop"), ("cri-containerd", "crictl stop")]
)
def test_a_container_is_named_by_its_id_with_the_command_that_stops_it(root: str, prefix: str, command: str) -> None:
    ident = f"{os.getpid():x}".rjust(8, "0") * 8
    with cgroup(f"{prefix}-{ident}.scope") as places, victim("listen", prefix=PID_NAMESPACE) as held:
        if not places:
            pytest.skip("no hierarchy of cgroups by which systemd knows its units")
        join(places, seen_from_here(held))
        error = refusal(a_stack(root, held.port))
        assert f"(it runs in a container, in container {ident[:12]})" in error.message
        assert error.remedies[0] == f"{command} {ident[:12]}"
        assert error.evidence["objections"][0]["unit"] == f"container {ident[:12]}"
        assert is_alive(seen_from_here(held))


@pytest.mark.parametrize("program", ["docker-proxy", "conmon", "rootlessport", "pasta"])
@pytest.mark.parametrize("policy", ["owned", "any"])
def test_what_holds_a_port_for_a_container_is_never_ended_and_the_container_asked_for(
    root: str, tmp_path: Path, program: str, policy: str
) -> None:
    (tmp_path / program).symlink_to(sys.executable)
    with victim("listen", label=a_label(f"{root}/other"), python=str(tmp_path / program)) as held:
        error = refusal(a_stack(root, held.port), policy=policy)
        assert "which is never ended: it listens for a container" in error.message
        assert f"Stop the container: docker ps --filter publish={held.port}." in error.message
        assert held.alive


@pytest.mark.fault(6)
@ROOT_ONLY
def test_the_container_that_a_port_is_published_for_is_named(root: str, tmp_path: Path) -> None:
    ident = f"{os.getpid():x}".rjust(8, "0") * 8
    (tmp_path / "conmon").symlink_to(sys.executable)
    with cgroup(f"libpod-conmon-{ident}.scope") as places, victim("listen", python=str(tmp_path / "conmon")) as held:
        if not places:
            pytest.skip("no hierarchy of cgroups by which systemd knows its units")
        join(places, held.pid)
        error = refusal(a_stack(root, held.port), policy="any")
        assert f"for a container, in container {ident[:12]}. Stop the container: podman stop" in error.message
        assert error.remedies[0] == f"podman stop {ident[:12]}"
        assert held.alive


PID_1 = """
import json, os, socket, sys
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from tests.support.configs import a_stack
from tests.support.processes import free_port

port = free_port()
listener = socket.create_server(("127.0.0.1", port))
assert os.getpid() == 1
os.environ.update(PATH=sys.argv[2] + ":" + os.environ["PATH"], PORT=str(port))
if os.fork() == 0:
    listener.close()
    try:
        flush.flush(a_stack(sys.argv[1], port), policy="any")
    except RollcallError as exc:
        print(json.dumps({**exc.as_dict(), "port": port}), flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.fault(6)
@ROOT_ONLY
def test_a_port_that_pid_1_holds_is_refused_and_the_socket_unit_named(root: str, tmp_path: Path) -> None:
    # What systemctl says is recorded here; a systemd of its own says it in the test after this one.
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        "#!/bin/sh\n"
        '[ "$1 $2" = "list-sockets --all" ] || exit 1\n'
        'echo "/run/dbus/system_bus_socket dbus.socket dbus.service"\n'
        'echo "[::]:1$PORT                 far.socket  far.service"\n'
        'echo "127.0.0.1:$PORT             web.socket  web.service"\n',
        encoding="utf-8",
    )
    systemctl.chmod(0o755)
    error = in_a_fresh_namespace(PID_1, root, str(tmp_path))
    assert error["kind"] == "refused"
    assert (
        "which is never ended: it is pid 1. It listens for web.socket: stop that with systemctl stop web.socket."
        in (error["message"])
    )
    assert error["remedies"] == ["systemctl stop web.socket", cures.another_port("service0")]
    assert error["evidence"]["objections"][0]["unit"] == "web.socket"


@contextlib.contextmanager
def systemd_of_a_user(port: int, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[int]:
    """Run a real systemd that listens on a port for a unit, ``web``, and starts that when somebody connects."""
    home = Path(tempfile.mkdtemp(prefix="rollcall-"))
    run, units = home / "run", home / "config" / "systemd" / "user"
    run.mkdir(mode=0o700)
    units.mkdir(parents=True)
    plain = "[Unit]\nDefaultDependencies=no\n"
    (units / "web.socket").write_text(f"{plain}[Socket]\nListenStream=127.0.0.1:{port}\n", encoding="utf-8")
    (units / "web.service").write_text(f"{plain}[Service]\nExecStart=/bin/sleep 600\n", encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(run),
        "XDG_CONFIG_HOME": str(home / "config"),
    }
    # It takes the place in the cgroups where it is started for its own, with all that is in there: it gets its own.
    # And it wants to see that the machine was booted by systemd.
    begin = (
        'set -e; for place in "$@"; do echo $$ > "$place/cgroup.procs"; done; mount -t tmpfs tmpfs /run; '
        f"mkdir -p /run/systemd/system; exec {SYSTEMD} --user --unit=web.socket"
    )
    try:
        with cgroup(f"rollcall-test-{os.getpid()}") as places:
            if not places:
                pytest.skip("no hierarchy of cgroups for a systemd")
            command = ["unshare", "--mount", "sh", "-c", begin, "sh", *map(str, places)]
            with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as manager:
                try:
                    if not eventually(lambda: manager.poll() is not None or bool(listeners.find_listeners([port]))):
                        pytest.skip("systemd does not start on this machine")
                    if manager.poll() is not None:
                        pytest.skip(f"systemd does not start on this machine: it ended with {manager.returncode}")
                    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run))
                    yield manager.pid
                finally:
                    manager.kill()
    finally:
        shutil.rmtree(home)


@ROOT_ONLY
@pytest.mark.skipif(SYSTEMD is None, reason="no systemd is installed")
def test_a_socket_unit_of_a_real_systemd_is_named_and_neither_it_nor_its_service_ended(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    with systemd_of_a_user(port, monkeypatch) as manager:
        words = (
            f"is taken by pid {manager} .* which is never ended: it is a user's systemd.* It listens for web.socket: "
        )
        for policy in ("owned", "any"):
            error = refusal(a_stack(root, port), policy=policy)
            assert re.search(f"{words}stop that with systemctl --user stop web.socket", error.message)
        # The service that somebody's call has started shares the socket: it is found first, and spared all the same.
        with socket.create_connection(("127.0.0.1", port)):
            assert eventually(lambda: len(survey.survey(None, [port], sharing=socket_owners.EVERY)[port]) == 2)
            (service,) = (
                one.process.pid
                for one in survey.survey(None, [port], sharing=socket_owners.EVERY)[port]
                if one.process is not None and one.process.pid != manager
            )
            for policy in ("owned", "any"):
                assert re.search(words, refusal(a_stack(root, port), policy=policy).message)
            assert is_alive(service)
        assert is_alive(manager)
        # What the refusal says to do is what helps.
        subprocess.run(["systemctl", "--user", "stop", "web.socket", "web.service"], check=True, timeout=60)
        assert flush.flush(a_stack(root, port)) == flush.Flushed(False)


# --- 8: ancestors, sshd, pid 1 --------------------------------------------------------------------------------------


@pytest.mark.fault(8)
def test_an_ancestor_of_this_run_is_never_ended(root: str) -> None:
    port = free_port()
    environment = {**a_label(root), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with victim("parent", port, "--", sys.executable, "-c", FLUSH_BELOW, root, str(port), label=environment) as held:
        error = json.loads(held.said["output"])
        assert error["kind"] == "refused"
        assert f"pid {held.pid} " in error["message"]
        assert "which is never ended: this run descends from it" in error["message"]
        assert held.alive


@pytest.mark.fault(8)
def test_sshd_is_never_ended(root: str, tmp_path: Path) -> None:
    (tmp_path / "sshd").symlink_to(sys.executable)
    with victim("listen", label=a_label(root), python=str(tmp_path / "sshd")) as held:
        for policy in ("owned", "any"):
            assert "never ended: it is sshd" in refusal(a_stack(root, held.port), policy=policy).message
        assert held.alive


@pytest.mark.fault(8)
def test_pid_1_is_never_ended(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = processes.describe

    def as_pid_1(pid: int) -> t.Optional[Process]:
        process = looked_at(pid)
        return process and process._replace(pid=1)

    with victim("listen", label=a_label(root)) as held:
        monkeypatch.setattr(processes, "describe", as_pid_1)
        assert "never ended: it is pid 1" in refusal(a_stack(root, held.port), policy="any").message
        assert held.alive


# --- 9: foreign processes, policies, at most so many ------------------------------------------------------------------


@pytest.mark.fault(9)
def test_a_foreign_process_is_refused_with_all_that_is_known_and_the_way_out(root: str) -> None:
    with victim("listen") as held:
        error = refusal(a_stack(root, held.port))
        me = re.escape(user_name(os.getuid()))
        assert re.fullmatch(
            rf"Port {held.port} \(service0\) is taken by pid {held.pid} '.*port_holders.py listen {held.port}' of user "
            rf"{me} since \d\d:\d\d, which is not ours \(it is not of this stack\)\. End it with: kill {held.pid}\.",
            error.message,
        )
        assert error.remedies == (
            f"kill {held.pid}",
            cures.override(held.port),
            cures.another_port("service0"),
        )
        (evidence,) = error.evidence["objections"]
        assert (evidence["port"], evidence["pid"]) == (held.port, held.pid)
        assert evidence["user"] == user_name(os.getuid())
        assert evidence["command"].endswith(f"listen {held.port}")
        assert evidence["started"] > 0
        assert held.alive


def test_one_foreign_process_keeps_everything_alive(root: str) -> None:
    with victim("listen", label=a_label(root)) as ours, victim("listen") as foreign:
        error = refusal(a_stack(root, ours.port, foreign.port))
        assert f"pid {foreign.pid} " in error.message
        assert f"pid {ours.pid} " not in error.message
        assert ours.alive
        assert foreign.alive


def test_every_foreign_process_is_named_at_once(root: str) -> None:
    with victim("listen") as one, victim("shared") as other:
        error = refusal(a_stack(root, one.port, other.port))
        for pid in (one.pid, other.pid, *other.pids):
            assert f"pid {pid} " in error.message


@pytest.mark.fault(9)
def test_the_policy_any_ends_a_foreign_process(root: str) -> None:
    with victim("listen") as foreign, victim("listen", label=a_label(root)) as ours:
        done = flush.flush(a_stack(root, foreign.port, ours.port), policy="any")
        assert {(entry.pid, entry.result) for entry in done.ended} == {(foreign.pid, "ended"), (ours.pid, "ended")}
        assert set(done.freed) == {foreign.port, ours.port}


def test_an_override_lets_one_port_be_freed_from_whatever_holds_it(root: str) -> None:
    with victim("listen") as one, victim("listen") as other, victim("listen", label=a_label(root)) as ours:
        stack = a_stack(root, one.port, other.port, ours.port)
        error = refusal(stack, overrides={one.port: "any"})
        assert f"pid {other.pid} " in error.message
        assert f"pid {one.pid} " not in error.message
        assert all(held.alive for held in (one, other, ours))
        done = flush.flush(stack, [one.port, ours.port], overrides={str(one.port): "any"})
        assert {entry.pid for entry in done.ended} == {one.pid, ours.pid}
        assert set(done.freed) == {one.port, ours.port}
        assert other.alive


def test_an_override_can_be_stricter_than_the_policy(root: str) -> None:
    with victim("listen") as foreign, victim("listen", label=a_label(root)) as ours:
        stack = a_stack(root, foreign.port, ours.port)
        error = refusal(stack, policy="any", overrides={foreign.port: "owned", ours.port: "refuse"})
        assert f"pid {foreign.pid} " in error.message
        assert "(orphan), and the policy is to refuse" in error.message
        assert foreign.alive
        assert ours.alive


def test_one_process_on_two_ports_takes_an_override_for_both(root: str) -> None:
    with victim("two") as held:
        stack = a_stack(root, held.port, held.said["second"])
        error = refusal(stack, overrides={held.port: "any"})
        assert f"Port {held.said['second']} " in error.message
        assert f"Port {held.port} " not in error.message
        assert held.alive
        done = flush.flush(stack, overrides={held.port: "any", held.said["second"]: "any"})
        assert [entry.pid for entry in done.ended] == [held.pid]
        assert set(done.freed) == {held.port, held.said["second"]}


def test_a_dry_run_judges_by_the_overrides_too(root: str) -> None:
    with victim("listen") as foreign:
        stack = a_stack(root, foreign.port)
        with no_signal():
            done = flush.flush(stack, overrides={foreign.port: "any"}, dry_run=True)
        assert [(entry.pid, entry.result) for entry in done.ended] == [(foreign.pid, "planned")]
        assert foreign.alive


def test_overrides_that_are_wrong_are_all_named_in_one_error(root: str) -> None:
    with victim("listen", label=a_label(root)) as held:
        with pytest.raises(RollcallError) as caught:
            flush.flush(
                a_stack(root, held.port), policy="all", overrides={held.port: "none", 1: "any", "web": "any", 2: "x"}
            )
        assert caught.value.kind == "wrong_use"
        assert caught.value.message == (
            f"Unknown policy 'all'. Unknown policy 'none' of port {held.port}. Unknown policy 'x' of port 2: it is one "
            "of owned, refuse, any. Overrides are for ports of stack test, and 1, web, 2 are not among them: "
            f"{held.port}."
        )
        assert caught.value.evidence == {"policies": ["all", "none", "x"], "overrides": ["1", "web", "2"]}
        assert held.alive


def test_the_policy_refuse_ends_nothing(root: str) -> None:
    with victim("listen", label=a_label(root)) as ours:
        assert "(orphan), and the policy is to refuse" in refusal(a_stack(root, ours.port), policy="refuse").message
        assert ours.alive


def test_the_process_of_another_stack_is_foreign(root: str) -> None:
    with victim("listen", label=a_label(f"{root}/other", stack="other")) as held:
        assert f"it is of stack other at {root}/other" in refusal(a_stack(root, held.port)).message
        assert held.alive


@ROOT_ONLY
def test_our_label_on_a_strangers_process_does_not_make_it_ours(root: str) -> None:
    with victim("listen", 0, "--uid", str(NOBODY), label=a_label(root)) as held:
        assert "not the one who runs this stack" in refusal(a_stack(root, held.port)).message
        assert held.alive


@pytest.mark.fault(9)
def test_more_than_32_processes_are_not_ended(root: str) -> None:
    with victim("shared", 0, "--workers", "32", label=a_label(root)) as held:
        stack = a_stack(root, held.port)
        error = refusal(stack)
        assert error.message.startswith("33 processes listen on the ports of stack test, and at most 32 are ended")
        assert error.remedies == ("set max_victims=33",)
        assert all(is_alive(pid) for pid in (held.pid, *held.pids))
        assert len(flush.flush(stack, max_victims=33).ended) == 33


# --- 14: check mode ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def no_signal() -> t.Iterator[None]:
    """Fail at any signal."""

    def sent(*_args: t.Any) -> None:
        pytest.fail("a signal was sent")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "kill", sent)
        patch.setattr(signal, "pidfd_send_signal", sent)
        yield


@pytest.mark.fault(14)
@pytest.mark.parametrize("policy", ["owned", "any"])
def test_a_dry_run_says_who_would_be_ended_and_touches_nothing(root: str, policy: str) -> None:
    with victim("shared", label=a_label(root)) as held:
        before = sorted(Path(root).rglob("*"))
        with no_signal():
            done = flush.flush(a_stack(root, held.port), policy=policy, dry_run=True)
        assert done.changed
        assert {entry.pid for entry in done.ended} == {held.pid, *held.pids}
        assert {(entry.result, entry.signals) for entry in done.ended} == {("planned", ())}
        assert done.freed == (held.port,)
        assert sorted(Path(root).rglob("*")) == before
        assert all(is_alive(pid) for pid in (held.pid, *held.pids))


def test_a_dry_run_is_refused_with_the_same_words(root: str) -> None:
    with victim("listen") as held:
        stack = a_stack(root, held.port)
        with no_signal():
            assert refusal(stack, dry_run=True).as_dict() == refusal(stack).as_dict()


def test_the_modules_keep_their_keys_in_check_mode_and_out_of_it(root: str) -> None:
    with victim("listen", label=a_label(root)) as held:
        stack = a_stack(root, held.port)
        Path(stack.paths.etc).mkdir()
        Path(stack.paths.manifest).write_text(json.dumps(stack.to_dict()), encoding="utf-8")
        options: t.Dict[str, t.Any] = {
            "root": root,
            "ports": None,
            "policy": "refuse",
            # As Ansible hands on a mapping whose keys were numbers.
            "overrides": {held.port: "owned"},
            "supervised": False,
            "grace": 5.0,
            "kill_grace": 2.0,
            "time_wait": 61.0,
            "max_victims": 32,
        }
        seen = returns.checked("port_info", port_info.run(options))
        assert not seen["changed"]
        assert [(one["port"], one["service"], one["free"]) for one in seen["ports"]] == [(held.port, "service0", False)]
        assert [one["pid"] for one in seen["ports"][0]["holders"]] == [held.pid]
        would = returns.checked("port_flush", port_flush.run(options, check_mode=True))
        assert held.alive
        done = returns.checked("port_flush", port_flush.run(options, check_mode=False))
        assert not held.alive
        again = port_flush.run(options, check_mode=False)
        assert would.keys() == done.keys() == again.keys()
        assert (would["changed"], done["changed"], again["changed"]) == (True, True, False)
        assert would["diff"] == done["diff"]
        assert done["diff"]["after"] == {str(held.port): None}
        assert port_info.run(options)["ports"][0]["free"]


@ROOT_ONLY
def test_what_is_told_of_a_port_has_the_same_keys_whatever_holds_it() -> None:
    with contextlib.ExitStack() as started:
        kinds = ("listen", "shared", "bound", "in_flight", "pair")
        held = {kind: started.enter_context(victim(kind)) for kind in kinds}
        free = free_port()
        told = survey.inspect(None, [*(one.port for one in held.values()), free])
        by_kind = dict(zip((*kinds, "free"), told))
        assert len({tuple(port) for port in told}) == 1
        assert len({tuple(holder) for port in told for holder in port["holders"]}) == 1
        # On some machines not even root may look into pid 1.
        unreadable = by_kind["listen"]["unreadable"]
        all_seen = unreadable == 0
        assert {kind: (port["free"], port["complete"], port["unreadable"]) for kind, port in by_kind.items()} == {
            "listen": (False, all_seen, unreadable),
            "shared": (False, all_seen, unreadable),
            # Linux 6.8 and later tell whose it is; before, nobody is named.
            "bound": (False, all_seen and f"pid {held['bound'].pid} " in by_kind["bound"]["reason"], unreadable),
            "in_flight": (False, False, unreadable),
            "pair": (False, all_seen, unreadable),
            "free": (True, True, 0),
        }
        (one,) = by_kind["listen"]["holders"]
        (socket_,) = listeners.find_listeners([held["listen"].port])
        assert (one["inode"], one["pids"], one["pid"]) == (socket_.inode, [held["listen"].pid], held["listen"].pid)
        everybody = sorted([held["shared"].pid, *held["shared"].pids])
        assert sorted(one["pid"] for one in by_kind["shared"]["holders"]) == everybody
        assert all(sorted(one["pids"]) == everybody for one in by_kind["shared"]["holders"])
        assert len({one["inode"] for one in by_kind["shared"]["holders"]}) == 1
        assert len({one["inode"] for one in by_kind["pair"]["holders"]}) == 2

        port = held["listen"].port
        unseen = as_nobody(lambda: survey.inspect(None, [port, free]))
        assert [tuple(one) for one in unseen] == [tuple(one) for one in told[:2]]
        assert unseen[0]["unreadable"] > unreadable
        assert [(one["free"], one["complete"]) for one in unseen] == [(False, False), (True, True)]
        assert unseen[1]["unreadable"] == 0


# --- 15: protected and avoided ports ----------------------------------------------------------------------------------


@pytest.mark.fault(15)
@pytest.mark.parametrize(
    ("rules", "ssh", "words"),
    [
        ("avoid", None, "it is on the avoid list"),
        ("protect", None, "it is protected"),
        (None, "192.0.2.1 50000 192.0.2.2 {port}", "this run came in by it"),
    ],
)
def test_a_port_that_is_never_flushed_is_not_even_when_it_is_assigned(
    root: str, monkeypatch: pytest.MonkeyPatch, rules: t.Optional[str], ssh: t.Optional[str], words: str
) -> None:
    with victim("listen", label=a_label(root)) as held:
        stack = a_stack(root, held.port, **({rules: (held.port,)} if rules else {}))
        if ssh is not None:
            monkeypatch.setenv("SSH_CONNECTION", ssh.format(port=held.port))
        for how in ({"policy": "owned"}, {"policy": "any"}, {"overrides": {held.port: "any"}}, {"dry_run": True}):
            assert f"and is never flushed: {words}" in refusal(stack, **how).message
        assert held.alive


@pytest.mark.fault(15)
def test_port_22_is_never_flushed_whatever_the_manifest_says(root: str) -> None:
    assert 22 in judge.never_flushed(a_stack(root, 22, protect=(), avoid=()))


NEVER = """
import json, sys
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import flush
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from tests.support.configs import a_stack, a_label
from tests.support.victims import victim

root, said = sys.argv[1], {}
for port in (22, 5000, 7000, 9000, 10000):
    with victim("listen", port, "--address", "0.0.0.0", label=a_label(root)) as held:
        try:
            flush.flush(a_stack(root, port), policy="any", overrides={port: "any"})
        except RollcallError as exc:
            said[port] = [exc.kind, exc.message, held.alive]
print(json.dumps(said))
"""


@ROOT_ONLY
def test_the_ports_of_ssh_and_of_the_default_avoid_list_are_never_flushed(root: str) -> None:
    # In a network of its own, where these ports are free to be listened on.
    said = in_a_fresh_namespace(NEVER, root, how=("unshare", "--net"))
    assert list(said) == ["22", "5000", "7000", "9000", "10000"]
    for port, (kind, message, alive) in said.items():
        reason = "it is the port of SSH" if port == "22" else "it is on the avoid list"
        assert (kind, alive) == ("refused", True)
        assert f"and is never flushed: {reason}. End it yourself if you must: kill " in message


def test_a_port_that_is_not_assigned_is_wrong_use(root: str) -> None:
    with victim("listen", label=a_label(root)) as held:
        with pytest.raises(RollcallError, match="Only ports of stack test are ever flushed") as caught:
            flush.flush(a_stack(root, free_port()), [held.port], policy="any")
        assert caught.value.kind == "wrong_use"
        assert held.alive


def test_an_unknown_policy_is_wrong_use(root: str) -> None:
    with pytest.raises(RollcallError, match="Unknown policy 'all'") as caught:
        flush.flush(a_stack(root, free_port()), policy="all")
    assert caught.value.kind == "wrong_use"
