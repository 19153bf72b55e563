# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that pulls: examples/pull in a git repository, run by ansible-pull as its service runs it."""

from __future__ import annotations

import configparser
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import typing as t
import urllib.request
from pathlib import Path

import pytest
import yaml

from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from tests.support.playbooks import BOUND, archive, controller, prepare
from tests.support.processes import free_port
from tests.support.repository import ROOT
from tests.support.stacks import APP, StackUnderTest, stack

pytestmark = pytest.mark.usefixtures("bystander")

EXAMPLE = ROOT / "examples" / "pull"
SERVICE = EXAMPLE / "systemd" / "rollcall-pull.service"
TIMER = EXAMPLE / "systemd" / "rollcall-pull.timer"
# Where the service's command has what the tests have elsewhere.
PLACES = {
    "commands": "/opt/rollcall-pull/venv/bin",
    "state": "/var/lib/rollcall-pull",
    "url": "https://git.example.org/fleet.git",
}
GIT = {
    **dict.fromkeys(("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"), "/dev/null"),
    **{f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


@pytest.fixture
def place() -> t.Iterator[Path]:
    # Short: the checkout's path is in that of Ansible's own sockets and files.
    name = tempfile.mkdtemp(prefix="rc-")
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name)


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    with stack({}) as one:
        yield one


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    parser.read(path)
    return parser


class Fleet:
    """The example in a repository of its own, changed for this machine, and the host that pulls it.

    Args:
        place: an empty directory.
        made: the stack of this host; its manifest becomes that of the example, on a free port and below its root.
        host: the name that the inventory has for this machine.
    """

    def __init__(self, place: Path, made: StackUnderTest, host: str) -> None:
        self.made = made
        self.work, self.repository, self.state = place / "work", place / "fleet.git", place / "state"
        self.commands = controller(place / "venv")
        shutil.copytree(EXAMPLE, self.work)
        self.state.mkdir()
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(self.repository), cwd=place)
        self._git("init", "--quiet", "--initial-branch=main")
        self.variables = yaml.safe_load((EXAMPLE / "inventory" / "group_vars" / "web.yml").read_text(encoding="utf-8"))
        self._adapt()
        inventory: t.Dict[str, t.Any] = {"web": {"hosts": {host: {}}}}
        (self.work / "inventory" / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
        requirements = yaml.safe_load((EXAMPLE / "requirements.yml").read_text(encoding="utf-8"))
        (wanted,) = requirements["collections"]
        built = archive(place)
        assert Path(wanted["name"]).name == built.name, "the example names the version that there is"
        wanted.update(name=str(built), type="file")
        (self.work / "requirements.yml").write_text(yaml.safe_dump(requirements), encoding="utf-8")
        self.push()

    def _adapt(self) -> None:
        """Change of the example's manifest what this machine cannot have, and add a service that a test may break."""
        raw = self.variables["rollcall_stack"]
        del raw["user"]
        self.port = free_port()
        pages = raw["services"]["pages"]
        raw.update(root=self.made.root, ports=self.made.raw["ports"])
        raw["defaults"].update(directory=str(self.work.parent), stable_for=0.3)
        pages["command"] = [self.made.program if "python" in word else word for word in pages["command"]]
        pages["command"][-1] = str(self.port)
        pages["port"] = self.port
        raw["services"]["beside"] = {"command": [self.made.program, APP, "beside"]}
        self.variables["services_boot"] = "none"
        self.variables["bootstrap_on_path"] = False
        self.made.raw = raw

    def push(self) -> None:
        """Write the variables and push all of it."""
        variables = self.work / "inventory" / "group_vars" / "web.yml"
        variables.write_text(yaml.safe_dump(self.variables), encoding="utf-8")
        prepare(self.made)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "A change")
        self._git("push", "--quiet", str(self.repository), "main")

    def _git(self, *arguments: str, cwd: t.Optional[Path] = None) -> None:
        environment = {**os.environ, **GIT}
        subprocess.run(["git", *arguments], cwd=cwd or self.work, env=environment, check=True, timeout=100)

    def pull(self) -> subprocess.CompletedProcess[str]:
        """Run what the service runs, with its directories in other places."""
        command = unit(SERVICE)["Service"]["ExecStart"]
        ours = {"commands": str(self.commands), "state": str(self.state), "url": self.repository.as_uri()}
        for key, theirs in PLACES.items():
            assert theirs in command
            command = command.replace(theirs, ours[key])
        environment = {"PATH": f"{self.commands}:{os.environ['PATH']}", "HOME": str(self.state), "LANG": "C.UTF-8"}
        return subprocess.run(
            shlex.split(command),
            cwd=self.state,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=BOUND,
        )

    def status(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=60) as answer:
            return int(answer.status)


@pytest.mark.long
def test_a_host_converges_to_what_its_repository_says_and_says_when_it_does_not_hold(
    place: Path, made: StackUnderTest
) -> None:
    fleet = Fleet(place, made, platform.node())
    fleet.variables["rollcall_stack"]["restart_budget"] = {"restarts": 3, "within": 3600}
    fleet.push()
    # An operator's run, which the timer happens to meet.
    with locked(made.paths.state, "ada", "full"):
        met = fleet.pull()
    assert met.returncode == 2, met.stdout + met.stderr
    assert "This stack is locked by another run: ada" in met.stdout
    assert made.pids() == {}
    here = fleet.state / "fleet" / "collections" / "ansible_collections" / "rollcall" / "supervisor"
    assert f"Origin: {here}/roles/services/tasks" in met.stdout, "it is the collection of requirements.yml that runs"

    first = fleet.pull()
    assert first.returncode == 0, first.stdout + first.stderr
    assert "2 of 2 services up" in first.stdout, "the roll call is in the service's log"
    assert fleet.status() == 200
    pids = made.pids()

    again = fleet.pull()
    assert (again.returncode, again.stdout.count("changed=0")) == (0, 2), again.stdout
    assert made.pids() == pids

    service = fleet.variables["rollcall_stack"]["services"]["beside"]
    service["env"] = {"LEVEL": "debug"}
    fleet.push()
    picked_up = fleet.pull()
    assert picked_up.returncode == 0, picked_up.stdout
    changed = made.pids()
    assert {name for name in pids if pids[name] != changed[name]} == {"beside"}

    service["env"] = {"EXIT": "3"}
    fleet.push()
    broken = fleet.pull()
    assert broken.returncode == 2
    assert "ROLLED BACK" in broken.stdout
    assert made.status()["ok"]
    held = made.pids()

    # The next tick finds the same change. What it may cost is bounded.
    refused = fleet.pull()
    assert refused.returncode == 2
    assert "all that its restart_budget allows" in refused.stdout
    assert made.pids() == held


def test_a_host_that_is_not_in_the_inventory_or_cannot_fetch_is_no_success(place: Path, made: StackUnderTest) -> None:
    fleet = Fleet(place, made, "another.example.org")
    done = fleet.pull()
    assert done.returncode != 0
    assert "leaves us with no hosts to target" in done.stdout + done.stderr
    assert made.pids() == {}

    fleet.repository.rename(place / "gone.git")
    lost = fleet.pull()
    assert lost.returncode != 0
    assert "does not appear to be a git repository" in lost.stdout + lost.stderr
    assert "PLAY [" not in lost.stdout, "no playbook was run"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_itself_finds_no_fault_with_the_service_and_the_timer(place: Path) -> None:
    # It looks for the program, which is not here.
    service = SERVICE.read_text(encoding="utf-8").replace(f"{PLACES['commands']}/ansible-pull", sys.executable)
    (place / SERVICE.name).write_text(service, encoding="utf-8")
    shutil.copy(TIMER, place)
    units = [str(place / name) for name in (SERVICE.name, TIMER.name)]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60, check=False
    )
    assert [line for line in done.stderr.splitlines() if "rollcall-pull" in line] == []


def test_a_tick_of_the_timer_during_a_run_starts_nothing_and_the_run_ends() -> None:
    service = unit(SERVICE)["Service"]
    assert service["Type"] == "oneshot", "a unit that is starting is not started a second time"
    assert "TimeoutStartSec" in service, "a oneshot has no time limit of its own"
    assert unit(TIMER)["Timer"].get("Unit", SERVICE.name) == SERVICE.name
