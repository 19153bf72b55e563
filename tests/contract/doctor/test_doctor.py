# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`rollcall doctor`: each finding is provoked for real, and gone after the very command that it names.

A supervisord that is none of ours runs beside every test; it is listed, and lives on untouched.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor import doctor
from ansible_collections.rollcall.supervisor.plugins.module_utils.doctor.lost_logs import lost_logs
from ansible_collections.rollcall.supervisor.plugins.module_utils.show.findings import findings_text
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import (
    load_stack,
    read_meta,
    write_meta,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import client_errors, discovery
from ansible_collections.rollcall.supervisor.plugins.module_utils.verdict import status
from tests.support import interpreters, supervisords
from tests.support.commands import rollcall
from tests.support.configs import a_label
from tests.support.namespaces import as_nobody
from tests.support.processes import accepts, eventually, free_port, is_alive
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack
from tests.support.victims import victim

sandbox = supervisords.sandbox
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes root")
DEAF = """
import socket, sys, time
held = socket.socket(socket.AF_UNIX)
held.bind(sys.argv[-1])
# Nobody accepts: every look leaves its connections in the queue, and a full one hides who listens.
held.listen(128)
print("ready", flush=True)
time.sleep(600)
"""
Data = t.Any


@pytest.fixture(autouse=True)
def bystander(sandbox: supervisords.Sandbox) -> t.Iterator[int]:
    pid = sandbox.start()
    yield pid
    with sandbox.client() as client:
        assert client.pid() == pid, "a supervisord of nobody's stack was touched"


def services() -> Data:
    return {
        "web": {"port": free_port(), "health": {"http": "/health"}, "secrets": {"TOKEN": "geheim"}},
        "worker": {},
    }


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack(services()) as made:
        assert made.perform()["ok"]
        yield made


def call(made: StackUnderTest, *options: str, **environment: str) -> Data:
    """Run the installed command and return what it says; its exit code tells the same."""
    said = rollcall(made, "doctor", *options, "--json", env={**os.environ, **environment})
    assert said.out, said.err
    data = said.data
    assert said.code == (0 if data["ok"] else 3 if "error" in data and data["error"]["kind"] == "refused" else 1)
    return data


def own(data: Data) -> t.List[Data]:
    """Return the findings about this stack: what else runs on this machine is not this test's."""
    return [one for one in data["findings"] if one["data"].get("ours", True) and one["name"] != "unseen"]


def names(data: Data) -> t.List[str]:
    return [one["name"] for one in own(data) if not one["fixed"]]


def the(data: Data, name: str) -> Data:
    return next(one for one in data["findings"] if one["name"] == name)


def obey(finding: Data) -> None:
    """Run the cure as it stands."""
    done = subprocess.run(finding["cure"], shell=True, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, (finding["cure"], done.stdout, done.stderr)


@contextlib.contextmanager
def program(*arguments: str) -> t.Iterator[int]:
    """Run a Python program that says when it is ready, and end it."""
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def second_daemon(made: StackUnderTest) -> int:
    """Start another supervisord over the same stack, as an operator does whose socket is gone."""
    os.unlink(made.paths.socket)
    (first,) = made.daemons()
    process = subprocess.Popen(first.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=made.root)
    assert eventually(lambda: accepts(made.paths.socket))
    return process.pid


# --- nothing wrong ------------------------------------------------------------------------------------------------


def test_a_stack_that_is_well_gets_one_line_and_every_supervisord_is_listed(
    running: StackUnderTest, bystander: int, sandbox: supervisords.Sandbox
) -> None:
    data = call(running)
    assert (own(data), data["ok"], data["changed"]) == ([], True, False)
    assert findings_text(t.cast(t.Any, {**data, "findings": []})).count("\n") == 0
    listed = {entry["pid"]: entry for entry in data["supervisors"]}
    (daemon,) = running.daemons()
    ours, other = listed[daemon.pid], listed[bystander]
    assert (ours["ours"], ours["stack"], ours["answers"], ours["config"]) == (True, "test", True, running.paths.config)
    assert (other["ours"], other["stack"], other["answers"], other["config"]) == (False, None, True, sandbox.config)
    assert (other["socket"], other["pidfile"], other["version"]) == (sandbox.socket, sandbox.pidfile, ours["version"])
    assert data["seconds"] < data["limit"]


# --- supervisord --------------------------------------------------------------------------------------------------


def test_a_killed_supervisord_leaves_orphans_and_stale_files(running: StackUnderTest) -> None:
    running.kill_daemon()
    data = call(running)
    wanted = ["supervisord_down", "orphan", "orphan", "stale_socket", "stale_pidfile"]
    assert (names(data), data["ok"]) == (wanted, False)
    fixed = call(running, "--fix")
    assert names(fixed) == wanted[:3]
    assert not os.path.exists(running.paths.socket)
    assert names(call(running, "--fix")) == wanted[:3]
    obey(the(fixed, "orphan"))
    assert names(call(running)) == []


def test_a_second_supervisord_over_the_stack_is_a_split_brain_and_what_it_runs_a_duplicate(
    running: StackUnderTest,
) -> None:
    second = second_daemon(running)
    with running.supervisor() as client:
        assert eventually(lambda: client.pid() == second)
        client.start(["worker"])
    assert eventually(lambda: "duplicate" in names(call(running)))
    data = call(running)
    assert set(the(data, "split_brain")["data"]["pids"]) == {daemon.pid for daemon in running.daemons()}
    obey(the(data, "split_brain"))
    os.waitpid(second, 0)
    assert names(call(running)) == []


def test_a_stopped_supervisord_is_named_in_bounded_time(running: StackUnderTest) -> None:
    (daemon,) = running.daemons()
    os.kill(daemon.pid, signal.SIGSTOP)
    began = time.monotonic()
    data = call(running)
    assert time.monotonic() - began < data["limit"]
    assert names(data) == ["supervisord_stopped"]
    obey(the(data, "supervisord_stopped"))
    assert names(call(running)) == []


def test_a_supervisord_that_accepts_and_never_answers_is_deaf(running: StackUnderTest, tmp_path: Path) -> None:
    running.kill_daemon()
    os.unlink(running.paths.socket)
    script = tmp_path / "supervisord"
    script.write_text(DEAF, encoding="utf-8")
    with program(sys.executable, str(script), "-c", running.paths.config, running.paths.socket) as pid:
        assert eventually(lambda: "supervisord_deaf" in names(call(running)))
        data = call(running)
        assert data["seconds"] < data["limit"]
        assert the(data, "supervisord_deaf")["data"]["pid"] == pid
        obey(the(data, "supervisord_deaf"))
    assert names(call(running)) == []


def test_a_live_supervisord_without_its_socket_is_found_and_ended_properly(running: StackUnderTest) -> None:
    os.unlink(running.paths.socket)
    assert eventually(lambda: "socket_gone" in names(call(running)))
    obey(the(call(running), "socket_gone"))
    assert names(call(running)) == []


def test_a_stranger_on_the_socket_is_named_with_its_pid(running: StackUnderTest, tmp_path: Path) -> None:
    os.unlink(running.paths.socket)
    script = tmp_path / "stranger.py"
    script.write_text(DEAF, encoding="utf-8")
    with program(sys.executable, str(script), running.paths.socket) as pid:
        assert eventually(lambda: "socket_taken" in names(call(running)))
        finding = the(call(running), "socket_taken")
        assert finding["data"]["holder"] == pid
        obey(finding)
    # The stranger's left-over keeps the place, and supervisord still cannot be reached.
    assert eventually(lambda: "socket_gone" in names(call(running)))
    obey(the(call(running), "socket_gone"))
    assert names(call(running)) == []


def test_a_stranger_on_the_socket_of_a_dead_supervisord_is_named(tmp_path: Path) -> None:
    with stack(services()) as made:
        script = tmp_path / "stranger.py"
        script.write_text(DEAF, encoding="utf-8")
        with program(sys.executable, str(script), made.paths.socket) as pid:
            finding = the(call(made), "socket_taken")
            assert finding["data"]["pid"] == pid
            obey(finding)
        assert "socket_taken" not in names(call(made))


def test_who_holds_a_socket_is_seen_though_its_opener_has_ended(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    forked = DEAF.replace('print("ready"', "import os\nif os.fork():\n    os._exit(0)\nprint(os.getpid()")
    process = subprocess.Popen([sys.executable, "-c", forked, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    try:
        process.wait(60)
        answer = discovery.ask(path)
        assert (answer.pid, answer.problem, answer.peer) == (None, client_errors.SILENT, pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        process.stdout.close()


def test_two_supervisords_of_different_owners_share_a_path(
    running: StackUnderTest, sandbox: supervisords.Sandbox
) -> None:
    other = sandbox.script("other.conf", "")
    text = supervisords.BASE.format(home=sandbox.home)
    text = text.replace(f"{sandbox.home}/s.pid", running.paths.pidfile)
    text = text.replace(f"{sandbox.home}/s.sock", running.paths.socket)
    Path(other).write_text(text, encoding="utf-8")
    os.unlink(running.paths.socket)
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", other]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert eventually(lambda: {"shared_socket", "shared_pidfile", "pidfile_foreign"} <= set(names(call(running))))
        finding = the(call(running), "shared_socket")
        assert (finding["severity"], other in finding["cure"]) == ("error", True)
    finally:
        process.terminate()
        process.wait(60)
    assert eventually(lambda: "socket_gone" in names(call(running)))
    obey(the(call(running), "socket_gone"))
    assert names(call(running)) == []


@pytest.mark.fault(48)
def test_an_open_http_server_is_a_warning_of_others_and_an_error_of_ours(
    running: StackUnderTest, sandbox: supervisords.Sandbox
) -> None:
    open_server = f"[inet_http_server]\nport=127.0.0.1:{free_port()}\n"
    other = sandbox.script("open.conf", supervisords.BASE.format(home=sandbox.home).replace("/s.", "/o.") + open_server)
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", other]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert eventually(lambda: any(one["subject"] == other for one in call(running)["findings"]))
        (finding,) = [one for one in call(running)["findings"] if one["subject"] == other]
        assert (finding["name"], finding["severity"]) == ("inet_server", "warning")
    finally:
        process.terminate()
        process.wait(60)
    with open(running.paths.config, "a", encoding="utf-8") as stream:
        stream.write("\n" + open_server.replace("127.0.0.1", "*"))
    data = call(running)
    assert names(data) == ["inet_server", "config_refused"]
    assert [one["severity"] for one in own(data)] == ["error", "error"]
    assert running.perform()["ok"]
    assert names(call(running)) == []


def test_a_supervisor_that_is_too_old_is_refused() -> None:
    with stack(services()) as made:
        assert made.perform()["ok"]
        venv = os.path.join(made.root, "engine", "venv")
        os.unlink(venv)
        os.symlink(Path(interpreters.python_with(interpreters.TOO_OLD)).parents[1], venv)
        assert "supervisor_too_old" in names(doctor.doctor(made.root))


# --- processes and services ---------------------------------------------------------------------------------------


def test_an_orphan_is_told_by_its_label(running: StackUnderTest) -> None:
    with victim("bystander", label=a_label(running.root, "worker")) as orphan:
        data = call(running)
        assert names(data) == ["orphan"]
        assert the(data, "orphan")["data"]["pid"] == orphan.pid
        assert the(data, "orphan")["data"]["beside"] == [running.pids()["worker"]]
        obey(the(data, "orphan"))
    assert names(call(running)) == []


def test_a_port_that_a_stranger_holds_is_named_with_the_override(running: StackUnderTest) -> None:
    port = running.raw["services"]["web"]["port"]
    running.supervisor().stop(["web"])
    assert eventually(lambda: running.supervisor().programs()["web"].state == "STOPPED")
    with victim("listen", port) as foreign:
        data = call(running)
        assert names(data) == ["port_held", "not_healthy"]
        finding = the(data, "port_held")
        assert f"pid {foreign.pid}" in finding["evidence"]
        assert any("--policy any" in remedy for remedy in finding["data"]["remedies"])
        obey(finding)
    data = call(running)
    assert names(data) == ["not_healthy"]
    obey(the(data, "not_healthy"))
    assert names(call(running)) == []


def test_the_cures_can_be_followed_from_the_first_to_the_last(running: StackUnderTest) -> None:
    """supervisord and its services are down, a stranger has taken the port, and a directory is open to everybody."""
    port, pids = running.raw["services"]["web"]["port"], running.pids().values()
    running.kill_daemon()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not any(is_alive(pid) for pid in pids))
    with victim("listen", port) as foreign:
        os.chmod(running.paths.run, 0o777)
        data = call(running)
        told = [finding["name"] for finding in own(data) if finding["name"] in names(data)]
        assert told.index("port_held") < told.index("supervisord_down")
        # Supervisords of other tests, which run meanwhile, are told as well, and are none of ours to end.
        for finding in own(data):
            if finding["cure"].endswith(cures.FIX.partition(" ")[2]):
                # It says with its exit code that more is to be done.
                subprocess.run(finding["cure"], shell=True, capture_output=True, check=False, timeout=400)
            elif finding["severity"] != "note":
                obey(finding)
        assert not foreign.alive
    assert names(call(running)) == []


def test_a_port_that_is_bound_and_not_listened_on_is_held_all_the_same() -> None:
    # Without a health check: the connections that it closed would hold the port as well.
    port = free_port()
    with stack({"quiet": {"port": port}}) as made:
        assert made.perform()["ok"]
        made.supervisor().stop(["quiet"])
        assert eventually(lambda: made.supervisor().programs()["quiet"].state == "STOPPED")
        with victim("bound", port) as foreign:
            finding = the(call(made), "port_held")
            assert finding["cure"] == f"kill {foreign.pid}"
            obey(finding)
        assert "port_held" not in names(call(made))


def test_a_service_that_lacks_what_it_requires_is_a_note() -> None:
    wanted = services()
    with stack(wanted) as made:
        made.raw["services"]["worker"]["requires_files"] = [os.path.join(made.root, "key.pem")]
        made.perform()
        data = call(made)
        assert ([one["name"] for one in own(data)], data["ok"]) == (["held", "not_verified"], True)
        Path(made.root, "key.pem").touch()
        assert made.perform()["ok"]
        assert names(call(made)) == []


# --- what is installed --------------------------------------------------------------------------------------------


def test_nothing_installed_is_a_finding_and_no_traceback() -> None:
    with stack(services()) as made:
        data = call(made)
        assert (names(data), the(data, "not_installed")["cure"]) == (["not_installed"], "ansible-playbook site.yml")
        shutil.rmtree(made.paths.state)
        assert names(call(made)) == ["not_installed", "directory_missing"]
        assert names(call(made, "--fix")) == ["not_installed"]
        assert os.stat(made.paths.state).st_mode & 0o777 == 0o700
        assert made.perform()["ok"]
        assert names(call(made)) == []


def test_broken_files_are_findings_and_no_tracebacks(running: StackUnderTest) -> None:
    started, leases = Path(running.paths.state, "started.json"), Path(running.paths.state, "ports.json")
    for path in (started, leases):
        path.write_text("{", encoding="utf-8")
        data = call(running)
        assert {one["subject"] for one in own(data)} == {str(path)}, own(data)
        cure = the(data, "unreadable")["cure"].partition(":")[0]
        assert cure == f"rm {path}"
        obey({"cure": cure})
        assert names(call(running)) == []
    Path(os.path.realpath(running.paths.etc), "manifest.json").write_text("{}", encoding="utf-8")
    data = call(running)
    assert names(data) == ["unreadable"]
    first, _then, second = the(data, "unreadable")["cure"].partition(", then run: ")
    obey({"cure": first})
    assert second == "ansible-playbook site.yml"
    assert running.perform()["ok"]
    assert names(call(running)) == []


def test_an_edited_manifest_is_drift(running: StackUnderTest) -> None:
    manifest = Path(os.path.realpath(running.paths.manifest))
    data = json.loads(manifest.read_text(encoding="utf-8"))
    data["services"] = [entry for entry in data["services"] if entry["name"] != "worker"]
    manifest.write_text(json.dumps(data), encoding="utf-8")
    found = call(running)
    assert {"drift", "config_refused", "registry_stale"} <= set(names(found))
    assert the(found, "drift")["subject"] == "worker"
    assert running.perform()["ok"]
    assert names(call(running)) == []


def test_a_generation_that_is_not_loaded_or_not_verified_is_told(running: StackUnderTest) -> None:
    directory = os.path.realpath(running.paths.etc)
    meta = read_meta(running.paths, running.root)
    write_meta(directory, {**meta, "loaded": False})
    obey(the(call(running), "not_loaded"))
    assert names(call(running)) == []
    write_meta(directory, {**meta, "verified": False})
    obey(the(call(running), "not_verified"))
    assert names(call(running)) == []


def test_a_registry_that_is_gone_is_told(running: StackUnderTest) -> None:
    os.unlink(os.path.join(running.root, "ports.json"))
    data = call(running)
    assert names(data) == ["registry_stale"]
    obey(the(data, "registry_stale"))
    assert names(call(running)) == []


def test_engines_that_are_broken_or_of_another_version_are_told(running: StackUnderTest) -> None:
    version = Path(running.root, "engine", "rollcall", "base", "version.py")
    text = version.read_text(encoding="utf-8")
    version.write_text(text.replace("0.", "9."), encoding="utf-8")
    assert names(doctor.doctor(running.root)) == ["engine_broken", "engine_version"]
    version.unlink()
    assert names(doctor.doctor(running.root)) == ["engine_broken"]
    version.write_text(text, encoding="utf-8")
    venv = Path(running.root, "engine", "venv")
    venv.unlink()
    assert names(doctor.doctor(running.root)) == ["engine_broken"]
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.8.10\n", encoding="utf-8")
    assert "python_too_old" in names(doctor.doctor(running.root))


def test_several_supervisords_on_the_path_are_noted_with_the_right_one(running: StackUnderTest, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        shutil.copy("/bin/true", folder / "supervisord")
    data = call(running, PATH=os.pathsep.join([*map(str, folders), os.environ["PATH"]]))
    assert (names(data), data["ok"]) == (["other_supervisord"], True)
    assert (
        os.path.join(running.root, "engine", "venv", "bin", "supervisord") in the(data, "other_supervisord")["evidence"]
    )


# --- the host -----------------------------------------------------------------------------------------------------


def test_a_missing_program_is_told_before_a_restart_needs_it(running: StackUnderTest) -> None:
    os.unlink(running.program)
    assert names(call(running)) == ["command", "command"]
    os.symlink(sys.executable, running.program)
    assert names(call(running)) == []


@ROOT_ONLY
def test_a_full_disk_is_told(running: StackUnderTest) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "full", running.paths.state], check=False)
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    try:
        assert [one["subject"] for one in own(call(running)) if one["name"] == "disk"] == [running.paths.state]
    finally:
        subprocess.run(["umount", running.paths.state], check=True)
    assert names(call(running)) == []


@ROOT_ONLY
def test_users_that_do_not_exist_or_may_not_write_are_told(running: StackUnderTest) -> None:
    manifest = Path(os.path.realpath(running.paths.manifest))
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(json.dumps({**json.loads(text), "user": "nobody"}), encoding="utf-8")
    found = [one for one in own(call(running)) if one["name"] == "not_writable"]
    assert [one["subject"] for one in found] == ["stack.paths.run", "stack.paths.logs"]
    for one in found:
        obey(one)
    assert "not_writable" not in names(call(running))
    manifest.write_text(json.dumps({**json.loads(text), "user": "no-such-user"}), encoding="utf-8")
    assert "account" in names(call(running))


def test_a_log_that_was_never_rotated_is_told(running: StackUnderTest) -> None:
    log = os.path.join(running.paths.logs, "worker.log")
    os.truncate(log, 50_000_000)
    data = call(running)
    assert (names(data), the(data, "log_huge")["subject"]) == (["log_huge"], log)
    obey(the(data, "log_huge"))
    assert names(call(running)) == []


@pytest.mark.fault(48)
@ROOT_ONLY
def test_a_directory_that_its_service_could_change_under_root_is_told(running: StackUnderTest) -> None:
    os.chown(running.paths.logs, 65534, -1)
    data = call(running)
    assert (names(data), the(data, "unsafe_owner")["subject"]) == (["unsafe_owner"], running.paths.logs)
    obey(the(data, "unsafe_owner"))
    assert names(call(running)) == []
    # Also of one that is yet to be started, and would be refused.
    assert running.perform("stop", installed=True)["ok"]
    os.chown(running.paths.logs, 65534, -1)
    assert the(call(running), "unsafe_owner")["subject"] == running.paths.logs


@ROOT_ONLY
def test_without_rights_it_says_what_it_could_not_see(running: StackUnderTest) -> None:
    os.chmod(running.root, 0o755)
    data = as_nobody(lambda: doctor.doctor(running.root))
    assert the(data, "unseen")["data"]["processes"] > 0
    assert "as user nobody" in the(data, "unseen")["evidence"]
    assert "sudo" in the(data, "unseen")["cure"]
    assert [one["name"] for one in own(data)] == ["unreadable"]
    assert "sudo" in the(data, "unreadable")["cure"]
    assert running.paths.manifest in the(data, "unreadable")["evidence"]
    assert data["seconds"] < data["limit"]


# --- modes and left-overs: --fix ----------------------------------------------------------------------------------


def spoil(made: StackUnderTest, innocent: int) -> t.Set[str]:
    """Leave behind all that --fix puts right; return the kinds of findings."""
    for path in (made.paths.run, made.paths.state):
        os.chmod(path, 0o755)
    os.chmod(os.path.join(made.paths.env_dir, "web.json"), 0o644)
    Path(made.paths.pidfile).write_text(str(innocent), encoding="ascii")
    identity = (innocent, 12345)
    births = Path(made.root, "state", "started.json")
    known = json.loads(births.read_text(encoding="utf-8"))
    known["processes"].append([*identity, "test", made.root, "worker", "0" * 12])
    births.write_text(json.dumps(known), encoding="utf-8")
    store = Path(made.root, "generations")
    (store / "20200101-000000-dead").mkdir()
    Path(os.path.realpath(made.paths.etc), "supervisord.conf.1.new").touch()
    os.symlink("nowhere", made.paths.etc + ".new")
    for number in range(60):
        record = '{"step": "done", "result": "ok"}\n'
        Path(made.paths.state, "runs", f"20200101-{number:06}-aaaa.jsonl").write_text(record, encoding="utf-8")
    return {
        *("unsafe_mode", "secret_exposed", "pidfile_reused", "recycled_pid"),
        *("unfinished_generation", "temporary_file", "old_runs"),
    }


def test_a_file_of_others_in_the_root_is_no_left_over_whatever_its_name(running: StackUnderTest) -> None:
    mine = [Path(running.root, name) for name in ("settings.new", "dump.20260101120000.new", "etc.new", "current.new")]
    for path in mine:
        path.write_text("mine", encoding="utf-8")
    assert names(call(running)) == []
    assert names(call(running, "--fix")) == []
    assert [path.read_text(encoding="utf-8") for path in mine] == ["mine"] * 4


def test_fix_puts_right_what_is_safe_and_says_each_once(running: StackUnderTest) -> None:
    before = running.pids()
    with victim("bystander") as innocent:
        wanted = spoil(running, innocent.pid)
        seen = call(running)
        assert set(names(seen)) == wanted
        assert all(one["fixable"] and one["fixed"] is None for one in own(seen))
        planned = call(running, "--fix", "--check")
        assert (planned["changed"], names(planned)) == (True, names(seen))
        fixed = call(running, "--fix")
        assert {one["name"] for one in own(fixed) if one["fixed"]} == wanted, own(fixed)
        assert (fixed["changed"], fixed["ok"], names(fixed)) == (True, True, [])
        assert all(one["data"]["done"] for one in own(fixed))
        assert innocent.alive
    again = call(running, "--fix")
    assert (again["changed"], own(again)) == (False, [])
    assert (running.pids(), running.status()["ok"]) == (before, True)


def test_a_stack_whose_memory_somebody_has_removed_is_not_ok_until_that_is_put_right(running: StackUnderTest) -> None:
    os.rename(running.paths.state, running.paths.state + ".saved")
    said = rollcall(running, "status")
    assert (said.code, "state does not exist" in said.out) == (1, True)
    assert names(call(running)) == ["directory_missing"]
    assert rollcall(running, "doctor", "--fix").code == 0
    assert rollcall(running, "status").code == 0


def test_fix_makes_what_is_missing_for_its_owner(running: StackUnderTest) -> None:
    os.rename(running.paths.logs, running.paths.logs + ".saved")
    assert {"directory_missing"} <= set(names(call(running)))
    fixed = call(running, "--fix")
    assert (fixed["changed"], names(fixed)) == (True, [])
    assert os.stat(running.paths.logs).st_mode & 0o777 == 0o750


def test_fix_leaves_a_file_that_has_a_second_name_as_it_is(running: StackUnderTest) -> None:
    os.link(running.paths.config, os.path.join(running.root, "second"))
    os.chmod(running.paths.config, 0o666)
    fixed = call(running, "--fix")
    found = the(fixed, "unsafe_mode")
    assert "no file that has this name alone" in str(found["data"])
    assert (found["fixed"], os.stat(running.paths.config).st_mode & 0o777) == (False, 0o666)


def test_a_run_at_work_is_noted_and_nothing_is_fixed_under_it(running: StackUnderTest) -> None:
    with locked(running.paths.state, "ada", "full", run="r"):
        Path(running.paths.state, "x.1.new").touch()
        # A process is not told of its own lock: another process asks.
        data = call(running)
        assert [one["name"] for one in own(data)] == ["locked"]
        assert "ada runs 'full'" in the(data, "locked")["evidence"]
        assert call(running, "--fix")["error"]["kind"] == "refused"
    assert names(call(running)) == ["temporary_file"]


def test_a_run_that_was_cut_off_is_told_with_its_step(running: StackUnderTest) -> None:
    run = running.killed_at("start-daemon", "full")
    finding = the(call(running), "unfinished_run")
    assert (finding["data"]["run"], finding["data"]["step"]) == (run, "start-daemon")
    obey(finding)
    assert names(call(running)) == []


def test_everything_that_hangs_at_once_is_still_bounded(running: StackUnderTest, sandbox: supervisords.Sandbox) -> None:
    (daemon,) = running.daemons()
    os.kill(daemon.pid, signal.SIGSTOP)
    silent = str(sandbox.home / "q.sock")
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(silent)
        held.listen(1)
        other = sandbox.script("q.conf", supervisords.BASE.format(home=sandbox.home).replace("/s.sock", "/q.sock"))
        name = sandbox.script("supervisord", "import time\nprint('ready', flush=True)\ntime.sleep(600)\n")
        with program(sys.executable, name, "-c", other):
            began = time.monotonic()
            data = call(running, "--fix")
            assert time.monotonic() - began < data["limit"]
    assert names(data) == ["supervisord_stopped"]
    os.kill(daemon.pid, signal.SIGCONT)


def test_over_the_fleet_it_says_the_same_and_fails_while_an_error_is_left(running: StackUnderTest) -> None:
    inventory = Path(running.root) / "hosts.json"
    known = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "rollcall_stack": running.raw}
    inventory.write_text(json.dumps({"all": {"hosts": {"here": known}}}), encoding="utf-8")

    def play(*arguments: str) -> subprocess.CompletedProcess[str]:
        playbook = str(Path(sys.prefix) / "bin" / "ansible-playbook")
        command = [playbook, "-i", str(inventory), "playbooks/doctor.yml", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)

    os.chmod(running.paths.run, 0o755)
    seen = play()
    assert (seen.returncode, "unsafe_mode" in seen.stdout, "changed=0" in seen.stdout) == (0, True, True), seen.stdout
    assert "changed=1" in play("-e", "fix=true", "--check").stdout
    assert "changed=1" in play("-e", "fix=true").stdout
    assert os.stat(running.paths.run).st_mode & 0o777 == 0o700
    running.kill_daemon()
    failed = play()
    assert (failed.returncode, "supervisord_down" in failed.stdout) == (2, True)


def test_nothing_is_made_where_there_is_no_root(tmp_path: Path) -> None:
    root = str(tmp_path / "typo")
    assert "not_installed" in names(doctor.doctor(root))
    with pytest.raises(RollcallError) as caught:
        doctor.doctor(root, fix=True)
    assert caught.value.kind == "wrong_use"
    assert not os.path.exists(root)


def test_check_without_fix_is_wrong_use(running: StackUnderTest) -> None:
    done = subprocess.run([running.command, "doctor", "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, "--fix" in done.stderr) == (2, True)


# --- logs that supervisord does not write to ----------------------------------------------------------------------


def test_the_log_of_a_service_that_ended_while_it_was_looked_at_is_not_lost() -> None:
    with stack({"web": {}}) as made:
        assert made.perform()["ok"]
        Path(made.paths.logs, "web.log").unlink()
        installed = load_stack(made.paths)
        seen = status.observe(installed)
        assert lost_logs(installed, seen) == [str(Path(made.paths.logs, "web.log"))]
        # It was gone when its start was asked for, and supervisord closes the log of what has ended.
        ended = {name: one._replace(born=0) for name, one in seen.programs.items()}
        assert lost_logs(installed, seen._replace(programs=ended)) == []


@pytest.mark.parametrize("how", ["deleted", "renamed", "replaced"])
def test_a_log_that_supervisord_does_not_write_to_is_told_and_had_back(how: str) -> None:
    says = "echo CRITICAL before; while sleep 0.05; do echo and on; done"
    with stack({"web": {"command": ["/bin/sh", "-c", says]}}, checks={"logs": {"critical": []}}) as made:
        assert made.perform()["ok"]
        log = Path(made.paths.logs, "web.log")
        if how == "deleted":
            log.unlink()
        else:
            os.rename(log, f"{log}.old")
        if how == "replaced":
            log.touch()
        finding = the(call(made), "log_lost")
        assert (finding["subject"], finding["severity"]) == (str(log), "warning")
        fixed = the(call(made, "--fix"), "log_lost")
        assert fixed["fixed"], fixed
        assert "log_lost" not in [one["name"] for one in call(made)["findings"]]
        size = log.stat().st_size
        assert eventually(lambda: log.stat().st_size > size)
        kept = log.read_text(encoding="utf-8") if how == "deleted" else Path(f"{log}.old").read_text(encoding="utf-8")
        assert kept.startswith("CRITICAL before\n")


def test_what_a_deleted_log_had_is_still_judged_after_it_was_had_back() -> None:
    with stack({"web": {}}) as made:
        assert made.perform()["ok"]
        log = Path(made.paths.logs, "web.log")
        with log.open("a", encoding="utf-8") as stream:
            stream.write("CRITICAL: before it was deleted\n")
        log.unlink()
        assert the(call(made, "--fix"), "log_lost")["fixed"]
        verdict = rollcall(made, "verify", "--json").data
        (found,) = [check for check in verdict["checks"] if check["name"] == "logs"]
        assert (found["code"], "before it was deleted" in found["evidence"]) == ("critical", True)
