# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller asks the engine on a host: the answer, and what is said when none comes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.version import VERSION
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.runs import steps_of
from tests.support.commands import rollcall
from tests.support.documents import parsed, validated
from tests.support.processes import eventually
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack

PLAYBOOK = Path(sys.prefix) / "bin" / "ansible-playbook"


@pytest.fixture
def running() -> t.Iterator[StackUnderTest]:
    with stack({"one": {}, "two": {}}) as made:
        assert made.perform()["ok"]
        yield made


def ask(made: StackUnderTest, verb: str, **more: t.Any) -> t.Dict[str, t.Any]:
    question = {"version": VERSION, "verb": verb, "arguments": {"fail": True}, "check_mode": False, **more}
    done = subprocess.run([made.command, "ask"], input=json.dumps(question), capture_output=True, text=True, check=True)
    answer: t.Dict[str, t.Any] = json.loads(done.stdout.splitlines()[-1])
    if "report" in answer:
        validated(answer["report"], "DoctorDocument" if verb == "doctor" else "Report")
    return answer


def play(made: StackUnderTest, playbook: str, *others: StackUnderTest) -> subprocess.CompletedProcess[str]:
    """Run a playbook for a host with this stack, ``host0``, and for one more with each other one."""
    inventory = Path(made.root) / "hosts.json"
    hosts = {
        f"host{number}": {"ansible_connection": "local", "rollcall_stack": {"name": "test", "root": one.root}}
        for number, one in enumerate((made, *others))
    }
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    command = [str(PLAYBOOK), "-i", str(inventory), playbook]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)


def test_the_answer_is_the_report(running: StackUnderTest) -> None:
    answer = ask(running, "status")
    assert {entry["name"]: entry["pid"] for entry in answer["report"]["services"]} == running.pids()
    assert (answer["changed"], "failed" in answer) == (False, False)


def test_an_answer_that_is_not_ok_is_a_failure_in_words(running: StackUnderTest) -> None:
    running.supervisor().stop(["two"])
    answer = ask(running, "status")
    assert answer["failed"]
    assert "two" in answer["msg"]
    assert "failed" not in ask(running, "status", arguments={"fail": False})


def test_a_controller_of_another_version_is_told_what_to_do(running: StackUnderTest) -> None:
    before = running.pids()
    answer = ask(running, "restart", version="0.0.1")
    assert answer["failed"]
    assert answer["error"]["kind"] == "wrong_use"
    assert f"is version {VERSION}, and the controller's is 0.0.1" in answer["msg"]
    assert answer["error"]["remedies"] == [f"ansible-galaxy collection install 'rollcall.supervisor:>={VERSION}'"]
    newer = ask(running, "restart", version="99.0.0")
    assert newer["error"]["remedies"] == ["ansible-playbook site.yml"]
    assert running.pids() == before


def test_a_playbook_on_a_host_without_the_engine_says_so_and_what_installs_it() -> None:
    with stack({"one": {}}) as made:
        os.unlink(os.path.join(made.root, "engine", "venv"))
        for playbook in ("playbooks/restart.yml", "playbooks/status.yml"):
            done = play(made, playbook)
            assert done.returncode == 2
            assert f"FAILED, Rollcall is not installed under {made.root} on this host." in done.stdout
            assert re.search(r"next: ansible-playbook -i \S+ playbooks/site.yml\n", done.stdout)


@pytest.mark.parametrize("pipelining", ["0", "1"])
def test_an_engine_that_is_not_whole_is_not_installed_whatever_its_python_says(
    pipelining: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_PIPELINING", pipelining)
    with contextlib.ExitStack() as stacks:
        broken = []
        for lost in ("engine/venv", "engine/rollcall", "engine/__main__.py", "engine"):
            broken.append(stacks.enter_context(stack({"one": {}})))
            os.rename(os.path.join(broken[-1].root, lost), os.path.join(broken[-1].root, "lost"))
        done = play(broken[0], "playbooks/status.yml", *broken[1:])
        assert done.returncode == 2
        for number, made in enumerate(broken):
            told = f"host{number}: FAILED, Rollcall is not installed under {made.root} on this host."
            assert told in done.stdout, done.stdout


def test_a_venv_without_its_packages_is_not_installed() -> None:
    with stack({"one": {}}) as made:
        venv = os.path.join(made.root, "engine", "venv")
        os.unlink(venv)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        # Engines import what they need at different moments; this one at its start.
        Path(made.root, "engine", "__main__.py").write_text("import psutil", encoding="utf-8")
        done = play(made, "playbooks/status.yml")
        assert f"FAILED, Rollcall is not installed under {made.root} on this host." in done.stdout


def test_an_engine_that_breaks_off_is_told_with_its_last_words() -> None:
    with stack({"one": {}}) as made:
        Path(made.root, "engine", "__main__.py").write_text("raise SystemExit('no more memory')", encoding="utf-8")
        done = play(made, "playbooks/status.yml")
        assert done.returncode == 2
        assert f"The engine under {made.root} ended with exit code 1 and no answer." in done.stdout
        assert "no more memory" in done.stdout


def test_the_words_of_a_login_shell_before_the_answer_do_no_harm(running: StackUnderTest) -> None:
    python = os.path.join(running.root, "engine", "venv")
    real = os.readlink(python)
    os.unlink(python)
    os.makedirs(os.path.join(python, "bin"))
    wrapper = Path(python, "bin", "python")
    wrapper.write_text(f'#!/bin/sh\necho "Welcome to {{this}} host"\nexec {real}/bin/python "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    assert play(running, "playbooks/status.yml").returncode == 0


def test_a_worker_that_is_killed_is_told_with_the_step_it_was_at(running: StackUnderTest) -> None:
    waiting = subprocess.Popen([running.command, "restart", "--json"], stdout=subprocess.PIPE, text=True)
    assert eventually(lambda: "run" in running.lock_note())
    note = running.lock_note()
    assert note["pid"] != waiting.pid
    # It has written down its first step.
    assert eventually(lambda: len(steps_of(running.paths.state, note["run"])) > 0)
    os.kill(note["pid"], signal.SIGKILL)
    output, _unused = waiting.communicate(timeout=100)
    error = parsed(output, ["restart"])["error"]
    step = steps_of(running.paths.state, note["run"])[-1]["step"]
    assert waiting.returncode == 1
    assert f"The worker of run {note['run']} died at step '{step}'" in error["message"]
    assert running.perform("full", installed=True)["ok"]


def test_the_command_called_by_a_service_of_the_stack_does_not_end_itself(running: StackUnderTest) -> None:
    before = running.pids()
    labelled = {**os.environ, "ROLLCALL_STACK": "test", "ROLLCALL_ROOT": running.root, "ROLLCALL_SERVICE": "one"}
    said = rollcall(running, "restart", "--json", env=labelled)
    assert said.code == 0, said.out
    assert not set(running.pids().values()) & set(before.values())
