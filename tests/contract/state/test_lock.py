# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a stack: who is let in, who is refused and told what, and what is left of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base.errors import RollcallError
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import (
    describe_lock,
    lock_note,
    locked,
    locked_by,
    watcher_patience,
)
from tests.support.processes import eventually

ANOTHER = """
import sys, time
from ansible_collections.rollcall.supervisor.plugins.module_utils.state.lock import locked

with locked(sys.argv[1], "ada", "full", run="r"):
    time.sleep(600)
"""


@pytest.fixture
def another(tmp_path: Path) -> t.Iterator[subprocess.Popen[bytes]]:
    """Another process, which has locked the directory."""
    process = subprocess.Popen([sys.executable, "-c", ANOTHER, str(tmp_path)])
    try:
        assert eventually(lambda: bool(lock_note(str(tmp_path))))
        yield process
    finally:
        process.kill()
        process.wait()


def test_who_has_locked_it_is_in_the_note_until_it_is_unlocked(tmp_path: Path) -> None:
    state = str(tmp_path)
    with locked(state, "ada", "full", run="r"):
        note = locked_by(state)
        assert (note["who"], note["verb"], note["run"], note["pid"]) == ("ada", "full", "r", os.getpid())
    assert lock_note(state) == {}


def test_another_process_is_refused_at_once_and_told_by_whom(tmp_path: Path, another: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    by_whom = f"locked by another run: ada runs 'full' as pid {another.pid}"
    with pytest.raises(RollcallError, match=by_whom) as told, locked(str(tmp_path), "bob", "quick"):
        pass
    assert time.monotonic() - began < 60
    assert told.value.kind == "refused"
    assert told.value.evidence["holder"]["run"] == "r"


def test_a_process_that_is_stopped_keeps_its_lock_and_is_said_to_be(
    tmp_path: Path, another: subprocess.Popen[bytes]
) -> None:
    another.send_signal(signal.SIGSTOP)
    with (
        pytest.raises(RollcallError, match="stopped by a signal") as told,
        locked(str(tmp_path), "bob", "quick", patience=0.2),
    ):
        pass
    assert told.value.remedies[0].startswith(f"kill -CONT {another.pid}")


def test_patience_waits_for_another_process(tmp_path: Path, another: subprocess.Popen[bytes]) -> None:
    os.kill(another.pid, signal.SIGKILL)
    with locked(str(tmp_path), "bob", "quick", patience=60):
        assert locked_by(str(tmp_path))["who"] == "bob"


def test_a_run_of_the_watcher_is_waited_for_and_no_other_one(tmp_path: Path) -> None:
    state = str(tmp_path)
    held, enough = threading.Event(), threading.Event()

    def hold(limit: float) -> None:
        with locked(state, "rollcall watch", "auto", limit=limit, watcher=True):
            held.set()
            enough.wait(100)

    for limit, waits in ((30.0, True), (0.1, False)):
        held.clear()
        enough.clear()
        thread = threading.Thread(target=hold, args=(limit,))
        thread.start()
        assert held.wait(60)
        assert watcher_patience(state) == limit
        if waits:
            threading.Timer(0.3, enough.set).start()
            with locked(state, "bob", "full"):
                assert (locked_by(state)["who"], watcher_patience(state)) == ("bob", 0.0)
        else:
            with pytest.raises(RollcallError) as refused, locked(state, "bob", "full"):
                pass
            assert refused.value.kind == "refused", "it takes longer than it may"
            enough.set()
        thread.join()


def test_the_note_of_a_process_that_was_killed_locks_nothing(tmp_path: Path, another: subprocess.Popen[bytes]) -> None:
    another.kill()
    another.wait()
    assert lock_note(str(tmp_path))["who"] == "ada"
    assert locked_by(str(tmp_path)) == {}


def test_a_pid_that_another_process_has_by_now_is_not_taken_for_the_one_that_locked(tmp_path: Path) -> None:
    note = {"pid": os.getpid(), "start": 0.0, "who": "ada", "verb": "full", "since": "2026-01-02 03:04:05"}
    Path(tmp_path, "lock").write_text(json.dumps(note), encoding="utf-8")
    assert locked_by(str(tmp_path)) == {}


def test_it_is_unlocked_when_what_is_done_within_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="within"), locked(str(tmp_path), "ada", "full"):
        raise ValueError("within")
    assert lock_note(str(tmp_path)) == {}
    with locked(str(tmp_path), "bob", "quick"):
        pass


def test_a_directory_that_is_removed_takes_its_lock_along(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with locked(str(state), "ada", "remove"):
        shutil.rmtree(state)


def test_a_directory_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with (
        pytest.raises(RollcallError, match=r"cannot lock the stack in .*: No such file or directory"),
        locked(str(tmp_path / "state"), "ada", "full"),
    ):
        pass


def test_a_lock_is_described_with_the_step_that_the_run_is_at() -> None:
    note = {"who": "ada", "verb": "full", "pid": 7, "since": "14:02", "step": "start"}
    assert describe_lock(note) == "ada runs 'full' as pid 7 since 14:02, now at its step 'start'"
    assert "not yet written its name" in describe_lock({})
