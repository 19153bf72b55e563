# Copyright (c) 2026, the Rollcall authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""supervisord must be able to open three files a service, 1,024 at least: where it will not be, nothing is stopped."""

from __future__ import annotations

import os
import resource
import subprocess

import pytest

from ansible_collections.rollcall.supervisor.plugins.module_utils.base import cures
from tests.support.limits import refused_under
from tests.support.stacks import stack, two_services

# Root may raise the limit, unless its container keeps it from that.
WITHOUT_CAPABILITY = ["setpriv", "--bounding-set", "-sys_resource", "--inh-caps", "-sys_resource"]


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("-n 200", "must be able to open 1024 files, and as "),
        ("-u 100", "must be able to have 200 processes, and as "),
    ],
)
def test_a_limit_that_is_too_low_for_supervisord_is_refused_before_anything_is_stopped(limit: str, told: str) -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        before = made.pids()
        limited = [*(WITHOUT_CAPABILITY if os.geteuid() == 0 else []), made.command, "restart", "full"]
        done = subprocess.run(
            ["bash", "-c", f'ulimit {limit}; exec "$@"', "bash", *limited], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2, done.stderr
        assert told in done.stderr
        assert made.pids() == before
        assert made.perform("full")["ok"]


def test_four_hundred_services_run_where_1024_files_are_the_usual_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    services = {f"sleeper{number}": {"command": ["sleep", "100000"], "ready_timeout": 300} for number in range(400)}
    with stack(services) as made:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        try:
            report = made.perform()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert report["ok"], [check for check in report["checks"] if not check["ok"]][:3]
        limited = ["sh", "-c", 'ulimit -Sn 1024; exec "$@"', "sh", made.command]
        for order in (["restart", "full"], ["verify"]):
            done = subprocess.run([*limited, *order], capture_output=True, text=True, check=False)
            assert done.returncode == 0, (order, done.stdout[-2000:], done.stderr)
        states = [program.state for program in made.supervisor().programs().values()]
        assert states == ["RUNNING"] * 400


def test_four_hundred_services_under_a_hard_limit_of_1024_are_refused_before_anything_is_stopped() -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        before = made.pids()
        made.raw["services"].update({f"sleeper{number}": {"command": ["sleep", "100000"]} for number in range(398)})
        refused = refused_under(1024, made)
        assert "must be able to open 2048 files, and as " in refused
        assert cures.raise_limit("nofile", 2048) in refused
        assert made.pids() == before


MAY_RAISE = (
    subprocess.run(["sh", "-c", "ulimit -n 200 && ulimit -n 1024"], capture_output=True, check=False).returncode == 0
)


@pytest.mark.skipif(not MAY_RAISE, reason="this user may not raise a hard limit")
def test_who_may_raise_the_limit_is_not_kept_from_a_restart() -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        command = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", made.command, "restart", "full"]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not MAY_RAISE, reason="this user may not raise a hard limit")
def test_a_shell_whose_hard_limit_is_raised_as_told_can_do_what_was_refused() -> None:
    with stack(two_services()) as made:
        assert made.perform()["ok"]
        raise_it = cures.raise_limit("nofile", 1024).removeprefix("sudo " if os.geteuid() == 0 else "")
        again = " ".join([*WITHOUT_CAPABILITY, made.command, "restart", "full"])
        script = f"ulimit -n 200; {again} || echo refused; {raise_it}; {again}"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "refused" in done.stdout
