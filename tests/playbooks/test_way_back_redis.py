# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The password of a Redis that an install sets goes back with the generation, over a real Redis with its own config."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.probes import databases
from tests.support.playbooks import play, prepare
from tests.support.processes import eventually, free_port
from tests.support.stacks import StackUnderTest, stack, two_services

pytestmark = pytest.mark.usefixtures("bystander")

# What Debian ships in /etc/init.d, for a Redis of the test's own.
SCRIPT = """#!/bin/sh
running() {{ kill -0 "$(cat {0}/pid 2>/dev/null)" 2>/dev/null; }}
case $1 in
  status) running ;;
  restart)
    ! running || kill "$(cat {0}/pid)"
    while running; do sleep 0.05; done
    redis-server {0}/redis.conf
    ;;
esac
"""
CONFIG = """# of the distribution
bind 127.0.0.1
port {1}
daemonize yes
pidfile {0}/pid
dir {0}
save ""
"""


class Server:
    """A Redis that is configured and restarted as the distribution's is."""

    def __init__(self, directory: str) -> None:
        self.directory, self.port = directory, free_port()
        self.config = Path(directory, "redis.conf")
        self.config.write_text(CONFIG.format(directory, self.port), encoding="utf-8")
        self.config.chmod(0o640)
        self.script = Path(directory, "redis")
        self.script.write_text(SCRIPT.format(directory), encoding="utf-8")
        self.script.chmod(0o755)
        subprocess.run([self.script, "restart"], check=True, timeout=60)
        assert eventually(lambda: self.opens(""))

    def opens(self, password: str) -> bool:
        return databases.ask_url("redis", f"redis://:{password}@127.0.0.1:{self.port}/0").ok

    def stop(self) -> None:
        pid = int(Path(self.directory, "pid").read_text(encoding="utf-8"))
        os.kill(pid, 9)


class Application:
    """A stack with that Redis; ``site`` installs it with a password."""

    def __init__(self, made: StackUnderTest, server: Server) -> None:
        self.made, self.server = made, server
        made.raw["checks"] = {"database": {"redis": {"service": "web", "variable": "REDIS_URL"}}}

    def site(self, password: str, *arguments: str, **more: t.Any) -> subprocess.CompletedProcess[str]:
        server = self.server
        url = f"redis://:{password}@127.0.0.1:{server.port}/0"
        self.made.raw["services"]["web"]["secrets"] = {"REDIS_URL": url}
        prepare(self.made)
        names = {
            "redis_service": os.path.relpath(server.script, "/etc/init.d"),
            "redis_config": str(server.config),
        }
        variables = self.made.root + "/names.json"
        Path(variables).write_text(
            # Variables of the command line are above those of a role.
            '{"__database_system": ' + str(names).replace("'", '"') + "}",
            encoding="utf-8",
        )
        known = {"install": True, "password": password, "port": server.port, "packages": ["redis-server"]}
        return play(self.made, "site.yml", "-e", f"@{variables}", *arguments, rollcall_redis=known, **more)

    def undo(self) -> t.List[str]:
        place = Path(self.made.paths.state, "undo")
        return sorted(os.listdir(place)) if place.exists() else []


@pytest.fixture
def server() -> t.Iterator[Server]:
    directory = tempfile.mkdtemp(prefix="redis-")
    one = Server(directory)
    try:
        yield one
    finally:
        one.stop()
        shutil.rmtree(directory)


@pytest.fixture
def application(server: Server) -> t.Iterator[Application]:
    with stack(two_services()) as made:
        yield Application(made, server)


@pytest.mark.long
def test_a_password_of_redis_is_set_back_with_the_generation(application: Application) -> None:
    server, made = application.server, application.made
    done = application.site("first-word")
    assert done.returncode == 0, done.stdout
    assert (server.opens("first-word"), application.undo()) == (True, [])
    assert "changed=0" in application.site("first-word").stdout
    before = server.config.stat()
    announced = application.site("second-word", "--check")
    assert "Redis: would get another password, and is restarted. A run that goes back sets it back" in " ".join(
        announced.stdout.split()
    )
    assert server.opens("first-word")
    assert application.undo() == []
    made.raw["services"]["worker"]["command"] = ["/bin/false"]

    failed = application.site("second-word")

    assert "ROLLED BACK" in failed.stdout, failed.stdout
    assert "ROLLBACK FAILED" not in failed.stdout
    assert "note: the password of Redis was taken back" in failed.stdout
    assert "first-word" not in failed.stdout
    assert "second-word" not in failed.stdout
    assert server.opens("first-word")
    assert not server.opens("second-word")
    assert made.status()["ok"]
    after = server.config.stat()
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)
    assert server.config.read_text(encoding="utf-8").startswith("# of the distribution\n")

    del made.raw["services"]["worker"]["command"]
    done = application.site("second-word")

    assert done.returncode == 0, done.stdout
    assert (server.opens("second-word"), application.undo()) == (True, [])


def test_a_first_install_that_is_taken_back_leaves_redis_as_it_was(application: Application) -> None:
    server, made = application.server, application.made
    made.raw["services"]["worker"]["command"] = ["/bin/false"]

    failed = application.site("first-word", "-e", "on_failure=rollback")

    assert failed.returncode == 2
    assert "The password of Redis was taken back." in " ".join(failed.stdout.split()), failed.stdout
    assert server.opens("")
    assert "requirepass" not in server.config.read_text(encoding="utf-8")
    assert not Path(made.command).exists()


def test_a_password_with_quotes_opens_redis(application: Application) -> None:
    made = application.made
    made.raw["checks"] = {}
    done = application.site('it"s \\ a word')
    assert done.returncode == 0, done.stdout
