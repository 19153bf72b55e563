# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The eight conditions of success, each broken in turn: the verdict fails, names it and shows what was seen.

A bystander, which is none of ours, runs beside every test and must be alive afterwards.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import redis
from tests.support.commands import rollcall
from tests.support.processes import eventually, free_port, is_alive
from tests.support.stacks import StackUnderTest, check_of, failed_checks, stack

pytestmark = pytest.mark.usefixtures("bystander")


@dataclass
class Host:
    """A stack that is as it should be, and the Redis that it uses."""

    stack: StackUnderTest
    cache: redis.Redis


@pytest.fixture
def host() -> t.Iterator[Host]:
    with redis.running() as cache:
        services = {
            "web": {"port": free_port(), "health": {"http": "/health", "timeout": 4}, "directory": "app"},
            "worker": {"restart": "never", "env": {"REDIS_URL": f"redis://127.0.0.1:{cache.port}"}},
            "tool": {"command": ["bin/keeper", "600"]},
        }
        checks = {"database": {"redis": {"service": "worker", "timeout": 20}}}
        with stack(services, checks=checks) as made:
            os.mkdir(os.path.join(made.root, "app"))
            shutil.copy("/bin/sleep", os.path.join(made.root, "bin", "keeper"))
            assert made.perform()["ok"]
            yield Host(made, cache)


def lose_a_directory(host: Host) -> None:
    os.rmdir(os.path.join(host.stack.root, "app"))


def lose_a_program(host: Host) -> None:
    os.unlink(os.path.join(host.stack.root, "bin", "keeper"))


def lose_the_database(host: Host) -> None:
    host.cache.stop()


def lose_supervisord(host: Host) -> None:
    host.stack.kill_daemon()


def lose_a_service(host: Host) -> None:
    pid = host.stack.pids()["worker"]
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not is_alive(pid))


def hang_a_service(host: Host) -> None:
    os.kill(host.stack.pids()["web"], signal.SIGSTOP)


def change_the_password(host: Host) -> None:
    command = ["redis-cli", "-p", str(host.cache.port), "config", "set", "requirepass", "another"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def write_a_critical_line(host: Host) -> None:
    with open(os.path.join(host.stack.paths.logs, "worker.log"), "a", encoding="utf-8") as log:
        log.write("2026-11-21 CRITICAL the exchange closed the session\n")


CONDITIONS = {
    "1 files and directories exist": (lose_a_directory, "files", "test", "app does not exist"),
    "2 dependencies are installed": (lose_a_program, "dependencies", "test", "bin/keeper does not exist"),
    "3 the database is configured and reached": (lose_the_database, "reached", "redis of worker", "refused"),
    "4 supervisord runs and answers": (lose_supervisord, "supervisord", "test", "supervisord is not running"),
    "5 every service is spawned and RUNNING": (lose_a_service, "running", "worker", "EXITED"),
    "6 web health endpoints answer": (hang_a_service, "health", "web", "4 s"),
    "7 the application's own connection works": (change_the_password, "database", "redis of worker", "password"),
    "8 no critical errors in the logs": (write_a_critical_line, "logs", "worker", "CRITICAL the exchange closed"),
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_that_is_broken_is_named_with_its_evidence(host: Host, condition: str) -> None:
    damage, name, subject, words = CONDITIONS[condition]
    held = rollcall(host.stack, "verify", "--json")
    assert held.code == 0
    assert all(check["ok"] for check in held.data["checks"])
    assert {check["name"] for check in held.data["checks"]} >= {entry[1] for entry in CONDITIONS.values()}

    damage(host)
    said = rollcall(host.stack, "verify", "--json")
    assert said.code == 1
    assert (name, subject) in failed_checks(said.data)
    assert words in check_of(said.data, name, subject)["evidence"]
    assert check_of(said.data, name, subject)["next"]
    if condition[0] in "127 8":
        assert {found[0] for found in failed_checks(said.data)} == {name}, "nothing else is blamed"
    text = rollcall(host.stack, "verify")
    assert text.code == 1
    assert f"  {name}: " in text.out
    assert words in text.out
    assert "  next  " in text.out[text.out.rindex("test on ") :]


def test_every_condition_that_can_be_is_named_also_when_a_run_fails_by_it(host: Host) -> None:
    change_the_password(host)
    write_a_critical_line(host)
    said = rollcall(host.stack, "restart", "quick", "--json")
    assert said.code == 1
    assert failed_checks(said.data) == [("database", "redis of worker")], "the line was written before the run"
    assert Path(host.stack.paths.manifest).exists()
