# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every entry of docs/how-to/runbook.md is played: its symptom made for real, its commands, its output, its cure.

A bystander, which is none of ours, runs beside every entry and must be alive afterwards.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import errors
from ansible_collections.rollcall.supervisor.plugins.module_utils.cli import command as cli
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.supervisord import discovery
from tests.support import namespaces, runbook
from tests.support.commands import rollcall
from tests.support.processes import accepts, eventually, free_port, is_alive
from tests.support.repository import ROOT
from tests.support.runbook import Operator
from tests.support.stacks import StackUnderTest, stack
from tests.support.victims import innocent, victim

PAGE = (ROOT / "docs" / "how-to" / "runbook.md").read_text(encoding="utf-8")
ENTRIES = runbook.entries(PAGE)

Act = t.Callable[[], t.Any]
Scenario = t.Callable[[StackUnderTest], t.ContextManager[t.Optional[Act]]]
# Breaks a stack in the way of its entry, and yields what the operator does by hand before the cure, if anything.
SCENARIOS: t.Dict[str, Scenario] = {}
# Played where a file system of its own is mounted over a directory.
MOUNTED = {"Disk full"}


def symptom(*headings: str) -> t.Callable[[t.Callable[[StackUnderTest], t.Iterator[t.Optional[Act]]]], Scenario]:
    """Note the scenario of the entries with these headings."""

    def note(scenario: t.Callable[[StackUnderTest], t.Iterator[t.Optional[Act]]]) -> Scenario:
        made = contextlib.contextmanager(scenario)
        SCENARIOS.update(dict.fromkeys(headings, made))
        return made

    return note


def install(made: StackUnderTest) -> None:
    report = made.perform()
    assert report["ok"], report["checks"]


def end(pid: int, number: int = signal.SIGKILL) -> None:
    os.kill(pid, number)
    assert eventually(lambda: not is_alive(pid))


# --- the symptoms -------------------------------------------------------------------------------------------------


@symptom("First three commands", "Exit codes")
def a_service_that_somebody_has_stopped(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    with made.supervisor() as client:
        client.stop(["web"])
        assert eventually(lambda: client.programs()["web"].state == "STOPPED")
    yield None


@symptom("Port already in use")
def another_program_on_a_port(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    assert made.perform("stop")["ok"]
    with victim("listen", made.raw["services"]["web"]["port"]) as holder:
        yield None
        assert not holder.alive


@symptom("Supervisor won't start")
def no_directory_for_the_logs(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    assert made.perform("stop")["ok"]
    os.rename(made.paths.logs, f"{made.paths.logs}.away")
    yield None


@symptom("Stuck in FATAL or BACKOFF")
def a_program_that_misses_its_file(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    script = 'test -r data.csv || { echo "worker: data.csv: No such file or directory" >&2; exit 1; }; exec sleep 600'
    made.raw["services"]["worker"]["command"] = ["/bin/sh", "-c", script]
    assert not made.perform()["ok"]
    with made.supervisor() as client:
        assert eventually(lambda: client.programs()["worker"].state == "FATAL")
    yield Path(made.root, "data.csv").touch


@symptom("supervisor.sock: no such file")
def the_socket_was_deleted(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    settled(made)
    os.unlink(made.paths.socket)
    yield None


@symptom("supervisor.sock: refused connection")
def supervisord_was_killed(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    made.kill_daemon()
    yield None


@symptom("supervisorctl hangs")
def supervisord_is_stopped(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    (daemon,) = made.daemons()
    os.kill(daemon.pid, signal.SIGSTOP)
    yield None


@symptom("Two supervisords")
def a_second_supervisord(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    os.unlink(made.paths.socket)
    (first,) = made.daemons()
    second = subprocess.Popen(first.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=made.root)
    try:
        assert eventually(lambda: accepts(made.paths.socket))
        settled(made)
        yield None
        assert not is_alive(second.pid)
    finally:
        second.kill()
        second.wait()


@symptom("Zombies")
def a_program_that_nobody_reaps(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    worker = made.pids()["worker"]
    (daemon,) = made.daemons()
    os.kill(daemon.pid, signal.SIGSTOP)
    end(worker)
    assert Path(f"/proc/{worker}").exists(), "it is a zombie"
    yield None


@symptom("Left-over processes")
def a_process_of_an_earlier_supervisord(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    (first,) = made.daemons()
    left = made.pids()
    made.kill_daemon()
    end(left["feed"])
    end(left["web"])
    by_hand = subprocess.Popen(first.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=made.root)
    try:
        assert eventually(lambda: is_answering(made, by_hand.pid))
        with made.supervisor() as client:
            client.start(["feed", "web", "worker"])
            assert eventually(lambda: all(one.state == "RUNNING" for one in client.programs().values()))
        yield None
        assert not is_alive(left["worker"])
    finally:
        by_hand.kill()
        by_hand.wait()


@symptom("Refused: the stack is locked by another run")
def another_run(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    gate = made.drains("feed")
    install(made)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    other = subprocess.Popen([made.command, "restart"], **quiet)  # type: ignore[call-overload]
    try:
        assert eventually(lambda: bool(made.lock_note()))
        yield gate.touch
        assert other.wait(100) == 0
    finally:
        gate.touch()
        other.kill()
        other.wait()


@symptom("The run was cut off")
def the_worker_was_killed(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    made.killed_at("start-daemon", "full")
    yield None


@symptom("HELD")
def a_file_that_a_service_requires(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    made.raw["services"]["worker"]["requires_files"] = ["credentials/worker.pem"]
    assert made.perform()["result"] == "held"
    place = Path(made.root, "credentials")
    place.mkdir()
    yield place.joinpath("worker.pem").touch


@symptom("It restarts itself too often")
def a_budget_that_is_spent(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    made.raw["restart_budget"] = {"restarts": 1}
    install(made)
    assert made.perform("full", installed=True, automatic=True)["ok"]
    with made.supervisor() as client:
        client.stop(["worker"])
        assert eventually(lambda: client.programs()["worker"].state == "STOPPED")
    yield None


@symptom("It restarted by itself at six")
def a_unit_that_was_restarted(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    assert rollcall(made, "stop").code == 0
    assert rollcall(made, "start", "--automatic").code == 0
    yield None


@symptom("Disk full")
def a_log_that_has_taken_all(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    Path(made.paths.logs, "worker.log").write_bytes(bytes(28 * 1024 * 1024))
    yield None


def small_disk(made: StackUnderTest) -> namespaces.Mount:
    """Return what mounts a disk over the logs, too small for a log of 28 MiB and the room that is asked for."""

    def mount() -> None:
        options = ["-t", "tmpfs", "-o", "size=32m,mode=0750"]
        subprocess.run(["mount", *options, "rollcall-test", made.paths.logs], check=True, timeout=60)

    return mount


@symptom("RUNNING, but the site is down")
def a_service_that_hangs(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    os.kill(made.pids()["web"], signal.SIGSTOP)
    yield None


@symptom("Config refused")
def an_edited_config(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    before = made.pids()
    config = Path(os.path.realpath(made.paths.config))
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("startsecs=1", "startsecs=soon", 1), encoding="utf-8")
    yield lambda: install(made)
    assert before.keys() == made.pids().keys()


@symptom("The new version does not work")
def a_generation_that_does_not_hold(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    made.raw["services"]["web"].update(env={"STATUS": "500"}, ready_timeout=6)
    assert not made.perform()["ok"]
    yield None


@symptom("Where the logs are")
def nothing_is_wrong(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    yield None


@symptom("By hand, when rollcall itself does not run")
def no_interpreter_for_the_engine(made: StackUnderTest) -> t.Iterator[t.Optional[Act]]:
    install(made)
    venv, away = (os.path.join(made.root, "engine", name) for name in ("venv", "venv.away"))
    os.rename(venv, away)
    yield lambda: os.rename(away, venv)


def settled(made: StackUnderTest) -> None:
    """Wait until every supervisord is old enough for the doctor to expect an answer from it."""
    assert eventually(lambda: all(processes.age(daemon.start) > discovery.STARTING for daemon in made.daemons()))


def is_answering(made: StackUnderTest, pid: int) -> bool:
    """Return whether this supervisord answers on the stack's socket."""
    try:
        with made.supervisor() as client:
            return client.pid() == pid
    except errors.RollcallError:
        return False


# --- the page -----------------------------------------------------------------------------------------------------


def test_every_entry_has_a_scenario_and_every_scenario_an_entry() -> None:
    assert set(ENTRIES) == set(SCENARIOS)
    assert [heading for heading, blocks in ENTRIES.items() if not blocks] == []


def services() -> t.Dict[str, t.Any]:
    """Return the services that the page says the stack has."""
    web = {"port": free_port(), "health": {"http": "/health"}, "depends_on": {"feed": "healthy"}}
    return {"web": web, "feed": {"port": free_port(), "health": {"http": "/health"}}, "worker": {}}


@pytest.fixture
def made() -> t.Iterator[StackUnderTest]:
    with innocent(), stack(services(), name="trading") as new:
        yield new


@pytest.mark.parametrize("heading", list(ENTRIES))
def test_an_entry_shows_what_is_seen_and_its_cure_cures(made: StackUnderTest, heading: str) -> None:
    if heading not in MOUNTED:
        play(made, heading)
    elif os.geteuid() != 0:
        pytest.skip("mounting takes root")
    else:
        assert namespaces.seen_with(small_disk(made), lambda: play(made, heading))


def play(made: StackUnderTest, heading: str) -> bool:
    """Break the stack, do what the entry says, and see that the stack is well."""
    ports = {"3000": str(made.raw["services"]["web"]["port"]), "8001": str(made.raw["services"]["feed"]["port"])}
    operator = Operator({"/opt/trading": made.root, **ports}, f"{made.root}/bin")
    *blocks, cure = ENTRIES[heading]
    with SCENARIOS[heading](made) as act:
        for block in blocks:
            operator.follow(block)
        if act is not None:
            act()
        operator.follow(cure)
        verified = operator.run("rollcall verify")
        assert ": OK, 3 of 3 services up, 2 of 2 answered" in verified, verified
    return True


def test_every_exit_code_is_explained() -> None:
    table = re.findall(r"^\| (\d) \|", PAGE.partition("## Exit codes")[2], re.MULTILINE)

    assert list(map(int, table)) == [errors.EXIT_OK, *errors.EXIT_CODES.values(), errors.EXIT_UNREACHABLE]


def test_the_page_begins_with_a_list_of_its_entries() -> None:
    listed = re.findall(r"^- \[(.+)\]\(#(.+)\)$", PAGE.partition("\n## ")[0], re.MULTILINE)

    assert listed == [(heading, runbook.anchor(heading)) for heading in ENTRIES]


def test_commands_within_the_text_are_taken() -> None:
    named = re.findall(r"`rollcall ([^`]+)`", PAGE)

    assert len(named) > 5
    for words in named:
        cli.parser().parse_args(shlex.split(words))


def test_links_lead_somewhere() -> None:
    anchors = {runbook.anchor(heading) for heading in ENTRIES}
    targets = re.findall(r"\]\(([^)]+)\)", PAGE)

    assert [one for one in targets if one.startswith("#") and one[1:] not in anchors] == []
    files = [one.partition("#")[0] for one in targets if not one.startswith("#")]
    assert [one for one in files if not (ROOT / "docs" / "how-to" / one).is_file()] == []


def test_what_is_to_be_done_on_the_controller_is_there() -> None:
    usage = subprocess.run([ROOT / "restart", "help"], capture_output=True, text=True, check=True, timeout=60).stdout
    modes = set(re.findall(r"`\./restart ?([a-z]*)", PAGE)) - {""}
    playbooks = set(re.findall(r"rollcall\.supervisor\.([a-z]+)", PAGE))

    assert modes >= {"status", "doctor", "auto", "emergency"}
    assert [mode for mode in modes if not re.search(rf"^  {mode} ", usage, re.MULTILINE)] == []
    assert [name for name in playbooks if not (ROOT / "playbooks" / f"{name}.yml").is_file()] == []
    assert "`ansible-playbook site.yml`" in PAGE
    assert (ROOT / "site.yml").is_file()
