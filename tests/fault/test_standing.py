# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every end of a run that is not good says whether the stack is up; and what it says to type works."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.text import readable_time
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.runs import steps_of
from tests.support.commands import Said, rollcall
from tests.support.playbooks import document, play, prepare
from tests.support.processes import eventually, free_port
from tests.support.stacks import StackUnderTest, stack, two_services
from tests.support.victims import victim

pytestmark = pytest.mark.usefixtures("bystander")

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a stranger, or make files immutable")
STRANGER = 60123
# It was not looked at: another run is at work, or nothing says what the services are.
AS_IT_WAS = {"state": "as_it_was", "running": None, "services": None, "since": None, "next": None}
# Takes a port as soon as it is free.
THIEF = """
import socket, sys
while True:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind(("127.0.0.1", int(sys.argv[1])))
        break
    except OSError:
        held.close()
held.listen()
print("taken", flush=True)
sys.stdin.read()
"""


def gate_of(made: StackUnderTest) -> Path:
    """Return the file without which the service `slow` does not end when it is stopped."""
    return Path(made.raw["services"]["slow"]["env"]["DRAINS_UNTIL"])


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    """Have a stack in which a port is free while something else still stops, which a test can make last."""
    # One that answers hears the signal.
    slow = {"port": free_port(), "health": {"http": "/health"}}
    with stack({**two_services(depends_on=["slow"]), "slow": slow}) as made:
        made.drains("slow").touch()
        assert made.perform()["ok"]
        yield made


@contextlib.contextmanager
def thief(made: StackUnderTest) -> t.Iterator[None]:
    """Have a stranger take the port of `web` while `slow` still stops."""
    gate_of(made).unlink()
    with subprocess.Popen(
        [sys.executable, "-c", THIEF, str(made.raw["services"]["web"]["port"])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        user=STRANGER,
        group=STRANGER,
        extra_groups=[],
    ) as one:

        def let_go_when_it_is_taken() -> None:
            if one.stdout is not None and one.stdout.readline():
                gate_of(made).touch()

        waiting = threading.Thread(target=let_go_when_it_is_taken)
        waiting.start()
        try:
            yield
        finally:
            one.kill()
            waiting.join()


def standing(said: Said) -> t.Dict[str, t.Any]:
    return dict(said.data["error"]["standing"])


def type_it(made: StackUnderTest, command: str) -> Said:
    """Do what a line says to type."""
    words = command.split()
    assert words[0] == "rollcall"
    return rollcall(made, *words[1:], bound=100)


# --- down ---------------------------------------------------------------------------------------------------------


@NEEDS_ROOT
def test_a_port_that_a_stranger_takes_between_stop_and_start_leaves_a_word_and_a_command_that_works(
    running: StackUnderTest,
) -> None:
    began = time.time()
    with thief(running):
        said = rollcall(running, "restart", "full", "--json", bound=100)

        assert said.code == 3
        assert not running.pids()
        left = standing(said)
        assert (left["state"], left["running"], left["services"]) == ("down", 0, 3)
        assert began <= left["since"] <= time.time()
        assert type_it(running, left["next"]).code == 0
    assert set(running.pids()) == {"web", "worker", "slow"}


@NEEDS_ROOT
def test_the_same_is_one_line_for_people(running: StackUnderTest) -> None:
    with thief(running):
        said = rollcall(running, "restart", bound=100)

    (line,) = [line for line in said.err.splitlines() if "the stack is" in line]
    found = re.fullmatch(r"  the stack is DOWN since (.*): type: (.*)", line)
    assert found is not None
    (stopped,) = [step for run in runs(running)[:1] for step in steps_of(running.paths.state, run) if stops(step)]
    assert found[1] == readable_time(stopped["time"])
    assert found[2] == f"{running.command} restart full --policy any"


@NEEDS_ROOT
def test_a_playbook_says_it_too_and_so_does_its_outcome(running: StackUnderTest) -> None:
    prepare(running)
    with thief(running):
        done = play(running, "playbooks/restart.yml")

    assert done.returncode != 0
    found = re.search(r"  the stack is DOWN since (.*): type: (\S+) restart full --policy any\n", done.stdout)
    assert found is not None, done.stdout
    assert found[2] == running.command
    (host,) = document(running)["hosts"].values()
    assert (host["exit_code"], host["error"]["standing"]["state"]) == (3, "down")
    assert readable_time(host["error"]["standing"]["since"]) == found[1]


def runs(made: StackUnderTest) -> t.List[str]:
    """Return the ids of the recorded runs, the latest first."""
    names = [path.stem for path in Path(made.paths.state, "runs").glob("*.jsonl")]
    return sorted(names, reverse=True)


def stops(step: t.Mapping[str, t.Any]) -> bool:
    return bool(step["step"] == "stop")


def test_a_worker_that_is_lost_after_the_stop_is_told_with_the_stack_down(running: StackUnderTest) -> None:
    # By then everything has stopped: nothing holds it there, and it goes on to the start a second later.
    with waits(running, "stop-daemon", held=False) as (waiting, worker):
        os.kill(worker, signal.SIGKILL)
        output, _unused = waiting.communicate(timeout=100)
    assert "died at step" in output
    assert "the stack is DOWN since " in output
    (command,) = re.findall(r"type: (.*)", output)
    assert subprocess.run(command, shell=True, capture_output=True, check=False, timeout=100).returncode == 0
    assert set(running.pids()) == {"web", "worker", "slow"}


@contextlib.contextmanager
def waits(made: StackUnderTest, step: str, *, held: bool = True) -> t.Iterator[t.Tuple[subprocess.Popen[str], int]]:
    """Begin a restart, and go on when it has come to a step; one of stopping lasts until the end of this if held.

    Yields:
        who waits for it, and its worker's pid.
    """
    output = subprocess.STDOUT
    # Where the tests run in the background, their shell has had them ignore it.
    command = ["env", "--default-signal=INT,QUIT", made.command, "restart"]
    if held:
        gate_of(made).unlink()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=output, text=True) as waiting:
        try:
            assert eventually(lambda: "run" in made.lock_note())
            note = made.lock_note()
            assert eventually(lambda: step in [one["step"] for one in steps_of(made.paths.state, note["run"])])
            yield waiting, note["pid"]
        finally:
            gate_of(made).touch()
            waiting.kill()


def test_a_start_that_fails_on_a_stack_that_was_down_says_down_and_does_not_say_since_when() -> None:
    with stack({"web": {"command": ["/bin/false"]}}) as made:
        report = made.perform()
        assert not report["ok"]
        assert report["standing"] == {
            **AS_IT_WAS,
            "state": "down",
            "running": 0,
            "services": 1,
            "next": "rollcall restart",
        }


# --- up -----------------------------------------------------------------------------------------------------------


def test_a_verdict_that_is_bad_says_how_many_services_run(running: StackUnderTest) -> None:
    running.raw["services"]["worker"]["command"] = ["/bin/false"]
    report = running.perform()
    assert not report["ok"]
    assert report["standing"] == {**AS_IT_WAS, "state": "up", "running": 2, "services": 3}

    said = rollcall(running, "restart", bound=100)
    assert said.code == 1
    assert "  the stack is up: 2 of 3 services run\n" in said.out


def test_a_run_that_went_back_says_how_many_services_run(running: StackUnderTest) -> None:
    running.raw["services"]["worker"]["command"] = ["/bin/false"]
    report = running.perform(on_failure="rollback")
    assert report["result"] == "rolled_back"
    assert report["standing"] == {**AS_IT_WAS, "state": "up", "running": 3, "services": 3}


def test_a_good_run_and_a_look_have_nothing_to_say_of_it(running: StackUnderTest) -> None:
    assert rollcall(running, "restart", "quick", "--json", bound=100).data["standing"] is None
    assert rollcall(running, "status", "--json").data["standing"] is None


def test_whoever_interrupts_the_command_is_told_that_the_run_goes_on(running: StackUnderTest) -> None:
    with waits(running, "stop") as (waiting, _worker):
        waiting.send_signal(signal.SIGINT)
        output, _unused = waiting.communicate(timeout=100)
    assert waiting.returncode == 1
    assert "goes on without you" in output
    assert "Traceback" not in output
    assert re.search(r"the stack is (up: \d of 3 services run|DOWN since)", output)
    assert eventually(lambda: not running.is_locked())
    assert set(running.pids()) == {"web", "worker", "slow"}


# --- as it was ----------------------------------------------------------------------------------------------------


def test_a_port_that_a_stranger_has_before_is_refused_with_the_stack_as_it_was() -> None:
    with stack(two_services()) as made:
        made.perform()
        assert rollcall(made, "stop", bound=100).code == 0
        with victim("listen", made.raw["services"]["web"]["port"]):
            said = rollcall(made, "restart", "full", "--json", bound=100)
            text = rollcall(made, "restart", "full", bound=100)
    assert (said.code, standing(said)) == (3, {**AS_IT_WAS, "running": 0, "services": 2})
    assert "\n  the stack is as it was: DOWN, no service runs\n" in text.err


def test_a_stack_that_another_run_has_locked_is_as_it_was(running: StackUnderTest) -> None:
    before = running.pids()
    with locked(running.paths.state, "ada", "restart"):
        said = rollcall(running, "restart", "--json", bound=100)
        text = rollcall(running, "restart", bound=100)
    assert (said.code, standing(said)) == (3, AS_IT_WAS)
    assert "\n  the stack is as it was\n" in text.err
    assert running.pids() == before


@pytest.mark.parametrize("arguments", [("rollback", "nothing"), ("restart", "full")])
def test_what_cannot_be_done_leaves_the_stack_as_it_was(running: StackUnderTest, arguments: t.Tuple[str, ...]) -> None:
    os.rename(f"{running.root}/etc", f"{running.root}/etc.gone")
    try:
        said = rollcall(running, *arguments, "--json", bound=100)
    finally:
        os.rename(f"{running.root}/etc.gone", f"{running.root}/etc")
    assert said.code != 0
    assert standing(said) == AS_IT_WAS


@contextlib.contextmanager
def immutable(path: str) -> t.Iterator[None]:
    if subprocess.run(["chattr", "+i", path], capture_output=True, check=False).returncode != 0:
        pytest.skip("this file system has no immutable files")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


@NEEDS_ROOT
@pytest.mark.parametrize(
    ("mode", "what"),
    [
        ("full", "run/supervisord.pid"),
        ("full", "run"),
        ("full", "logs"),
        ("full", "logs/supervisord.log"),
        ("quick", "run/supervisord.pid"),
        ("emergency", "run/supervisord.pid"),
    ],
)
def test_what_nobody_can_remove_is_told_before_anything_is_stopped(
    running: StackUnderTest, mode: str, what: str
) -> None:
    before = running.pids()
    with immutable(f"{running.root}/{what}"):
        said = rollcall(running, "restart", mode, "--json", bound=100)
        assert (said.code, standing(said)) == (2, {**AS_IT_WAS, "running": 3, "services": 3})
        assert running.pids() == before

        assert said.remedies[0] == f"chattr -i {running.root}/{what}"
        subprocess.run(said.remedies[0], shell=True, check=True)
        assert rollcall(running, "restart", mode, bound=100).code == 0


@NEEDS_ROOT
def test_a_stop_that_cannot_remove_the_pidfile_says_that_the_stack_is_down(running: StackUnderTest) -> None:
    with immutable(running.paths.pidfile):
        said = rollcall(running, "stop", "--json", bound=100)
        assert said.code == 1
        assert not running.pids()
        assert (standing(said)["state"], standing(said)["since"] is None) == ("down", False)
    assert type_it(running, standing(said)["next"]).code == 0
