# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes are ended for certain, or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.clock import Deadline
from ansible_collections.rollcall.supervisor.plugins.module_utils.host import ending, processes
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.model import Process
from tests.support.calls import identity_of
from tests.support.namespaces import as_nobody
from tests.support.processes import eventually
from tests.support.victims import victim

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user, or a namespace of its own")


@pytest.fixture(params=["pidfd", "kill"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Signal by pidfd, and by kill(2) as on a kernel without."""
    if request.param == "kill":

        def unknown(_pid: int) -> int:
            raise OSError(errno.ENOSYS, "Function not implemented")

        monkeypatch.setattr(os, "pidfd_open", unknown)
    return str(request.param)


def test_a_process_is_ended_by_its_first_signal(way: str) -> None:
    with victim("listen") as held, victim("bystander") as bystander:
        (ended,) = ending.end([identity_of(held.pid)])
        assert (ended.pid, ended.signals, ended.result) == (held.pid, ("TERM",), "ended")
        assert ended.command[-1] == str(held.port), way
        assert not held.alive
        assert bystander.alive


@pytest.mark.usefixtures("way")
def test_what_ignores_term_is_killed_and_what_is_stopped_is_continued() -> None:
    with victim("deaf") as deaf, victim("stopped") as stopped, victim("bystander") as bystander:
        assert eventually(lambda: (processes.describe(stopped.pid) or pytest.fail("gone")).state == "T")
        ended = ending.end([identity_of(deaf.pid)], grace=0.2) + ending.end([identity_of(stopped.pid)], grace=60.0)
        assert [(one.pid, one.signals, one.result) for one in ended] == [
            (deaf.pid, ("TERM", "KILL"), "ended"),
            (stopped.pid, ("TERM", "CONT"), "ended"),
        ]
        assert ended[0].seconds >= 0.2
        assert bystander.alive


@pytest.mark.usefixtures("way")
def test_a_process_that_is_gone_or_another_or_no_longer_meant_is_not_signalled() -> None:
    gone = subprocess.Popen(["/bin/true"])
    was = (gone.pid, identity_of(gone.pid)[1])
    gone.wait()
    with victim("listen") as held:
        pid, start = identity_of(held.pid)
        asked: t.List[int] = []

        def no_longer_meant(process: Process) -> bool:
            asked.append(process.pid)
            return False

        ended = ending.end([was, (pid, start + 1)])
        ended += ending.end([(pid, start)], check=no_longer_meant)
        assert [(one.result, one.signals) for one in ended] == [("gone", ()), ("changed", ()), ("changed", ())]
        assert asked == [pid]
        assert held.alive


@pytest.mark.usefixtures("way")
def test_pid_1_and_our_own_ancestors_are_never_signalled() -> None:
    (ended,) = ending.end([identity_of(os.getppid())])
    assert (ended.result, ended.signals) == ("survived", ())
    assert "this run descends from it" in ended.reason
    (ended,) = ending.end([identity_of(1)])
    assert (ended.result, ended.signals) == ("survived", ())
    assert "pid 1" in ended.reason


@ROOT_ONLY
@pytest.mark.usefixtures("way")
def test_a_process_of_another_user_survives_and_the_reason_says_why() -> None:
    with victim("listen") as held:
        (pid, start) = identity_of(held.pid)

        def attempt() -> t.Any:
            (ended,) = ending.end([(pid, start)])
            return [ended.result, list(ended.signals), ended.reason]

        assert as_nobody(attempt) == ["survived", [], "not permitted: it is of user root, and this runs as nobody"]
        assert held.alive


@pytest.mark.usefixtures("way")
def test_the_end_of_processes_is_waited_for_up_to_a_deadline() -> None:
    with victim("listen") as held:
        who = identity_of(held.pid)
        assert ending.wait_gone([who], Deadline(0.05)) == [who]
        os.kill(held.pid, 9)
        assert ending.wait_gone([who], Deadline(60)) == []


@ROOT_ONLY
def test_nothing_is_signalled_by_the_pids_of_another_namespace() -> None:
    # Without --mount-proc, /proc still counts the pids of the namespace outside.
    code = (
        "from ansible_collections.rollcall.supervisor.plugins.module_utils.host import ending\nending.end([(12345, 1)])"
    )
    done = subprocess.run(
        ["unshare", "--pid", "--fork", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "RollcallError: /proc shows another pid namespace" in done.stderr
