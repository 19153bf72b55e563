# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults 40 and 41: whoever is killed at whatever step, a rerun converges; and of two operators one goes on.

Killed is always with SIGKILL: nothing can be tidied up. Which runs were cut off is read from the journal on disk.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
import typing as t
import unittest.mock
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.action.stack_restart import ActionModule
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.version import VERSION
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.births import recorded
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Process
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.ours import find
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import current_id, load_current
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.runs import (
    new_run_id,
    runs_directory,
    steps_of,
    unfinished_run,
)
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord.client import Client
from tests.support.cases import ordinary
from tests.support.commands import rollcall
from tests.support.documents import parsed
from tests.support.processes import eventually, free_port, is_alive
from tests.support.stacks import StackUnderTest, stack
from tests.support.victims import victim

pytestmark = pytest.mark.usefixtures("bystander")


def services() -> t.Dict[str, t.Any]:
    return {
        "web": {"port": free_port(), "health": {"http": "/health"}, "depends_on": {"worker": "running"}},
        "worker": {},
    }


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack(services()) as made:
        assert made.perform()["ok"]
        yield made


@pytest.fixture(scope="module")
def lasting() -> t.Iterator[StackUnderTest]:
    """A stack that goes through one interruption after the other: after each it is whole again, or the test failed."""
    with stack(services()) as made:
        assert made.perform()["ok"]
        yield made


def change(made: StackUnderTest) -> str:
    """Give a service a value that it never had, and return it."""
    wanted = f"shade-{os.urandom(4).hex()}"
    made.raw["services"]["worker"]["env"] = {"COLOUR": wanted}
    return wanted


def colour(made: StackUnderTest) -> t.Optional[str]:
    text = Path(f"/proc/{made.pids()['worker']}/environ").read_bytes().decode("utf-8")
    return dict(item.split("=", 1) for item in text.split("\0") if "=" in item).get("COLOUR")


def assert_whole(made: StackUnderTest, report: t.Mapping[str, t.Any]) -> None:
    """One supervisord, one process for each service, and none beside them."""
    assert report["ok"], [check["evidence"] for check in report["checks"] if not check["ok"]]
    (daemon,) = made.daemons()
    pids = made.pids()
    assert sorted(pids) == sorted(made.raw["services"])
    assert {process.pid for process in find(made.root)} == {daemon.pid, *pids.values()}
    assert not made.is_locked()


def mended(made: StackUnderTest) -> t.Any:
    """What an operator does after it: the same again, until the stack is not locked any more."""
    assert eventually(lambda: not made.is_locked())
    return made.perform()


# --- the worker, at each step -------------------------------------------------------------------------------------

# Every step that a run of the mode takes, in its order; a change in the manifest is installed by all but the stop.
BEFORE = ("prove", "plan")
PREPARED = (*BEFORE, "write")
NEW = ("flush", "install", "announce", "start-daemon", "await-daemon", "start", "verify")
STEPS: t.Mapping[str, t.Tuple[str, ...]] = {
    "auto": (*PREPARED, "install", "announce", "reload", "sweep", "stop", "start", "flush", "verify"),
    "full": (*PREPARED, "stop", "stop-daemon", "sweep", *NEW),
    "quick": (*PREPARED, "stop", "stop-daemon", "sweep", *NEW),
    "emergency": (*PREPARED, "stop-daemon", *NEW),
    "stop": (*BEFORE, "stop", "stop-daemon", "sweep"),
}
# In the ordinary run: every step once, in the mode that has most of them, and what the others do otherwise.
ORDINARY = {
    *(("full", step) for step in STEPS["full"]),
    *(("auto", step) for step in ("install", "reload")),
    *(("emergency", step) for step in ("stop-daemon", "start-daemon")),
    ("stop", "stop-daemon"),
}
CASES = [
    pytest.param(mode, step, marks=() if (mode, step) in ORDINARY else pytest.mark.exhaustive)
    for mode, steps in STEPS.items()
    for step in steps
]


@pytest.mark.fault(40)
@pytest.mark.parametrize("mode", STEPS)
def test_the_table_of_steps_has_every_step_that_a_run_takes(lasting: StackUnderTest, mode: str) -> None:
    change(lasting)
    report = lasting.perform(mode)
    assert report["ok"], [check["evidence"] for check in report["checks"] if not check["ok"]]
    steps = [step["step"] for step in steps_of(lasting.paths.state, report["run"])]
    assert list(dict.fromkeys(steps)) == [*STEPS[mode], "done"]


@pytest.mark.fault(40)
@pytest.mark.parametrize(("mode", "step"), CASES)
def test_a_worker_killed_at_any_step_of_any_mode_leaves_what_a_rerun_converges(
    lasting: StackUnderTest, mode: str, step: str
) -> None:
    wanted = change(lasting)
    old = current_id(lasting.paths)
    killed = lasting.killed_at(step, mode)
    cut_off = {"run": killed, "step": step}
    assert unfinished_run(lasting.paths.state) == cut_off
    assert lasting.status()["unfinished_run"] == cut_off
    assert current_id(lasting.paths) in (old, killed)
    assert json.loads(Path(lasting.paths.manifest).read_text(encoding="utf-8"))
    report = lasting.perform()
    assert report["unfinished_run"] == cut_off
    assert_whole(lasting, report)
    assert colour(lasting) == wanted
    again = lasting.perform()
    assert again["changed"] is False
    assert again["unfinished_run"] is None


@pytest.mark.fault(40)
@pytest.mark.parametrize("step", ["stop-daemon", "sweep", "install", "announce", "start"])
def test_a_rerun_of_what_is_installed_converges_without_the_new_manifest(lasting: StackUnderTest, step: str) -> None:
    """The operator on the host has no manifest at hand: last good or new, whichever is in place, it comes up whole."""
    before, wanted = colour(lasting), change(lasting)
    old = current_id(lasting.paths)
    killed = lasting.killed_at(step, "full")
    in_place = current_id(lasting.paths)
    report = lasting.perform("auto", installed=True)
    assert report["unfinished_run"] == {"run": killed, "step": step}
    assert_whole(lasting, report)
    assert current_id(lasting.paths) == in_place
    assert colour(lasting) == (before if in_place == old else wanted)


@pytest.mark.fault(40)
def test_a_rerun_in_the_same_second_is_known_as_the_newer_one(running: StackUnderTest) -> None:
    killed = running.killed_at("prove", "auto")
    for number in range(20):
        report = running.perform("auto", installed=True)
        expected = {"run": killed, "step": "prove"} if not number else None
        assert report["unfinished_run"] == expected
        assert running.status()["unfinished_run"] is None


@pytest.mark.fault(40)
def test_the_report_says_which_generation_is_in_place(running: StackUnderTest) -> None:
    change(running)
    old = current_id(running.paths)
    killed = running.killed_at("start-daemon", "full")
    assert running.status()["generation"] == {"id": killed, "verified": False}
    report = running.perform()
    assert report["generation"] == {"id": killed, "verified": True}
    assert old != killed


# --- the worker, within a step ------------------------------------------------------------------------------------


def killed_within(
    made: StackUnderTest, module: t.Any, name: str, *, before: bool, times: int = 1, mode: str = "full"
) -> bool:
    """Run the critical section in a child that is killed at its ``times``-th call of ``name``; False: it never was."""
    request = made.request(mode)
    run_id = new_run_id(made.paths.state)
    pid = os.fork()
    if pid == 0:
        real = getattr(module, name)
        seen = [0]

        def fatal(*arguments: t.Any, **options: t.Any) -> t.Any:
            seen[0] += 1
            if before and seen[0] == times:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*arguments, **options)
            if seen[0] == times:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        try:
            with unittest.mock.patch.object(module, name, fatal):
                restart.perform(request, run_id)
        except BaseException:  # noqa: BLE001 - told below, and the child ends
            traceback.print_exc()  # of the child: it is seen when the test fails
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


# After one and before the next only reads lie in between.
@pytest.mark.fault(40)
@pytest.mark.parametrize("before", [True, pytest.param(False, marks=pytest.mark.exhaustive)], ids=["before", "after"])
def test_killed_before_or_after_any_rename_of_the_install_no_reader_sees_a_mixture(before: bool) -> None:
    """Every file of a generation and both links are made by a rename: the kill comes at each of them in turn."""
    with stack(services()) as made:
        assert made.perform()["ok"]
        number, colours = 0, ["blue", "green"]
        while True:
            number += 1
            wanted = colours[number % 2]
            made.raw["services"]["worker"]["env"] = {"COLOUR": wanted}
            if not killed_within(made, os, "replace", before=before, times=number):
                break
            in_place = load_current(made.paths)
            assert in_place is not None
            said = next(service for service in in_place.stack.services if service.name == "worker").env.get("COLOUR")
            assert (f'COLOUR="{said}"' in in_place.config or f"COLOUR='{said}'" in in_place.config) == (
                said is not None
            )
            registry = json.loads(Path(made.root, "ports.json").read_text(encoding="utf-8"))
            assert registry
            report = made.perform()
            assert_whole(made, report)
            assert colour(made) == wanted
        assert number > 8, "manifest, config, registry, meta, two links, marks and more"


@pytest.mark.fault(40)
def test_killed_at_any_symbolic_link_of_the_install_a_rerun_converges(running: StackUnderTest) -> None:
    for number in range(1, 4):
        running.raw["services"]["worker"]["env"] = {"COLOUR": str(number)}
        killed_within(running, os, "symlink", before=False, times=number)
        assert_whole(running, running.perform())
        assert colour(running) == str(number)


# What supervisord is told, in the order of a run that keeps it and of one that does not.
TOLD = [
    *(("auto", name) for name in ("stop", "reload", "remove", "add", "start_and_look")),
    ("full", "shutdown"),
    *(
        pytest.param(mode, name, marks=pytest.mark.exhaustive)
        for mode, names in {
            "full": ("stop", "start_and_look"),
            "stop": ("stop", "shutdown"),
            "emergency": ("stop", "shutdown", "start_and_look"),
        }.items()
        for name in names
    ),
]


@pytest.mark.fault(40)
@pytest.mark.parametrize("before", ordinary([True, False], False), ids=["before", "after"])
@pytest.mark.parametrize(("mode", "order"), TOLD)
def test_killed_before_or_after_any_order_to_supervisord_a_rerun_converges(
    lasting: StackUnderTest, mode: str, order: str, before: bool
) -> None:
    wanted = change(lasting)
    assert killed_within(lasting, Client, order, before=before, mode=mode)
    assert_whole(lasting, lasting.perform())
    assert colour(lasting) == wanted


@pytest.mark.fault(40)
@pytest.mark.parametrize("times", [1, 2], ids=["that reads the config", "that becomes supervisord"])
def test_killed_right_after_any_program_was_started_a_rerun_converges(lasting: StackUnderTest, times: int) -> None:
    """The new supervisord is there and nobody has heard its answer: it must not be doubled."""
    wanted = change(lasting)
    assert killed_within(lasting, subprocess, "Popen", before=False, times=times)
    assert_whole(lasting, lasting.perform())
    assert colour(lasting) == wanted


@pytest.mark.fault(40)
def test_killed_while_services_take_their_time_to_stop_a_rerun_waits_for_them(
    running: StackUnderTest,
) -> None:
    running.raw["services"]["slow"] = {"env": {"IGNORE_TERM": "1"}, "stop": {"timeout": 4}}
    assert running.perform()["ok"]
    assert killed_within(running, Client, "shutdown", before=False)
    assert_whole(running, running.perform("full"))


SEED = 40


def step_of(made: StackUnderTest) -> t.Optional[str]:
    """Return the step that a run has come to; None when none is at work."""
    unfinished = unfinished_run(made.paths.state)
    return None if unfinished is None else unfinished["step"]


def has_come_to(made: StackUnderTest, step: str, pid: int) -> bool:
    """Return whether the run of a child has come to a step, or has ended; the child still can be waited for."""
    return step_of(made) == step or os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


@pytest.mark.fault(40)
@pytest.mark.parametrize("rounds", ordinary([4, 40], 4))
def test_killed_at_random_moments_a_rerun_converges(running: StackUnderTest, rounds: int) -> None:
    """As an operator restarts: the worker is killed, wherever it is, and the command is given again."""
    chance = random.Random(SEED)
    steps: t.List[t.Optional[str]] = []
    for number in range(rounds):
        running.raw["services"]["worker"]["env"] = {"COLOUR": str(number)}
        mode = chance.choice(["auto", "full", "quick"])
        request, wanted = running.request(mode), chance.choice(STEPS[mode])
        pid = os.fork()
        if pid == 0:
            try:
                restart.perform(request, new_run_id(running.paths.state))
            finally:
                os._exit(0)
        # By the clock alone a slow machine would have it killed at its first step every time.
        eventually(functools.partial(has_come_to, running, wanted, pid))
        time.sleep(chance.uniform(0.0, 0.2))  # the moment is the point of it
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        unfinished = unfinished_run(running.paths.state)
        steps.append(step_of(running))
        report = running.perform()
        assert report["unfinished_run"] == unfinished
        assert_whole(running, report)
        assert colour(running) == str(number), f"seed {SEED}, round {number}, killed at {steps}"
    assert len(set(steps)) >= min(3, rounds // 4), steps


# --- who waits for the worker -------------------------------------------------------------------------------------

# What Ansible makes of a task that says nothing about them.
ANSWERED = {name: option["default"] for name, option in ActionModule.OPTIONS.items() if "default" in option}
CASES_OF_WAITERS = [
    *(
        pytest.param("command", step, marks=() if step in ("stop", "start-daemon") else pytest.mark.exhaustive)
        for step in STEPS["full"]
        if step not in ("install", "announce")
    ),
    *(
        pytest.param("ask", step, marks=() if step == "start" else pytest.mark.exhaustive)
        for step in ("prove", "stop-daemon", "start")
    ),
]


def waiter(made: StackUnderTest, kind: str, mode: str) -> subprocess.Popen[str]:
    """Start who waits for a worker: the command on the host, or the engine as a controller's action asks it."""
    arguments = [made.command, "restart", mode, "--json"] if kind == "command" else [made.command, "ask"]
    started = subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    stdin = t.cast(t.TextIO, started.stdin)
    if kind == "ask":
        asked = {
            "version": VERSION,
            "verb": "restart",
            "check_mode": False,
            "arguments": {"manifest": None, "config": None, **ANSWERED, "mode": mode},
        }
        stdin.write(json.dumps(asked))
    stdin.close()
    return started


def newest_steps(made: StackUnderTest, known: t.Container[str]) -> t.List[str]:
    """Return the steps taken so far by the run that is none of the known ones."""
    for run in runs(made):
        if run not in known:
            return [step["step"] for step in steps_of(made.paths.state, run)]
    return []


def runs(made: StackUnderTest) -> t.List[str]:
    directory = Path(runs_directory(made.paths.state))
    return sorted(path.stem for path in directory.glob("*.jsonl")) if directory.is_dir() else []


@pytest.mark.fault(40)
@pytest.mark.parametrize(("kind", "step"), CASES_OF_WAITERS)
def test_the_worker_ends_its_run_when_who_waits_for_it_is_killed_at_any_step(
    lasting: StackUnderTest, kind: str, step: str
) -> None:
    known = runs(lasting)
    before = lasting.pids()
    waiting = waiter(lasting, kind, "full")
    try:
        assert eventually(lambda: step in newest_steps(lasting, known))
    finally:
        waiting.kill()
        waiting.wait()
    assert eventually(lambda: "done" in newest_steps(lasting, known))
    assert eventually(lambda: not lasting.is_locked())
    assert unfinished_run(lasting.paths.state) is None
    assert not set(lasting.pids().values()) & set(before.values())
    report = lasting.perform(installed=True)
    assert_whole(lasting, report)
    assert report["changed"] is False


# --- the controller -----------------------------------------------------------------------------------------------

INVENTORY = "all:\n  hosts:\n    here: {{ansible_connection: local, ansible_python_interpreter: {python}}}\n"
PLAYBOOK = """\
- name: Restart
  hosts: here
  gather_facts: false
  tasks:
    - name: Restart the stack
      rollcall.supervisor.stack_restart:
        root: {root}
        mode: full
"""


@pytest.mark.fault(40)
@pytest.mark.parametrize(
    "step",
    [
        pytest.param(step, marks=() if step == "start-daemon" else pytest.mark.exhaustive)
        for step in ("prove", "stop", "start-daemon", "start", "verify")
    ],
)
def test_the_worker_ends_its_run_when_the_controller_is_killed_at_any_step(
    lasting: StackUnderTest, tmp_path: Path, step: str
) -> None:
    (tmp_path / "hosts.yml").write_text(INVENTORY.format(python=sys.executable), encoding="utf-8")
    (tmp_path / "play.yml").write_text(PLAYBOOK.format(root=lasting.root), encoding="utf-8")
    known = runs(lasting)
    before = lasting.pids()
    playing = subprocess.Popen(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "hosts.yml", "play.yml"],
        cwd=tmp_path,
        env={
            **os.environ,
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
            "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert eventually(lambda: step in newest_steps(lasting, known))
    finally:
        # The controller and all its forks at once, as with the machine it ran on; the worker has a session of its own.
        os.killpg(playing.pid, signal.SIGKILL)
        playing.wait()
    assert eventually(lambda: "done" in newest_steps(lasting, known))
    assert eventually(lambda: not lasting.is_locked())
    assert not set(lasting.pids().values()) & set(before.values())
    report = lasting.perform(installed=True)
    assert_whole(lasting, report)
    assert report["changed"] is False


# --- the host -----------------------------------------------------------------------------------------------------


def reboot(made: StackUnderTest) -> None:
    """Leave what a reboot leaves: no process of the stack, and nothing in what is a tmpfs."""
    for process in (*made.daemons(), *find(made.root)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, 0)
    assert eventually(lambda: find(made.root) == [])
    for path in Path(made.paths.run).iterdir():
        path.unlink()


@pytest.mark.fault(40)
@pytest.mark.parametrize(
    "step",
    [
        pytest.param(
            step, marks=() if step in ("sweep", "install", "start-daemon", "start") else pytest.mark.exhaustive
        )
        for step in STEPS["full"]
    ],
)
def test_a_host_that_went_down_at_any_step_converges_when_it_is_back(lasting: StackUnderTest, step: str) -> None:
    wanted = change(lasting)
    killed = lasting.killed_at(step, "full")
    reboot(lasting)
    report = lasting.perform()
    assert report["unfinished_run"] == {"run": killed, "step": step}
    assert_whole(lasting, report)
    assert colour(lasting) == wanted


@pytest.mark.fault(40)
def test_after_a_reboot_the_record_of_processes_names_nobody_of_today(running: StackUnderTest) -> None:
    """Start times count from the boot, so a record of an earlier boot must not match a process of this one."""
    web = running.pids()["web"]
    identity = t.cast(Process, processes.describe(web)).identity
    assert identity in recorded(running.root).processes
    with unittest.mock.patch.object(processes, "boot_id", return_value="another boot"):
        assert recorded(running.root).processes == {}


# --- 41 -----------------------------------------------------------------------------------------------------------

LOCK_HOLDER = """
import sys, time
from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Clock
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked


class January(Clock):
    def wall(self):
        return time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1))


with locked(sys.argv[1], "ada from 192.0.2.7", "full", run="r", clock=January()):
    print("locked", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def operator(made: StackUnderTest) -> t.Iterator[subprocess.Popen[str]]:
    """Another operator, whose run has locked the stack."""
    holder = subprocess.Popen([sys.executable, "-c", LOCK_HOLDER, made.paths.state], stdout=subprocess.PIPE, text=True)
    stdout = t.cast(t.TextIO, holder.stdout)
    try:
        assert stdout.readline() == "locked\n"
        yield holder
    finally:
        holder.kill()
        holder.wait()
        stdout.close()


CHANGING = (["restart"], ["restart", "quick"], ["restart", "auto"], ["start"], ["stop"], ["flush"])


@pytest.mark.fault(41)
@pytest.mark.parametrize("arguments", CHANGING, ids=" ".join)
def test_the_second_operators_command_is_refused_at_once_and_says_who_since_when_and_what(
    running: StackUnderTest, arguments: t.Sequence[str]
) -> None:
    before = running.pids()
    with operator(running) as holder:
        said = rollcall(running, *arguments, "--json")
        assert said.code == 3
        assert f"ada from 192.0.2.7 runs 'full' as pid {holder.pid} since 2026-01-02 03:04:05" in said.message
        assert said.data["error"]["kind"] == "refused"
        assert said.remedies
        assert running.pids() == before
        assert rollcall(running, "status", "--json").code == 0, "looking is never refused"


@pytest.mark.fault(41)
def test_of_two_restarts_at_once_one_goes_on_and_the_other_is_refused(running: StackUnderTest) -> None:
    gate = running.drains("web")
    assert running.perform()["ok"]
    both = [
        subprocess.Popen([running.command, "restart", "--json"], stdout=subprocess.PIPE, text=True) for _unused in "ab"
    ]
    try:
        # However late the second one begins, the first one is still at work.
        assert eventually(lambda: any(process.poll() is not None for process in both))
    finally:
        gate.touch()
    told = [process.communicate(timeout=100)[0] for process in both]
    assert sorted(process.returncode for process in both) == [0, 3]
    ended = {process.returncode: parsed(text, ["restart"]) for process, text in zip(both, told)}
    refused = ended[3]
    assert "This stack is locked by another run" in refused["error"]["message"]
    assert_whole(running, running.perform(installed=True))


@pytest.mark.fault(41)
def test_a_lock_is_nobodys_when_its_holder_is_gone_whoever_has_its_pid_now(running: StackUnderTest) -> None:
    """The note of a holder that is gone, from before a reboot say, names a pid that somebody else has by now."""
    with victim("bystander") as innocent:
        note = {"pid": innocent.pid, "who": "ada", "verb": "full", "since": "2026-01-02 03:04:05", "run": "r"}
        Path(running.paths.state, "lock").write_text(json.dumps(note), encoding="utf-8")
        assert running.perform("full", installed=True)["ok"]
        assert innocent.alive


@pytest.mark.fault(41)
@pytest.mark.parametrize("note", ["", "{", "[]", '"x"', "\x00\x00"])
def test_a_note_that_cannot_be_read_is_no_holder(running: StackUnderTest, note: str) -> None:
    Path(running.paths.state, "lock").write_text(note, encoding="utf-8")
    assert running.perform("auto", installed=True)["ok"]


@pytest.mark.fault(41)
def test_a_holder_that_is_stopped_keeps_its_lock_and_is_named(running: StackUnderTest) -> None:
    """Never by age, never because it seems dead: it is alive, and would go on some time."""
    with operator(running) as holder:
        os.kill(holder.pid, signal.SIGSTOP)
        said = rollcall(running, "restart", "--json")
        assert said.code == 3
        assert f"pid {holder.pid}" in said.message
    assert running.perform("full", installed=True)["ok"]


@pytest.mark.fault(41)
def test_a_worker_killed_with_its_lock_leaves_it_to_the_next(running: StackUnderTest) -> None:
    gate = running.drains("web")
    assert running.perform()["ok"]
    waiting = waiter(running, "command", "full")
    try:
        assert eventually(lambda: "pid" in running.lock_note())
        worker = int(running.lock_note()["pid"])
        os.kill(worker, signal.SIGKILL)
    finally:
        waiting.wait(100)
        gate.touch()
    assert waiting.returncode == 1
    assert not is_alive(worker)
    report = rollcall(running, "restart", "--json")
    assert report.code == 0, report.out
    assert all(entry["ok"] for entry in report.data["checks"])
