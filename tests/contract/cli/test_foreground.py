# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rollcall run`` as the first process of a pid namespace, as a container without an init has it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.watching import only_watcher, read_watch
from tests.support.commands import BOUND
from tests.support.namespaces import PID_NAMESPACE
from tests.support.processes import eventually, free_port
from tests.support.receivers import HttpReceiver
from tests.support.stacks import APP, StackUnderTest, stack


def tells(name: str) -> t.List[str]:
    """Return a service that says when it begins and when it is told to end."""
    return [
        "sh",
        "-c",
        f"trap 'echo {name} ends | tee -a order; exit 0' TERM; echo {name} begins; while :; do sleep 0.05; done",
    ]


@contextlib.contextmanager
def foreground(made: StackUnderTest, *arguments: str, first: bool = False) -> t.Iterator[subprocess.Popen[str]]:
    command = [*(PID_NAMESPACE if first else ()), made.command, "run", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        try:
            yield run
        finally:
            run.kill()


def said(run: subprocess.Popen[str], words: str) -> str:
    assert run.stderr is not None
    lines: t.List[str] = []
    for line in run.stderr:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def children(pid: int) -> t.List[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def state_of(made: StackUnderTest, name: str) -> str:
    try:
        with made.supervisor() as client:
            return client.programs()[name].state
    except RollcallError:
        return ""


def state(pid: int) -> str:
    process = processes.describe(pid)
    return "" if process is None else process.state


@pytest.mark.skipif(os.geteuid() != 0, reason="a pid namespace needs root")
def test_as_pid_1_it_starts_tells_reaps_and_term_stops_all_in_order() -> None:
    services = {"web": {"command": tells("web")}, "worker": {"command": tells("worker"), "depends_on": ["web"]}}
    with stack(services) as made:
        assert made.perform()["ok"]
        assert made.perform("stop", installed=True)["ok"]
        with foreground(made, "--logs", first=True) as run:
            said(run, "SIGTERM stops all in order, within")
            said(run, "OK, 2 of 2 services up")
            (init,) = children(run.pid)
            orphan = ["nsenter", "--target", str(init), "--pid", "--mount", "sh", "-c", "sh -c 'sleep 0.1' & exec true"]
            subprocess.run(orphan, check=True, timeout=BOUND)
            assert eventually(lambda: len(children(init)) == 2, BOUND)
            assert "Z" not in [state(pid) for pid in children(init)]
            began = time.monotonic()
            os.kill(init, signal.SIGTERM)
            said(run, "stops in order, within")
            os.kill(init, signal.SIGTERM)
            out, err = run.communicate(timeout=BOUND)
            assert run.returncode == 0, err
            assert time.monotonic() - began < BOUND
        told = {line for line in out.splitlines() if line.endswith((" begins", " ends"))}
        assert told == {f"{name} | {name} {does}" for name in ("web", "worker") for does in ("begins", "ends")}
        order = Path(made.root, "order").read_text(encoding="utf-8").splitlines()
        assert order[-2:] == ["worker ends", "web ends"]


def dies_with(file: str) -> t.Dict[str, t.Any]:
    command = ["sh", "-c", f"while [ ! -e {file} ]; do sleep 0.05; done; echo no ink left; exit 3"]
    return {"command": command, "start": {"seconds": 1, "retries": 0}}


def test_it_ends_with_1_when_a_critical_service_is_down_for_good_and_not_for_another() -> None:
    services = {"other": dies_with("ill"), "web": dies_with("worse")}
    with stack(services, watch={"interval": 1}) as made:
        assert made.perform()["ok"]
        with foreground(made, "--critical", "w*") as run:
            said(run, "OK, 2 of 2 services up")
            Path(made.root, "ill").touch()
            assert eventually(lambda: state_of(made, "other") == "FATAL", BOUND)
            seen = looks(made)
            assert eventually(lambda: looks(made) > seen + 1, BOUND)
            assert run.poll() is None
            Path(made.root, "worse").touch()
            assert "it is down for good: web; everything is stopped" in said(run, "everything is stopped")
            assert run.wait(BOUND) == 1
        assert made.daemons() == []


@pytest.mark.parametrize(
    ("watch", "told"), [({}, ["degraded"]), ({"restart": True}, ["degraded", "restarted", "gave_up"])]
)
def test_why_it_ends_is_told_before_it_ends(watch: t.Dict[str, t.Any], told: t.List[str]) -> None:
    with HttpReceiver() as receiver:
        alerts = [{"kind": "webhook", "url": receiver.url}]
        watch = {"interval": 1, "grace": 0, "degraded_after": 2, "critical_after": 1000, "alerts": alerts, **watch}
        budget = {"restarts": 1, "within": 3600}
        with stack({"web": dies_with("ill")}, watch=watch, restart_budget=budget) as made:
            assert made.perform()["ok"]
            with foreground(made) as run:
                said(run, "OK, 1 of 1 service up")
                Path(made.root, "ill").touch()
                assert run.wait(BOUND) == 1
        assert [one.data["alert"] for one in receiver.taken] == told
        assert all("no ink left" in one.data["evidence"] for one in receiver.taken)


def looks(made: StackUnderTest) -> int:
    """Return how often the watcher has looked."""
    known = read_watch(made.paths.state)
    return 0 if known is None else known["looks"]


def test_term_while_it_starts_stops_what_has_started() -> None:
    command = ["sh", "-c", f"[ -e ill ] && exec sleep 600; exec {sys.executable} {APP} deaf"]
    deaf = {"port": free_port(), "command": command, "ready_timeout": 300}
    with stack({"web": {"command": tells("web")}, "deaf": deaf}) as made:
        assert made.perform()["ok"]
        assert made.perform("stop", installed=True)["ok"]
        Path(made.root, "ill").touch()
        with foreground(made) as run:
            assert eventually(lambda: state_of(made, "deaf") == "RUNNING", BOUND)
            run.send_signal(signal.SIGTERM)
            assert run.wait(BOUND) == 0
        assert made.daemons() == []


def test_an_engine_that_is_replaced_ends_nothing() -> None:
    with stack({"web": dies_with("worse")}, watch={"interval": 1}) as made:
        assert made.perform()["ok"]
        with foreground(made, "--logs", "--critical", "w*") as run:
            said(run, "OK, 1 of 1 service up")
            assert eventually(lambda: looks(made) > 0, BOUND)
            pids = made.pids()
            Path(made.root, "engine", "files").touch()
            said(run, "another engine was installed")
            # Somebody else has the lock, and it starts nothing.
            with locked(made.paths.state, "ada", "restart"):
                seen = looks(made)
                assert eventually(lambda: looks(made) > seen + 1, BOUND)
            assert made.pids() == pids
            Path(made.root, "worse").touch()
            assert "it is down for good: web; everything is stopped" in said(run, "everything is stopped")
            assert run.wait(BOUND) == 1


def test_another_watcher_ends_nothing() -> None:
    with stack({"web": {"command": tells("web")}}, watch={"interval": 1}) as made:
        assert made.perform()["ok"]
        other = only_watcher(made.paths.state)
        with foreground(made) as run:
            said(run, "A watcher looks at this stack already")
            os.close(other)
            assert eventually(lambda: looks(made) > 1, BOUND)
            run.terminate()
            assert run.wait(BOUND) == 0
        assert made.daemons() == []


def test_an_engine_that_cannot_go_on_leaves_it_as_it_is() -> None:
    with stack({"web": dies_with("worse")}, watch={"interval": 1}) as made:
        assert made.perform()["ok"]
        with foreground(made) as run:
            said(run, "OK, 1 of 1 service up")
            assert eventually(lambda: looks(made) > 0, BOUND)
            os.chmod(made.command, 0o600)
            Path(made.root, "engine", "files").touch()
            said(run, "it cannot go on as the other engine: Permission denied")
            seen = looks(made)
            assert eventually(lambda: looks(made) > seen + 1, BOUND)
            Path(made.root, "worse").touch()
            said(run, "it is down for good: web; everything is stopped")
            assert run.wait(BOUND) == 1
        assert made.daemons() == []


def test_a_reload_ends_it_at_no_time_and_another_engine_takes_over() -> None:
    command = ["sh", "-c", f"while [ -e ill ]; do sleep 0.05; done; exec {sys.executable} {APP} web"]
    with stack({"web": {"port": free_port(), "command": command, "ready_timeout": 300}}, watch={"interval": 1}) as made:
        assert made.perform()["ok"]
        assert made.perform("stop", installed=True)["ok"]
        Path(made.root, "ill").touch()
        with foreground(made) as run:
            assert eventually(lambda: state_of(made, "web") == "RUNNING", BOUND)
            run.send_signal(signal.SIGHUP)
            Path(made.root, "ill").unlink()
            said(run, "OK, 1 of 1 service up")
            assert eventually(lambda: looks(made) > 0, BOUND)
            web = made.pids()["web"]
            Path(made.root, "engine", "files").touch()
            said(run, "another engine was installed")
            assert made.pids()["web"] == web
            run.terminate()
            assert run.wait(BOUND) == 0
        assert made.daemons() == []
