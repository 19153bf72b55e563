# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of others hang nothing: pipes, huge ones, a file system without a server; an emergency ends what hangs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import apart, processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.ports import leases
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import holder
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.history import recorded_run
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.runs import Journal, new_run_id, steps_of
from tests.support.commands import Said, rollcall
from tests.support.hung import hung_file_system, hung_file_systems, served_file_system
from tests.support.processes import eventually, free_port, is_alive
from tests.support.stacks import StackUnderTest, check_of, stack

pytestmark = pytest.mark.usefixtures("bystander")
# Seconds; more than any command prints.
PATIENCE = 200.0
PRINTED = re.compile(r"ends within (\d+) s at the latest")


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    """A stack with a service that has a directory and a required file of its own, and one without."""
    with stack({"web": {"port": free_port(), "health": {"http": "/health"}}, "worker": {}}) as made:
        place = Path(made.root, "data")
        place.mkdir()
        (place / "needed").write_text("x", encoding="utf-8")
        made.raw["services"]["web"].update(directory=str(place), requires_files=[str(place / "needed")])
        assert made.perform()["ok"]
        yield made


def call(made: StackUnderTest, *words: str) -> Said:
    """Run a command, which must end within what it has printed."""
    said = rollcall(made, *words, "--json", bound=PATIENCE)
    printed = PRINTED.search(said.err)
    if printed is not None:
        # What other tests have hung meanwhile takes its time as well.
        assert said.seconds < float(printed[1]) + apart.ANSWER * len(hung_file_systems())
    return said


@pytest.mark.parametrize("words", ["status", "verify", "start", "restart full", "restart emergency", "doctor"])
def test_a_file_system_without_a_server_is_told_in_time_and_nothing_is_stopped(
    running: StackUnderTest, words: str
) -> None:
    before = running.pids()
    place = os.path.join(running.root, "data")
    with hung_file_system(place):
        said = call(running, *words.split())
        assert said.code in (1, 2), said.out
        assert place in said.out
        assert "umount" in said.out
        assert not running.is_locked()
    assert running.pids() == before


@pytest.mark.parametrize("words", ["status", "verify", "start", "stop", "doctor"])
def test_services_that_work_on_a_file_system_whose_server_has_gone_hang_nothing(
    running: StackUnderTest, words: str
) -> None:
    place = os.path.join(running.root, "mounted")
    os.mkdir(place)
    with served_file_system(place) as hang:
        running.raw["services"]["worker"]["directory"] = place
        assert running.perform()["ok"]
        assert os.readlink(f"/proc/{running.pids()['worker']}/cwd") == place
        hang()
        said = call(running, *words.split())
        assert said.code in (0, 1, 2), said.out
        assert not running.is_locked()


def test_the_printed_command_takes_the_file_system_away(running: StackUnderTest) -> None:
    with hung_file_system(os.path.join(running.root, "data")):
        found = check_of(call(running, "status").data, "files", "test")
        subprocess.run(["/bin/sh", "-c", found["next"]], check=True, timeout=60)
        assert call(running, "start").code == 0


LOOKS_AND_RUNS = ["status", "verify", "start", "stop", "restart full", "restart emergency", "doctor", "manifest drift"]


@pytest.mark.parametrize("linked", [False, True], ids=["mounted", "linked"])
@pytest.mark.parametrize("which", ["logs", "run"])
def test_a_directory_of_the_stack_on_such_a_file_system_hangs_nothing(which: str, linked: bool) -> None:
    with stack({"web": {"port": free_port(), "health": {"http": "/health"}}}) as made:
        place = Path(made.root, "far")
        (place / "own").mkdir(parents=True)
        directory = place / "own"
        if linked:
            directory = Path(made.root, "link")
            directory.symlink_to(place / "own")
        made.raw["paths"] = {which: str(directory)}
        made.paths = made.generation().stack.paths
        assert made.perform()["ok"]
        before = made.pids()
        with hung_file_system(str(place)):
            for words in LOOKS_AND_RUNS:
                said = call(made, *words.split())
                assert said.code in (1, 3), (words, said.out)
                assert f"umount -c -f -l {place}" in said.out, (words, said.out)
                assert not made.is_locked()
            with pytest.raises(RollcallError, match="whose server does not answer"):
                made.perform("full")
        assert made.pids() == before


@pytest.mark.parametrize("words", ["status", "restart full", "doctor"])
def test_a_command_ends_though_its_look_cannot_even_be_killed(words: str) -> None:
    """Who waits for the look-up of a name that another has begun is not ended by SIGKILL (fs/dcache.c)."""
    with stack({"web": {}}) as made:
        place = Path(made.root, "far")
        (place / "own").mkdir(parents=True)
        made.raw["paths"] = {"logs": str(place / "own")}
        made.paths = made.generation().stack.paths
        assert made.perform()["ok"]
        # Where somebody else has begun the look-up, such as another test that looks around, this one cannot be killed
        # either: it ends when the file system goes.
        with contextlib.ExitStack() as after, hung_file_system(str(place)):
            another = after.enter_context(subprocess.Popen(["/usr/bin/stat", str(place / "own")]))
            assert eventually(lambda: processes.describe(another.pid).state == "D")  # type: ignore[union-attr]
            said = call(made, *words.split())
            assert said.code in (1, 3), said.out
            assert f"umount -c -f -l {place}" in said.out


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("name", ["supervisord.log", "web.log"])
def test_a_log_that_is_no_file_any_more_is_refused_before_anything_is_stopped(
    running: StackUnderTest, name: str, make: t.Callable[[str], None]
) -> None:
    before, log = running.pids(), os.path.join(running.paths.logs, name)
    os.unlink(log)
    make(log)

    said = call(running, "restart", "full")

    assert (said.code, running.pids()) == (2, before), said.out
    cure = f"mv -T {log} {log}.saved"
    assert cure in said.remedies
    subprocess.run(["/bin/sh", "-c", cure], check=True)
    assert call(running, "restart", "full").code == 0


def test_another_stack_on_such_a_file_system_hangs_nothing(running: StackUnderTest) -> None:
    with stack({"one": {}}) as other:
        assert other.perform()["ok"]
        with hung_file_system(other.root):
            for words in ("start", "restart full", "ports list", "ports find-available", "doctor"):
                assert call(running, *words.split()).code == 0, words


def test_a_program_on_the_way_to_which_nothing_answers_has_a_cure_for_that_place_alone(
    running: StackUnderTest, tmp_path: Path
) -> None:
    place, link = tmp_path / "far", tmp_path / "link"
    place.mkdir()
    link.symlink_to(place)
    path = f"{link}:{os.environ['PATH']}"
    running.raw["services"]["sleeper"] = {"command": ["sleep", "1000"], "env": {"PATH": path}}
    assert running.perform()["ok"]
    with hung_file_system(str(place)):
        found = check_of(call(running, "status").data, "files", "test")
        assert found["next"] == f"umount -c -f -l {place}"


def test_a_database_on_such_a_file_system_has_a_cure_that_does_not_hang(
    running: StackUnderTest, tmp_path: Path
) -> None:
    place = tmp_path / "far"
    place.mkdir()
    running.raw["checks"] = {"database": {"sqlite": str(place / "a.db")}}
    sqlite3.connect(place / "a.db").execute("CREATE TABLE a (b)").connection.close()
    assert running.perform()["ok"]
    with hung_file_system(str(place)):
        found = check_of(call(running, "status").data, "database", "test")
        assert found["next"] == f"umount -c -f -l {place}"


@pytest.mark.parametrize("words", ["status", "verify", "start", "doctor"])
def test_the_config_of_another_supervisord_on_such_a_file_system_hangs_nothing(
    running: StackUnderTest, words: str
) -> None:
    place = Path(running.root, "elsewhere")
    place.mkdir()
    program = Path(running.root, "supervisord")
    program.write_text("import time\ntime.sleep(600)\n", encoding="utf-8")
    with hung_file_system(str(place)):
        other = subprocess.Popen([running.program, str(program), "-c", str(place / "supervisord.conf")])
        try:
            said = call(running, words)
            assert said.code == 0, said.out + said.err
            assert words != "doctor" or "is on a file system that does not answer" in said.out
        finally:
            other.kill()
            other.wait()


@pytest.mark.parametrize("kind", ["fifo", "device", "directory"])
def test_a_required_file_of_another_kind_hangs_nothing(running: StackUnderTest, kind: str) -> None:
    path = Path(running.raw["services"]["web"]["requires_files"][0])
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    for words in ("status", "verify", "start", "restart quick"):
        assert call(running, *words.split()).code == 0


@pytest.mark.parametrize("name", ["etc/manifest.json", "etc/supervisord.conf", "state/lives.json", "state/lock"])
def test_a_record_of_the_stack_that_has_become_a_pipe_hangs_nothing(running: StackUnderTest, name: str) -> None:
    path = Path(running.root, name)
    path.unlink()
    os.mkfifo(path)
    for words in ("status", "start", "restart emergency", "doctor"):
        call(running, *words.split())


def test_another_stack_that_hangs_with_the_lock_of_the_ports_keeps_no_stack_down(running: StackUnderTest) -> None:
    place = leases.directory()
    assert place is not None
    running.raw["services"]["worker"]["env"] = {"A": "1"}
    with leases.locked(place):
        report = running.perform("full")
    assert report["ok"]
    assert is_alive(running.pids()["worker"])


def test_a_huge_required_file_costs_neither_memory_nor_time(running: StackUnderTest) -> None:
    path = running.raw["services"]["web"]["requires_files"][0]
    os.truncate(path, 3 << 30)
    assert running.perform()["ok"]
    before = running.pids()
    peak = _peak_of(running.command, "start")
    assert peak < 200 * 1024
    assert running.pids() == before
    # A change of it is seen all the same.
    with open(path, "r+b") as stream:
        stream.write(b"changed")
    report = running.perform(installed=True)
    assert [action["subject"] for action in report["actions"] if action["action"] == "restart"] == ["web"]


def _peak_of(*command: str) -> int:
    """Return how many KiB a command and its children needed at the most."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(["python3", "-c", code, *command], capture_output=True, text=True, check=True, timeout=60)
    return int(done.stdout)


# --- the run that has locked the stack ----------------------------------------------------------------------------


@contextlib.contextmanager
def at_work(made: StackUnderTest, *, steps: bool = False, verb: str = "full", limit: float = 600.0) -> t.Iterator[int]:
    """A run that has locked the stack, and hangs; or takes one step after the other. Returns its pid."""
    run = new_run_id(made.paths.state)
    pid = os.fork()
    if pid == 0:
        try:
            with locked(made.paths.state, "tester", verb, run=run, limit=limit):
                journal = Journal(made.paths.state, run)
                journal.step("prove", mode=verb, who="tester")
                while True:
                    time.sleep(0.05)
                    if steps:
                        journal.step("verify")
        finally:
            os._exit(0)
    try:
        assert eventually(lambda: len(steps_of(made.paths.state, run)) > 0)
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "PATIENCE", 1.0)


def emergency(made: StackUnderTest) -> t.Any:
    return made.perform("emergency", installed=True)


@pytest.mark.usefixtures("hasty")
def test_an_emergency_ends_the_run_that_hangs_and_says_whom(running: StackUnderTest) -> None:
    with at_work(running) as pid:
        report = emergency(running)
        assert report["ok"]
        assert not is_alive(pid)
        (ended,) = [entry for entry in report["signals"] if entry["pid"] == pid]
        assert ended["result"] == "ended"
        kept = recorded_run(running.paths, report["run"])
        assert pid in [entry["pid"] for entry in kept["signals"]]


def test_an_emergency_ends_at_once_a_run_that_is_stopped(running: StackUnderTest) -> None:
    with at_work(running, verb="emergency") as pid:
        os.kill(pid, signal.SIGSTOP)
        assert eventually(lambda: processes.describe(pid).state == "T")  # type: ignore[union-attr]
        said = call(running, "restart", "emergency")
        assert said.code == 0, said.out
        assert not is_alive(pid)


@pytest.mark.usefixtures("hasty")
def test_an_emergency_ends_another_emergency_only_after_its_time(running: StackUnderTest) -> None:
    with at_work(running, verb="emergency") as pid:
        with pytest.raises(RollcallError, match="locked"):
            emergency(running)
        assert is_alive(pid)
    with at_work(running, verb="emergency", limit=-1.0) as pid:
        assert emergency(running)["ok"]
        assert not is_alive(pid)


def test_a_run_that_goes_on_is_left_alone(running: StackUnderTest) -> None:
    before = running.pids()
    with at_work(running, steps=True) as pid:
        with pytest.raises(RollcallError, match="locked"):
            emergency(running)
        assert is_alive(pid)
    assert running.pids() == before


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("mode", ["full", "quick", "auto", "stop", "flush"])
def test_no_other_mode_ends_a_run(running: StackUnderTest, mode: str) -> None:
    with at_work(running) as pid:
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(RollcallError, match="locked"):
            running.perform(mode, installed=True)
        assert is_alive(pid)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("lie", ["pid", "start", "boot"])
def test_who_only_is_named_in_the_lock_is_not_ended(running: StackUnderTest, lie: str) -> None:
    with at_work(running) as pid, stack({}) as other, at_work(other) as innocent:
        note = running.lock_note()
        process = processes.describe(innocent)
        assert process is not None
        told = {"pid": innocent, "start": process.start}
        lies: t.Dict[str, t.Dict[str, t.Any]] = {"pid": told, "start": {"start": 1}, "boot": {"boot": "another"}}
        Path(running.paths.state, "lock").write_text(json.dumps({**note, **lies[lie]}), encoding="utf-8")
        with pytest.raises(RollcallError, match="locked"):
            emergency(running)
        assert is_alive(innocent)
        assert is_alive(pid)
