# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers that die for ever under a process that lives are seen; pools that renew theirs on purpose are left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.host import proc
from ansible_collections.rollcall.supervisor.plugins.module_utils.host.turnover import find_dying
from tests.support.commands import rollcall
from tests.support.processes import eventually
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

# Starts what it is told, one after the other, and asks at once or by and by how it ended.
KEEPS = """
import subprocess, sys, time
while True:
    one = subprocess.Popen([sys.executable, "-I", "-S", "-c", {work!r}])
    while one.poll() is None:
        time.sleep({interval})
"""
FAILS = "import sys, time; time.sleep(0.05); sys.exit(3)"


def keeping(made: StackUnderTest, work: str, interval: float = 0.005) -> None:
    path = Path(made.root, "pool.py")
    path.write_text(KEEPS.format(work=work, interval=interval), encoding="utf-8")
    made.raw["services"]["pool"] = {"command": [made.program, str(path)]}


@pytest.mark.parametrize("interval", [0.005, 0.3])
def test_workers_that_die_for_ever_under_a_living_process_are_not_ok(interval: float) -> None:
    with stack({"pool": {}}) as made:
        keeping(made, FAILS, interval)
        report = made.perform()
        assert ("workers", "pool") in failed_checks(report)
        assert "exit code 3" in check_of(report, "workers", "pool")["evidence"]
        assert ("workers", "pool") in failed_checks(made.status())
        findings = rollcall(made, "doctor", "--json").data["findings"]
        assert [one["subject"] for one in findings if one["name"] == "not_healthy"] == ["pool"]


def test_who_was_seen_and_has_ended_since_does_not_hide_the_workers_that_die_after_it() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    run = f"subprocess.run([sys.executable, '-I', '-S', '-c', {FAILS!r}])"
    loop = f"import subprocess, sys, time\nwhile 1: {run}; time.sleep(0.1)"
    with subprocess.Popen([sys.executable, "-c", loop]) as pool:
        try:
            assert eventually(lambda: proc.has_reaped(pool.pid))
            found = find_dying({"pool": [pool.pid, gone.pid]}, 60)
        finally:
            pool.kill()
    assert (found["pool"].parent, found["pool"].last) == (pool.pid, "exit code 3")


def test_forked_workers_that_die_for_ever_are_not_ok() -> None:
    # As multiprocessing has them: they execute nothing.
    text = """
import os, time
while True:
    pid = os.fork()
    if not pid:
        os._exit(3)
    time.sleep(0.3)
    os.waitpid(pid, 0)
"""
    with stack({"pool": {}}) as made:
        path = Path(made.root, "pool.py")
        path.write_text(text, encoding="utf-8")
        made.raw["services"]["pool"] = {"command": [made.program, str(path)]}
        assert ("workers", "pool") in failed_checks(made.perform())


# What it is, and what the service does.
FRIENDS = {
    "a pool that renews its workers": "import time; time.sleep(0.05)",
    "workers that are told to end": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "a worker that lives": "import time; time.sleep(3600)",
}


@pytest.mark.parametrize("work", FRIENDS.values(), ids=FRIENDS)
def test_a_pool_that_does_what_it_is_made_for_is_ok(work: str) -> None:
    with stack({"pool": {}}) as made:
        keeping(made, work)
        assert failed_checks(made.perform()) == []
        assert failed_checks(made.status()) == []


@pytest.mark.parametrize("command", ["while :; do false; sleep 0.05; done", "while :; do grep -q x /dev/null; done"])
def test_a_shell_whose_commands_fail_is_ok(command: str) -> None:
    with stack({"pool": {"command": ["sh", "-c", command]}}) as made:
        assert failed_checks(made.perform()) == []
