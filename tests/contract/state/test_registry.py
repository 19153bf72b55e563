# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of a real stack: what it says, who may read it, and that it never disagrees with what is installed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import typing as t
import unittest.mock
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.manifest.model import Paths
from ansible_collections.rollcall.supervisor.plugins.module_utils.run import restart
from ansible_collections.rollcall.supervisor.plugins.module_utils.state import registry
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.generations import (
    current_id,
    install_generation,
    load_stack,
    write_generation,
)
from tests.support.cases import ordinary
from tests.support.namespaces import as_nobody
from tests.support.processes import eventually, free_port
from tests.support.repository import ROOT
from tests.support.stacks import StackUnderTest, stack

FILES = ROOT / "roles" / "bootstrap" / "files"
PLAYBOOK = Path(sys.prefix) / "bin" / "ansible-playbook"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

# A service without a port that asks for another's, by the client as the role installs it.
ASKER = """
import os, sys, time
sys.path.insert(0, os.path.join(os.environ["ROLLCALL_ROOT"], "lib"))
from rollcall_ports import get_port
print("web is on", get_port("web"), flush=True)
time.sleep(1000)
"""


def services() -> t.Dict[str, t.Any]:
    return {"web": {"port": free_port(), "health": {"http": "/health"}}, "worker": {}}


def install_client(made: StackUnderTest) -> None:
    """Do what the role bootstrap does for applications."""
    os.chmod(made.root, 0o755)
    os.makedirs(os.path.join(made.root, "lib"), exist_ok=True)
    shutil.copy(FILES / "rollcall_ports.py", os.path.join(made.root, "lib"))


@pytest.fixture
def fresh() -> t.Iterator[StackUnderTest]:
    with stack(services()) as made:
        install_client(made)
        yield made


@pytest.fixture
def running(fresh: StackUnderTest) -> StackUnderTest:
    assert fresh.perform()["ok"]
    return fresh


def read(made: StackUnderTest) -> t.Dict[str, t.Any]:
    with open(registry.path(made.root), encoding="utf-8") as stream:
        return t.cast(t.Dict[str, t.Any], json.load(stream))


def client(made: StackUnderTest, name: str) -> str:
    """Return what the installed client prints for a service's name."""
    return subprocess.check_output(
        [sys.executable, "-I", os.path.join(made.root, "lib", "rollcall_ports.py"), name], text=True
    ).strip()


def agrees(root: str) -> bool:
    """Return whether the registry is that of the manifest that is installed; without one there must be none."""
    paths = Paths.of(root)
    if current_id(paths) is None:
        return not os.path.exists(registry.path(root))
    return Path(registry.path(root)).read_text(encoding="utf-8") == registry.text(load_stack(paths))


# --- what it says -------------------------------------------------------------------------------------------------


def test_it_names_every_service_with_its_port_address_and_health(running: StackUnderTest) -> None:
    port = running.raw["services"]["web"]["port"]
    assert read(running) == {
        "rollcall": 1,
        "stack": "test",
        "host": os.uname().nodename,
        "services": {
            "web": {"port": port, "address": "127.0.0.1", "health": f"http://127.0.0.1:{port}/health"},
            "worker": {"port": None, "address": None, "health": None},
        },
    }


def test_a_service_is_at_the_address_where_its_health_is_asked() -> None:
    raw = {
        "here": {"port": 10001, "health": {"http": "/", "host": "::1"}},
        "there": {"port": 10002, "health": {"http": "/up", "port": 10003}},
        "plain": {"port": 10004, "health": {"tcp": True, "host": "127.0.0.2"}},
    }
    with stack(raw) as made:
        entries = json.loads(registry.text(made.generation().stack))["services"]
    assert entries == {
        "here": {"port": 10001, "address": "::1", "health": "http://[::1]:10001/"},
        "there": {"port": 10002, "address": "127.0.0.1", "health": "http://127.0.0.1:10003/up"},
        "plain": {"port": 10004, "address": "127.0.0.2", "health": None},
    }


def test_before_the_first_install_there_is_none(fresh: StackUnderTest) -> None:
    done = subprocess.run(
        [sys.executable, os.path.join(fresh.root, "lib", "rollcall_ports.py"), "web"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "no stack has been installed there" in done.stderr


def test_a_service_asks_for_the_port_of_another(fresh: StackUnderTest) -> None:
    program = Path(fresh.root, "asker.py")
    program.write_text(ASKER, encoding="utf-8")
    fresh.raw["services"]["asker"] = {"command": [fresh.program, "-B", str(program)]}
    assert fresh.perform()["ok"]
    log = Path(fresh.paths.logs, "asker.log")
    port = fresh.raw["services"]["web"]["port"]
    assert eventually(lambda: f"web is on {port}\n" in log.read_text(encoding="utf-8"))


def test_client_and_command_tell_the_same(running: StackUnderTest) -> None:
    told = subprocess.check_output([running.command, "port", "web"], text=True).strip()
    assert client(running, "web") == told == str(running.raw["services"]["web"]["port"])


# --- who may read it ----------------------------------------------------------------------------------------------


def test_anybody_may_read_it_and_nobody_else_may_write_it(running: StackUnderTest) -> None:
    found = os.stat(registry.path(running.root))
    assert (found.st_mode & 0o777, found.st_uid) == (0o644, os.geteuid())


@needs_root
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_another_user_reads_it_whatever_the_umask_of_root(fresh: StackUnderTest, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert fresh.perform()["ok"]
    finally:
        os.umask(before)
    assert as_nobody(lambda: read(fresh))["services"]["web"]["port"] == fresh.raw["services"]["web"]["port"]
    private = (fresh.paths.manifest, fresh.paths.config, fresh.paths.env_dir)
    assert as_nobody(lambda: [path for path in private if os.access(path, os.R_OK)]) == []


# --- it is what is installed --------------------------------------------------------------------------------------


def test_a_port_that_changes_is_there_after_the_next_run(running: StackUnderTest) -> None:
    running.raw["services"]["web"]["port"] = port = free_port()
    assert running.perform()["ok"]
    assert client(running, "web") == str(port)
    assert agrees(running.root)


def test_a_service_that_is_removed_is_gone_from_it(running: StackUnderTest) -> None:
    del running.raw["services"]["worker"]
    assert running.perform()["ok"]
    assert list(read(running)["services"]) == ["web"]


def test_what_became_of_it_is_put_right_and_nothing_is_restarted_for_that(running: StackUnderTest) -> None:
    before = running.pids()
    os.unlink(registry.path(running.root))
    report = running.perform()
    assert [action["action"] for action in report["actions"]] == ["install"]
    Path(os.path.realpath(registry.path(running.root))).write_text('{"rollcall": 1, "serv', encoding="utf-8")
    assert running.perform(installed=True)["changed"] is True
    assert running.perform()["changed"] is False
    assert running.pids() == before
    assert agrees(running.root)


def test_a_file_of_the_application_in_its_place_is_left_alone_and_nothing_is_stopped(running: StackUnderTest) -> None:
    before = running.pids()
    os.unlink(registry.path(running.root))
    Path(registry.path(running.root)).write_text("mine", encoding="utf-8")
    running.raw["services"]["worker"]["env"] = {"COLOUR": "blue"}
    with pytest.raises(RollcallError, match=r"ports\.json is not the symbolic link that Rollcall keeps") as caught:
        restart.describe_plan(running.request())
    assert caught.value.kind == "refused"
    with pytest.raises(RollcallError, match=r"ports\.json is not the symbolic link that Rollcall keeps"):
        running.perform()
    assert Path(registry.path(running.root)).read_text(encoding="utf-8") == "mine"
    assert running.pids() == before
    assert running.perform("stop", installed=True)["ok"]


STEPS = (
    *("prove", "stop", "stop-daemon", "sweep", "flush", "install"),
    *("start-daemon", "await-daemon", "start", "verify"),
)


@pytest.mark.parametrize("step", ordinary(STEPS, "stop-daemon", "install", "start"))
def test_a_run_killed_at_any_step_leaves_one_that_agrees_with_what_is_installed(
    running: StackUnderTest, step: str
) -> None:
    running.raw["services"]["web"]["port"] = free_port()
    running.killed_at(step, "full")
    assert agrees(running.root)
    assert running.perform()["ok"]
    assert agrees(running.root)


@pytest.mark.parametrize("first", [True, False], ids=["first-install", "change"])
def test_an_install_killed_at_any_of_its_renames_leaves_one_that_agrees(first: bool) -> None:
    with stack(services()) as made:
        if not first:
            install(made, "first")
        made.raw["services"]["web"]["port"] = free_port()
        renames = 0
        while killed_at_rename(made, renames):
            renames += 1
            assert agrees(made.root)
        # Manifest, config, registry, what is known of it, and two links.
        assert renames == 6
        assert agrees(made.root)
        assert read(made)["services"]["web"]["port"] == made.raw["services"]["web"]["port"]


def install(made: StackUnderTest, run: str) -> None:
    write_generation(made.paths, made.root, run, made.generation(), None)
    install_generation(made.paths, made.root, run)


def killed_at_rename(made: StackUnderTest, number: int) -> bool:
    """Install in a child that kills itself before its rename of this number; return whether it came to that."""
    pid = os.fork()
    if pid == 0:
        try:
            real, left = os.replace, iter(range(number))

            def fatal(source: str, place: str, **options: int) -> None:
                if next(left, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                real(source, place, **options)

            with unittest.mock.patch.object(os, "replace", fatal):
                install(made, "second")
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


# --- the local fact -----------------------------------------------------------------------------------------------


@pytest.fixture
def listed(tmp_path: Path) -> t.Iterator[t.Tuple[Path, t.Dict[str, StackUnderTest]]]:
    """A host's list of stacks: two are installed, one is broken, one only prepared, and one was removed."""
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    with stack(services()) as one, stack(services()) as two:
        made = {"one": one, "two": two}
        for name, under_test in made.items():
            install(under_test, "run")
            (stacks / name).symlink_to(under_test.root)
        for name in ("broken", "prepared"):
            (tmp_path / name).mkdir()
            (stacks / name).symlink_to(tmp_path / name)
        (tmp_path / "broken" / "ports.json").write_text('{"rollcall": 1, "services": {"web', encoding="utf-8")
        (stacks / "removed").symlink_to(tmp_path / "removed")
        yield stacks, made


def fact(stacks: Path) -> t.Dict[str, t.Any]:
    done = subprocess.run([str(FILES / "rollcall.fact"), str(stacks)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return t.cast(t.Dict[str, t.Any], json.loads(done.stdout))


def test_the_fact_tells_every_stack_of_the_host_and_what_is_broken_in_its_place(
    listed: t.Tuple[Path, t.Dict[str, StackUnderTest]],
) -> None:
    stacks, made = listed
    told = fact(stacks)["stacks"]
    for name, under_test in made.items():
        assert told.pop(name) == {"root": under_test.root, "services": read(under_test)["services"]}
    assert told.pop("prepared") == {"error": f"no registry under {stacks.parent}/prepared: nothing is installed"}
    broken = told.pop("broken")
    assert list(broken) == ["error"]
    assert f"the registry under {stacks.parent}/broken cannot be read: JSONDecodeError" in broken["error"]
    assert told == {}


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"rollcall": 2}', '{"rollcall": 1}', '{"rollcall": 1, "services": {"web": 1}}']
)
def test_no_registry_makes_the_fact_fail(tmp_path: Path, text: str) -> None:
    root = tmp_path / "stack"
    root.mkdir()
    (root / "ports.json").write_text(text, encoding="utf-8")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "test").symlink_to(root)
    assert "cannot be read" in fact(tmp_path / "stacks")["stacks"]["test"]["error"]


def test_a_host_without_stacks_has_a_fact_that_says_so(tmp_path: Path) -> None:
    assert fact(tmp_path / "never made") == {"stacks": {}}


def test_a_lookup_finds_the_services_of_another_host_by_its_fact(
    listed: t.Tuple[Path, t.Dict[str, StackUnderTest]], tmp_path: Path
) -> None:
    stacks, made = listed
    facts = tmp_path / "facts.d"
    facts.mkdir()
    script = facts / "rollcall.fact"
    script.write_text(f"#!/bin/sh\nexec '{FILES}/rollcall.fact' '{stacks}'\n", encoding="utf-8")
    script.chmod(0o755)
    hosts = {name: {"ansible_connection": "local", "ansible_python_interpreter": sys.executable} for name in "ab"}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    play = [
        {
            "hosts": "a",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.setup": {"gather_subset": ["!all", "!min", "local"], "fact_path": str(facts)}}],
        },
        {
            "hosts": "b",
            "gather_facts": False,
            "tasks": [
                {
                    "ansible.builtin.copy": {
                        "content": "{{ lookup('rollcall.supervisor.port', 'web', host='a', stack='two') }}",
                        "dest": str(tmp_path / "answer"),
                        "mode": "0600",
                    }
                }
            ],
        },
    ]
    (tmp_path / "play.json").write_text(json.dumps(play), encoding="utf-8")
    done = subprocess.run(
        [str(PLAYBOOK), "-i", str(tmp_path / "hosts.json"), str(tmp_path / "play.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = (tmp_path / "answer").read_text(encoding="utf-8")
    assert answer == str(made["two"].raw["services"]["web"]["port"])
