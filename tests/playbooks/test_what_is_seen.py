# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees of a playbook: a line for what has changed, the evidence of a failure once, its cause last."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.support.playbooks import PLAYBOOK, command_of, play, prepare
from tests.support.processes import free_port
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack

pytestmark = pytest.mark.usefixtures("bystander")

CAUSE = "cannot open the ledger of 1987"
NAMES = [f"worker_{number}" for number in range(6)]


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    followers: t.Dict[str, t.Any] = {name: {"depends_on": ["ledger"]} for name in NAMES}
    with stack({"ledger": {"port": free_port()}, **followers}) as one:
        assert one.perform()["ok"]
        yield one


def break_it(made: StackUnderTest) -> None:
    made.raw["services"]["ledger"]["command"] = [sys.executable, "-c", f"raise SystemExit('{CAUSE}')"]
    prepare(made)


def played(made: StackUnderTest, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run site.yml as somebody whose ansible.cfg is another one."""
    return subprocess.run(
        [*command_of(made, "site.yml"), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def test_a_failure_is_told_once_with_who_waits_in_one_line_and_its_cause_last(made: StackUnderTest) -> None:
    break_it(made)

    done = play(made, "site.yml")

    said = done.stdout
    assert done.returncode != 0
    assert said.count(f"    {CAUSE}\n") == 1, said
    assert said.count("6 services wait for ledger: worker_0, worker_1, worker_2, worker_3 and 2 more\n") == 1, said
    assert "failed: 12/12 Verdict | Succeed only when every check has passed\n" in said
    assert [word for word in ("fatal:", "[ERROR]", "TASK [", "included:") if word in said] == [], said
    lines = said.splitlines()
    (cause,) = [number for number, line in enumerate(lines) if line.strip() == CAUSE]
    assert len(lines) - cause < 10, "it is on the screen when the output stops"
    assert len(lines) < 60, said


def test_with_the_default_callback_the_evidence_is_told_once_as_well(made: StackUnderTest) -> None:
    break_it(made)

    done = played(made, ANSIBLE_STDOUT_CALLBACK="default")

    assert done.returncode != 0
    assert done.stdout.count(f"    {CAUSE}\n") == 1, done.stdout
    assert "Not every check has passed: the roll call says why." in done.stdout


def test_without_the_roll_call_the_failed_task_tells_all(made: StackUnderTest) -> None:
    break_it(made)

    done = played(made, ANSIBLE_CALLBACKS_ENABLED="ansible.posix.nothing")

    assert done.returncode != 0
    assert "ROLL CALL" not in done.stdout
    assert CAUSE in done.stdout
    assert "fatal: [here]: FAILED!" in done.stdout


def test_what_was_changed_is_one_line_and_what_was_skipped_or_well_is_none(made: StackUnderTest) -> None:
    made.raw["services"]["ledger"]["env"] = {"LEVEL": "debug"}
    prepare(made)

    first, again = play(made, "site.yml"), play(made, "site.yml")

    def told(done: subprocess.CompletedProcess[str]) -> t.List[str]:
        lines = done.stdout.partition("PLAY RECAP")[0].splitlines()[2:]
        return [line for line in lines if line and "... still at" not in line]

    assert told(first) == ["changed: 6-12/12 Run | Give ports, validate, plan, stop, start and verify"], first.stdout
    assert told(again) == [], again.stdout


def test_v_shows_every_task(made: StackUnderTest) -> None:
    prepare(made)

    said = play(made, "site.yml", "-v").stdout

    assert "TASK [rollcall.supervisor.services : 6-12/12 Run |" in said
    assert "ok: [here] => " in said


def test_tasks_of_others_are_shown_as_ever(made: StackUnderTest, tmp_path: Path) -> None:
    tasks = [
        {"name": "Do theirs", "ansible.builtin.command": "true"},
        {"name": "Leave theirs out", "ansible.builtin.command": "true", "when": False},
        {"name": "Look at ours", "rollcall.supervisor.stack_info": {"root": made.root}},
        {"name": "Break theirs", "ansible.builtin.fail": {"msg": "their own words"}},
    ]
    playbook = tmp_path / "theirs.json"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    prepare(made)

    said = played(made, str(playbook), ANSIBLE_DISPLAY_SKIPPED_HOSTS="true").stdout.rpartition("PLAY [all]")[2]

    assert "TASK [Do theirs] ***" in said
    assert "changed: [here]" in said
    assert "TASK [Leave theirs out] ***" in said
    assert "skipping: [here]" in said
    assert "Look at ours" not in said, said
    assert "their own words" in said.partition("PLAY RECAP")[0]


def test_a_manifest_with_faults_is_told_once(made: StackUnderTest) -> None:
    made.raw["services"]["ledger"]["prot"] = 8001

    done = play(made, "site.yml")

    assert done.returncode != 0
    assert done.stdout.count("is not a key of a service (did you mean port?)") == 1, done.stdout
    assert "failed: 1/12 Environment | Check the manifest and see whether this host is prepared\n" in done.stdout


def bare(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run site.yml for a host on which there is nothing."""
    services: t.Dict[str, t.Any] = {name: {"command": ["/bin/sleep", "600"]} for name in NAMES}
    services["web"] = {"command": ["/bin/sleep", "600"], "port": 8011}
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "bootstrap_on_path": False,
        "services_boot": "none",
        "rollcall_stack": {"name": "bare", "root": f"{tmp_path}/bare", "services": services},
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"here": known}}}), encoding="utf-8")
    return subprocess.run(
        [str(PLAYBOOK), "site.yml", "-i", str(inventory), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def test_a_check_of_a_bare_host_shows_a_plan_and_nothing_of_our_own(tmp_path: Path) -> None:
    done = bare(tmp_path, "--check", "--diff")

    assert done.returncode == 0, done.stdout
    assert not (tmp_path / "bare").exists()
    assert len(done.stdout.splitlines()) < 40, done.stdout
    for line in (
        "changed: 2/12 User and directories | Make the directories, and note what was there before",
        "changed: 3/12 Dependencies | Install supervisor and what the engine needs",
        f"  install supervisor and the engine under {tmp_path}/bare",
        "  start worker_0",
        "  start web on port 8011",
    ):
        assert f"{line}\n" in done.stdout, done.stdout
    assert "def " not in done.stdout, "no program of ours"
    assert "\nok: " not in done.stdout


def test_a_variable_from_the_command_line_decides_what_is_put_on_the_path(tmp_path: Path) -> None:
    done = bare(tmp_path, "--check", "-e", "bootstrap_on_path=false")

    assert done.returncode == 0, done.stdout
    assert "/usr/local/bin" not in done.stdout


def test_of_several_hosts_each_line_says_which_one_it_is_about(tmp_path: Path) -> None:
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "rollcall_stack": {"name": "bare", "root": f"{tmp_path}/bare", "services": {}},
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"one": known, "two": known}}}), encoding="utf-8")

    done = subprocess.run(
        [str(PLAYBOOK), "playbooks/status.yml", "-i", str(inventory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )

    for name in ("one", "two"):
        assert f"[{name}] failed: Status | Look at the stack\n" in done.stdout, done.stdout
        assert done.stdout.count(f"{name}: FAILED, Rollcall is not installed under") == 2, "its story, and its line"
    assert "fatal:" not in done.stdout
