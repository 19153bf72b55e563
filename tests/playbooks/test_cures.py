# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook tells to run next is run as it stands, and the stack is whole."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from tests.support.playbooks import PLAYBOOK, document, play, prepare
from tests.support.processes import free_port
from tests.support.releases import wheel
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack, two_services
from tests.support.victims import victim

pytestmark = pytest.mark.usefixtures("bystander")

_TOLD = re.compile(r"^\s*(?:next:|next |then )\s*(.+?)\s*$", re.MULTILINE)


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    """A stack that site.yml has installed."""
    with stack(two_services()) as one:
        prepare(one)
        assert play(one, "site.yml").returncode == 0
        yield one


def told(done: subprocess.CompletedProcess[str]) -> t.List[str]:
    """Return what the roll call tells to run next."""
    return list(dict.fromkeys(_TOLD.findall(done.stdout.partition("ROLL CALL")[2])))


def obey(cure: str) -> subprocess.CompletedProcess[str]:
    """Run a cure as it was printed, where the playbook was called; of an advice the command at its end."""
    return subprocess.run(
        ["/bin/sh", "-c", cure.rpartition(", then run: ")[2]],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{PLAYBOOK.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_host_without_room_for_the_engine_is_told_where_there_is_none(tmp_path: Path, quick_python: str) -> None:
    root, inventory = tmp_path / "root", tmp_path / "hosts.json"
    root.mkdir()
    wheel(tmp_path / "wheels", "numbered", "1.0")
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "bootstrap_on_path": False,
        "bootstrap_python": quick_python,
        "bootstrap_wheels": str(tmp_path / "wheels"),
        "rollcall_stack": {"name": "small", "root": str(root), "services": {"web": {"command": ["/bin/true"]}}},
    }
    inventory.write_text(json.dumps({"all": {"hosts": {"here": known}}}), encoding="utf-8")
    site = f"{PLAYBOOK} -i {inventory} site.yml"
    size = f"mount -o remount,size=300m {root}"
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs -o size=3m,mode=755 small {root}; {site}; {size}; {site}"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip

    first, again = (part.partition("PLAY [")[0] for part in ran.stdout.split("ROLL CALL")[1:])
    installs = f"put right what it shows, then run: {PLAYBOOK.name} -i {inventory} site.yml"
    assert _TOLD.findall(first) == [cures.space(str(root)), installs], first
    assert _TOLD.findall(again) in ([], [installs]), again


def manifest_again(made: StackUnderTest) -> None:
    """Write the inventory of the stack's manifest as it is now, as somebody does who corrects it."""
    play(made, "playbooks/status.yml")


def test_after_a_rollback_the_correction_and_the_command_that_is_told_install_it(made: StackUnderTest) -> None:
    made.raw["services"]["worker"]["command"] = ["/bin/false"]
    prepare(made)

    failed = play(made, "site.yml")

    assert "ROLLED BACK" in failed.stdout
    cures = [cure for cure in told(failed) if " logs " not in cure]
    assert len(cures) == 1, cures
    assert re.fullmatch(
        r"correct worker \(running.*\), then run: ansible-playbook -i \S+/hosts.json site.yml", cures[0]
    )
    del made.raw["services"]["worker"]["command"]
    manifest_again(made)
    done = obey(cures[0])
    assert done.returncode == 0, done.stdout
    assert made.pids().keys() == {"web", "worker"}


def test_a_stranger_on_a_new_port_is_ended_by_the_command_that_is_told(made: StackUnderTest) -> None:
    with victim("listen", free_port()) as stranger:
        made.raw["services"]["web"]["port"] = stranger.port
        refused = play(made, "site.yml")
        end, force, other = told(refused)
        assert end == f"kill {stranger.pid}"
        assert re.fullmatch(r"ansible-playbook -i \S+ site.yml -e port_flush_policy=any", force)
        assert other.startswith("give web another port in the manifest, then run: ansible-playbook")
        steps = document(made)["hosts"]["here"]["steps"]
        assert [step["number"] for step in steps if step["state"] == "FAILED"] == [6]
        assert "12/12" not in refused.stdout.partition("ROLL CALL")[2].partition("12/12  verdict")[0]
        done = obey(force)
        assert done.returncode == 0, done.stdout
        assert not stranger.alive


def test_a_stranger_on_a_new_port_is_left_alone_when_the_service_gets_another_one(made: StackUnderTest) -> None:
    with victim("listen", free_port()) as stranger:
        made.raw["services"]["web"]["port"] = stranger.port
        other = told(play(made, "site.yml"))[-1]
        made.raw["services"]["web"]["port"] = free_port()
        manifest_again(made)
        done = obey(other)
        assert done.returncode == 0, done.stdout
        assert stranger.alive


def test_a_first_install_that_failed_is_taken_off_by_the_command_that_is_told() -> None:
    with stack({"bad": {"command": ["/bin/false"]}}) as made:
        prepare(made)
        done = play(made, "site.yml")
        said = document(made)["hosts"]["here"]["first_install"]
        command = said.partition("this takes it off: ")[2]
        assert command.startswith("ansible-playbook -i "), done.stdout
        assert obey(command).returncode == 0
        assert not os.path.exists(made.command)
        # For what tidies up after the test.
        os.makedirs(made.root, exist_ok=True)


def test_who_has_the_collection_alone_is_told_its_playbooks(made: StackUnderTest) -> None:
    made.raw["services"]["worker"]["command"] = ["/bin/false"]
    prepare(made)
    inventory = os.path.join(made.root, "hosts.json")
    manifest_again(made)

    failed = subprocess.run(
        [str(PLAYBOOK), "-i", inventory, "rollcall.supervisor.site"],
        cwd=made.root,
        env={**os.environ, "ANSIBLE_CALLBACKS_ENABLED": "rollcall.supervisor.roll_call"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )

    (cure,) = [cure for cure in told(failed) if " logs " not in cure]
    assert cure.endswith("then run: ansible-playbook -i hosts.json rollcall.supervisor.site")
