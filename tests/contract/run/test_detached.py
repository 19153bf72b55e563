# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service that runs has put into the background stays in a run about others, and ends with its service."""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Identity
from tests.support.commands import rollcall
from tests.support.processes import eventually
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

# Puts a process with a session of its own into the background as soon as it is told to, and says its pid.
DETACHES = """
import os, sys, time
os.chdir(sys.argv[1])
open("pipe").read()
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    with open("new", "w") as stream:
        stream.write(str(os.getpid()))
    os.rename("new", "pid")
    os.execvp("sleep", ["sleep", "600"])
os.wait()
time.sleep(3600)
"""
# Has a child of its own process group that ignores TERM, and says its pid.
STUBBORN = """
import os, signal, sys
os.chdir(sys.argv[1])
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open("new", "w") as stream:
        stream.write(str(os.getpid()))
    os.rename("new", "pid")
signal.pause()
"""


class Detaching:
    """A stack with a service `web` that detaches a process, and another one, `worker`."""

    def __init__(self, made: StackUnderTest) -> None:
        self.made = made
        self.pid = 0

    def detaches(self) -> None:
        """Have it do so, and wait until the process has lived for longer than a helper."""
        Path(self.made.root, "pipe").write_text("go\n", encoding="utf-8")
        place = Path(self.made.root, "pid")
        assert eventually(place.exists)
        self.pid = int(place.read_text(encoding="utf-8"))
        # It is supervisord's own child once what has started it has gone on.
        assert eventually(lambda: processes.age(processes.start_time(self.pid)) > 1.2)

    def lives(self) -> bool:
        return processes.alive((self.pid, processes.start_time(self.pid)))


@contextlib.contextmanager
def detaching(**more: t.Any) -> t.Iterator[Detaching]:
    with stack({"web": {}, "worker": {}}) as made:
        os.mkfifo(os.path.join(made.root, "pipe"))
        made.raw["services"]["web"] = runs(made, DETACHES, **more)
        yield Detaching(made)


def runs(made: StackUnderTest, program: str, **more: t.Any) -> t.Dict[str, t.Any]:
    """Return a service that runs a program of several lines."""
    path = Path(made.root, "service.py")
    path.write_text(program, encoding="utf-8")
    return {"command": [made.program, str(path), made.root], **more}


def changed(made: StackUnderTest, name: str) -> None:
    made.raw["services"][name]["env"] = {"LATER": "yes"}


@pytest.fixture
def started() -> t.Iterator[Detaching]:
    with detaching(detaches=True) as one:
        assert one.made.perform()["ok"]
        one.detaches()
        yield one


def test_what_is_declared_is_no_left_over_and_stays_in_a_run_about_others(started: Detaching) -> None:
    assert failed_checks(started.made.status()) == []
    findings = rollcall(started.made, "doctor", "--json").data["findings"]
    assert not [one for one in findings if one["severity"] == "error"]
    changed(started.made, "worker")
    report = started.made.perform()
    assert (report["ok"], report["changed"]) == (True, True)
    assert started.lives()
    assert rollcall(started.made, "restart", "worker").code == 0
    assert started.lives()


def test_it_ends_with_its_service(started: Detaching) -> None:
    changed(started.made, "web")
    report = started.made.perform()
    assert report["ok"], failed_checks(report)
    assert [note for note in report["notes"] if "ends with it" in note]
    assert not started.lives()


def test_it_ends_with_the_stack(started: Detaching) -> None:
    assert started.made.perform("stop")["ok"]
    assert not started.lives()


def test_it_is_a_left_over_when_its_service_lives_another_life(started: Detaching) -> None:
    os.kill(started.made.pids()["web"], signal.SIGKILL)
    assert eventually(lambda: started.made.supervisor().programs()["web"].state == "RUNNING")
    assert ("orphans", "test") in failed_checks(started.made.status())
    started.made.perform()
    assert not started.lives()


def test_what_is_not_declared_is_told_and_left_and_undoes_no_change_of_others() -> None:
    with detaching() as one:
        assert one.made.perform()["ok"]
        one.detaches()
        assert ("orphans", "test") in failed_checks(one.made.status())
        pids = one.made.pids()
        changed(one.made, "worker")
        report = one.made.perform()
        check = check_of(report, "orphans", "test")
        assert check["code"] == "earlier"
        assert "detaches: true" in check["evidence"]
        assert report["rolled_back"] is None
        assert not [action for action in report["actions"] if action["action"] == "sweep"]
        assert [note for note in report["notes"] if note.startswith("web runs and has put pid")]
        assert one.lives()
        now = one.made.pids()
        assert (now["web"], now["worker"] == pids["worker"]) == (pids["web"], False)
        # The printed cure: it is declared, and stays. A restart would end it until the service does that again.
        assert check["next"].startswith("give web detaches: true in the manifest, ")
        one.made.raw["services"]["web"]["detaches"] = True
        assert one.made.perform()["ok"]
        assert one.lives()


def test_a_child_that_ignores_its_end_is_swept_when_its_service_has_gone() -> None:
    """It has no port. Neither does a child live on beside its next process, nor in a stack that has stopped."""
    with stack({"web": {}, "worker": {}}) as made:
        made.raw["services"]["web"] = runs(made, STUBBORN, restart="never")
        assert made.perform()["ok"]
        first = stubborn_child(made)
        os.kill(made.pids()["web"], signal.SIGKILL)
        assert eventually(lambda: made.supervisor().programs()["web"].state == "EXITED")
        made.perform(grace=1)
        assert not processes.alive(first)
        # Of the next one the leader ends as it is told to, and the child does not.
        second = stubborn_child(made)
        report = made.perform("stop", grace=1)
        assert report["ok"], failed_checks(report)
        assert not processes.alive(second)


def stubborn_child(made: StackUnderTest) -> Identity:
    """Return the child that `web` has just started."""
    place = Path(made.root, "pid")
    assert eventually(place.exists)
    pid = int(place.read_text(encoding="utf-8"))
    place.unlink()
    return pid, processes.start_time(pid)
